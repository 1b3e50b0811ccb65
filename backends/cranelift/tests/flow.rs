//! Slots, exits, links and faults: random regions against the interpreter, and the ways out one by one.

use super::operations::{pick, types};
use super::*;
use crate::FloatControl;
use crate::cranelift::Recovery;
use crate::interp::{Interpreter, recovery};
use crate::link::{JumpCacheEntry, LEAST_JUMP_CACHE, fault_exit_address, jump_cache_index, jump_cache_mask};
use philae_ir::ops::{AuxKind, ImmKind, Makes, OPS, Takes};
use philae_ir::opt::optimise;
use philae_ir::state::{LOCALS, NZCV, StateAddress, VECTOR_LOCALS, aarch64};
use philae_ir::{BlockId, Carry, Cond, Effect, Helper, HelperEffect, Inst, NanRule, Slot, Ty};
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Runs `body` in a child process, where it may handle SIGSEGV as it likes; tests share their process.
pub(super) fn in_child(body: impl FnOnce() + std::panic::UnwindSafe) {
    // SAFETY: the child uses nothing that another thread of the parent could hold locked but the allocator, which
    // fork keeps consistent.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            let failed = std::panic::catch_unwind(body).is_err();
            libc::_exit(c_int::from(failed));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        assert_eq!(status, 0, "the child failed; its message is on standard error");
    }
}

/// What runs, for the signal handler.
static STATE: AtomicPtr<CpuState> = AtomicPtr::new(std::ptr::null_mut());
static CODE: AtomicPtr<Code> = AtomicPtr::new(std::ptr::null_mut());
static BASE: AtomicU64 = AtomicU64::new(0);

pub(super) fn handle_faults() {
    // SAFETY: the handler has the signature that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut());
    }
}

extern "C" fn on_fault(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes valid pointers; the statics name what this thread runs.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let (rip, address) = (registers[libc::REG_RIP as usize] as u64, (*info).si_addr() as u64);
        if let Some(to) = recovery(rip) {
            registers[libc::REG_RAX as usize] = address as i64;
            registers[libc::REG_RIP as usize] = to as i64;
            return;
        }
        let offset = rip.wrapping_sub(BASE.load(Ordering::Relaxed));
        let Some(site) = (*CODE.load(Ordering::Relaxed)).fault_site(offset as u32) else { libc::abort() };
        let state = STATE.load(Ordering::Relaxed);
        (*state).set_pc(site.pc);
        (*state).ctl.exit_reason = ExitReason::Fault as u32;
        (*state).ctl.exit_argument = address;
        let to = match site.recovery {
            Some(offset) => BASE.load(Ordering::Relaxed) + u64::from(offset.get()),
            None => {
                registers[libc::REG_RDI as usize] = StateAddress::of(state).bits() as i64;
                fault_exit_address()
            }
        };
        registers[libc::REG_RIP as usize] = to as i64;
    }
}

pub(super) fn run_guarded(entry: *const u8, code: &mut Code, cpu: &mut CpuState) -> ExitReason {
    BASE.store(entry as u64, Ordering::Relaxed);
    CODE.store(code, Ordering::Relaxed);
    STATE.store(cpu, Ordering::Relaxed);
    run(entry, cpu)
}

/// An address that no process has mapped.
const UNMAPPED: u64 = 0x10;

fn scramble(cpu: &mut CpuState, [a, b, c]: [u128; 3]) -> u128 {
    let count = cpu.get(HIDDEN).wrapping_add(1);
    cpu.set(HIDDEN, count);
    a.wrapping_mul(3) ^ b.rotate_left(7) ^ c ^ u128::from(count)
}

/// A slot that no instruction names.
const HIDDEN: Slot = Slot(166);

static SCRAMBLE: [Helper; 4] = [
    Helper { name: "scramble0", operands: 0, result: Ty::I64, effect: HelperEffect::State, function: low64 },
    Helper { name: "scramble1", operands: 1, result: Ty::V128, effect: HelperEffect::State, function: scramble },
    Helper { name: "scramble2", operands: 2, result: Ty::I128, effect: HelperEffect::State, function: scramble },
    Helper { name: "scramble3", operands: 3, result: Ty::I64, effect: HelperEffect::State, function: low64 },
];

fn low64(cpu: &mut CpuState, args: [u128; 3]) -> u128 {
    u128::from(scramble(cpu, args) as u64)
}

/// Makes random regions.
struct Generator<'a, 'r> {
    b: RegionBuilder<'a>,
    random: &'r mut Random,
    memory: u64,
    faults: bool,
    /// Values of this block by type, without truth values.
    values: HashMap<Ty, Vec<Value>>,
    truths: Vec<Value>,
    taste: Taste,
    pc: u64,
}

/// Which operations a generator likes.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Taste {
    Anything,
    /// Chains of floating-point arithmetic in few types.
    Floats,
}

const SCALAR_SLOTS: usize = 5;
const VECTOR_SLOTS: usize = 4;

impl Generator<'_, '_> {
    fn general_slot(&mut self) -> Slot {
        match self.random.below(SCALAR_SLOTS + 1) {
            0 => LOCALS[1],
            index => aarch64::X[index],
        }
    }

    fn vector_slot(&mut self) -> Slot {
        match self.random.below(VECTOR_SLOTS + 1) {
            0 => VECTOR_LOCALS[0],
            index => aarch64::V[index],
        }
    }

    /// A slot that holds a type: vector registers are used as one width each, most of the time.
    fn slot_for(&mut self, ty: Ty) -> Slot {
        match ty {
            Ty::Flags => NZCV,
            Ty::I128 => aarch64::EXCLUSIVE_VALUE,
            Ty::F32 if self.random.below(8) > 0 => aarch64::V[1],
            Ty::F64 if self.random.below(8) > 0 => aarch64::V[2],
            _ if ty.is_float() || ty.is_vector() => self.vector_slot(),
            _ if self.random.below(8) == 0 => aarch64::V[1 + usize::from(ty == Ty::I64)],
            _ => self.general_slot(),
        }
    }

    fn get(&mut self, ty: Ty) -> Value {
        let slot = self.slot_for(ty);
        let value = self.b.get(ty, slot);
        self.values.entry(ty).or_default().push(value);
        value
    }

    fn value(&mut self, ty: Ty) -> Value {
        let ty = ty.value();
        let known = self.values.get(&ty).map_or(0, Vec::len);
        match self.random.below(4) {
            0 if ty.bits() <= 64 && ty != Ty::Flags => {
                let bits = pick(self.random, ty, ty) as u64;
                self.b.iconst(ty, bits)
            }
            1.. if known > 0 => self.values[&ty][self.random.below(known)],
            _ => self.get(ty),
        }
    }

    fn truth(&mut self) -> Value {
        if self.truths.is_empty() || self.random.below(2) == 0 {
            let flags = self.value(Ty::Flags);
            let cond = Cond::ALL[self.random.below(Cond::ALL.len())];
            let truth = self.b.flags_test(flags, cond);
            self.truths.push(truth);
        }
        self.truths[self.random.below(self.truths.len())]
    }

    fn operand(&mut self, takes: Takes, ty: Ty, from: Ty) -> Value {
        match takes {
            Takes::Bool => self.truth(),
            Takes::Same => self.value(ty),
            Takes::I32 => self.value(Ty::I32),
            Takes::I64 => self.value(Ty::I64),
            Takes::I128 => self.value(Ty::I128),
            Takes::V128 => self.value(Ty::V128),
            Takes::Flags => self.value(Ty::Flags),
            Takes::Lane => self.value(ty.lane()),
            Takes::Any => self.value(from),
        }
    }

    fn operation(&mut self) {
        let row = &OPS[self.random.below(OPS.len())];
        let types = types(row.op);
        if self.taste == Taste::Floats && row.aux != AuxKind::Nan {
            return if self.random.below(8) > 0 {
                self.operation()
            };
        }
        if row.effect != Effect::Pure || types.is_empty() || row.imm == ImmKind::Const {
            return;
        }
        let (ty, from) = match self.taste {
            Taste::Anything => types[self.random.below(types.len())],
            Taste::Floats => [(Ty::F64, Ty::F64), (Ty::F64, Ty::F64), (Ty::F32X4, Ty::F32X4)][self.random.below(3)],
        };
        let auxes = super::operations::auxes(row);
        let imms = super::operations::imms(row, ty);
        let mut inst = Inst::new(row.op, ty);
        inst.aux = auxes[self.random.below(auxes.len())];
        if self.taste == Taste::Floats && self.random.below(8) > 0 {
            inst.aux = NanRule::Arm as u8;
        }
        inst.imm = imms[self.random.below(imms.len())];
        for (index, &takes) in row.takes.iter().enumerate() {
            inst.args[index] = self.operand(takes, ty, from);
        }
        let result = self.b.push(inst);
        let made = inst.result().expect("pure operations make values");
        if made == Ty::I8 && row.makes != Makes::Same && row.makes != Makes::Lane {
            self.truths.push(result);
        }
        self.values.entry(made).or_default().push(result);
    }

    fn write(&mut self) {
        let all = [
            Ty::I8,
            Ty::I16,
            Ty::I32,
            Ty::I64,
            Ty::I64,
            Ty::I128,
            Ty::F32,
            Ty::F32,
            Ty::F64,
            Ty::F64,
            Ty::V128,
            Ty::Flags,
            Ty::Flags,
        ];
        let ty = match self.taste {
            Taste::Anything => all[self.random.below(all.len())],
            Taste::Floats => [Ty::F64, Ty::F64, Ty::V128, Ty::I64][self.random.below(4)],
        };
        let (value, slot) = (self.value(ty), self.slot_for(ty));
        match self.random.below(2) {
            0 if ty != Ty::Flags => self.b.set_low(ty, slot, value),
            _ => self.b.set(ty, slot, value),
        }
    }

    fn access(&mut self) {
        let bad = self.faults && self.random.below(12) == 0;
        let offset = 16 * self.random.below(8) as i64;
        let base = self.b.c64(if bad { UNMAPPED } else { self.memory });
        let all = [Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128, Ty::F32, Ty::F64, Ty::V128];
        let ty = all[self.random.below(all.len())];
        match self.random.below(4) {
            0 => {
                let value = self.value(ty);
                self.b.store(ty, base, offset, value);
            }
            1 if ty.is_int() => {
                let value = self.value(ty);
                let old = self.b.atomic_rmw(ty, philae_ir::RmwOp::Add, base, value);
                self.values.entry(ty).or_default().push(old);
            }
            2 if ty.is_int() => {
                let (expected, new) = (self.value(ty), self.value(ty));
                let old = self.b.atomic_cas(ty, base, expected, new);
                self.values.entry(ty).or_default().push(old);
            }
            _ => {
                let value = self.b.load(ty, base, offset);
                self.values.entry(ty).or_default().push(value);
            }
        }
    }

    fn call(&mut self) {
        let helper = &SCRAMBLE[self.random.below(4)];
        let args: Vec<Value> = (0..helper.operands)
            .map(|_| {
                let ty = [Ty::I32, Ty::I64, Ty::V128, Ty::F64, Ty::I128][self.random.below(5)];
                self.value(ty)
            })
            .collect();
        let result = self.b.call(helper, &args);
        self.values.entry(helper.result).or_default().push(result);
    }

    fn body(&mut self) {
        self.values.clear();
        self.truths.clear();
        for _ in 0..4 + self.random.below(12) {
            self.pc += 4;
            self.b.insn(self.pc, 4);
            match self.random.below(10) {
                0..=4 => self.operation(),
                5..=7 => self.write(),
                8 => self.access(),
                _ => self.call(),
            }
        }
    }

    /// Blocks that branch at random, each time burning a unit of fuel.
    fn region(&mut self) {
        let count = 1 + self.random.below(6);
        let entry = self.b.current();
        let fuel = self.b.c64(12);
        self.b.set(Ty::I64, LOCALS[0], fuel);
        for slot in [LOCALS[1], VECTOR_LOCALS[0]] {
            let zero = self.b.c64(0);
            self.b.set(Ty::I64, slot, zero);
        }
        let blocks: Vec<BlockId> = (0..count).map(|_| self.b.new_block()).collect();
        let (empty, done) = (self.b.new_block(), self.b.new_block());
        self.b.switch_to(entry);
        self.b.jump(blocks[0]);
        for &block in &blocks {
            self.b.switch_to(block);
            let left = self.b.get(Ty::I64, LOCALS[0]);
            let one = self.b.c64(1);
            let rest = self.b.sub(Ty::I64, left, one);
            self.b.set(Ty::I64, LOCALS[0], rest);
            self.body();
            let (more, other) = (self.b.new_block(), blocks[self.random.below(count)]);
            let last = if self.random.below(3) == 0 { done } else { blocks[self.random.below(count)] };
            let cond = self.truth();
            let flags = self.b.flags_sub(Ty::I64, Carry::NotBorrow, left, one);
            let go_on = self.b.flags_test(flags, Cond::Ne);
            self.b.branch(go_on, more, empty);
            self.b.switch_to(more);
            self.b.branch(cond, other, last);
        }
        self.b.switch_to(empty);
        self.b.exit(ExitReason::Interrupted, Pc::Const(PC), Value::NONE);
        self.b.switch_to(done);
        let (pc, argument) = (self.b.get(Ty::I64, aarch64::X[1]), self.b.get(Ty::I64, aarch64::X[2]));
        self.b.exit(ExitReason::StaleCode, Pc::Dynamic(pc), argument);
    }
}

pub(super) fn random_state(random: &mut Random) -> CpuState {
    let mut cpu = CpuState::default();
    for info in Arch::Aarch64.slots() {
        let lane = if info.ty.is_vector() { [Ty::F32, Ty::F64][random.below(2)] } else { info.ty };
        match info.ty {
            Ty::Flags => cpu.set(info.slot, random.next() & 15),
            ty if ty.bits() == 128 => {
                let bits = pick(random, ty, lane);
                cpu.set128(info.slot, bits);
            }
            ty => cpu.set(info.slot, pick(random, ty, ty) as u64),
        }
    }
    cpu
}

pub(super) fn compare(region: &Region, one: &CpuState, other: &CpuState, what: &str) {
    for info in Arch::Aarch64.slots().iter().filter(|info| info.life == philae_ir::state::Life::Guest) {
        let (a, b) = if info.ty.bits() == 128 {
            (one.get128(info.slot), other.get128(info.slot))
        } else {
            (u128::from(one.get(info.slot)), u128::from(other.get(info.slot)))
        };
        if a != b {
            eprintln!("{what}: {} is {a:#x} interpreted, {b:#x} compiled\n{region}", info.name);
            panic!("{}", info.name);
        }
    }
    assert_eq!(one.get(HIDDEN), other.get(HIDDEN), "{what}");
}

/// Random regions, interpreted and compiled, with and without passes, exactness and faults; what they raise, too.
#[test]
fn random_regions_do_as_the_interpreter() {
    in_child(|| {
        handle_faults();
        let mut compilers = [Recovery::Never, Recovery::InLoops].map(Compiler::with_recovery);
        let mut interpreter = Interpreter::default();
        let mut memory = Box::new([[0u64; 2]; 9]);
        let base = (memory.as_mut_ptr() as u64).next_multiple_of(16);
        let (mut faults, mut arena) = (0, Arena::new());
        for seed in 0..1500 {
            let mut random = Random(seed);
            let options = match seed % 3 {
                0 => RELAXED,
                _ => Options { exactness: Exactness::Exact, counter: None },
            };
            let mut region = Region::new(Arch::Aarch64, PC);
            let b = RegionBuilder::new(&mut region);
            let (values, truths) = (HashMap::new(), Vec::new());
            let may_fault = options.exactness == Exactness::Exact;
            let taste = if seed % 5 == 0 { Taste::Floats } else { Taste::Anything };
            let random = &mut random;
            Generator { b, random, memory: base, faults: may_fault, values, truths, taste, pc: PC }.region();
            philae_ir::verify::verify(&region).unwrap_or_else(|error| panic!("{error}\n{region}"));
            let mut optimised = region.clone();
            if seed % 7 < 4 {
                optimise(&mut optimised, options.exactness);
            }
            let mut code = compilers[seed as usize % 2]
                .compile(&optimised, options, &mut |site| panic!("no link expected to {site:?}"))
                .unwrap_or_else(|error| panic!("{error}\n{region}"));
            let entry = arena.add(&code);
            for _ in 0..4 {
                let start = random_state(random);
                let contents = [[random.next(), random.next()]; 9];
                let (mut one, mut other) = (start.fork(), start.fork());
                *memory = contents;
                FloatControl::take_flags();
                let exit = interpreter.run(&region, &mut one);
                let raised = FloatControl::take_flags();
                let after = *memory;
                *memory = contents;
                let reason = run_guarded(entry, &mut code, &mut other);
                let what = format!("seed {seed} {options:?}");
                assert_eq!(raised, FloatControl::take_flags(), "{what}\n{region}");
                assert_eq!(exit.reason, reason, "{what}\n{region}");
                if reason == ExitReason::Fault || reason == ExitReason::StaleCode {
                    assert_eq!(exit.argument, other.ctl.exit_argument, "{what}");
                }
                faults += u32::from(reason == ExitReason::Fault);
                compare(&region, &one, &other, &what);
                assert_eq!(after, *memory, "{what}\n{region}");
            }
        }
        assert!(faults > 100, "{faults} faults");
    });
}

/// Two regions that call each other through link slots, with more live values than registers.
fn ping_pong(pc: u64, next: u64, work: usize) -> Region {
    let mut region = Region::new(Arch::Aarch64, pc);
    let mut b = RegionBuilder::new(&mut region);
    let (on, out) = (b.new_block(), b.new_block());
    b.insn(pc, 4);
    let left = b.get(Ty::I64, aarch64::X[0]);
    let rest = b.add_imm(Ty::I64, left, u64::MAX);
    b.set(Ty::I64, aarch64::X[0], rest);
    let values: Vec<Value> = (1..=work).map(|index| b.get(Ty::I64, aarch64::X[index])).collect();
    let sum = values.iter().skip(1).fold(values[0], |sum, &value| b.add(Ty::I64, sum, value));
    for (index, &value) in values.iter().enumerate() {
        let mixed = b.xor(Ty::I64, value, sum);
        b.set(Ty::I64, aarch64::X[1 + (index + 1) % work], mixed);
    }
    let more = b.icmp_imm(Ty::I64, philae_ir::IntCond::Ne, rest, 0);
    b.branch(more, on, out);
    b.switch_to(on);
    b.exit(ExitReason::Jump, Pc::Const(next), Value::NONE);
    b.switch_to(out);
    b.exit(ExitReason::Syscall, Pc::Const(pc + 4), Value::NONE);
    region
}

#[test]
fn linked_regions_share_one_frame() {
    for work in [1, 24] {
        let mut compiler = Compiler::new();
        let mut arena = Arena::new();
        let (first, second) = (ping_pong(0x1000, 0x2000, work), ping_pong(0x2000, 0x1000, work));
        let slots = [0x1000, 0x2000].map(|pc| arena.add_slot(pc));
        let mut links = |site: LinkSite| -> *const LinkSlot {
            assert_eq!(site.reason, ExitReason::Jump);
            slots[usize::from(site.pc == 0x2000)]
        };
        let codes = [&first, &second].map(|region| {
            let code = compiler.compile(region, RELAXED, &mut links).expect("it compiles");
            arena.add(&code)
        });
        let mut start = CpuState::default();
        (1..=work).for_each(|index| start.set(aarch64::X[index], index as u64 * 77));
        start.set(aarch64::X[0], 5);

        // Not linked: it leaves after each region.
        let mut stepped = start.fork();
        let mut at = 0;
        while run(codes[at], &mut stepped) == ExitReason::Jump {
            at = 1 - at;
            assert_eq!(stepped.ctl.exit_link, std::ptr::from_ref(slots[at]) as u64);
            assert_eq!(stepped.pc(), slots[at].pc);
        }
        assert_eq!(stepped.ctl.exit_link, 0);
        // Linked: it does not.
        let mut linked = start.fork();
        (0..2).for_each(|index| slots[index].target.store(codes[index] as u64, Ordering::Release));
        assert_eq!(run(codes[0], &mut linked), ExitReason::Syscall);
        compare(&first, &stepped, &linked, "linked");

        let rounds = 20_000_000;
        linked.set(aarch64::X[0], rounds);
        let start = std::time::Instant::now();
        run(codes[0], &mut linked);
        let time = start.elapsed().as_secs_f64() * 1e9 / rounds as f64;
        eprintln!("{work} values: {time:.3} ns for a region and a linked transition");
    }
}

#[test]
fn computed_jumps_look_into_the_cache() {
    let mut compiler = Compiler::new();
    let mut arena = Arena::new();
    let region = |pc: u64| {
        region(|b| {
            let (on, out) = (b.new_block(), b.new_block());
            let left = b.get(Ty::I64, aarch64::X[0]);
            let rest = b.add_imm(Ty::I64, left, u64::MAX);
            b.set(Ty::I64, aarch64::X[0], rest);
            let more = b.icmp_imm(Ty::I64, philae_ir::IntCond::Ne, rest, 0);
            b.branch(more, on, out);
            b.switch_to(on);
            let (to, other) = (b.get(Ty::I64, aarch64::X[1]), b.get(Ty::I64, aarch64::X[2]));
            b.set(Ty::I64, aarch64::X[1], other);
            b.set(Ty::I64, aarch64::X[2], to);
            b.exit(ExitReason::Return, Pc::Dynamic(to), Value::NONE);
            b.switch_to(out);
            b.exit(ExitReason::Syscall, Pc::Const(pc), Value::NONE);
        })
    };
    let pcs = [0x40_1234, 0x7fff_ffff_f000];
    let codes = pcs.map(|pc| {
        let code = compile(&mut compiler, &region(pc));
        arena.add(&code)
    });
    let empty = vec![JumpCacheEntry::EMPTY; LEAST_JUMP_CACHE];
    let mut full = empty.clone();
    let slots = pcs.map(|pc| LinkSlot::new(pc, 0));
    for (way, (slot, code)) in slots.iter().zip(codes).enumerate() {
        slot.target.store(code as u64, Ordering::Release);
        full[jump_cache_index(slot.pc, LEAST_JUMP_CACHE) + way] =
            JumpCacheEntry { pc: slot.pc, slot: &raw const *slot as u64 };
    }
    let mut cpu = CpuState::default();
    cpu.set(aarch64::X[0], 10);
    cpu.set(aarch64::X[1], pcs[0]);
    cpu.set(aarch64::X[2], pcs[1]);
    cpu.ctl.jump_cache_mask = jump_cache_mask(LEAST_JUMP_CACHE);
    cpu.ctl.jump_cache = (empty.as_ptr() as u64).into();
    assert_eq!(run(codes[1], &mut cpu), ExitReason::Return);
    assert_eq!((cpu.pc(), cpu.get(aarch64::X[0]), cpu.ctl.exit_link), (pcs[0], 9, 0));
    cpu.ctl.jump_cache = (full.as_ptr() as u64).into();
    assert_eq!(run(codes[0], &mut cpu), ExitReason::Syscall);
    assert_eq!((cpu.pc(), cpu.get(aarch64::X[0])), (pcs[0], 0));

    let rounds = 20_000_000;
    cpu.set(aarch64::X[0], rounds);
    let start = std::time::Instant::now();
    run(codes[0], &mut cpu);
    let time = start.elapsed().as_secs_f64() * 1e9 / rounds as f64;
    eprintln!("{time:.3} ns for a region and a computed jump");
}
