//! What one look ahead tells: which instructions have an effect, where values are used last, which leave their block.
//!
//! In: a region that verifies. Out: for each value what [`Use`] says, and for each instruction, by its value, whether
//! it is dropped. Positions count the instructions and ends of all blocks in their order; a value is alive up to the
//! position of its last use.

use super::pins::Pins;
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
    /// The instruction is not to be emitted where it stands: nobody uses what it makes, its slot is written again
    /// unseen, or whoever looks at it computes it.
    pub(super) dropped: bool,
    /// For a read of the flags: the value that the block wrote to them before.
    forwarded: Value,
    /// The pinned register that the value is written to, at position `written`, if it may be made there: nothing in
    /// between can fault or looks at the register. 255 if there is none.
    pub(super) target: u8,
    written: u32,
}

const NO_TARGET: u8 = u8::MAX;

impl Use {
    const NEW: Use = Use {
        last: 0,
        block: u32::MAX,
        crosses: false,
        eager: false,
        dropped: false,
        forwarded: Value::NONE,
        target: NO_TARGET,
        written: 0,
    };
}

/// Whether blocks stand behind those that they depend on, as frontends leave them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Straight,
    Mixed,
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
    pub(super) fn analyse(&mut self, region: &Region, exactness: Exactness, pins: &Pins) {
        self.uses.clear();
        self.uses.resize(region.insts.len(), Use::NEW);
        self.starts.clear();
        self.pcs.clear();
        self.pcs.resize(region.blocks.len(), None);
        self.pcs[0] = Some(region.pc);
        if self.place(region) == Order::Mixed {
            self.follow_pcs(region);
            self.find_crossing(region);
        }
        self.find_uses(region, exactness, pins);
    }

    /// Forward: where values are made, which of them other blocks use, which reads of the flags are known, and the
    /// instruction that is under way where blocks start. Complete if blocks stand behind those that they depend on.
    fn place(&mut self, region: &Region) -> Order {
        let (mut position, mut order) = (1, Order::Straight);
        for (number, block) in region.blocks.iter().enumerate() {
            self.starts.push(position);
            position += block.insts.len() as u32 + 1;
            let pc = self.follow_block(region, number);
            // The entry uses its own values only.
            if number != 0 {
                let operands = block.insts.iter().flat_map(|&value| region.insts[value.index()].operands());
                operands.chain(block.end.operands()).for_each(|operand| self.cross(number, operand, &mut order));
            }
            if pc.is_none() {
                order = Order::Mixed;
            }
            for to in block.end.successors() {
                if self.pcs[to.index()].is_none() {
                    self.pcs[to.index()] = pc;
                }
            }
        }
        order
    }

    /// Notes which block makes values, and what reads of the flags repeat; gives the guest instruction that is under
    /// way where the block ends, if another block follows.
    fn follow_block(&mut self, region: &Region, number: usize) -> Option<u64> {
        let mut flags = Value::NONE;
        let block = &region.blocks[number];
        for &value in &block.insts {
            let inst = &region.insts[value.index()];
            self.uses[value.index()].block = number as u32;
            // Hardly ever true, which the processor learns; a choice by operation it would have to guess.
            if inst.imm == u64::from(NZCV.0) && matches!(inst.op, Op::Get | Op::Set) {
                if inst.op == Op::Set {
                    flags = self.resolve(inst.args[0]);
                } else {
                    self.uses[value.index()].forwarded = flags;
                }
            } else if inst.op == Op::Call {
                flags = Value::NONE;
            }
        }
        let last = block.insts.iter().rev().map(|&value| region.inst(value)).find(|inst| inst.op == Op::Insn);
        last.map_or(self.pcs[number], |inst| Some(inst.imm))
    }

    fn cross(&mut self, block: usize, operand: Value, order: &mut Order) {
        let operand = self.resolve(operand);
        let known = &mut self.uses[operand.index()];
        if known.block != block as u32 {
            if known.block == u32::MAX {
                *order = Order::Mixed;
            }
            known.crosses = true;
            known.eager = true;
            known.last = known.last.max(1);
        }
    }

    /// Values that other blocks use, where the block that makes one may stand behind.
    fn find_crossing(&mut self, region: &Region) {
        let mut order = Order::Mixed;
        for (number, block) in region.blocks.iter().enumerate() {
            for operand in block.insts.iter().flat_map(|&value| region.insts[value.index()].operands()) {
                self.cross(number, operand, &mut order);
            }
            block.end.operands().for_each(|operand| self.cross(number, operand, &mut order));
        }
    }

    /// Along the edges: passes leave a block without a marker where all that precede it agree.
    fn follow_pcs(&mut self, region: &Region) {
        self.pcs.iter_mut().skip(1).for_each(|pc| *pc = None);
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

    /// Backward: who uses what.
    fn find_uses(&mut self, region: &Region, exactness: Exactness, pins: &Pins) {
        for (number, block) in region.blocks.iter().enumerate().rev() {
            let mut position = self.starts[number] + block.insts.len() as u32;
            let mut ahead = Ahead { exactness, unseen: SlotSet::default(), barrier: position, touched: [0; 16] };
            self.use_end(block.end, position);
            for &value in block.insts.iter().rev() {
                position -= 1;
                let inst = &region.insts[value.index()];
                self.settle_target(region, value, inst, &ahead);
                if self.use_inst(region, value, position, &mut ahead) == Kept::Yes {
                    self.look_at_slot(inst, position, pins, &mut ahead);
                }
            }
        }
    }

    /// Whether the value can be made in the register that it is written to.
    fn settle_target(&mut self, region: &Region, value: Value, inst: &Inst, ahead: &Ahead) {
        let known = self.uses[value.index()];
        if known.target == NO_TARGET {
            return;
        }
        let undisturbed = ahead.barrier > known.written && ahead.touched[usize::from(known.target)] == known.written;
        if known.crosses || !undisturbed {
            self.uses[value.index()].target = NO_TARGET;
        } else if inst.op == Op::Zext && inst.ty == Ty::I64 && region.ty(inst.args[0]) == Ty::I32 {
            // Work on 32 bits zero-extends by itself.
            let operand = &mut self.uses[inst.args[0].index()];
            (operand.target, operand.written) = (known.target, known.written);
        }
    }

    /// Notes what an instruction that is not dropped does to pinned registers, and what may fault.
    fn look_at_slot(&mut self, inst: &Inst, position: u32, pins: &Pins, ahead: &mut Ahead) {
        match inst.op.info().effect {
            Effect::ReadSlot | Effect::WriteSlot => {
                let register = pins.registers[usize::from(inst.slot().0)];
                if register == NO_TARGET {
                    return;
                }
                ahead.touched[usize::from(register)] = position;
                if inst.op == Op::Set && matches!(inst.ty, Ty::I64 | Ty::I32) {
                    let value = &mut self.uses[inst.args[0].index()];
                    (value.target, value.written) = (register, position);
                }
            }
            Effect::Load | Effect::Store | Effect::Atomic | Effect::Fence | Effect::Helper => ahead.barrier = position,
            Effect::Pure | Effect::Poll | Effect::Marker => {}
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

    fn use_inst(&mut self, region: &Region, value: Value, position: u32, ahead: &mut Ahead) -> Kept {
        let inst = &region.insts[value.index()];
        let known = self.uses[value.index()];
        let used = known.last != 0;
        match inst.op.info().effect {
            Effect::Pure if !used => return self.drop(value),
            Effect::Pure => return self.use_pure(inst, value, position, known),
            Effect::ReadSlot if !used => return self.drop(value),
            Effect::ReadSlot => ahead.unseen.remove(inst.slot()),
            Effect::WriteSlot if ahead.unseen.contains(inst.slot()) => return self.drop(value),
            Effect::WriteSlot if inst.op == Op::Set => ahead.unseen.insert(inst.slot()),
            Effect::WriteSlot => {}
            Effect::Load | Effect::Store | Effect::Atomic => {
                if ahead.exactness == Exactness::Exact {
                    ahead.unseen.clear();
                }
            }
            Effect::Helper => match region.helpers[inst.imm as usize].effect {
                HelperEffect::Pure if !used => return self.drop(value),
                HelperEffect::Pure => {}
                HelperEffect::State => ahead.unseen.clear(),
            },
            Effect::Poll if !known.eager => return self.drop(value),
            Effect::Fence | Effect::Poll | Effect::Marker => {}
        }
        if inst.op == Op::Set && inst.slot() == NZCV {
            self.store_flags(region, inst.args[0], position);
        } else {
            inst.operands().for_each(|operand| self.take(operand, position));
        }
        Kept::Yes
    }

    fn drop(&mut self, value: Value) -> Kept {
        self.uses[value.index()].dropped = true;
        Kept::No
    }

    /// Operands live on until what is computed from them when it is looked at has been looked at.
    fn use_pure(&mut self, inst: &Inst, value: Value, position: u32, known: Use) -> Kept {
        let lazy = is_lazy(inst);
        let last = if lazy { known.last } else { position };
        let leans_on_first = matches!(inst.op, Op::Select | Op::FlagsTest | Op::FlagsWithC | Op::FlagsWithV);
        for (index, operand) in inst.operands().enumerate() {
            if index == 0 && leans_on_first { self.lean(operand, last) } else { self.take(operand, last) }
        }
        if lazy && !known.eager { self.drop(value) } else { Kept::Yes }
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

/// Whether an instruction is emitted where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Yes,
    No,
}

/// What is known of the rest of a block, from its end.
struct Ahead {
    exactness: Exactness,
    /// Slots that are written before anybody sees them.
    unseen: SlotSet,
    /// Position of the next instruction that may fault or sees the registers.
    barrier: u32,
    /// For each host register the position where the pinned slot in it is next read or written.
    touched: [u32; 16],
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
