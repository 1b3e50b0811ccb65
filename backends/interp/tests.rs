//! Small regions whose outcome is plain to see, memory included.

use super::{Interpreter, recovery};
use crate::Exit;
use philae_ir::state::{PC, aarch64};
use philae_ir::{
    Arch, BlockId, Carry, Cond, CpuState, ExitReason, Ordering, Pc, Region, RegionBuilder, RmwOp, Ty, Value,
};
use std::ffi::{c_int, c_void};
use std::sync::Once;

fn jump(reason: ExitReason) -> Exit {
    Exit { reason, argument: 0 }
}

fn run(region: &Region, cpu: &mut CpuState) -> Exit {
    Interpreter::default().run(region, cpu)
}

/// A region of one block that leaves to 0x1000.
fn straight(body: impl FnOnce(&mut RegionBuilder<'_>)) -> Region {
    let mut region = Region::new(Arch::Aarch64, 0x400);
    let mut b = RegionBuilder::new(&mut region);
    b.insn(0x400, 4);
    body(&mut b);
    b.exit(ExitReason::Jump, Pc::Const(0x1000), Value::NONE);
    region
}

/// x0 counts down to 0, x1 up; a poll in every round.
fn countdown() -> Region {
    let mut region = Region::new(Arch::Aarch64, 0x400);
    let mut b = RegionBuilder::new(&mut region);
    let (poll, interrupted, done) = (b.new_block(), b.new_block(), b.new_block());
    b.insn(0x400, 4);
    let (x0, x1) = (b.get(Ty::I64, aarch64::X[0]), b.get(Ty::I64, aarch64::X[1]));
    let sum = b.add_imm(Ty::I64, x1, 3);
    b.set(Ty::I64, aarch64::X[1], sum);
    b.insn(0x404, 4);
    let one = b.c64(1);
    let left = b.sub(Ty::I64, x0, one);
    b.set(Ty::I64, aarch64::X[0], left);
    let flags = b.flags_sub(Ty::I64, Carry::NotBorrow, x0, one);
    b.set(Ty::Flags, philae_ir::state::NZCV, flags);
    b.insn(0x408, 4);
    let more = b.flags_test(flags, Cond::Ne);
    b.branch(more, poll, done);
    b.switch_to(poll);
    let pending = b.poll_pending();
    b.branch(pending, interrupted, BlockId::ENTRY);
    b.switch_to(interrupted);
    b.exit(ExitReason::Interrupted, Pc::Const(0x400), Value::NONE);
    b.switch_to(done);
    b.exit(ExitReason::Jump, Pc::Const(0x40c), Value::NONE);
    region
}

#[test]
fn loops_run_to_their_exit() {
    let mut cpu = CpuState::default();
    cpu.set(aarch64::X[0], 100);
    assert_eq!(run(&countdown(), &mut cpu), jump(ExitReason::Jump));
    assert_eq!([cpu.get(aarch64::X[0]), cpu.get(aarch64::X[1]), cpu.pc()], [0, 300, 0x40c]);
    assert_eq!(cpu.get(philae_ir::state::NZCV), 0b0110);
}

#[test]
fn polls_leave_loops() {
    let mut cpu = CpuState::default();
    cpu.set(aarch64::X[0], 1000);
    *cpu.ctl.poll.get_mut() = 1;
    assert_eq!(run(&countdown(), &mut cpu), jump(ExitReason::Interrupted));
    assert_eq!([cpu.get(aarch64::X[0]), cpu.pc()], [999, 0x400]);
}

#[test]
fn long_loops_are_left_and_can_be_entered_again() {
    let mut cpu = CpuState::default();
    cpu.set(aarch64::X[0], 1000);
    let exits: Vec<Exit> = (0..4).map(|_| run(&countdown(), &mut cpu)).collect();
    assert_eq!(exits[..3], [jump(ExitReason::Interrupted); 3]);
    assert_eq!(exits[3], jump(ExitReason::Jump));
    assert_eq!(cpu.get(aarch64::X[1]), 3000);
}

#[test]
fn slots_are_written_whole_or_low() {
    let region = straight(|b| {
        let byte = b.iconst(Ty::I8, 0xab);
        b.set(Ty::I8, aarch64::V[0], byte);
        b.set(Ty::I8, aarch64::X[1], byte);
        b.set_low(Ty::I8, aarch64::X[2], byte);
        b.set_low(Ty::I8, aarch64::V[1], byte);
        let low = b.get(Ty::I32, aarch64::X[3]);
        b.set(Ty::I32, PC, low);
    });
    let mut cpu = CpuState::default();
    let ones = u128::MAX;
    cpu.set128(aarch64::V[0], ones);
    cpu.set128(aarch64::V[1], ones);
    for x in 1..4 {
        cpu.set(aarch64::X[x], u64::MAX);
    }
    run(&region, &mut cpu);
    assert_eq!([cpu.get128(aarch64::V[0]), cpu.get128(aarch64::V[1])], [0xab, !0xff | 0xab]);
    assert_eq!([cpu.get(aarch64::X[1]), cpu.get(aarch64::X[2])], [0xab, !0xff | 0xab]);
}

#[test]
fn memory_is_read_written_and_swapped() {
    #[repr(align(16))]
    struct Aligned([u128; 2]);
    let mut memory = Aligned([0x1122_3344_5566_7788_99aa_bbcc_ddee_ff80, 0]);
    let base = &raw mut memory as u64;
    let region = straight(|b| {
        let at = b.c64(base);
        let signed = b.load_sext(Ty::I32, Ty::I8, at, 0);
        b.set(Ty::I32, aarch64::X[0], signed);
        let whole = b.load(Ty::V128, at, 0);
        b.store(Ty::V128, at, 16, whole);
        let five = b.iconst(Ty::I16, 5);
        let old = b.atomic_rmw(Ty::I16, RmwOp::Add, at, five);
        b.set(Ty::I16, aarch64::X[1], old);
        let expected = b.atomic_load(Ty::I128, Ordering::SeqCst, at);
        let zero = b.wide_const(Ty::I128, 7);
        let seen = b.atomic_cas(Ty::I128, at, expected, zero);
        b.set(Ty::I128, aarch64::V[0], seen);
        let upper = b.add_imm(Ty::I64, at, 8);
        b.atomic_store(Ty::I64, Ordering::SeqCst, upper, at);
    });
    let mut cpu = CpuState::default();
    run(&region, &mut cpu);
    assert_eq!([cpu.get(aarch64::X[0]), cpu.get(aarch64::X[1])], [0xffff_ff80, 0xff80]);
    assert_eq!(cpu.get128(aarch64::V[0]), 0x1122_3344_5566_7788_99aa_bbcc_ddee_ff85);
    assert_eq!(memory.0, [u128::from(base) << 64 | 7, 0x1122_3344_5566_7788_99aa_bbcc_ddee_ff80]);
}

/// Resumes at the interpreter's recovery, as the runtime does; anything else ends the test.
extern "C" fn on_fault(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes both for SA_SIGINFO handlers.
    let (registers, address) =
        unsafe { (&mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs, (*info).si_addr() as i64) };
    match recovery(registers[libc::REG_RIP as usize] as u64) {
        Some(pc) => {
            registers[libc::REG_RAX as usize] = address;
            registers[libc::REG_RIP as usize] = pc as i64;
        }
        None => std::process::abort(),
    }
}

fn catch_faults() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only touches the context it is given.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
            libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut());
        }
    });
}

#[test]
fn faults_end_with_the_state_before_the_instruction() {
    catch_faults();
    let cases: [fn(&mut RegionBuilder<'_>, Value); 5] = [
        |b, at| {
            b.load(Ty::I32, at, 0);
        },
        |b, at| {
            b.load(Ty::V128, at, 0);
        },
        |b, at| b.store(Ty::I64, at, 0, at),
        |b, at| {
            b.atomic_rmw(Ty::I64, RmwOp::Xor, at, at);
        },
        |b, at| {
            let new = b.wide_const(Ty::I128, 7);
            b.atomic_cas(Ty::I128, at, new, new);
        },
    ];
    for body in cases {
        let region = straight(|b| {
            let at = b.c64(0x10);
            b.set(Ty::I64, aarch64::X[0], at);
            b.insn(0x404, 4);
            body(b, at);
            b.set(Ty::I64, aarch64::X[1], at);
        });
        let mut cpu = CpuState::default();
        let exit = run(&region, &mut cpu);
        assert_eq!(exit, Exit { reason: ExitReason::Fault, argument: 0x10 });
        assert_eq!([cpu.pc(), cpu.get(aarch64::X[0]), cpu.get(aarch64::X[1])], [0x404, 0x10, 0]);
    }
}
