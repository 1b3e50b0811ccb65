//! The locks of the C library's allocator, for a clone that its fork(3) cannot make: in the child they must be free,
//! whoever held them in the parent.
//!
//! In: nothing. Out: the locks held, until [`Held::free`]. The functions are those that glibc's own fork calls, weak
//! references as there; with a C library that lacks them nothing is held.

use std::arch::global_asm;

global_asm!(
    ".pushsection .text.philae_malloc_fork, \"ax\", @progbits",
    ".weak __malloc_fork_lock_parent, __malloc_fork_unlock_parent, __malloc_fork_unlock_child",
    ".globl philae_malloc_lock, philae_malloc_unlock_parent, philae_malloc_unlock_child",
    ".hidden philae_malloc_lock, philae_malloc_unlock_parent, philae_malloc_unlock_child",
    "philae_malloc_lock:",
    "mov rax, [rip + __malloc_fork_lock_parent@GOTPCREL]",
    "jmp 2f",
    "philae_malloc_unlock_parent:",
    "mov rax, [rip + __malloc_fork_unlock_parent@GOTPCREL]",
    "jmp 2f",
    "philae_malloc_unlock_child:",
    "mov rax, [rip + __malloc_fork_unlock_child@GOTPCREL]",
    "2: test rax, rax",
    "jz 3f",
    "jmp rax",
    "3: ret",
    ".popsection",
);

unsafe extern "C" {
    fn philae_malloc_lock();
    fn philae_malloc_unlock_parent();
    fn philae_malloc_unlock_child();
}

/// On which side of the clone the locks are given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Parent,
    Child,
}

/// The allocator's locks. Nothing may be allocated while they are held.
#[must_use]
pub(crate) struct Held(());

impl Held {
    /// Takes them all.
    pub(crate) fn take() -> Held {
        // SAFETY: as glibc's fork does it, before the clone; all signals are blocked.
        unsafe { philae_malloc_lock() };
        Held(())
    }

    /// Gives them back.
    pub(crate) fn free(self, side: Side) {
        // SAFETY: as glibc's fork does it, behind the clone, once on each side.
        unsafe {
            match side {
                Side::Parent => philae_malloc_unlock_parent(),
                Side::Child => philae_malloc_unlock_child(),
            }
        }
    }
}
