//! The way into and out of translated code on x86_64 hosts.
//!
//! Translated code runs with rdi = [`StateAddress`] and rsp = the frame that [`enter_frame`] made, 16-byte aligned; Cranelift's
//! code is entered with rbp = rsp as well.

use super::{Entry, LinkSlot, SPILL_BYTES};
use philae_ir::CpuState;
use philae_ir::ExitReason;
use philae_ir::state::{PC, StateAddress, displacement};
use std::arch::naked_asm;
use std::mem::offset_of;

/// Where a signal handler continues after a fault in translated code, with the state's address in rdi and all other
/// registers as they were.
pub fn fault_exit_address() -> u64 {
    leave_fault as *const () as u64
}

/// Where an exit that is not linked jumps to.
pub fn resolver_address() -> u64 {
    resolve as *const () as u64
}

/// Where translated code jumps to leave, with the state's address in rdi and its exit written to it.
pub(crate) fn leave_address() -> u64 {
    leave as *const () as u64
}

/// Appends what has the address of a link slot in rsi, `lea rsi, [rip + …]`; gives where the distance to the slot is to be.
pub(crate) fn load_slot(bytes: &mut Vec<u8>) -> usize {
    bytes.extend_from_slice(&[0x48, 0x8d, 0x35, 0, 0, 0, 0]);
    bytes.len() - 4
}

/// `jmp [rsi + …]`: to an entry that the link slot in rsi leads to.
pub(crate) const fn jump_through_slot(to: Entry) -> [u8; 3] {
    let target = match to {
        Entry::Memory => offset_of!(LinkSlot, target),
        Entry::Register => offset_of!(LinkSlot, register_target),
    };
    [0xff, 0x66, target as u8]
}

/// Bytes of what [`through_slot`] appends.
pub(crate) const THROUGH_SLOT: usize = 7 + 3;

/// Appends what jumps to an entry that a link slot leads to; gives where the distance to the slot is to be.
pub(crate) fn through_slot(bytes: &mut Vec<u8>, to: Entry) -> usize {
    let field = load_slot(bytes);
    bytes.extend_from_slice(&jump_through_slot(to));
    field
}

const HOST_STACK: i32 = displacement(offset_of!(CpuState, ctl.host_stack));
const EXIT_LINK: i32 = displacement(offset_of!(CpuState, ctl.exit_link));
const EXIT_REASON: i32 = displacement(offset_of!(CpuState, ctl.exit_reason));
const PINNED: i32 = displacement(offset_of!(CpuState, ctl.pinned));

/// What lies below the saved registers: seven words after the return address leave rsp 16-byte aligned.
const FRAME: usize = SPILL_BYTES + 8;
const _: () = assert!(SPILL_BYTES.is_multiple_of(16));

/// Makes the one frame and jumps to `code`.
#[unsafe(naked)]
pub(super) unsafe extern "sysv64" fn enter_frame(state: StateAddress, code: *const u8) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, {frame}",
        "mov [rdi + {host_stack}], rsp",
        "mov qword ptr [rdi + {exit_link}], 0",
        "mov rbp, rsp",
        "jmp rsi",
        frame = const FRAME,
        host_stack = const HOST_STACK,
        exit_link = const EXIT_LINK,
    )
}

/// Drops the frame, whatever lies above it, and returns from [`enter_frame`].
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn leave(state: StateAddress) {
    naked_asm!(
        "mov rsp, [rdi + {host_stack}]",
        "add rsp, {frame}",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        frame = const FRAME,
        host_stack = const HOST_STACK,
    )
}

/// Leaves after a fault: where the registers are those of baseline code, some of the guest's are among them.
#[unsafe(naked)]
unsafe extern "sysv64" fn leave_fault(state: StateAddress) {
    naked_asm!(
        "mov [rdi + {pinned}], r8",
        "mov [rdi + {pinned} + 8], r9",
        "mov [rdi + {pinned} + 16], r10",
        "mov [rdi + {pinned} + 24], r11",
        "mov [rdi + {pinned} + 32], r12",
        "mov [rdi + {pinned} + 40], r13",
        "mov [rdi + {pinned} + 48], r14",
        "mov [rdi + {pinned} + 56], r15",
        "jmp {leave}",
        pinned = const PINNED,
        leave = sym leave,
    )
}

/// Leaves through the link slot in rsi.
#[unsafe(naked)]
unsafe extern "sysv64" fn resolve(state: StateAddress, link: *const LinkSlot) {
    naked_asm!(
        "mov [rdi + {exit_link}], rsi",
        "mov rax, [rsi + {link_pc}]",
        "mov [rdi + {pc}], rax",
        "mov dword ptr [rdi + {exit_reason}], {jump}",
        "jmp {leave}",
        exit_link = const EXIT_LINK,
        link_pc = const offset_of!(LinkSlot, pc),
        pc = const CpuState::displacement(PC),
        exit_reason = const EXIT_REASON,
        jump = const ExitReason::Jump as u32,
        leave = sym leave,
    )
}
