//! Loops whose accesses fault in some round: what recoveries make of other places is what the interpreter has there.

use super::flow::{compare, handle_faults, in_child, random_state, run_guarded};
use super::*;
use crate::cranelift::Recovery;
use crate::cranelift::places::Plan;
use crate::interp::Interpreter;
use philae_ir::opt::optimise;
use philae_ir::state::{NZCV, aarch64};
use philae_ir::{BlockId, Carry, Cond, Op, Slot, Ty};
use rustc_hash::FxHashSet;

const PAGE: usize = 4096;

/// The register that all accesses are relative to.
const POINTER: Slot = aarch64::X[0];
/// How many rounds are left.
const LEFT: Slot = aarch64::X[9];
/// Hold 8 and 1, so that what is changed by them is no counter.
const EIGHT: Slot = aarch64::X[5];
const ONE: Slot = aarch64::X[6];

/// Makes random loops.
struct Loop<'a, 'r> {
    b: RegionBuilder<'a>,
    random: &'r mut Random,
    pc: u64,
    /// Whether something in each loop is a counter.
    counts: bool,
}

impl Loop<'_, '_> {
    /// A loop, perhaps behind a block that changes registers.
    fn region(&mut self) {
        if self.random.below(2) == 0 {
            (0..self.random.below(4)).for_each(|_| self.step());
            let head = self.b.new_block();
            self.b.jump(head);
            self.b.switch_to(head);
        }
        let head = self.b.current();
        self.steps();
        if self.random.below(3) == 0 {
            self.diamond();
        }
        let by = [8, 16, 24][self.random.below(3)];
        self.insn();
        let by = if self.counts { self.b.c64(by) } else { self.b.get(Ty::I64, EIGHT) };
        let old = self.b.get(Ty::I64, POINTER);
        let new = self.b.add(Ty::I64, old, by);
        self.b.set(Ty::I64, POINTER, new);
        self.end(head);
    }

    fn steps(&mut self) {
        (0..1 + self.random.below(6)).for_each(|_| self.step());
    }

    fn insn(&mut self) {
        self.pc += 4;
        self.b.insn(self.pc, 4);
    }

    fn register(&mut self) -> Slot {
        aarch64::X[1 + self.random.below(4)]
    }

    fn vector(&mut self) -> Slot {
        aarch64::V[self.random.below(2)]
    }

    fn integer(&mut self) -> Ty {
        [Ty::I64, Ty::I64, Ty::I32][self.random.below(3)]
    }

    fn constant(&mut self) -> u64 {
        [0, 1, 8, u64::MAX, 0x1234_5678_9abc][self.random.below(5)]
    }

    fn operand(&mut self, ty: Ty) -> Value {
        let constant = self.constant();
        let slot = self.register();
        if self.random.below(2) == 0 { self.b.iconst(ty, constant) } else { self.b.get(ty, slot) }
    }

    /// One guest instruction.
    fn step(&mut self) {
        self.insn();
        let offset = 8 * self.random.below(3) as i64;
        let (to, vector, ty) = (self.register(), self.vector(), self.integer());
        match self.random.below(10) {
            0 => {
                let from = self.b.get(Ty::I64, POINTER);
                let value = self.b.load(ty, from, offset);
                self.b.set(ty, to, value);
            }
            1 => {
                let from = self.b.get(Ty::I64, POINTER);
                let value = self.b.load(Ty::I64, from, 0);
                let next = self.b.add_imm(Ty::I64, from, 8);
                self.b.set(Ty::I64, POINTER, next);
                self.b.set(Ty::I64, to, value);
            }
            2 => {
                let (at, value) = (self.b.get(Ty::I64, POINTER), self.b.get(ty, to));
                self.b.store(ty, at, offset, value);
            }
            3 => {
                let from = self.b.get(Ty::I64, POINTER);
                let value = self.b.load(Ty::F64, from, offset);
                self.b.set(Ty::F64, vector, value);
            }
            4 => {
                let constant = self.constant();
                let bits = self.b.c64(constant);
                let value = self.b.bitcast(Ty::F64, bits);
                self.b.set(Ty::F64, vector, value);
            }
            5 => {
                let value = self.operand(ty);
                self.b.set(ty, to, value);
            }
            6 => {
                let from = self.register();
                let (old, by) = (self.b.get(ty, from), self.constant());
                let new = self.b.add_imm(ty, old, by);
                self.b.set(ty, to, new);
            }
            7 => {
                let flags = self.b.get(Ty::Flags, NZCV);
                let cond = Cond::ALL[self.random.below(Cond::ALL.len())];
                let holds = self.b.flags_test(flags, cond);
                let (a, b) = (self.operand(Ty::I64), self.operand(Ty::I64));
                let chosen = self.b.select(Ty::I64, holds, a, b);
                self.b.set(Ty::I64, to, chosen);
            }
            _ => {
                let (a, b) = (self.operand(ty), self.operand(ty));
                let flags = match self.random.below(3) {
                    0 => self.b.flags_add(ty, a, b),
                    1 => self.b.flags_logic(ty, a),
                    _ => self.b.flags_sub(ty, Carry::NotBorrow, a, b),
                };
                self.b.set(Ty::Flags, NZCV, flags);
            }
        }
    }

    /// Two ways to go on.
    fn diamond(&mut self) {
        let [then, other, join] = [(); 3].map(|()| self.b.new_block());
        let value = self.operand(Ty::I64);
        let cond = self.b.icmp_imm(Ty::I64, philae_ir::IntCond::Eq, value, 8);
        self.b.branch(cond, then, other);
        for block in [then, other] {
            self.b.switch_to(block);
            self.steps();
            self.b.jump(join);
        }
        self.b.switch_to(join);
    }

    /// Back to the head as long as there are rounds left; the flags show how many, or something else.
    fn end(&mut self, head: BlockId) {
        self.insn();
        let left = self.b.get(Ty::I64, LEFT);
        let one = if self.counts { self.b.c64(1) } else { self.b.get(Ty::I64, ONE) };
        let rest = self.b.sub(Ty::I64, left, one);
        let flags = self.b.flags_sub(Ty::I64, Carry::NotBorrow, left, one);
        self.b.set(Ty::I64, LEFT, rest);
        if self.random.below(2) == 0 {
            self.b.set(Ty::Flags, NZCV, flags);
        }
        let done = self.b.new_block();
        let more = self.b.flags_test(flags, Cond::Ne);
        self.b.branch(more, head, done);
        self.b.switch_to(done);
        self.b.exit(ExitReason::Syscall, Pc::Const(self.pc + 4), Value::NONE);
    }
}

/// A page of memory and one that may not be accessed.
fn two_pages() -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address that the kernel chooses, and its second half.
    unsafe {
        let pages = libc::mmap(std::ptr::null_mut(), 2 * PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert_ne!(pages, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(pages.byte_add(PAGE), PAGE, libc::PROT_NONE), 0);
        pages.cast()
    }
}

#[test]
fn loops_that_fault_do_as_the_interpreter() {
    in_child(|| {
        handle_faults();
        let mut compiler = Compiler::with_recovery(Recovery::InLoops);
        let (mut interpreter, mut arena) = (Interpreter::default(), Arena::new());
        let memory = two_pages();
        // SAFETY: the first page, which nobody else knows of.
        let page = unsafe { &mut *memory.cast::<[u8; PAGE]>() };
        let options = Options { exactness: Exactness::Exact, counter: None };
        let (mut faults, mut derived) = (0, [0; 2]);
        for seed in 0..1000 {
            let mut random = Random(seed);
            let mut region = Region::new(Arch::Aarch64, PC);
            let mut b = RegionBuilder::new(&mut region);
            b.insn(PC, 4);
            let counts = seed % 2 == 0;
            Loop { b, random: &mut random, pc: PC, counts }.region();
            philae_ir::verify::verify(&region).unwrap_or_else(|error| panic!("{error}\n{region}"));
            let mut optimised = region.clone();
            optimise(&mut optimised, options.exactness);
            let plan = Plan::new(&optimised, options.exactness, Recovery::InLoops, &FxHashSet::default());
            let is_derived = |&value: &Value| plan.rounds.recovered(value).is_some();
            derived[usize::from(counts)] +=
                optimised.blocks.iter().flat_map(|block| &block.insts).filter(|&value| is_derived(value)).count();
            let code = compiler.compile(&optimised, options, &mut |site| panic!("no link expected to {site:?}"));
            let mut code = code.unwrap_or_else(|error| panic!("{error}\n{region}"));
            let entry = arena.add(&code);
            for _ in 0..8 {
                let mut start = random_state(&mut random);
                start.set(POINTER, memory as u64 + (PAGE - 8 * random.below(24)) as u64);
                start.set(EIGHT, 8);
                start.set(ONE, 1);
                start.set(LEFT, 1 + random.below(12) as u64);
                let (mut one, mut other) = (start.fork(), start.fork());
                let contents: [u8; PAGE] = std::array::from_fn(|_| random.next() as u8);
                *page = contents;
                let exit = interpreter.run(&region, &mut one);
                let after = *page;
                *page = contents;
                let reason = run_guarded(entry, &mut code, &mut other);
                let what = format!("seed {seed}");
                assert_eq!(exit.reason, reason, "{what}\n{region}");
                faults += u32::from(reason == ExitReason::Fault);
                compare(&region, &one, &other, &what);
                assert!(after == *page, "{what}\n{region}");
            }
        }
        assert!(faults > 3000, "{faults} faults");
        assert!(derived.iter().all(|&derived| derived > 200), "{derived:?} accesses make places of others");
    });
}

/// The tightest loops: nothing but what they are for is in them.
#[test]
fn a_loop_carries_nothing_for_its_recoveries() {
    let region = super::speed::copy_loop();
    let plan = Plan::new(&region, Exactness::Exact, Recovery::InLoops, &FxHashSet::default());
    let accesses = region.blocks.iter().flat_map(|block| &block.insts);
    let accesses: Vec<Value> =
        accesses.copied().filter(|&value| matches!(region.inst(value).op, Op::Load | Op::Store)).collect();
    let flags = plan.slot(NZCV);
    for access in accesses {
        let derived = plan.rounds.derived(access);
        assert!(derived.contains(flags.first) && derived.contains(flags.first + 1), "{access:?}\n{region}");
    }
}
