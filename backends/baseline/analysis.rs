//! What one look ahead tells: which instructions have an effect, where values are used last, which leave their block.
//!
//! In: a region that verifies. Out: for each value what [`Use`] says, and for each block the instructions that are not
//! dropped. Positions count the instructions and ends of all blocks in their order; a value is alive up to the
//! position of its last use.

use super::pins::{self, PINNED, Pins};
use philae_ir::ops::OPS;
use philae_ir::opt::Exactness;
use philae_ir::state::{NZCV, WORDS};
use philae_ir::{Block, BlockId, Effect, HelperEffect, Inst, IntCond, Op, Pc, Region, Slot, Terminator, Ty, Value};

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
    /// The pinned register that the value is written to, at position `written`, if it may be made there: nothing in
    /// between can fault or looks at the register. 255 if there is none.
    pub(super) target: u8,
    written: u32,
}

const NO_TARGET: u8 = u8::MAX;

impl Use {
    const NEW: Use = Use { last: 0, block: 0, crosses: false, eager: false, target: NO_TARGET, written: 0 };
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

    /// Forward: where values are made, which of them other blocks use, and the instruction that is under way where blocks
    /// start. Complete if blocks stand behind those that they depend on.
    fn place(&mut self, region: &Region) -> Order {
        let (mut position, mut order) = (1, Order::Straight);
        for (number, block) in region.blocks.iter().enumerate() {
            self.starts.push(position);
            position += block.insts.len() as u32 + 1;
            if number != 0 {
                self.own_block(region, number, &mut order);
            }
            // The entry uses its own values only.
            if number != 0 && !is_nothing(block) {
                self.cross_block(region, number);
            }
            if !matches!(block.end, Terminator::Exit { .. }) {
                self.pass_pc_on(region, number, &mut order);
            }
        }
        order
    }

    /// Notes which block makes values. Unless it is the entry, where they are all taken to be before; blocks that use
    /// one of them have come too early.
    fn own_block(&mut self, region: &Region, number: usize, order: &mut Order) {
        for &value in &region.blocks[number].insts {
            let known = &mut self.uses[value.index()];
            known.block = number as u32;
            if known.crosses {
                *order = Order::Mixed;
            }
        }
    }

    /// Says to the blocks behind a block which guest instruction is under way.
    fn pass_pc_on(&mut self, region: &Region, number: usize, order: &mut Order) {
        let pc = self.pc_at_end(region, number);
        if pc.is_none() {
            *order = Order::Mixed;
        }
        for to in region.blocks[number].end.successors() {
            if self.pcs[to.index()].is_none() {
                self.pcs[to.index()] = pc;
            }
        }
    }

    /// The guest instruction that is under way where a block ends.
    fn pc_at_end(&self, region: &Region, number: usize) -> Option<u64> {
        let mut backward = region.blocks[number].insts.iter().rev().map(|&value| region.inst(value));
        let last = backward.find(|inst| inst.op == Op::Insn);
        last.map_or(self.pcs[number], |inst| Some(inst.imm))
    }

    /// Notes which values of other blocks a block uses.
    fn cross_block(&mut self, region: &Region, number: usize) {
        let block = &region.blocks[number];
        let operands = block.insts.iter().flat_map(|&value| region.insts[value.index()].operands());
        operands.chain(block.end.operands()).for_each(|operand| self.cross(number, operand));
    }

    fn cross(&mut self, block: usize, operand: Value) {
        let known = &mut self.uses[operand.index()];
        if known.block != block as u32 {
            known.crosses = true;
            known.eager = true;
            known.last = known.last.max(1);
        }
    }

    /// Values that other blocks use, where the block that makes one may stand behind.
    fn find_crossing(&mut self, region: &Region) {
        (0..region.blocks.len()).for_each(|number| self.cross_block(region, number));
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
            if !is_nothing(block) {
                let end = self.starts[number] + block.insts.len() as u32;
                self.use_end(block.end, end);
                if !block.insts.is_empty() {
                    live = self.look_back(region, &block.insts, end, live, exactness, pins);
                }
            }
            self.live_starts[number] = live as u32;
        }
    }

    /// Looks at the instructions of a block, the last of which stands before position `end`. Those that are to be emitted
    /// where they stand are put into the list in front of `live`; gives where they begin. Apart, as the registers that
    /// this loop needs are not to be had in the middle of others.
    #[inline(never)]
    fn look_back(
        &mut self,
        region: &Region,
        block: &[Value],
        end: u32,
        mut live: usize,
        exactness: Exactness,
        pins: &Pins,
    ) -> usize {
        let mut ahead =
            Ahead { exactness, unseen: SlotSet::default(), barrier: end, touched: [0; PINNED + 1], pc_wanted: false };
        let mut position = end;
        for &value in block.iter().rev() {
            position -= 1;
            let inst = &region.insts[value.index()];
            // Field by field: a copy of the whole would wait for the narrow stores that came just before.
            let known = &self.uses[value.index()];
            let unused = known.last == 0;
            let plan = PLANS[inst.op as usize];
            if known.target != NO_TARGET && plan != Plan::Const {
                self.settle_target(value, &ahead);
            }
            let kept = match plan {
                Plan::Const => false,
                Plan::Plain => {
                    if !unused {
                        self.take_plain(inst, position);
                    }
                    !unused
                }
                Plan::Marker => std::mem::take(&mut ahead.pc_wanted),
                Plan::Read => {
                    if !unused {
                        let slot = inst.slot();
                        ahead.unseen.remove(slot);
                        ahead.touched[place(pins.registers[usize::from(slot.0)])] = position;
                    }
                    !unused
                }
                Plan::Write => self.use_write(region, inst, position, pins, &mut ahead),
                Plan::Access => {
                    if ahead.exactness == Exactness::Exact {
                        ahead.unseen.clear();
                    }
                    ahead.barrier = position;
                    ahead.pc_wanted = true;
                    self.take_plain(inst, position);
                    true
                }
                Plan::Pure | Plan::Helper | Plan::Poll | Plan::Fence | Plan::Hint => {
                    self.use_other(region, value, plan, position, &mut ahead)
                }
            };
            // No branch: which ones are dropped the processor would not guess.
            self.live[live - 1] = (value, position);
            live -= usize::from(kept);
        }
        live
    }

    /// Notes what an instruction of the less common kinds uses; whether it is to be emitted where it stands.
    #[inline(never)]
    fn use_other(&mut self, region: &Region, value: Value, plan: Plan, position: u32, ahead: &mut Ahead) -> bool {
        let inst = &region.insts[value.index()];
        let known = &self.uses[value.index()];
        let (unused, eager) = (known.last == 0, known.eager);
        match plan {
            Plan::Pure if unused && !region.raises(inst) => return false,
            Plan::Pure => {
                // It is executed for the status flags that it may raise, and its result dies at once.
                if unused {
                    self.take(value, position);
                }
                return self.use_pure(region, inst, value, position);
            }
            Plan::Helper => return self.use_helper(region, inst, unused, position, ahead),
            Plan::Poll => return eager,
            Plan::Fence => ahead.barrier = position,
            Plan::Hint => self.take_plain(inst, position),
            Plan::Const | Plan::Plain | Plan::Marker | Plan::Read | Plan::Write | Plan::Access => {
                unreachable!("one of the common kinds")
            }
        }
        true
    }

    fn use_helper(&mut self, region: &Region, inst: &Inst, unused: bool, position: u32, ahead: &mut Ahead) -> bool {
        let effect = region.helpers[inst.imm as usize].effect;
        if effect == HelperEffect::Pure && unused {
            return false;
        }
        if effect == HelperEffect::State {
            ahead.unseen.clear();
        }
        ahead.barrier = position;
        self.take_all(inst, position);
        true
    }

    /// Notes what the write of a slot uses; whether anybody sees it.
    fn use_write(&mut self, region: &Region, inst: &Inst, position: u32, pins: &Pins, ahead: &mut Ahead) -> bool {
        let slot = inst.slot();
        if ahead.unseen.contains(slot) {
            return false;
        }
        if inst.op == Op::Set {
            ahead.unseen.insert(slot);
        }
        if slot == NZCV && inst.op == Op::Set {
            self.store_flags(region, inst.args[0], position);
            return true;
        }
        self.take(inst.args[0], position);
        let register = pins.registers[usize::from(slot.0)];
        ahead.touched[place(register)] = position;
        if register != NO_TARGET && inst.op == Op::Set && matches!(inst.ty, Ty::I64 | Ty::I32) {
            self.aim(inst.args[0], register, position);
        }
        true
    }

    /// Whether the value can be made in the register that it is written to.
    fn settle_target(&mut self, value: Value, ahead: &Ahead) {
        let known = &self.uses[value.index()];
        let (target, written) = (known.target, known.written);
        let undisturbed = ahead.barrier > written && ahead.touched[place(target)] == written;
        if !undisturbed {
            self.uses[value.index()].target = NO_TARGET;
        }
    }

    /// Notes that a value is written to a pinned register, unless other blocks look at it.
    fn aim(&mut self, value: Value, register: u8, written: u32) {
        let known = &mut self.uses[value.index()];
        if !known.crosses {
            (known.target, known.written) = (register, written);
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
        let known = &mut self.uses[value.index()];
        known.last = known.last.max(position);
        known.eager = true;
    }

    /// The value is looked at by who can compute it again.
    fn lean(&mut self, value: Value, position: u32) {
        let known = &mut self.uses[value.index()];
        known.last = known.last.max(position);
    }

    /// All operands are wanted in registers, and none of them is flags.
    fn take_plain(&mut self, inst: &Inst, position: u32) {
        let nobody = self.uses.len() - 1;
        for operand in inst.args {
            let known = &mut self.uses[operand.index().min(nobody)];
            known.last = known.last.max(position);
            known.eager = true;
        }
    }

    /// All operands are wanted in registers.
    fn take_all(&mut self, inst: &Inst, position: u32) {
        inst.operands().for_each(|operand| self.take(operand, position));
    }

    /// Operands live on until what is computed from them when it is looked at has been looked at. Gives whether it is
    /// computed where it stands.
    fn use_pure(&mut self, region: &Region, inst: &Inst, value: Value, position: u32) -> bool {
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
        eager || !lazy
    }

    /// Flags are stored as what they come from where that can be described, see [`crate::stored_flags`].
    fn store_flags(&mut self, region: &Region, flags: Value, position: u32) {
        self.lean(flags, position);
        if !is_lazy(&region.insts[flags.index()]) {
            self.uses[flags.index()].eager = true;
        }
    }
}

/// What the look ahead does at an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// A constant: whoever uses it makes it.
    Const,
    /// A function of operands that are wanted in registers, none of them flags, and no more to it: the commonest.
    Plain,
    /// Any other function.
    Pure,
    Marker,
    Read,
    Write,
    Access,
    Helper,
    Poll,
    Fence,
    Hint,
}

/// By the numbers of operations: one look at one byte instead of several at their rows.
static PLANS: [Plan; 256] = {
    let (mut plans, mut i) = ([Plan::Pure; 256], 0);
    while i < OPS.len() {
        plans[i] = match OPS[i].effect {
            Effect::Pure if CONSTANTS >> i & 1 != 0 => Plan::Const,
            Effect::Pure if PLAIN >> i & 1 != 0 => Plan::Plain,
            Effect::Pure => Plan::Pure,
            Effect::Marker => Plan::Marker,
            Effect::ReadSlot => Plan::Read,
            Effect::WriteSlot => Plan::Write,
            Effect::Load | Effect::Store | Effect::Atomic => Plan::Access,
            Effect::Helper => Plan::Helper,
            Effect::Poll => Plan::Poll,
            Effect::Fence => Plan::Fence,
            Effect::Hint => Plan::Hint,
        };
        i += 1;
    }
    plans
};

const CONSTANTS: u128 = set_of(&[Op::Const]);

/// Operations of integers that are computed where they stand, from nothing but what is in registers, and raise nothing.
const PLAIN: u128 = set_of(&[
    Op::Add,
    Op::Sub,
    Op::Or,
    Op::Xor,
    Op::AndNot,
    Op::Not,
    Op::Neg,
    Op::Shl,
    Op::Lshr,
    Op::Ashr,
    Op::Rotr,
    Op::Mul,
    Op::Zext,
    Op::Sext,
    Op::Trunc,
    Op::Bitcast,
    Op::Low,
    Op::High,
    Op::Concat,
]);

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

const fn set_of(ops: &[Op]) -> u128 {
    let (mut set, mut i) = (0, 0);
    while i < ops.len() {
        set |= 1 << ops[i] as u32;
        i += 1;
    }
    set
}

/// Whether a block does nothing but go on at a known place, as most do.
pub(super) fn is_nothing(block: &Block) -> bool {
    let leads_on =
        matches!(block.end, Terminator::Jump(_) | Terminator::Exit { pc: Pc::Const(_), argument: Value::NONE, .. });
    leads_on && block.insts.is_empty()
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
