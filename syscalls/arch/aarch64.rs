//! AArch64 Linux: registers of a call, `struct stat`, open flags, the signal frame.
//!
//! Layouts from arch/arm64/include/uapi/asm/{sigcontext,ucontext}.h and asm-generic/stat.h of Linux.

use super::{Bytes, Fields};
use crate::errno::Errno;
use crate::signal::{AltStack, FaultContext, Frame, Restored, sa};
use crate::uaccess::{self, GuestPtr, bytes_of};
use philae_ir::CpuState;
use philae_ir::state::NZCV;
use philae_ir::state::aarch64::{self, BTYPE, BTYPE_SHIFT, DIT, EXCLUSIVE_SIZE, FPCR, PSTATE, SP, SSBS, V, X};

/// O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE: arch/arm64/include/uapi/asm/fcntl.h.
pub(super) const OPEN_BITS: [u64; 4] = [0o40000, 0o100000, 0o200000, 0o400000];

/// The frame and the frame record above it, with room to align.
pub(super) const SIGNAL_STACK: u64 = FRAME_SIZE as u64 + 32;

/// `mov x8, #139; svc #0`: what a handler returns to when it brings no restorer.
pub(crate) const SIGRETURN_CODE: [u32; 2] = [0xd280_1168, 0xd400_0001];

pub(super) fn call_registers(cpu: &CpuState) -> (u64, [u64; 6]) {
    // The kernel looks at the low 32 bits of X8.
    (cpu.get(X[8]) & 0xffff_ffff, std::array::from_fn(|index| cpu.get(X[index])))
}

pub(super) fn set_result(cpu: &mut CpuState, value: u64) {
    cpu.set(X[0], value);
    // An exception return clears the exclusive monitor.
    cpu.set(EXCLUSIVE_SIZE, 0);
}

pub(super) fn rewind(cpu: &mut CpuState, first_arg: u64) {
    cpu.set(X[0], first_arg);
    cpu.set_pc(cpu.pc().wrapping_sub(4));
}

/// `struct stat`: 128 bytes.
pub(super) fn stat(stat: &libc::stat) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes.u64(stat.st_dev).u64(stat.st_ino).u32(stat.st_mode).u32(stat.st_nlink as u32);
    bytes.u32(stat.st_uid).u32(stat.st_gid).u64(stat.st_rdev).u64(0);
    bytes.u64(stat.st_size as u64).u32(stat.st_blksize as u32).u32(0).u64(stat.st_blocks as u64);
    bytes.u64(stat.st_atime as u64).u64(stat.st_atime_nsec as u64);
    bytes.u64(stat.st_mtime as u64).u64(stat.st_mtime_nsec as u64);
    bytes.u64(stat.st_ctime as u64).u64(stat.st_ctime_nsec as u64).u64(0);
    bytes.0
}

// Offsets in `struct rt_sigframe`: siginfo, then ucontext.
const UCONTEXT: usize = 128;
const UC_STACK: usize = UCONTEXT + 16;
const UC_SIGMASK: usize = UCONTEXT + 40;
const MCONTEXT: usize = UCONTEXT + 176;
const REGS: usize = MCONTEXT + 8;
const REG_SP: usize = REGS + 31 * 8;
const REG_PC: usize = REG_SP + 8;
const REG_PSTATE: usize = REG_PC + 8;
const RECORDS: usize = MCONTEXT + 288;
const FRAME_SIZE: usize = RECORDS + 4096;

const FPSIMD_MAGIC: u32 = 0x4650_8001;
const FPSIMD_SIZE: usize = 528;
const ESR_MAGIC: u32 = 0x4553_5201;
const ESR_SIZE: usize = 16;

pub(super) fn enter_handler(cpu: &mut CpuState, frame: &Frame<'_>) -> Result<(), Errno> {
    let sp = cpu.get(SP);
    let start = frame.alt_stack.frame_start(sp, frame.action.flags);
    // A frame record {x29, x30} above the frame, for unwinders.
    let record = start.wrapping_sub(16) & !15;
    let base = record.wrapping_sub(FRAME_SIZE as u64);
    if frame.alt_stack.overflowed(sp, frame.action.flags, base) {
        return Err(Errno::EFAULT);
    }
    uaccess::write_bytes(base, &frame_bytes(cpu, frame))?;
    GuestPtr::new(record).write(&[cpu.get(X[29]), cpu.get(X[30])])?;

    let restorer = if frame.action.flags & sa::RESTORER != 0 { frame.action.restorer } else { frame.trampoline };
    cpu.set(X[0], frame.info.signal() as u64);
    if frame.action.flags & sa::SIGINFO != 0 {
        cpu.set(X[1], base);
        cpu.set(X[2], base + UCONTEXT as u64);
    }
    cpu.set(SP, base);
    cpu.set(X[29], record);
    cpu.set(X[30], restorer);
    cpu.set(EXCLUSIVE_SIZE, 0);
    cpu.set_pc(frame.action.handler);
    Ok(())
}

fn frame_bytes(cpu: &CpuState, frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Bytes::default();
    if frame.action.flags & sa::SIGINFO != 0 {
        bytes.bytes(bytes_of(frame.info));
    }
    bytes.pad_to(UC_STACK).bytes(bytes_of(&frame.alt_stack));
    bytes.pad_to(UC_SIGMASK).u64(frame.mask);
    bytes.pad_to(MCONTEXT).u64(frame.fault.address);
    for register in X {
        bytes.u64(cpu.get(register));
    }
    bytes.u64(cpu.get(SP)).u64(cpu.pc()).u64(pstate(cpu));
    bytes.pad_to(RECORDS).u32(FPSIMD_MAGIC).u32(FPSIMD_SIZE as u32);
    bytes.u32(aarch64::float_status(cpu) as u32).u32(cpu.get(FPCR) as u32);
    for register in V {
        bytes.u128(cpu.get128(register));
    }
    if let Some(esr) = esr(&frame.fault) {
        bytes.u32(ESR_MAGIC).u32(ESR_SIZE as u32).u64(esr);
    }
    bytes.pad_to(FRAME_SIZE);
    bytes.0
}

/// The processor's state in the places of SPSR_EL1.
fn pstate(cpu: &CpuState) -> u64 {
    cpu.get(NZCV) << 28 | cpu.get(PSTATE) | cpu.get(BTYPE) << BTYPE_SHIFT
}

/// ESR_EL1 of an abort from EL0 (Arm ARM D24.2.40): the class, IL, WnR, and a translation or permission fault of
/// level 3. None if the fault was none of memory.
fn esr(fault: &FaultContext) -> Option<u64> {
    const PAGE_FAULT: u64 = 14;
    const PRESENT: u64 = 1 << 0;
    const WRITE: u64 = 1 << 1;
    const FETCH: u64 = 1 << 4;
    let class = if fault.error & FETCH != 0 { 0x20 } else { 0x24 };
    let write_not_read = if fault.error & WRITE != 0 { 1 << 6 } else { 0 };
    let status = if fault.error & PRESENT != 0 { 0x0f } else { 0x07 };
    (fault.trap == PAGE_FAULT).then_some(class << 26 | 1 << 25 | write_not_read | status)
}

pub(super) fn leave_handler(cpu: &mut CpuState) -> Result<Restored, Errno> {
    let base = cpu.get(SP);
    if !base.is_multiple_of(16) {
        return Err(Errno::EFAULT);
    }
    let mut bytes = vec![0; FRAME_SIZE];
    uaccess::read_bytes(base, &mut bytes)?;
    let fields = Fields(&bytes);
    restore_fpsimd(cpu, &fields)?;
    for (index, register) in X.into_iter().enumerate() {
        cpu.set(register, fields.u64(REGS + 8 * index));
    }
    cpu.set(SP, fields.u64(REG_SP));
    cpu.set_pc(fields.u64(REG_PC));
    cpu.set(NZCV, fields.u64(REG_PSTATE) >> 28 & 0xf);
    cpu.set(PSTATE, fields.u64(REG_PSTATE) & (DIT | SSBS));
    cpu.set(BTYPE, fields.u64(REG_PSTATE) >> BTYPE_SHIFT & 3);
    cpu.set(EXCLUSIVE_SIZE, 0);
    let alt_stack = AltStack {
        base: fields.u64(UC_STACK),
        flags: u64::from(fields.u32(UC_STACK + 8)),
        size: fields.u64(UC_STACK + 16),
    };
    Ok(Restored { mask: fields.u64(UC_SIGMASK), alt_stack })
}

/// Reads the chain of records up to its terminator, as parse_user_sigframe does; a frame without an FPSIMD
/// record is not valid.
fn restore_fpsimd(cpu: &mut CpuState, fields: &Fields<'_>) -> Result<(), Errno> {
    let mut at = RECORDS;
    let mut found = false;
    while at + 8 <= FRAME_SIZE {
        let (magic, size) = (fields.u32(at), fields.u32(at + 4) as usize);
        match magic {
            0 if size == 0 => break,
            FPSIMD_MAGIC if size == FPSIMD_SIZE && at + size <= FRAME_SIZE => {
                aarch64::set_float_status(cpu, u64::from(fields.u32(at + 8)));
                cpu.set(FPCR, u64::from(fields.u32(at + 12)));
                for (index, register) in V.into_iter().enumerate() {
                    cpu.set128(register, fields.u128(at + 16 + 16 * index));
                }
                found = true;
            }
            ESR_MAGIC if size == ESR_SIZE => {}
            _ => return Err(Errno::EFAULT),
        }
        at += size;
    }
    if found { Ok(()) } else { Err(Errno::EFAULT) }
}
