//! Executes what a frontend says of guest code, while it says it: a block that is executed for the first time, as a third
//! of what a program executes that starts and ends never is again, needs no region.
//!
//! In: operations, as a [`Builder`](crate::Builder) makes them, and the guest's state. Out: what the block ends with, in
//! [`Now::outcome`]. What does not run is skipped: blocks of a body that control does not come to, and what follows an
//! access that failed. Control may go on to blocks that come later, or to one that came before and only leaves: a body that
//! loops polls before it goes back, and here every poll says that the thread is to leave, which it does to the instruction
//! that is under way; [`Now::takes_another_round`] then says whether it is to be told once more.

use crate::builder::Sink;
use crate::execute::{Failed, Host, Machine, Operands};
use crate::helper::Helper;
use crate::ops::{Effect, Op};
use crate::region::{BlockId, ExitReason, Inst, Pc, Region, Terminator, Value};
use crate::state::{CpuState, Slot};
use crate::ty::Ty;
use std::sync::atomic::Ordering::Relaxed;

/// The most rounds of a loop in a body that are executed at one go, as in the interpreter.
const ROUNDS: u32 = 256;

/// What ended a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Why.
    pub reason: ExitReason,
    /// Where the guest goes on, or what failed.
    pub pc: u64,
    /// The argument that goes with the reason, or 0.
    pub argument: u64,
}

/// A block of the current guest instruction.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    end: Terminator,
    /// Control has left it, or operations of it were skipped.
    over: bool,
}

impl Stretch {
    const NEW: Stretch = Stretch { end: Terminator::Open, over: false };
}

/// A value, and what made it.
#[derive(Clone, Copy, Debug)]
struct Made {
    bits: u128,
    op: Op,
    ty: Ty,
}

/// The values of the current guest instruction; kept from one to the next for its memory.
#[derive(Debug, Default)]
pub struct Room {
    values: Vec<Made>,
    constants: Vec<u128>,
    helpers: Vec<&'static Helper>,
    blocks: Vec<Stretch>,
}

impl Operands for Room {
    #[inline(always)]
    fn get(&self, value: Value) -> u128 {
        self.values[value.index()].bits
    }

    fn ty(&self, value: Value) -> Ty {
        let Made { op, ty, .. } = self.values[value.index()];
        op.info().result(ty).unwrap_or_else(|| panic!("{op:?} makes no value"))
    }

    fn constant(&self, number: u64) -> u128 {
        self.constants[number as usize]
    }

    fn helper(&self, number: u64) -> &'static Helper {
        self.helpers[number as usize]
    }
}

/// Executes operations on a guest's state.
pub struct Now<'a> {
    machine: Machine<'a, dyn Host + 'a>,
    room: &'a mut Room,
    /// How to lift.
    settings: &'a Region,
    /// The guest instruction under way.
    pc: u64,
    /// The block that operations belong to.
    current: BlockId,
    /// The one where control is.
    control: BlockId,
    /// Whether what comes is executed.
    runs: bool,
    /// Whether the guest has written to memory.
    wrote: bool,
    /// Whether the guest instruction under way has changed anything; kept in debug builds.
    changed: bool,
    /// The rounds that loops in bodies may still take.
    rounds: u32,
    outcome: Option<Outcome>,
}

impl<'a> Now<'a> {
    /// Executes on `cpu`, as `settings` says, a region that holds nothing.
    pub fn new(
        settings: &'a Region,
        cpu: &'a mut CpuState,
        host: &'a mut (dyn Host + 'a),
        room: &'a mut Room,
    ) -> Now<'a> {
        let machine = Machine { arch: settings.arch, cpu, host, polls: 1 };
        let (current, control) = (BlockId::ENTRY, BlockId::ENTRY);
        Now {
            machine,
            room,
            settings,
            pc: settings.pc,
            current,
            control,
            runs: true,
            wrote: false,
            changed: false,
            rounds: ROUNDS,
            outcome: None,
        }
    }

    /// Whether the guest has written to memory.
    pub fn wrote(&self) -> bool {
        self.wrote
    }

    /// What has ended the block, if anything has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Whether the instruction under way has changed anything, which one that turns out to be none must not; only known in
    /// debug builds.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Whether the body is to be said once more, as it has left in the middle of a loop, and nobody wants the thread.
    #[inline]
    pub fn takes_another_round(&mut self) -> bool {
        self.outcome.is_some_and(|outcome| outcome.reason == ExitReason::Interrupted && self.starts_again(outcome.pc))
    }

    #[cold]
    fn starts_again(&mut self, pc: u64) -> bool {
        if pc != self.pc || self.rounds == 0 || self.machine.cpu.ctl.poll.load(Relaxed) != 0 {
            return false;
        }
        self.rounds -= 1;
        self.machine.polls = 1;
        (self.outcome, self.runs) = (None, true);
        true
    }

    /// The guest instruction at `pc` comes now.
    #[inline]
    fn begin(&mut self, pc: u64) {
        debug_assert!(self.runs, "control did not come to the end of the instruction at {:#x}", self.pc);
        self.changed = false;
        let Room { values, constants, helpers, blocks } = &mut *self.room;
        values.clear();
        constants.clear();
        helpers.clear();
        blocks.clear();
        blocks.push(Stretch::NEW);
        (self.pc, self.current, self.control) = (pc, BlockId::ENTRY, BlockId::ENTRY);
    }

    #[cold]
    fn fail(&mut self, Failed(address): Failed) {
        self.end(Outcome { reason: ExitReason::Fault, pc: self.pc, argument: address });
    }

    fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        self.runs = false;
    }

    /// Control goes where the current block's end says, and through blocks that came before.
    fn follow(&mut self, mut end: Terminator) {
        self.runs = false;
        self.room.blocks[self.current.index()].over = true;
        loop {
            let to = match end {
                Terminator::Open => return,
                Terminator::Jump(to) => to,
                Terminator::Branch { cond, then, other } => {
                    if self.room.get(cond) & 1 == 1 {
                        then
                    } else {
                        other
                    }
                }
                Terminator::Exit { reason, pc, argument } => {
                    let pc = match pc {
                        Pc::Const(pc) => pc,
                        Pc::Dynamic(pc) => self.room.get(pc) as u64,
                    };
                    let argument = if argument == Value::NONE { 0 } else { self.room.get(argument) as u64 };
                    return self.end(Outcome { reason, pc, argument });
                }
            };
            let block = self.room.blocks[to.index()];
            assert!(!block.over, "the instruction at {:#x} goes back without a poll", self.pc);
            self.control = to;
            end = block.end;
        }
    }

    fn skip(&mut self) -> Value {
        if self.outcome.is_none() {
            self.room.blocks[self.current.index()].over = true;
        }
        self.note(Op::Const, Ty::I64, 0)
    }

    #[inline(always)]
    fn note(&mut self, op: Op, ty: Ty, bits: u128) -> Value {
        let value = Value(self.room.values.len() as u32);
        self.room.values.push(Made { bits, op, ty });
        value
    }
}

impl Sink for Now<'_> {
    const POLLS: bool = false;

    #[inline]
    fn region(&self) -> &Region {
        self.settings
    }

    #[inline(always)]
    fn push(&mut self, inst: Inst) -> Value {
        if inst.op == Op::Insn {
            self.begin(inst.imm);
            return Value::NONE;
        }
        if !self.runs {
            return self.skip();
        }
        if matches!(inst.op, Op::Store | Op::AtomicStore | Op::AtomicRmw | Op::AtomicCas) {
            self.wrote = true;
        }
        let bits = self.machine.execute(&inst, &*self.room).unwrap_or_else(|failed| {
            self.fail(failed);
            0
        });
        if cfg!(debug_assertions) {
            self.changed |=
                !matches!(inst.op.info().effect, Effect::Pure | Effect::ReadSlot | Effect::Load | Effect::Poll);
            debug_assert!(self.wrote || !matches!(inst.op.info().effect, Effect::Store | Effect::Atomic), "{inst:?}");
        }
        if matches!(inst.op, Op::Set | Op::SetLow | Op::Store | Op::AtomicStore | Op::Fence | Op::Prefetch) {
            debug_assert_eq!(inst.result(), None, "{inst:?}");
            return Value::NONE;
        }
        self.note(inst.op, inst.ty, bits)
    }

    fn ty(&self, value: Value) -> Ty {
        self.room.ty(value)
    }

    fn intern_const(&mut self, bits: u128) -> u64 {
        self.room.constants.push(bits);
        self.room.constants.len() as u64 - 1
    }

    fn intern_helper(&mut self, helper: &'static Helper) -> u64 {
        self.room.helpers.push(helper);
        self.room.helpers.len() as u64 - 1
    }

    #[inline(always)]
    fn known(&mut self, _: Ty, _: Slot) -> Option<Value> {
        None
    }

    #[inline(always)]
    fn note(&mut self, _: Ty, _: Slot, _: Value) {}

    #[inline(always)]
    fn forget(&mut self) {}

    #[inline(always)]
    fn constant(&self, _: Value) -> Option<u128> {
        None
    }

    fn just_made(&self, _: Slot) -> Option<&Inst> {
        None
    }

    #[inline]
    fn new_block(&mut self) -> BlockId {
        self.room.blocks.push(Stretch::NEW);
        BlockId(self.room.blocks.len() as u32 - 1)
    }

    #[inline]
    fn switch_to(&mut self, block: BlockId) {
        self.current = block;
        self.runs = block == self.control && self.outcome.is_none();
    }

    #[inline]
    fn current(&self) -> BlockId {
        self.current
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.room.blocks[self.current.index()].end != Terminator::Open
    }

    fn terminate(&mut self, end: Terminator) {
        debug_assert!(!self.is_closed(), "block {:?} ends twice", self.current);
        self.room.blocks[self.current.index()].end = end;
        if self.runs {
            self.follow(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::IntCond;
    use crate::state::{Arch, aarch64::X};
    use crate::{Builder, RegionBuilder};

    /// Guest memory that is nowhere.
    struct Nowhere;

    impl Host for Nowhere {
        fn load(&mut self, _: Ty, address: u64) -> Result<u128, Failed> {
            Err(Failed(address))
        }

        fn store(&mut self, _: Ty, address: u64, _: u128) -> Result<(), Failed> {
            Err(Failed(address))
        }

        fn compare_and_swap(&mut self, _: Ty, address: u64, _: u128, _: u128) -> Result<u128, Failed> {
            Err(Failed(address))
        }

        fn invalid_alone(&mut self, f: &dyn Fn() -> u128) -> u128 {
            f()
        }
    }

    /// Executes what `body` says at 0x400, with X0 as given; gives X1 and the outcome.
    fn execute(x0: u64, body: impl FnOnce(&mut Builder<Now<'_>>)) -> (u64, Option<Outcome>) {
        let settings = Region::new(Arch::Aarch64, 0x400);
        let (mut cpu, mut room, mut host) = (CpuState::default(), Room::default(), Nowhere);
        cpu.set(X[0], x0);
        let mut b = Builder { sink: Now::new(&settings, &mut cpu, &mut host, &mut room) };
        b.insn(0x400, 4);
        body(&mut b);
        let outcome = b.sink.outcome();
        (cpu.get(X[1]), outcome)
    }

    /// X1 is 1 if X0 is 0, else 2.
    fn diamond<S: Sink>(b: &mut Builder<S>) {
        let [yes, no, join] = [(); 3].map(|()| b.new_block());
        let x0 = b.get(Ty::I64, X[0]);
        let zero = b.icmp_imm(Ty::I64, IntCond::Eq, x0, 0);
        b.branch(zero, yes, no);
        for (block, value) in [(yes, 1), (no, 2)] {
            b.switch_to(block);
            let value = b.c64(value);
            b.set(Ty::I64, X[1], value);
            b.jump(join);
        }
        b.switch_to(join);
    }

    #[test]
    fn only_one_way_of_a_branch_is_executed() {
        for (x0, x1) in [(0, 1), (7, 2)] {
            let end = execute(x0, |b| {
                diamond(b);
                assert!(!b.is_closed());
            });
            assert_eq!(end, (x1, None));
        }
        // The same body makes a region.
        let mut region = Region::new(Arch::Aarch64, 0x400);
        diamond(&mut RegionBuilder::new(&mut region));
        assert_eq!(region.blocks.len(), 4);
    }

    #[test]
    fn nothing_follows_a_failed_access() {
        let (x1, outcome) = execute(0x1230, |b| {
            let x0 = b.get(Ty::I64, X[0]);
            let value = b.load(Ty::I64, x0, 4);
            b.set(Ty::I64, X[1], value);
            b.exit(ExitReason::Jump, Pc::Const(0x404), Value::NONE);
        });
        assert_eq!(x1, 0);
        assert_eq!(outcome, Some(Outcome { reason: ExitReason::Fault, pc: 0x400, argument: 0x1234 }));
    }

    #[test]
    fn control_goes_through_blocks_that_came_before_and_only_leave() {
        let (x1, outcome) = execute(0, |b| {
            let (here, edge) = (b.current(), b.new_block());
            b.switch_to(edge);
            b.exit(ExitReason::Jump, Pc::Const(0x480), Value::NONE);
            b.switch_to(here);
            let five = b.c64(5);
            b.set(Ty::I64, X[1], five);
            b.jump(edge);
        });
        assert_eq!((x1, outcome), (5, Some(Outcome { reason: ExitReason::Jump, pc: 0x480, argument: 0 })));
    }

    #[test]
    fn a_poll_says_leave() {
        let mut pending = 0;
        execute(0, |b| {
            let value = b.poll_pending();
            pending = b.sink.room.get(value);
        });
        assert_eq!(pending, 1);
    }

    #[test]
    #[should_panic(expected = "goes back without a poll")]
    fn a_loop_is_found_out() {
        execute(0, |b| {
            let head = b.new_block();
            b.jump(head);
            b.switch_to(head);
            let five = b.c64(5);
            b.set(Ty::I64, X[1], five);
            b.jump(head);
        });
    }
}
