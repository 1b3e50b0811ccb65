//! What differs between the guests: which registers a call uses, struct layouts, flag bits, signal frames.
//!
//! In: neutral values of the families. Out: bytes and bits as the guest's own kernel headers have them.

pub mod aarch64;
pub mod x86_64;

use crate::errno::Errno;
use crate::signal::{Frame, Restored};
use crate::uaccess;
use philae_ir::processor::Model;
use philae_ir::{Arch, CpuState};
use std::ffi::CStr;

/// The number and the arguments of the system call that the registers describe.
pub fn call_registers(arch: Arch, cpu: &CpuState) -> (u64, [u64; 6]) {
    match arch {
        Arch::Aarch64 => aarch64::call_registers(cpu),
        Arch::X86_64 => x86_64::call_registers(cpu),
    }
}

/// Writes the result register of a system call, and what the call instruction itself changes.
pub fn set_result(arch: Arch, cpu: &mut CpuState, value: u64) {
    match arch {
        Arch::Aarch64 => aarch64::set_result(cpu, value),
        Arch::X86_64 => x86_64::set_result(cpu, value),
    }
}

/// Puts the program counter back to the call instruction, and the registers that its result has overwritten.
pub(crate) fn rewind(arch: Arch, cpu: &mut CpuState, number: u64, first_arg: u64) {
    match arch {
        Arch::Aarch64 => aarch64::rewind(cpu, first_arg),
        Arch::X86_64 => x86_64::rewind(cpu, number),
    }
}

/// The guest's stack pointer.
pub fn stack_pointer(arch: Arch, cpu: &CpuState) -> u64 {
    cpu.get(stack_slot(arch))
}

/// Sets the guest's stack pointer.
pub fn set_stack_pointer(arch: Arch, cpu: &mut CpuState, value: u64) {
    cpu.set(stack_slot(arch), value);
}

fn stack_slot(arch: Arch) -> philae_ir::Slot {
    match arch {
        Arch::Aarch64 => philae_ir::state::aarch64::SP,
        Arch::X86_64 => philae_ir::state::x86_64::GPR[4],
    }
}

/// Sets the thread pointer: TPIDR_EL0, or the base of FS.
pub fn set_thread_pointer(arch: Arch, cpu: &mut CpuState, value: u64) {
    match arch {
        Arch::Aarch64 => cpu.set(philae_ir::state::aarch64::TPIDR, value),
        Arch::X86_64 => cpu.set(philae_ir::state::x86_64::FS_BASE, value),
    }
}

/// Builds a signal frame and enters the handler; EFAULT if the frame cannot be written.
pub(crate) fn enter_handler(arch: Arch, cpu: &mut CpuState, frame: &Frame<'_>) -> Result<(), Errno> {
    match arch {
        Arch::Aarch64 => aarch64::enter_handler(cpu, frame),
        Arch::X86_64 => x86_64::enter_handler(cpu, frame),
    }
}

/// Restores the registers from the frame that the stack pointer is at; EFAULT if it cannot be read.
pub(crate) fn leave_handler(arch: Arch, cpu: &mut CpuState) -> Result<Restored, Errno> {
    match arch {
        Arch::Aarch64 => aarch64::leave_handler(cpu),
        Arch::X86_64 => x86_64::leave_handler(cpu),
    }
}

/// The least size of an alternate signal stack, the kernel's MINSIGSTKSZ.
pub(crate) fn least_alt_stack(arch: Arch) -> u64 {
    match arch {
        Arch::Aarch64 => 5120,
        Arch::X86_64 => 2048,
    }
}

/// AT_MINSIGSTKSZ: the bytes that a signal frame takes.
pub fn min_signal_stack(arch: Arch) -> u64 {
    match arch {
        Arch::Aarch64 => aarch64::SIGNAL_STACK,
        Arch::X86_64 => x86_64::SIGNAL_STACK,
    }
}

/// AT_PLATFORM.
pub fn platform(arch: Arch) -> &'static CStr {
    match arch {
        Arch::Aarch64 => c"aarch64",
        Arch::X86_64 => c"x86_64",
    }
}

/// AT_HWCAP and AT_HWCAP2: what the guest may use, which is what the frontends translate; `model` is that of an aarch64
/// guest.
pub fn hwcaps(arch: Arch, model: &Model) -> [u64; 2] {
    match arch {
        Arch::Aarch64 => model.hwcaps(),
        Arch::X86_64 => x86_64::HWCAPS,
    }
}

/// `e_machine` of the guest's ELF files.
pub fn elf_machine(arch: Arch) -> u16 {
    match arch {
        Arch::Aarch64 => 183,
        Arch::X86_64 => 62,
    }
}

/// The four open flags whose bits differ: O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE.
type OpenBits = [u64; 4];

const HOST_OPEN_BITS: OpenBits =
    [libc::O_DIRECTORY as u64, libc::O_NOFOLLOW as u64, libc::O_DIRECT as u64, x86_64::OPEN_BITS[3]];

fn open_bits(arch: Arch) -> &'static OpenBits {
    match arch {
        Arch::Aarch64 => &aarch64::OPEN_BITS,
        Arch::X86_64 => &x86_64::OPEN_BITS,
    }
}

/// Open flags of the guest as the host's; bits beyond the four are the same everywhere.
pub(crate) fn open_flags_to_host(arch: Arch, flags: u64) -> u64 {
    map_bits(flags, open_bits(arch), &HOST_OPEN_BITS)
}

/// Open flags of the host as the guest's.
pub(crate) fn open_flags_to_guest(arch: Arch, flags: u64) -> u64 {
    map_bits(flags, &HOST_OPEN_BITS, open_bits(arch))
}

fn map_bits(flags: u64, from: &OpenBits, to: &OpenBits) -> u64 {
    let rest = flags & !from.iter().fold(0, |all, bit| all | bit);
    from.iter().zip(to).filter(|(from, _)| flags & **from != 0).fold(rest, |flags, (_, to)| flags | to)
}

/// Writes the guest's `struct stat`.
pub(crate) fn write_stat(arch: Arch, address: u64, stat: &libc::stat) -> Result<(), Errno> {
    match arch {
        Arch::Aarch64 => uaccess::write_bytes(address, &aarch64::stat(stat)),
        Arch::X86_64 => uaccess::write_bytes(address, &x86_64::stat(stat)),
    }
}

/// `struct epoll_event` of the guest: its size, and the offset of `data`.
pub(crate) fn epoll_event_layout(arch: Arch) -> (usize, usize) {
    match arch {
        Arch::Aarch64 => (16, 8),
        Arch::X86_64 => (12, 4),
    }
}

/// Little-endian bytes of a struct, written field by field.
#[derive(Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u128(&mut self, value: u128) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.0.extend_from_slice(value);
        self
    }

    /// Zeros up to `offset`.
    pub(crate) fn pad_to(&mut self, offset: usize) -> &mut Self {
        debug_assert!(self.0.len() <= offset);
        self.0.resize(offset, 0);
        self
    }
}

/// Little-endian fields of bytes read from the guest.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[offset..offset + N]);
        bytes
    }

    pub(crate) fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.array(offset))
    }

    pub(crate) fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.array(offset))
    }

    pub(crate) fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.array(offset))
    }

    pub(crate) fn u128(&self, offset: usize) -> u128 {
        u128::from_le_bytes(self.array(offset))
    }
}
