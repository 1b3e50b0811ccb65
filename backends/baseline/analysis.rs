//! What one look ahead tells: which instructions have an effect, where values are used last, which leave their block.
//!
//! In: a region that verifies. Out: for each value what [`Use`] says, and for each instruction, by its value, whether
//! it is dropped. Positions count the instructions and ends of all blocks in their order; a value is alive up to the
//! position of its last use.

use philae_ir::opt::Exactness;
use philae_ir::state::{NZCV, WORDS};
use philae_ir::{BlockId, Effect, HelperEffect, Inst, Op, Region, Slot, Terminator, Ty, Value};

/// The use of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// Position of the last use; 0 if there is none.
    pub(super) last: u32,
    /// The block that makes it.
    pub(super) block: u32,
    /// It is used in another block than its own.
    pub(super) crosses: bool,
    /// Its register is wanted: it is not only what a branch, a selection or a test of flags looks at.
    pub(super) eager: bool,
    /// The instruction is not to be emitted: nobody uses what it makes, or its slot is written again unseen.
    pub(super) dropped: bool,
    /// For a read of the flags: the value that the block wrote to them before.
    forwarded: Value,
}

impl Use {
    const NEW: Use = Use { last: 0, block: 0, crosses: false, eager: false, dropped: false, forwarded: Value::NONE };
}

/// What is known of a region; kept from one to the next for its memory.
#[derive(Debug, Default)]
pub(super) struct Analysis {
    uses: Vec<Use>,
    /// The position of each block's first instruction.
    starts: Vec<u32>,
    /// The guest instruction that is under way where each block starts; `None` until it is known.
    pcs: Vec<Option<u64>>,
    /// Blocks that are reached, and have not been looked at yet.
    open: Vec<BlockId>,
}

impl Analysis {
    /// The use of a value.
    pub(super) fn of(&self, value: Value) -> &Use {
        &self.uses[value.index()]
    }

    /// The value that a read of the flags repeats, or the value itself.
    pub(super) fn resolve(&self, value: Value) -> Value {
        let forwarded = self.uses[value.index()].forwarded;
        if forwarded == Value::NONE { value } else { forwarded }
    }

    /// The position of a block's first instruction.
    pub(super) fn start(&self, block: usize) -> u32 {
        self.starts[block]
    }

    /// The guest instruction that is under way where a block starts.
    pub(super) fn pc(&self, block: usize) -> Option<u64> {
        self.pcs[block]
    }

    /// Looks at `region`.
    pub(super) fn analyse(&mut self, region: &Region, exactness: Exactness) {
        self.uses.clear();
        self.uses.resize(region.insts.len(), Use::NEW);
        self.starts.clear();
        self.follow_pcs(region);
        self.place(region);
        self.find_uses(region, exactness);
    }

    /// Along the edges: passes leave a block without a marker where all that precede it agree.
    fn follow_pcs(&mut self, region: &Region) {
        self.pcs.clear();
        self.pcs.resize(region.blocks.len(), None);
        self.pcs[0] = Some(region.pc);
        self.open.push(BlockId::ENTRY);
        while let Some(id) = self.open.pop() {
            let block = region.block(id);
            let last = block.insts.iter().rev().map(|&value| region.inst(value)).find(|inst| inst.op == Op::Insn);
            let pc = last.map_or(self.pcs[id.index()], |inst| Some(inst.imm));
            for to in block.end.successors() {
                if self.pcs[to.index()].is_none() {
                    self.pcs[to.index()] = pc;
                    self.open.push(to);
                }
            }
        }
    }

    /// Forward: where values are made, and which reads of the flags are known.
    fn place(&mut self, region: &Region) {
        let mut position = 1;
        for (number, block) in region.blocks.iter().enumerate() {
            self.starts.push(position);
            position += block.insts.len() as u32 + 1;
            let mut flags = Value::NONE;
            for &value in &block.insts {
                let inst = &region.insts[value.index()];
                self.uses[value.index()].block = number as u32;
                match inst.op {
                    Op::Set if inst.slot() == NZCV => flags = self.resolve(inst.args[0]),
                    Op::Get if inst.slot() == NZCV => self.uses[value.index()].forwarded = flags,
                    Op::Call => flags = Value::NONE,
                    _ => {}
                }
            }
        }
    }

    /// Backward: who uses what.
    fn find_uses(&mut self, region: &Region, exactness: Exactness) {
        // A use in a block that stands before the one that makes the value would be seen too late.
        for (number, block) in region.blocks.iter().enumerate() {
            for operand in block.insts.iter().flat_map(|&value| region.insts[value.index()].operands()) {
                self.cross(number, operand);
            }
            block.end.operands().for_each(|operand| self.cross(number, operand));
        }
        for (number, block) in region.blocks.iter().enumerate().rev() {
            let mut unseen = SlotSet::default();
            let mut position = self.starts[number] + block.insts.len() as u32;
            self.use_end(block.end, position);
            for &value in block.insts.iter().rev() {
                position -= 1;
                self.use_inst(region, value, position, exactness, &mut unseen);
            }
        }
    }

    fn cross(&mut self, block: usize, operand: Value) {
        let operand = self.resolve(operand);
        let known = &mut self.uses[operand.index()];
        if known.block != block as u32 {
            known.crosses = true;
            known.eager = true;
            known.last = known.last.max(1);
        }
    }

    fn use_end(&mut self, end: Terminator, position: u32) {
        if let Terminator::Branch { cond, .. } = end {
            return self.lean(cond, position);
        }
        end.operands().for_each(|operand| self.take(operand, position));
    }

    /// The value is wanted in a register.
    fn take(&mut self, value: Value, position: u32) {
        self.lean(value, position);
        let value = self.resolve(value);
        self.uses[value.index()].eager = true;
    }

    /// The value is looked at by who can compute it again.
    fn lean(&mut self, value: Value, position: u32) {
        let value = self.resolve(value);
        let known = &mut self.uses[value.index()];
        known.last = known.last.max(position);
    }

    fn use_inst(&mut self, region: &Region, value: Value, position: u32, exactness: Exactness, unseen: &mut SlotSet) {
        let inst = &region.insts[value.index()];
        let known = self.uses[value.index()];
        let used = known.last != 0;
        match inst.op.info().effect {
            Effect::Pure if !used => return self.drop(value),
            Effect::Pure => return self.use_pure(inst, position, known),
            Effect::ReadSlot if !used => return self.drop(value),
            Effect::ReadSlot => unseen.remove(inst.slot()),
            Effect::WriteSlot if unseen.contains(inst.slot()) => return self.drop(value),
            Effect::WriteSlot if inst.op == Op::Set => unseen.insert(inst.slot()),
            Effect::WriteSlot => {}
            Effect::Load | Effect::Store | Effect::Atomic => {
                if exactness == Exactness::Exact {
                    unseen.clear();
                }
            }
            Effect::Helper => match region.helpers[inst.imm as usize].effect {
                HelperEffect::Pure if !used => return self.drop(value),
                HelperEffect::Pure => {}
                HelperEffect::State => unseen.clear(),
            },
            Effect::Poll if !used => return self.drop(value),
            Effect::Fence | Effect::Poll | Effect::Marker => {}
        }
        if inst.op == Op::Set && inst.slot() == NZCV {
            self.store_flags(region, inst.args[0], position);
        } else {
            inst.operands().for_each(|operand| self.take(operand, position));
        }
    }

    fn drop(&mut self, value: Value) {
        self.uses[value.index()].dropped = true;
    }

    /// Operands live on until what is computed from them when it is looked at has been looked at.
    fn use_pure(&mut self, inst: &Inst, position: u32, known: Use) {
        let last = if is_lazy(inst) { known.last } else { position };
        for (index, operand) in inst.operands().enumerate() {
            let leans = match inst.op {
                Op::Select => index == 0,
                Op::FlagsTest | Op::FlagsWithC | Op::FlagsWithV => index == 0,
                _ => false,
            };
            if leans { self.lean(operand, last) } else { self.take(operand, last) }
        }
    }

    /// Flags are stored as what they come from where that can be described, see [`crate::stored_flags`].
    fn store_flags(&mut self, region: &Region, flags: Value, position: u32) {
        self.lean(flags, position);
        let flags = self.resolve(flags);
        if !is_lazy(&region.insts[flags.index()]) {
            self.uses[flags.index()].eager = true;
        }
    }
}

/// Whether nothing is emitted for the instruction where it stands, unless its register is wanted: whoever looks at
/// it computes it.
pub(super) fn is_lazy(inst: &Inst) -> bool {
    match inst.op {
        Op::FlagsAdd | Op::FlagsSub | Op::FlagsLogic | Op::FlagsFcmp | Op::FlagsTest => true,
        Op::FlagsWithC | Op::PollPending => true,
        Op::Icmp => !inst.ty.is_vector() && inst.ty != Ty::I128,
        _ => false,
    }
}

/// A set of slots, by their first words.
#[derive(Default)]
struct SlotSet([u64; WORDS.div_ceil(64)]);

impl SlotSet {
    fn contains(&self, slot: Slot) -> bool {
        self.0[usize::from(slot.0) / 64] >> (slot.0 % 64) & 1 != 0
    }

    fn insert(&mut self, slot: Slot) {
        self.0[usize::from(slot.0) / 64] |= 1 << (slot.0 % 64);
    }

    fn remove(&mut self, slot: Slot) {
        self.0[usize::from(slot.0) / 64] &= !(1 << (slot.0 % 64));
    }

    fn clear(&mut self) {
        *self = SlotSet::default();
    }
}
