//! How translated code finds translated code, whichever compiler made it: the contract between the compilers and with
//! whoever owns the code.
//!
//! All code runs on one host frame, made by [`enter`]: regions jump to each other, never call, and leave by jumping to
//! a stub that returns from [`enter`]. Every translation has a *memory entry*, where the guest's registers are in the
//! state, with the state's address in rdi and the link slot it is reached through in rsi; one of the baseline compiler
//! has a *register entry* as well, where the guest registers that it pins are in host registers.
//!
//! * One [`LinkSlot`] stands for one guest address. An exit to a constant pc jumps through the slot of that address; an
//!   exit to a computed pc finds the slot in the thread's jump cache: [`JUMP_CACHE_ENTRIES`] entries of
//!   [`JumpCacheEntry`] at `ctl.jump_cache`, indexed by [`jump_cache_index`]. Linking and unlinking are stores to the
//!   slot; a slot that is not linked leads to [`resolver_address`].
//! * When [`enter`] returns, the PC slot says where the guest goes on, `ctl.exit_reason` why it left,
//!   `ctl.exit_argument` is the exit's argument, and `ctl.exit_link` the link slot it left through, or 0.
//! * From one region to the next the flags' slot and the last entry of `ctl.scratch` may hold the comparison that the
//!   flags come from; [`enter`] leaves the four bits in the slot.

use philae_ir::{CpuState, ExitReason};
use std::sync::atomic::{AtomicI32, AtomicU64};

#[cfg(target_arch = "x86_64")]
#[path = "link_x86_64.rs"]
mod host;

pub use host::{fault_exit_address, resolver_address};
pub(crate) use host::{leave, leave_address};

/// What translated code knows of a guest address that it jumps to. Read by translated code, written by whoever links.
#[derive(Debug)]
#[repr(C, align(32))]
pub struct LinkSlot {
    /// The guest address it stands for.
    pub pc: u64,
    /// Host address of the memory entry of its translation, or [`resolver_address`] while it is not linked.
    pub target: AtomicU64,
    /// Host address of the register entry of its translation, or of a stub that stores the pinned guest registers and
    /// goes on through `target`.
    pub register_target: AtomicU64,
    /// Executions left before the address is worth more than it got. Code that counts does so without an atomic
    /// operation: of two threads' counts one may be lost.
    pub heat: AtomicI32,
}

impl LinkSlot {
    /// A slot that is not linked; `spill` is the stub of its `register_target`.
    pub fn new(pc: u64, spill: u64) -> LinkSlot {
        LinkSlot {
            pc,
            target: AtomicU64::new(resolver_address()),
            register_target: AtomicU64::new(spill),
            heat: AtomicI32::new(0),
        }
    }
}

/// The exit that a link slot serves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkSite {
    /// Where the guest goes on.
    pub pc: u64,
    /// [`ExitReason::Jump`], [`ExitReason::Call`] or [`ExitReason::Return`].
    pub reason: ExitReason,
}

/// Bits of an index into a jump cache. Large programs jump to ten thousands of places, and each that is not found costs a
/// hundred nanoseconds; small ones touch no more of the table than they use.
const JUMP_CACHE_BITS: u32 = 16;
/// Entries of a jump cache.
pub const JUMP_CACHE_ENTRIES: usize = 1 << JUMP_CACHE_BITS;

/// One entry of a thread's jump cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct JumpCacheEntry {
    /// The guest address.
    pub pc: u64,
    /// The address of its [`LinkSlot`].
    pub slot: u64,
}

impl JumpCacheEntry {
    /// An entry that no guest address matches, anywhere but in the first place.
    pub const EMPTY: JumpCacheEntry = JumpCacheEntry { pc: 0, slot: 0 };
}

/// The index of the only entry of a jump cache that may hold `pc`.
pub fn jump_cache_index(pc: u64) -> usize {
    (pc >> 2 ^ pc >> (2 + JUMP_CACHE_BITS)) as usize % JUMP_CACHE_ENTRIES
}

/// How code finds the entry: its distance from the start of the table is [`JUMP_CACHE_MASK`] of the pc shifted left by
/// [`JUMP_CACHE_UP`] ^ the pc shifted right by [`JUMP_CACHE_DOWN`].
pub(crate) const JUMP_CACHE_UP: u32 = size_of::<JumpCacheEntry>().trailing_zeros() - 2;
/// See [`JUMP_CACHE_UP`].
pub(crate) const JUMP_CACHE_DOWN: u32 = JUMP_CACHE_BITS - JUMP_CACHE_UP;
/// See [`JUMP_CACHE_UP`].
pub(crate) const JUMP_CACHE_MASK: u32 = ((JUMP_CACHE_ENTRIES - 1) * size_of::<JumpCacheEntry>()) as u32;

/// Bytes at the stack pointer that the frame of [`enter`] keeps for the values of a region: code that pushes nothing
/// may use them.
pub const SPILL_BYTES: usize = 512;

/// Runs translated code until it leaves; what it leaves behind is described at the head.
///
/// # Safety
///
/// `code` is the memory entry of translated code for the state's guest that stays executable, with everything it links
/// to, until this returns, and `cpu.ctl.jump_cache` points to a jump cache of such code.
pub unsafe fn enter(code: *const u8, cpu: &mut CpuState) {
    // SAFETY: the caller vouches for the code; the frame keeps the ABI.
    unsafe { host::enter_frame(cpu, code) };
    crate::stored_flags::settle(cpu);
}
