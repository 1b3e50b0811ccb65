//! Executable memory: one private mapping that grows from its start, so that a child of fork has its own copy.

use crate::jump_cache::EMPTY_JUMP_CACHE;
use philae_backends::cranelift::{self, Code, LinkSlot};
use philae_ir::CpuState;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much address space the arena reserves; memory is used as it fills. Relative jumps reach across it.
const SIZE: usize = 512 << 20;
/// Code starts at multiples of this, so that a short loop does not straddle a cache line.
const ALIGNMENT: usize = 32;

/// Where the arena is, for the host's signal handler: start and end.
static BOUNDS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Whether a host address lies in translated code.
pub fn contains(address: u64) -> bool {
    (BOUNDS[0].load(Ordering::Relaxed)..BOUNDS[1].load(Ordering::Relaxed)).contains(&address)
}

/// Code from the low end, link slots from the high end.
#[derive(Debug)]
pub struct Arena {
    base: NonNull<u8>,
    size: usize,
    code_end: usize,
    slots_start: usize,
}

// SAFETY: the arena owns its mapping; all access goes through `&mut self` or to bytes that are never written again.
unsafe impl Send for Arena {}

impl Arena {
    /// Maps the arena of the process's code cache.
    pub fn new() -> io::Result<Arena> {
        let arena = Arena::map(SIZE)?;
        let start = arena.base.as_ptr() as u64;
        BOUNDS[0].store(start, Ordering::Relaxed);
        BOUNDS[1].store(start + SIZE as u64, Ordering::Relaxed);
        Ok(arena)
    }

    fn map(size: usize) -> io::Result<Arena> {
        let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping at an address of the kernel's choice disturbs nothing.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("mmap does not map address 0 by itself");
        Ok(Arena { base, size, code_end: 0, slots_start: size })
    }

    /// Copies code in and gives its address, or `None` when the arena is full.
    pub fn add_code(&mut self, bytes: &[u8]) -> Option<u64> {
        let start = self.code_end.next_multiple_of(ALIGNMENT);
        let end = start.checked_add(bytes.len()).filter(|&end| end <= self.slots_start)?;
        // SAFETY: start..end lies in the mapping and above everything handed out so far, so nobody executes it.
        unsafe {
            let to = self.base.add(start);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len());
            self.code_end = end;
            Some(to.as_ptr() as u64)
        }
    }

    /// Places a link slot, which lives as long as the process, or gives `None` when the arena is full.
    pub fn add_slot(&mut self, slot: LinkSlot) -> Option<&'static LinkSlot> {
        let start = self.slots_start.checked_sub(size_of::<LinkSlot>()).filter(|&start| start >= self.code_end)?;
        self.slots_start = start;
        // SAFETY: start lies in the mapping, is aligned (SIZE and the slot's size are multiples of its alignment),
        // and was not handed out before; the mapping is never unmapped.
        unsafe {
            let to = self.base.add(start).cast::<LinkSlot>();
            to.write(slot);
            Some(to.as_ref())
        }
    }

    /// Bytes of code and bytes of link slots in use.
    pub fn used(&self) -> (usize, usize) {
        (self.code_end, self.size - self.slots_start)
    }
}

/// Executable memory for one piece of code that runs on its own.
#[derive(Debug)]
pub struct Scratch {
    arena: Arena,
    entry: u64,
}

impl Scratch {
    /// Makes `code` executable.
    pub fn new(code: &Code) -> io::Result<Scratch> {
        let mut arena = Arena::map(code.bytes.len().next_multiple_of(4096))?;
        let start = arena.add_code(&code.bytes).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Scratch { arena, entry: start + code.entry as u64 })
    }

    /// Runs it on these registers until it leaves.
    pub fn execute(&self, cpu: &mut CpuState) {
        cpu.ctl.jump_cache.store(EMPTY_JUMP_CACHE.address(), Ordering::Relaxed);
        // SAFETY: the code is whole and stays mapped while `self` lives; its only links go to the resolver.
        unsafe { cranelift::enter(self.entry as *const u8, cpu) };
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more.
        unsafe { libc::munmap(self.arena.base.as_ptr().cast(), self.arena.size) };
    }
}
