//! x86-64 Linux: registers of a call, `struct stat`, open flags, RFLAGS, the signal frame.
//!
//! Layouts from arch/x86/include/uapi/asm/{sigcontext,ucontext,stat}.h of Linux and the FXSAVE area of the SDM,
//! volume 1, 10.5.1.

use super::{Bytes, Fields};
use crate::errno::Errno;
use crate::signal::{AltStack, Frame, Restored, sa};
use crate::uaccess::{self, bytes_of};
use philae_ir::CpuState;
use philae_ir::Slot;
use philae_ir::state::NZCV;
use philae_ir::state::x86_64::{
    ADJUST, DF, GPR, MXCSR, PARITY, RFLAGS_OTHER, X87, X87_CONTROL, X87_STATUS, X87_TAGS, XMM,
};

/// O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE: asm-generic/fcntl.h.
pub(super) const OPEN_BITS: [u64; 4] = [0o200000, 0o400000, 0o40000, 0o100000];

/// CPUID.1:EDX (FPU, TSC, MSR, PAE, CX8, SEP, CMOV, CLFSH, MMX, FXSR, SSE, SSE2), and HWCAP2_FSGSBASE: what the
/// frontend's CPUID says.
pub(super) const HWCAPS: [u64; 2] =
    [1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 11 | 1 << 15 | 1 << 19 | 0b1111 << 23, 1 << 1];

/// The frame and the FXSAVE area, with room to align.
pub(super) const SIGNAL_STACK: u64 = (FRAME_SIZE + FXSAVE_SIZE + 64 + 16) as u64 & !15;

const RAX: Slot = GPR[0];
const RCX: Slot = GPR[1];
const RDX: Slot = GPR[2];
const RSP: Slot = GPR[4];
const RSI: Slot = GPR[6];
const RDI: Slot = GPR[7];
const R11: Slot = GPR[11];

pub(super) fn call_registers(cpu: &CpuState) -> (u64, [u64; 6]) {
    let args = [RDI, RSI, RDX, GPR[10], GPR[8], GPR[9]];
    // The kernel looks at the low 32 bits of RAX, and no number is negative.
    (cpu.get(RAX) & 0xffff_ffff, args.map(|register| cpu.get(register)))
}

/// RAX, and what SYSCALL itself leaves in RCX and R11 (SDM volume 2, SYSCALL).
pub(super) fn set_result(cpu: &mut CpuState, value: u64) {
    cpu.set(RAX, value);
    cpu.set(RCX, cpu.pc());
    cpu.set(R11, pack_rflags(cpu));
}

pub(super) fn rewind(cpu: &mut CpuState, number: u64) {
    cpu.set(RAX, number);
    cpu.set_pc(cpu.pc().wrapping_sub(2));
}

const CF: u64 = 1;
const ALWAYS: u64 = 1 << 1;
const PF: u64 = 1 << 2;
const AF: u64 = 1 << 4;
const ZF: u64 = 1 << 6;
const SF: u64 = 1 << 7;
const IF: u64 = 1 << 9;
const DIRECTION: u64 = 1 << 10;
const OF: u64 = 1 << 11;
const OTHER: u64 = 1 << 18 | 1 << 21;

/// RFLAGS as PUSHF would show them, from the slots that hold them.
pub fn pack_rflags(cpu: &CpuState) -> u64 {
    let nzcv = cpu.get(NZCV);
    let parity = (cpu.get(PARITY) as u8).count_ones().is_multiple_of(2);
    let set = |condition: bool, flag: u64| if condition { flag } else { 0 };
    ALWAYS
        | IF
        | set(nzcv & 8 != 0, SF)
        | set(nzcv & 4 != 0, ZF)
        | set(nzcv & 2 != 0, CF)
        | set(nzcv & 1 != 0, OF)
        | set(parity, PF)
        | set(cpu.get(ADJUST) & 0x10 != 0, AF)
        | set(cpu.get(DF) & 1 != 0, DIRECTION)
        | cpu.get(RFLAGS_OTHER) & OTHER
}

/// Sets the slots that hold RFLAGS; bits that user code cannot change are ignored.
pub fn unpack_rflags(cpu: &mut CpuState, flags: u64) {
    let bit = |flag: u64, value: u64| if flags & flag != 0 { value } else { 0 };
    cpu.set(NZCV, bit(SF, 8) | bit(ZF, 4) | bit(CF, 2) | bit(OF, 1));
    // A byte of even parity for PF, of odd parity without.
    cpu.set(PARITY, 1 - bit(PF, 1));
    cpu.set(ADJUST, bit(AF, 0x10));
    cpu.set(DF, bit(DIRECTION, 1));
    cpu.set(RFLAGS_OTHER, flags & OTHER);
}

/// `struct stat`: 144 bytes.
pub(super) fn stat(stat: &libc::stat) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes.u64(stat.st_dev).u64(stat.st_ino).u64(stat.st_nlink).u32(stat.st_mode);
    bytes.u32(stat.st_uid).u32(stat.st_gid).u32(0).u64(stat.st_rdev);
    bytes.u64(stat.st_size as u64).u64(stat.st_blksize as u64).u64(stat.st_blocks as u64);
    bytes.u64(stat.st_atime as u64).u64(stat.st_atime_nsec as u64);
    bytes.u64(stat.st_mtime as u64).u64(stat.st_mtime_nsec as u64);
    bytes.u64(stat.st_ctime as u64).u64(stat.st_ctime_nsec as u64).pad_to(144);
    bytes.0
}

// Offsets in `struct rt_sigframe`: return address, ucontext, siginfo.
const UCONTEXT: usize = 8;
const UC_STACK: usize = UCONTEXT + 16;
const MCONTEXT: usize = UCONTEXT + 40;
const FPSTATE: usize = MCONTEXT + 184;
const UC_SIGMASK: usize = MCONTEXT + 256;
const SIGINFO: usize = UC_SIGMASK + 8;
const FRAME_SIZE: usize = SIGINFO + 128;
const FXSAVE_SIZE: usize = 512;

/// The general registers in the order of `struct sigcontext`; RIP and RFLAGS follow.
const CONTEXT_ORDER: [Slot; 16] = [
    GPR[8], GPR[9], GPR[10], GPR[11], GPR[12], GPR[13], GPR[14], GPR[15], GPR[7], GPR[6], GPR[5], GPR[3], GPR[2],
    GPR[0], GPR[1], GPR[4],
];

/// UC_SIGCONTEXT_SS and UC_STRICT_RESTORE_SS: SS is saved and restored. No UC_FP_XSTATE: the area is FXSAVE's.
const UC_FLAGS: u64 = 2 | 4;
const MXCSR_MASK: u32 = 0xffff;

pub(super) fn enter_handler(cpu: &mut CpuState, frame: &Frame<'_>) -> Result<(), Errno> {
    if frame.action.flags & sa::RESTORER == 0 {
        // The kernel requires a restorer of 64-bit programs.
        return Err(Errno::EFAULT);
    }
    let sp = cpu.get(RSP);
    // The red zone belongs to the interrupted function.
    let start = frame.alt_stack.frame_start(sp.wrapping_sub(128), frame.action.flags);
    let fpstate = start.wrapping_sub(FXSAVE_SIZE as u64) & !63;
    let base = (fpstate.wrapping_sub(FRAME_SIZE as u64) & !15).wrapping_sub(8);
    if frame.alt_stack.overflowed(sp, frame.action.flags, base) {
        return Err(Errno::EFAULT);
    }
    uaccess::write_bytes(fpstate, &fxsave(cpu))?;
    uaccess::write_bytes(base, &frame_bytes(cpu, frame, fpstate))?;

    cpu.set(RDI, frame.info.signal() as u64);
    cpu.set(RSI, base + SIGINFO as u64);
    cpu.set(RDX, base + UCONTEXT as u64);
    cpu.set(RAX, 0);
    cpu.set(RSP, base);
    cpu.set(DF, 0);
    cpu.set_pc(frame.action.handler);
    reset_fpu(cpu);
    Ok(())
}

fn frame_bytes(cpu: &CpuState, frame: &Frame<'_>, fpstate: u64) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes.u64(frame.action.restorer).u64(UC_FLAGS).u64(0).bytes(bytes_of(&frame.alt_stack));
    for register in CONTEXT_ORDER {
        bytes.u64(cpu.get(register));
    }
    bytes.u64(cpu.pc()).u64(pack_rflags(cpu));
    bytes.u16(0x33).u16(0).u16(0).u16(0x2b);
    bytes.u64(frame.fault.error).u64(frame.fault.trap).u64(frame.mask).u64(frame.fault.address).u64(fpstate);
    bytes.pad_to(UC_SIGMASK).u64(frame.mask).bytes(bytes_of(frame.info));
    bytes.0
}

/// The 512 bytes that FXSAVE64 would write.
fn fxsave(cpu: &CpuState) -> Vec<u8> {
    let status = cpu.get(X87_STATUS) as u16;
    let mut bytes = Bytes::default();
    bytes.u16(cpu.get(X87_CONTROL) as u16).u16(status).u16(cpu.get(X87_TAGS) as u16 & 0xff);
    bytes.u16(0).u64(0).u64(0).u32(cpu.get(MXCSR) as u32).u32(MXCSR_MASK);
    for index in 0..8 {
        bytes.u128(cpu.get128(X87[physical(status, index)]) & ((1 << 80) - 1));
    }
    for register in XMM {
        bytes.u128(cpu.get128(register));
    }
    bytes.pad_to(FXSAVE_SIZE);
    bytes.0
}

/// The physical register that ST(index) is: TOP is bits 11 to 13 of the status word.
fn physical(status: u16, index: usize) -> usize {
    ((status >> 11) as usize + index) % 8
}

fn fxrstor(cpu: &mut CpuState, fields: &Fields<'_>) {
    let status = fields.u16(2);
    cpu.set(X87_CONTROL, u64::from(fields.u16(0)));
    cpu.set(X87_STATUS, u64::from(status));
    cpu.set(X87_TAGS, u64::from(fields.u16(4) & 0xff));
    cpu.set(MXCSR, u64::from(fields.u32(24) & MXCSR_MASK));
    for index in 0..8 {
        cpu.set128(X87[physical(status, index)], fields.u128(32 + 16 * index) & ((1 << 80) - 1));
    }
    for (index, register) in XMM.into_iter().enumerate() {
        cpu.set128(register, fields.u128(160 + 16 * index));
    }
}

/// The state that a program and a signal handler start with.
pub fn reset_fpu(cpu: &mut CpuState) {
    cpu.set(X87_CONTROL, 0x37f);
    cpu.set(X87_STATUS, 0);
    cpu.set(X87_TAGS, 0);
    cpu.set(MXCSR, 0x1f80);
    for register in X87.into_iter().chain(XMM) {
        cpu.set128(register, 0);
    }
}

pub(super) fn leave_handler(cpu: &mut CpuState) -> Result<Restored, Errno> {
    // The handler's return took the restorer's address.
    let base = cpu.get(RSP).wrapping_sub(8);
    let mut bytes = vec![0; FRAME_SIZE];
    uaccess::read_bytes(base, &mut bytes)?;
    let fields = Fields(&bytes);
    let fpstate = fields.u64(FPSTATE);
    if fpstate == 0 {
        reset_fpu(cpu);
    } else {
        let mut area = vec![0; FXSAVE_SIZE];
        uaccess::read_bytes(fpstate, &mut area)?;
        fxrstor(cpu, &Fields(&area));
    }
    for (index, register) in CONTEXT_ORDER.into_iter().enumerate() {
        cpu.set(register, fields.u64(MCONTEXT + 8 * index));
    }
    cpu.set_pc(fields.u64(MCONTEXT + 16 * 8));
    unpack_rflags(cpu, fields.u64(MCONTEXT + 17 * 8));
    let alt_stack = AltStack {
        base: fields.u64(UC_STACK),
        flags: u64::from(fields.u32(UC_STACK + 8)),
        size: fields.u64(UC_STACK + 16),
    };
    Ok(Restored { mask: fields.u64(UC_SIGMASK), alt_stack })
}
