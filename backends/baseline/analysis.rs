//! What one look ahead tells: which instructions have an effect, where values are used last, which leave their block.
//!
//! In: a region that verifies. Out: for each value what [`Use`] says, and for each block the instructions that are not
//! dropped. Positions count the instructions and ends of all blocks in their order; a value is alive up to the
//! position of its last use.

use super::pins::{self, PINNED, Pins};
use philae_ir::opt::Exactness;
use philae_ir::state::{NZCV, WORDS};
use philae_ir::{Arch, BlockId, Effect, HelperEffect, Inst, IntCond, Op, Region, Slot, Terminator, Ty, Value};

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
    dropped: bool,
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
    /// What is to be emitted, with its position, one block after another; the last ones of the list.
    live: Vec<(Value, u32)>,
    /// Where those of each block start in it, and where the last block's end.
    live_starts: Vec<u32>,
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

    /// The instructions of a block that are to be emitted, with their positions.
    pub(super) fn live(&self, block: usize) -> &[(Value, u32)] {
        &self.live[self.live_starts[block] as usize..self.live_starts[block + 1] as usize]
    }

    /// The guest instruction that is under way where a block starts.
    pub(super) fn pc(&self, block: usize) -> Option<u64> {
        self.pcs[block]
    }

    /// Looks at `region`.
    pub(super) fn analyse(&mut self, region: &Region, exactness: Exactness, pins: &Pins) {
        self.uses.clear();
        // One more, for operands that are none: looking at it costs less than to ask.
        self.uses.resize(region.insts.len() + 1, Use::NEW);
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
                self.cross_block(region, number, &mut order);
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
        self.pc_at_end(region, number)
    }

    /// The guest instruction that is under way where a block ends.
    fn pc_at_end(&self, region: &Region, number: usize) -> Option<u64> {
        let mut backward = region.blocks[number].insts.iter().rev().map(|&value| region.inst(value));
        let last = backward.find(|inst| inst.op == Op::Insn);
        last.map_or(self.pcs[number], |inst| Some(inst.imm))
    }

    /// Notes which values of other blocks a block uses.
    fn cross_block(&mut self, region: &Region, number: usize, order: &mut Order) {
        let block = &region.blocks[number];
        let operands = block.insts.iter().flat_map(|&value| region.insts[value.index()].operands());
        operands.chain(block.end.operands()).for_each(|operand| self.cross(number, operand, order));
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
        (0..region.blocks.len()).for_each(|number| self.cross_block(region, number, &mut order));
    }

    /// Along the edges: passes leave a block without a marker where all that precede it agree.
    fn follow_pcs(&mut self, region: &Region) {
        self.pcs.iter_mut().skip(1).for_each(|pc| *pc = None);
        self.open.push(BlockId::ENTRY);
        while let Some(id) = self.open.pop() {
            let pc = self.pc_at_end(region, id.index());
            for to in region.block(id).end.successors() {
                if self.pcs[to.index()].is_none() {
                    self.pcs[to.index()] = pc;
                    self.open.push(to);
                }
            }
        }
    }

    /// Backward: who uses what.
    fn find_uses(&mut self, region: &Region, exactness: Exactness, pins: &Pins) {
        let mut live = region.insts.len();
        self.live.resize(live.max(self.live.len()), (Value::NONE, 0));
        self.live_starts.clear();
        self.live_starts.resize(region.blocks.len() + 1, live as u32);
        for (number, block) in region.blocks.iter().enumerate().rev() {
            let mut position = self.starts[number] + block.insts.len() as u32;
            self.use_end(block.end, position);
            if !block.insts.is_empty() {
                let mut ahead = Ahead {
                    exactness,
                    unseen: SlotSet::default(),
                    barrier: position,
                    touched: [0; PINNED + 1],
                    pc_wanted: false,
                };
                for &value in block.insts.iter().rev() {
                    position -= 1;
                    self.use_inst(region, value, position, pins, &mut ahead);
                    // No branch: which ones are dropped the processor would not guess.
                    self.live[live - 1] = (value, position);
                    live -= usize::from(!self.uses[value.index()].dropped);
                }
            }
            self.live_starts[number] = live as u32;
        }
    }

    fn use_inst(&mut self, region: &Region, value: Value, position: u32, pins: &Pins, ahead: &mut Ahead) {
        let inst = &region.insts[value.index()];
        // Field by field: a copy of the whole would wait for the narrow stores that came just before.
        let known = &self.uses[value.index()];
        let (unused, eager, target) = (known.last == 0, known.eager, known.target);
        if target != NO_TARGET {
            self.settle_target(region, value, inst, ahead);
        }
        match inst.op.info().effect {
            Effect::Pure if unused && !raises(region, inst) => self.drop(value),
            // It is executed for the status flags that it may raise, and its result dies at once.
            Effect::Pure if unused => {
                self.take(value, position);
                self.use_pure(region, inst, value, position);
            }
            Effect::Pure => self.use_pure(region, inst, value, position),
            Effect::Marker => {
                self.uses[value.index()].dropped = !ahead.pc_wanted;
                ahead.pc_wanted = false;
            }
            Effect::ReadSlot if unused => self.drop(value),
            Effect::ReadSlot => {
                ahead.unseen.remove(inst.slot());
                ahead.touched[place(pins.registers[usize::from(inst.slot().0)])] = position;
            }
            Effect::WriteSlot if ahead.unseen.contains(inst.slot()) => self.drop(value),
            Effect::WriteSlot => self.use_write(region, inst, position, pins, ahead),
            Effect::Load | Effect::Store | Effect::Atomic => {
                if ahead.exactness == Exactness::Exact {
                    ahead.unseen.clear();
                }
                ahead.barrier = position;
                ahead.pc_wanted = true;
                self.take_all(inst, position);
            }
            Effect::Helper => {
                let effect = region.helpers[inst.imm as usize].effect;
                if effect == HelperEffect::Pure && unused {
                    return self.drop(value);
                }
                if effect == HelperEffect::State {
                    ahead.unseen.clear();
                }
                ahead.barrier = position;
                self.take_all(inst, position);
            }
            Effect::Poll if !eager => self.drop(value),
            Effect::Poll => {}
            Effect::Fence => ahead.barrier = position,
            Effect::Hint => self.take_all(inst, position),
        }
    }

    fn use_write(&mut self, region: &Region, inst: &Inst, position: u32, pins: &Pins, ahead: &mut Ahead) {
        let slot = inst.slot();
        if inst.op == Op::Set {
            ahead.unseen.insert(slot);
        }
        if slot == NZCV && inst.op == Op::Set {
            return self.store_flags(region, inst.args[0], position);
        }
        self.take(inst.args[0], position);
        let register = pins.registers[usize::from(slot.0)];
        ahead.touched[place(register)] = position;
        if register != NO_TARGET && inst.op == Op::Set && matches!(inst.ty, Ty::I64 | Ty::I32) {
            let value = &mut self.uses[inst.args[0].index()];
            (value.target, value.written) = (register, position);
        }
    }

    /// Whether the value can be made in the register that it is written to.
    fn settle_target(&mut self, region: &Region, value: Value, inst: &Inst, ahead: &Ahead) {
        let known = &self.uses[value.index()];
        let (target, written) = (known.target, known.written);
        let undisturbed = ahead.barrier > written && ahead.touched[place(target)] == written;
        if known.crosses || !undisturbed {
            self.uses[value.index()].target = NO_TARGET;
        } else if inst.op == Op::Zext && inst.ty == Ty::I64 && region.ty(inst.args[0]) == Ty::I32 {
            // Work on 32 bits zero-extends by itself.
            let operand = &mut self.uses[inst.args[0].index()];
            (operand.target, operand.written) = (target, written);
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

    /// All operands are wanted in registers.
    fn take_all(&mut self, inst: &Inst, position: u32) {
        let nobody = self.uses.len() - 1;
        for operand in inst.args {
            let known = &self.uses[operand.index().min(nobody)];
            let index =
                if known.forwarded == Value::NONE { operand.index().min(nobody) } else { known.forwarded.index() };
            let known = &mut self.uses[index];
            known.last = known.last.max(position);
            known.eager = true;
        }
    }

    fn drop(&mut self, value: Value) {
        self.uses[value.index()].dropped = true;
    }

    /// Operands live on until what is computed from them when it is looked at has been looked at.
    fn use_pure(&mut self, region: &Region, inst: &Inst, value: Value, position: u32) {
        let known = &self.uses[value.index()];
        let lazy = is_lazy(inst) || !known.eager && masks_bits(region, inst);
        // What other blocks use is computed here, whatever its own place among the uses.
        let (until, eager) = (if lazy { known.last.max(position) } else { position }, known.eager);
        if leans_on_first(inst.op) || compares_bits(region, inst) {
            self.lean(inst.args[0], until);
            inst.operands().skip(1).for_each(|operand| self.take(operand, until));
        } else {
            self.take_all(inst, until);
        }
        if lazy && !eager || inst.op == Op::Const {
            self.drop(value);
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

/// Operations for which nothing is emitted where they stand, unless their register is wanted: whoever looks at what
/// they make computes it. One bit each.
const LAZY: u128 = set_of(&[
    Op::FlagsAdd,
    Op::FlagsSub,
    Op::FlagsLogic,
    Op::FlagsFcmp,
    Op::FlagsTest,
    Op::FlagsWithC,
    Op::PollPending,
    Op::Icmp,
]);

/// Operations that look at their first operand and do not need it in a register. One bit each.
const LEANING: u128 = set_of(&[Op::Select, Op::FlagsTest, Op::FlagsWithC, Op::FlagsWithV]);

/// Whether an operation is to be executed though nobody wants its result. Where x86_64 compares scalars for its parity
/// flag, it compares them for the others as well.
fn raises(region: &Region, inst: &Inst) -> bool {
    let again = inst.op == Op::Fcmp && !inst.ty.is_vector() && region.arch == Arch::X86_64;
    inst.op.raises() && !again
}

const fn set_of(ops: &[Op]) -> u128 {
    let (mut set, mut i) = (0, 0);
    while i < ops.len() {
        set |= 1 << ops[i] as u32;
        i += 1;
    }
    set
}

/// Whether the instruction is one of [`LAZY`]; comparisons of vectors are not.
pub(super) fn is_lazy(inst: &Inst) -> bool {
    LAZY >> inst.op as u32 & 1 != 0 && !(inst.op == Op::Icmp && inst.ty.bits() > 64)
}

/// Whether the instruction leaves bits of a word that one host instruction can test: whoever looks at whether there are
/// any tests them.
pub(super) fn masks_bits(region: &Region, inst: &Inst) -> bool {
    if inst.op != Op::And || inst.ty.bits() > 64 {
        return false;
    }
    let mask = &region.insts[inst.args[1].index()];
    let bits = mask.imm & inst.ty.mask() as u64;
    mask.op == Op::Const && (bits.is_power_of_two() || i32::try_from(bits).is_ok())
}

/// Whether the instruction says whether there are any of such bits.
pub(super) fn compares_bits(region: &Region, inst: &Inst) -> bool {
    if inst.op != Op::Icmp || !masks_bits(region, &region.insts[inst.args[0].index()]) {
        return false;
    }
    let zero = &region.insts[inst.args[1].index()];
    let equality = matches!(IntCond::from_aux(inst.aux), IntCond::Eq | IntCond::Ne);
    equality && zero.op == Op::Const && zero.imm & inst.ty.mask() as u64 == 0
}

fn leans_on_first(op: Op) -> bool {
    LEANING >> op as u32 & 1 != 0
}

/// What is known of the rest of a block, from its end.
struct Ahead {
    exactness: Exactness,
    /// Slots that are written before anybody sees them.
    unseen: SlotSet,
    /// Position of the next instruction that may fault or sees the registers.
    barrier: u32,
    /// For each host register the position where the pinned slot in it is next read or written; the last is for slots
    /// that are not pinned.
    touched: [u32; PINNED + 1],
    /// An instruction that may fault follows before another guest instruction starts.
    pc_wanted: bool,
}

/// The place of a pinned host register, by its number, in [`Ahead::touched`].
fn place(register: u8) -> usize {
    usize::from(register.wrapping_sub(pins::FIRST as u8)).min(PINNED)
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
