//! How translated code finds translated code, whichever compiler made it: the contract between the compilers and with
//! whoever owns the code.
//!
//! All code runs on one host frame, made by [`enter`]: regions jump to each other, never call, and leave by jumping to
//! a stub that returns from [`enter`]. Every translation has a *memory entry*, where the guest's registers are in the
//! state, with the state's address in rdi, and a *register entry*, where the guest registers that the baseline compiler
//! pins are in host registers: that compiler's code by itself, other code by what is added to it
//! ([`crate::baseline::bridge`]). Who comes through a link slot has its address in rsi.
//!
//! * One [`LinkSlot`] stands for one guest address. An exit to a constant pc jumps through the slot of that address; an
//!   exit to a computed pc finds the slot in the thread's jump cache: entries of [`JumpCacheEntry`] at
//!   `ctl.jump_cache`, as many as `ctl.jump_cache_mask` says, in pairs indexed by [`jump_cache_index`]. Linking and
//!   unlinking are stores to the slot; a slot that is not linked leads to [`resolver_address`].
//! * Exits to a constant pc may be made to jump straight to what a slot leads to ([`Code::exits`]), which costs
//!   a large program's many blocks much less: baseline code to register entries, other code to memory entries of its
//!   like. What goes out of use sends those who come to it on through the slot ([`crate::baseline::closed`],
//!   [`crate::baseline::bridge`]).
//! * When [`enter`] returns, the PC slot says where the guest goes on, `ctl.exit_reason` why it left,
//!   `ctl.exit_argument` is the exit's argument, and `ctl.exit_link` the link slot it left through, or 0.
//! * From one region to the next the flags' slot and `ctl.flag_operands` may hold the comparison that the
//!   flags come from; [`enter`] leaves the four bits in the slot, [`enter_unsettled`] what it finds.

#[cfg(doc)]
use crate::compiled::Code;
use philae_ir::state::StateAddress;
use philae_ir::{CpuState, ExitReason};
use std::sync::atomic::{AtomicU32, AtomicU64};

#[cfg(target_arch = "x86_64")]
#[path = "link_x86_64.rs"]
mod host;

pub(crate) use host::{THROUGH_SLOT, jump_through_slot, leave, leave_address, load_slot, through_slot};
pub use host::{fault_exit_address, resolver_address};

/// A way into a translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// With the guest's registers in the state.
    Memory,
    /// With the pinned ones in host registers.
    Register,
}

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
    /// Where its count is, an `AtomicI32`, as a distance from its own address; 0 if it has none. Counts lie apart from
    /// slots and code, as they are written all the time: what is not is memory that a fork leaves in large pages.
    pub count: i32,
    /// What the owner keeps about jumps that are to go straight to an entry once there is one.
    pub waiting: AtomicU32,
}

impl LinkSlot {
    /// A slot that is not linked; `spill` is the stub of its `register_target`.
    pub fn new(pc: u64, spill: u64) -> LinkSlot {
        LinkSlot {
            pc,
            target: AtomicU64::new(resolver_address()),
            register_target: AtomicU64::new(spill),
            count: 0,
            waiting: AtomicU32::new(0),
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

/// A guest address may be in so many entries of a jump cache, which follow each other. With one, a large program looks up
/// millions of addresses that others have displaced.
pub const JUMP_CACHE_WAYS: usize = 2;
/// Bits of the number of such a pair in the smallest jump cache.
const LEAST_JUMP_CACHE_BITS: u32 = 11;
/// Entries of the smallest jump cache. A program that starts and ends jumps to some thousand places, spread over all of
/// its code: in a large table each would be on a page of its own.
pub const LEAST_JUMP_CACHE: usize = JUMP_CACHE_WAYS << LEAST_JUMP_CACHE_BITS;
/// Entries of the largest jump cache. Large programs jump to ten thousands of places, and each that is not found costs
/// a hundred nanoseconds.
pub const LARGEST_JUMP_CACHE: usize = 1 << 17;

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
    /// An entry that no guest address matches, anywhere but in the first pair.
    pub const EMPTY: JumpCacheEntry = JumpCacheEntry { pc: 0, slot: 0 };
}

/// The index of the first of the [`JUMP_CACHE_WAYS`] entries that may hold `pc` of a jump cache of so many entries, a
/// power of two.
pub fn jump_cache_index(pc: u64, entries: usize) -> usize {
    let pair = (pc >> 2 ^ pc >> (2 + LEAST_JUMP_CACHE_BITS)) as usize & (entries / JUMP_CACHE_WAYS - 1);
    JUMP_CACHE_WAYS * pair
}

/// What `ctl.jump_cache_mask` is for a jump cache of so many entries: in units of [`JUMP_CACHE_SCALE`] bytes, as far as the
/// start of its last pair.
pub const fn jump_cache_mask(entries: usize) -> u64 {
    (((entries - JUMP_CACHE_WAYS) * size_of::<JumpCacheEntry>()) >> JUMP_CACHE_SCALE) as u64
}

/// How code finds the first entry: its distance from the start of the table is `ctl.jump_cache_mask` of the pc ^ the pc shifted
/// right by [`JUMP_CACHE_DOWN`], shifted left by this, which is a scale that addresses can have. What of a pc is looked at
/// is in its low 32 bits.
pub(crate) const JUMP_CACHE_SCALE: u32 = (JUMP_CACHE_WAYS * size_of::<JumpCacheEntry>()).trailing_zeros() - 2;
const _: () = assert!(JUMP_CACHE_SCALE <= 3);
/// See [`JUMP_CACHE_SCALE`].
pub(crate) const JUMP_CACHE_DOWN: u32 = LEAST_JUMP_CACHE_BITS;
const _: () = assert!(JUMP_CACHE_DOWN + 2 + (LARGEST_JUMP_CACHE / JUMP_CACHE_WAYS).trailing_zeros() <= 32);

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
    // SAFETY: the caller vouches for the code.
    unsafe { enter_unsettled(code, cpu) };
    settle_flags(cpu);
}

/// As [`enter`], for who goes on to enter code: whatever else looks at the flags comes after [`settle_flags`].
///
/// # Safety
///
/// As [`enter`].
pub unsafe fn enter_unsettled(code: *const u8, cpu: &mut CpuState) {
    // SAFETY: the caller vouches for the code; the frame keeps the ABI.
    unsafe { host::enter_frame(StateAddress::of(cpu), code) };
}

/// Leaves the four bits in the flags' slot, whatever translated code has left in it.
pub fn settle_flags(cpu: &mut CpuState) {
    crate::stored_flags::settle(cpu);
}
