//! What hot loops cost: printed, not judged, because machines differ.

use super::*;
use crate::cranelift::Recovery;
use philae_ir::opt::optimise;
use philae_ir::state::{NZCV, aarch64};
use philae_ir::{BlockId, Carry, Cond, NanRule, Op, Slot, Ty};
use std::time::Instant;

/// A loop as a frontend makes it: `body`, then `subs x1, x1, #1; b.ne` with a poll.
fn counted_loop(body: impl FnOnce(&mut RegionBuilder<'_>)) -> Region {
    let mut region = Region::new(Arch::Aarch64, PC);
    let mut b = RegionBuilder::new(&mut region);
    b.insn(PC, 4);
    body(&mut b);
    b.insn(PC + 40, 4);
    let (x1, one) = (b.get(Ty::I64, aarch64::X[1]), b.c64(1));
    let left = b.sub(Ty::I64, x1, one);
    let flags = b.flags_sub(Ty::I64, Carry::NotBorrow, x1, one);
    b.set(Ty::I64, aarch64::X[1], left);
    b.set(Ty::Flags, NZCV, flags);
    b.insn(PC + 44, 4);
    let (poll, interrupted, done) = (b.new_block(), b.new_block(), b.new_block());
    let flags = b.get(Ty::Flags, NZCV);
    let more = b.flags_test(flags, Cond::Ne);
    b.branch(more, poll, done);
    b.switch_to(poll);
    let pending = b.poll_pending();
    b.branch(pending, interrupted, BlockId::ENTRY);
    b.switch_to(interrupted);
    b.exit(ExitReason::Interrupted, Pc::Const(PC), Value::NONE);
    b.switch_to(done);
    b.exit(ExitReason::Syscall, Pc::Const(PC + 48), Value::NONE);
    region
}

/// Post-indexed addressing: the access is before the write of the register.
fn step<T>(
    b: &mut RegionBuilder<'_>,
    slot: Slot,
    by: u64,
    access: impl FnOnce(&mut RegionBuilder<'_>, Value) -> T,
) -> T {
    let old = b.get(Ty::I64, slot);
    let result = access(b, old);
    let new = b.add_imm(Ty::I64, old, by);
    b.set(Ty::I64, slot, new);
    result
}

fn sum(b: &mut RegionBuilder<'_>) {
    let value = step(b, aarch64::X[0], 8, |b, address| b.load(Ty::I64, address, 0));
    b.set(Ty::I64, aarch64::X[3], value);
    let (total, value) = (b.get(Ty::I64, aarch64::X[2]), b.get(Ty::I64, aarch64::X[3]));
    let total = b.add(Ty::I64, total, value);
    b.set(Ty::I64, aarch64::X[2], total);
}

fn copy(b: &mut RegionBuilder<'_>) {
    let value = step(b, aarch64::X[0], 8, |b, from| b.load(Ty::I64, from, 0));
    b.set(Ty::I64, aarch64::X[3], value);
    step(b, aarch64::X[2], 8, |b, to| b.store(Ty::I64, to, 0, value));
}

/// The loop that copies words.
pub(super) fn copy_loop() -> Region {
    let mut region = counted_loop(copy);
    optimise(&mut region, Exactness::Exact);
    region
}

/// Jenkins's one at a time, on 32 bits.
fn hash(b: &mut RegionBuilder<'_>) {
    let value = step(b, aarch64::X[0], 1, |b, from| b.load_zext(Ty::I32, Ty::I8, from, 0));
    b.set(Ty::I32, aarch64::X[3], value);
    let mut steps: Vec<fn(&mut RegionBuilder<'_>, Value) -> Value> = Vec::new();
    steps.push(|b, h| {
        let value = b.get(Ty::I32, aarch64::X[3]);
        b.add(Ty::I32, h, value)
    });
    steps.push(|b, h| {
        let high = b.shl_imm(Ty::I32, h, 10);
        b.add(Ty::I32, h, high)
    });
    steps.push(|b, h| {
        let low = b.lshr_imm(Ty::I32, h, 6);
        b.xor(Ty::I32, h, low)
    });
    for step in steps {
        let h = b.get(Ty::I32, aarch64::X[2]);
        let h = step(b, h);
        b.set(Ty::I32, aarch64::X[2], h);
    }
}

fn axpy(rule: NanRule) -> impl Fn(&mut RegionBuilder<'_>) {
    move |b| {
        let x = step(b, aarch64::X[0], 8, |b, from| b.load(Ty::F64, from, 0));
        b.set(Ty::F64, aarch64::V[1], x);
        let (a, x) = (b.get(Ty::F64, aarch64::V[0]), b.get(Ty::F64, aarch64::V[1]));
        let ax = b.float2(Op::Fmul, Ty::F64, rule, a, x);
        b.set(Ty::F64, aarch64::V[1], ax);
        let to = b.get(Ty::I64, aarch64::X[2]);
        let y = b.load(Ty::F64, to, 0);
        b.set(Ty::F64, aarch64::V[2], y);
        let (y, ax) = (b.get(Ty::F64, aarch64::V[2]), b.get(Ty::F64, aarch64::V[1]));
        let sum = b.float2(Op::Fadd, Ty::F64, rule, y, ax);
        b.set(Ty::F64, aarch64::V[2], sum);
        let sum = b.get(Ty::F64, aarch64::V[2]);
        step(b, aarch64::X[2], 8, |b, to| b.store(Ty::F64, to, 0, sum));
    }
}

fn vector_axpy(b: &mut RegionBuilder<'_>) {
    let x = step(b, aarch64::X[0], 16, |b, from| b.load(Ty::V128, from, 0));
    b.set(Ty::V128, aarch64::V[1], x);
    let (a, x) = (b.get(Ty::V128, aarch64::V[0]), b.get(Ty::V128, aarch64::V[1]));
    let ax = b.float2(Op::Fmul, Ty::F32X4, NanRule::Arm, a, x);
    b.set(Ty::V128, aarch64::V[1], ax);
    let to = b.get(Ty::I64, aarch64::X[2]);
    let y = b.load(Ty::V128, to, 0);
    let ax = b.get(Ty::V128, aarch64::V[1]);
    let sum = b.float2(Op::Fadd, Ty::F32X4, NanRule::Arm, y, ax);
    b.set(Ty::V128, aarch64::V[2], sum);
    let sum = b.get(Ty::V128, aarch64::V[2]);
    step(b, aarch64::X[2], 16, |b, to| b.store(Ty::V128, to, 0, sum));
}

/// A reduction: each sum waits for the one before.
fn dot(b: &mut RegionBuilder<'_>) {
    let x = step(b, aarch64::X[0], 8, |b, from| b.load(Ty::F64, from, 0));
    let a = b.get(Ty::F64, aarch64::V[0]);
    let product = b.float2(Op::Fmul, Ty::F64, NanRule::Arm, a, x);
    let sum = b.get(Ty::F64, aarch64::V[2]);
    let sum = b.float2(Op::Fadd, Ty::F64, NanRule::Arm, sum, product);
    b.set(Ty::F64, aarch64::V[2], sum);
}

#[test]
fn hot_loops() {
    let mut compiler = Compiler::with_recovery(Recovery::InLoops);
    let mut arena = Arena::new();
    let count = 1500;
    let mut memory = vec![1.5f64; 2 * count + 16];
    let mut measure = |name: &str, region: Region| {
        for exactness in [Exactness::Relaxed, Exactness::Exact] {
            let mut region = region.clone();
            optimise(&mut region, exactness);
            let start = Instant::now();
            let mut links = |site: LinkSite| -> *const LinkSlot { panic!("no link expected to {site:?}") };
            let code =
                compiler.compile(&region, Options { exactness, counter: None }, &mut links).expect("it compiles");
            let compiling = start.elapsed().as_secs_f64() * 1e6;
            if std::env::var_os("PHILAE_TEST_DUMP").is_some() {
                let path = format!("/tmp/{name}-{exactness:?}");
                std::fs::write(format!("{path}.bin"), &code.bytes).expect("a writable /tmp");
                std::fs::write(format!("{path}.clif"), format!("{region}\n{}", compiler.clif_text())).expect("same");
            }
            let entry = arena.add(&code);
            let mut best = [f64::MAX; 2];
            for index in 0..600 {
                let rounds = [1, count][index % 2];
                let mut cpu = CpuState::default();
                cpu.set(aarch64::X[0], memory.as_mut_ptr() as u64);
                cpu.set(aarch64::X[1], rounds as u64);
                cpu.set(aarch64::X[2], memory.as_mut_ptr() as u64);
                cpu.set(aarch64::V[0], 0.5f64.to_bits());
                let start = Instant::now();
                assert_eq!(run(entry, &mut cpu), ExitReason::Syscall);
                best[index % 2] = best[index % 2].min(start.elapsed().as_secs_f64() * 1e9);
            }
            let best = (best[1] - best[0]) / (count - 1) as f64;
            let bytes = code.bytes.len();
            eprintln!("{name:12} {exactness:?}: {best:.3} ns a round, {bytes} bytes, compiled in {compiling:.0} µs");
        }
    };
    measure("sum", counted_loop(sum));
    measure("copy", counted_loop(copy));
    measure("hash", counted_loop(hash));
    measure("axpy arm", counted_loop(axpy(NanRule::Arm)));
    measure("axpy x86", counted_loop(axpy(NanRule::X86)));
    measure("axpy vector", counted_loop(vector_axpy));
    measure("dot", counted_loop(dot));
}
