//! System calls, traps, what the processor says of itself, fences, and the state that SSE and x87 share.
//!
//! CPUID announces exactly what has bodies in this folder.

use super::operand::{Lifted, RAX, RBX, RCX, RDI, RDX, X86};
use super::x87_unit;
use crate::lift::LiftError;
use philae_ir::state::x86_64::{FS_BASE, GS_BASE, MXCSR, XMM};
use philae_ir::{Barrier, CpuState, ExitReason, Helper, HelperEffect, IntCond, Sink, Slot, Ty, Value};
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const R11: Slot = philae_ir::state::x86_64::GPR[11];

pub(super) fn nop(_: &mut X86<impl Sink>) -> Lifted {
    Ok(())
}

/// PREFETCHh, PREFETCHW.
pub(super) fn prefetch(x: &mut X86<impl Sink>) -> Lifted {
    let at = x.address();
    x.lift.b.prefetch(at.base, at.offset);
    Ok(())
}

pub(super) fn syscall(x: &mut X86<impl Sink>) -> Lifted {
    let next = x.lift.next;
    let flags = x.rflags();
    x.set(Ty::I64, R11, flags);
    let back = x.c64(next);
    x.set(Ty::I64, RCX, back);
    x.lift.leave(ExitReason::Syscall, next);
    Ok(())
}

pub(super) fn int3(x: &mut X86<impl Sink>) -> Lifted {
    let next = x.lift.next;
    x.lift.leave(ExitReason::Breakpoint, next);
    Ok(())
}

/// INT n: Linux lets user code use 3 only; the 32-bit system call gate (0x80) is undefined here.
pub(super) fn int(x: &mut X86<impl Sink>) -> Lifted {
    match x.insn.immediate8() {
        3 => int3(x),
        0x80 => Err(LiftError::Undefined),
        _ => privileged(x),
    }
}

/// HLT: privileged, but in the runtime's page it asks what EAX and EDI say: two words in RAX and RDX.
pub(super) fn hlt(x: &mut X86<impl Sink>) -> Lifted {
    let Some(helper) = x.lift.runtime_call() else { return privileged(x) };
    let question = [RAX, RDI].map(|register| x.get(Ty::I32, register));
    let answer = x.call(helper, &question);
    for (lane, register) in [(0, RAX), (1, RDX)] {
        let word = x.extract_lane(Ty::I64X2, answer, lane);
        x.set(Ty::I64, register, word);
    }
    Ok(())
}

/// What user code may not do.
pub(super) fn privileged(x: &mut X86<impl Sink>) -> Lifted {
    let pc = x.lift.pc;
    x.lift.leave(ExitReason::Protection, pc);
    Ok(())
}

pub(super) fn fence(x: &mut X86<impl Sink>, barrier: Barrier) -> Lifted {
    x.fence(barrier);
    Ok(())
}

static CPUID: Helper = Helper {
    name: "x86_cpuid",
    operands: 2,
    result: Ty::I128,
    effect: HelperEffect::Pure,
    function: |_, [leaf, subleaf, _]| {
        let [eax, ebx, ecx, edx] = cpuid_leaf(leaf as u32, subleaf as u32);
        u128::from(eax) | u128::from(ebx) << 32 | u128::from(ecx) << 64 | u128::from(edx) << 96
    },
};

/// EDX of leaf 1: FPU, TSC, MSR, PAE, CX8, SEP, CMOV, CLFSH, MMX, FXSR, SSE, SSE2.
const FEATURES_EDX: u32 = 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 11 | 1 << 15 | 1 << 19 | 0b1111 << 23;
/// ECX of leaf 1: SSE3, SSSE3, CMPXCHG16B, MOVBE, POPCNT.
const FEATURES_ECX: u32 = 1 | 1 << 9 | 1 << 13 | 1 << 22 | 1 << 23;
/// EBX of leaf 7: FSGSBASE.
const FEATURES_7_EBX: u32 = 1;
/// EDX of leaf 0x80000001: what it repeats of leaf 1, SYSCALL, NX, RDTSCP, LM.
const EXTENDED_EDX: u32 = (FEATURES_EDX & 0x0180_f3ff) & !(1 << 11) | 1 << 11 | 1 << 20 | 1 << 27 | 1 << 29;
/// ECX of leaf 0x80000001: LAHF in 64-bit mode, LZCNT (ABM), PREFETCHW.
const EXTENDED_ECX: u32 = 1 | 1 << 5 | 1 << 8;
/// A family 15 processor: what says nothing of any real model.
const SIGNATURE: u32 = 0x0000_0f00;

/// EAX, EBX, ECX, EDX of a leaf (AMD64 manual volume 3, appendix E). The vendor is AMD's, whose scans leave the
/// destination for a source of 0 and whose cache leaves are plain numbers.
pub fn cpuid_leaf(leaf: u32, _subleaf: u32) -> [u32; 4] {
    let text =
        |bytes: &[u8; 16], at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let words = |bytes: &[u8; 16]| [text(bytes, 0), text(bytes, 4), text(bytes, 8), text(bytes, 12)];
    let vendor = |max| {
        let name = b"AuthenticAMD";
        let word = |at: usize| u32::from_le_bytes([name[at], name[at + 1], name[at + 2], name[at + 3]]);
        [max, word(0), word(8), word(4)]
    };
    match leaf {
        0 => vendor(7),
        // Cache line of 64 bytes in units of 8, one logical processor.
        1 => [SIGNATURE, 8 << 8 | 1 << 16, FEATURES_ECX, FEATURES_EDX],
        7 => [0, FEATURES_7_EBX, 0, 0],
        0x8000_0000 => vendor(0x8000_0008),
        0x8000_0001 => [SIGNATURE, 0, EXTENDED_ECX, EXTENDED_EDX],
        0x8000_0002 => words(b"Philae x86-64 pr"),
        0x8000_0003 => words(b"ocessor\0\0\0\0\0\0\0\0\0"),
        // L1 data and instruction caches: 32 KiB, 8-way, lines of 64 bytes.
        0x8000_0005 => [0, 0, 0x2008_0140, 0x2008_0140],
        // L2 512 KiB, 8-way; L3 8 MiB, 16-way.
        0x8000_0006 => [0, 0, 0x0200_6140, 0x0040_8140],
        // 48 bits of physical and of virtual address.
        0x8000_0008 => [0x3030, 0, 0, 0],
        _ => [0; 4],
    }
}

pub(super) fn cpuid(x: &mut X86<impl Sink>) -> Lifted {
    let (leaf, subleaf) = (x.get(Ty::I32, RAX), x.get(Ty::I32, RCX));
    let all = x.call(&CPUID, &[leaf, subleaf]);
    let (low, high) = (x.low(Ty::I128, all), x.high(Ty::I128, all));
    for (pair, first, second) in [(low, RAX, RBX), (high, RCX, RDX)] {
        let lower = x.and_imm(Ty::I64, pair, u64::from(u32::MAX));
        x.set(Ty::I64, first, lower);
        let upper = x.lshr_imm(Ty::I64, pair, 32);
        x.set(Ty::I64, second, upper);
    }
    Ok(())
}

static TIME_STAMP: Helper = Helper {
    name: "x86_time_stamp",
    operands: 0,
    result: Ty::I64,
    effect: HelperEffect::State,
    function: |_: &mut CpuState, _| u128::from(time_stamp()),
};

/// A counter of nanoseconds that never goes back: the time stamp of a processor of 1 GHz.
fn time_stamp() -> u64 {
    static START: OnceLock<(Instant, u64)> = OnceLock::new();
    let (start, base) = START.get_or_init(|| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (Instant::now(), since_epoch.as_nanos() as u64)
    });
    base.wrapping_add(start.elapsed().as_nanos() as u64)
}

pub(super) fn rdtsc(x: &mut X86<impl Sink>) -> Lifted {
    let stamp = x.call(&TIME_STAMP, &[]);
    let low = x.and_imm(Ty::I64, stamp, u64::from(u32::MAX));
    let high = x.lshr_imm(Ty::I64, stamp, 32);
    x.set(Ty::I64, RAX, low);
    x.set(Ty::I64, RDX, high);
    Ok(())
}

/// RDTSCP: TSC_AUX holds processor and node, both 0.
pub(super) fn rdtscp(x: &mut X86<impl Sink>) -> Lifted {
    rdtsc(x)?;
    let zero = x.c64(0);
    x.set(Ty::I64, RCX, zero);
    Ok(())
}

/// RDFSBASE and RDGSBASE.
pub(super) fn read_segment_base(x: &mut X86<impl Sink>, slot: Slot) -> Lifted {
    let ty = x.ty(0)?;
    let base = x.get(ty, slot);
    x.write_operand(0, ty, base)
}

/// WRFSBASE and WRGSBASE: a base that is not canonical is refused.
pub(super) fn write_segment_base(x: &mut X86<impl Sink>, slot: Slot) -> Lifted {
    let ty = x.ty(0)?;
    let base = x.value(0, ty)?;
    let base = x.zext_from(ty, Ty::I64, base);
    let sign = x.ashr_imm(Ty::I64, base, 47);
    let above = x.add_imm(Ty::I64, sign, 1);
    let refused = x.icmp_imm(Ty::I64, IntCond::Ugt, above, 1);
    x.lift.leave_if(refused, ExitReason::Protection, Value::NONE);
    x.set(Ty::I64, slot, base);
    Ok(())
}

pub(super) fn rdfsbase(x: &mut X86<impl Sink>) -> Lifted {
    read_segment_base(x, FS_BASE)
}

pub(super) fn rdgsbase(x: &mut X86<impl Sink>) -> Lifted {
    read_segment_base(x, GS_BASE)
}

pub(super) fn wrfsbase(x: &mut X86<impl Sink>) -> Lifted {
    write_segment_base(x, FS_BASE)
}

pub(super) fn wrgsbase(x: &mut X86<impl Sink>) -> Lifted {
    write_segment_base(x, GS_BASE)
}

/// The MXCSR bits that exist, as FXSAVE announces them.
const MXCSR_MASK: u64 = 0xffff;

/// What follows may round differently: the runtime has to see the new control word first.
fn new_float_control(x: &mut X86<impl Sink>) {
    x.lift.leave(ExitReason::Interrupted, x.lift.next);
}

/// Refuses a new MXCSR with bits that do not exist.
fn check_mxcsr(x: &mut X86<impl Sink>, value: Value) {
    let reserved = x.and_imm(Ty::I32, value, !MXCSR_MASK);
    let refused = x.icmp_imm(Ty::I32, IntCond::Ne, reserved, 0);
    x.lift.leave_if(refused, ExitReason::Protection, Value::NONE);
}

pub(super) fn ldmxcsr(x: &mut X86<impl Sink>) -> Lifted {
    let value = x.value(0, Ty::I32)?;
    check_mxcsr(x, value);
    x.set(Ty::I32, MXCSR, value);
    new_float_control(x);
    Ok(())
}

pub(super) fn stmxcsr(x: &mut X86<impl Sink>) -> Lifted {
    let value = x.get(Ty::I32, MXCSR);
    x.write_operand(0, Ty::I32, value)
}

/// The address of an FXSAVE area: it must be a multiple of 16.
fn save_area(x: &mut X86<impl Sink>) -> Value {
    let at = x.address();
    let pointer = x.pointer(at);
    let low = x.and_imm(Ty::I64, pointer, 15);
    let misaligned = x.icmp_imm(Ty::I64, IntCond::Ne, low, 0);
    x.lift.leave_if(misaligned, ExitReason::Protection, Value::NONE);
    pointer
}

/// FXSAVE, with and without REX.W: instruction and operand pointers are 0 in both.
pub(super) fn fxsave(x: &mut X86<impl Sink>) -> Lifted {
    let area = save_area(x);
    let header = x.call(&x87_unit::HEADER, &[]);
    x.store(Ty::I64, area, 0, header);
    let zero = x.c64(0);
    x.store(Ty::I64, area, 8, zero);
    x.store(Ty::I64, area, 16, zero);
    let mxcsr = x.get(Ty::I32, MXCSR);
    x.store(Ty::I32, area, 24, mxcsr);
    let mask = x.iconst(Ty::I32, MXCSR_MASK);
    x.store(Ty::I32, area, 28, mask);
    for i in 0..8 {
        let index = x.iconst(Ty::I32, i);
        let register = x.call(&x87_unit::REGISTER, &[index]);
        x.store(Ty::I128, area, 32 + 16 * i as i64, register);
    }
    for (i, slot) in XMM.into_iter().enumerate() {
        let register = x.get(Ty::V128, slot);
        x.store(Ty::V128, area, 160 + 16 * i as i64, register);
    }
    Ok(())
}

pub(super) fn fxrstor(x: &mut X86<impl Sink>) -> Lifted {
    let area = save_area(x);
    let header = x.load(Ty::I64, area, 0);
    let mxcsr = x.load(Ty::I32, area, 24);
    let stack: [Value; 8] = std::array::from_fn(|i| x.load(Ty::I128, area, 32 + 16 * i as i64));
    let vectors: [Value; 16] = std::array::from_fn(|i| x.load(Ty::V128, area, 160 + 16 * i as i64));
    check_mxcsr(x, mxcsr);
    x.set(Ty::I32, MXCSR, mxcsr);
    x.call(&x87_unit::SET_HEADER, &[header]);
    for (i, value) in stack.into_iter().enumerate() {
        let index = x.iconst(Ty::I32, i as u64);
        x.call(&x87_unit::SET_REGISTER, &[index, value]);
    }
    for (slot, value) in XMM.into_iter().zip(vectors) {
        x.set(Ty::V128, slot, value);
    }
    new_float_control(x);
    Ok(())
}
