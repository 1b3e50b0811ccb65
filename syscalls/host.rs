//! The raw system call of an x86_64 host, and the stub through which every call for the guest goes.
//!
//! In: a host call number and six words. Out: what the kernel returned. [`interruptible`] first looks at the
//! thread's pending-signal word, and the host's signal handler calls [`settle`] on the interrupted context, so
//! that a signal either comes before the call began (nothing has happened), or the kernel itself decides.
//! No wake-up is lost between the look and the instruction, and no table of restartable calls is needed.

use crate::errno::Errno;
use std::arch::global_asm;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

// RCX is 0 until the `syscall` instruction puts its return address there: with the program counter at the
// instruction, it tells a call that the kernel is about to restart from one that has not begun. Processors with
// FRED leave RCX alone; there, a signal exactly between look and instruction passes for a restart.
global_asm!(
    ".pushsection .text.philae_safe_syscall, \"ax\", @progbits",
    ".globl philae_safe_syscall, philae_safe_syscall_check, philae_safe_syscall_insn",
    ".globl philae_safe_syscall_done, philae_safe_syscall_not_started, philae_safe_syscall_restart",
    ".hidden philae_safe_syscall, philae_safe_syscall_check, philae_safe_syscall_insn",
    ".hidden philae_safe_syscall_done, philae_safe_syscall_not_started, philae_safe_syscall_restart",
    "philae_safe_syscall:",
    "mov rax, rsi",
    "mov r11, rdi",
    "mov rcx, rdx",
    "mov rdi, [rcx]",
    "mov rsi, [rcx + 8]",
    "mov rdx, [rcx + 16]",
    "mov r10, [rcx + 24]",
    "mov r8, [rcx + 32]",
    "mov r9, [rcx + 40]",
    "xor ecx, ecx",
    "philae_safe_syscall_check:",
    "cmp dword ptr [r11], 0",
    "jne philae_safe_syscall_not_started",
    "philae_safe_syscall_insn:",
    "syscall",
    "philae_safe_syscall_done:",
    "ret",
    "philae_safe_syscall_not_started:",
    "mov rax, -513",
    "ret",
    "philae_safe_syscall_restart:",
    "mov rax, -512",
    "ret",
    ".globl philae_syscall_rcx",
    ".hidden philae_syscall_rcx",
    "philae_syscall_rcx:",
    "mov eax, 39", // getpid
    "xor ecx, ecx",
    "syscall",
    "mov rax, rcx",
    "ret",
    ".globl philae_host_restorer",
    ".hidden philae_host_restorer",
    "philae_host_restorer:",
    "mov eax, 15",
    "syscall",
    ".popsection",
);

unsafe extern "C" {
    fn philae_safe_syscall(pending: *const AtomicU32, number: u64, args: *const [u64; 6]) -> u64;
    fn philae_safe_syscall_check();
    fn philae_safe_syscall_insn();
    fn philae_safe_syscall_done();
    fn philae_safe_syscall_not_started();
    fn philae_safe_syscall_restart();
    fn philae_syscall_rcx() -> u64;
    fn philae_host_restorer();
}

/// Does the `syscall` instruction of this processor leave RCX alone? Found out by [`examine_processor`].
static KEEPS_RCX: AtomicBool = AtomicBool::new(false);

/// Finds out what [`settle`] must know of this processor. Before the first signal is to be settled.
pub(crate) fn examine_processor() {
    // SAFETY: getpid has no effect; the stub follows the C calling convention.
    let rcx = unsafe { philae_syscall_rcx() };
    KEEPS_RCX.store(rcx == 0, Ordering::Relaxed);
}

/// A system call for Philae itself: at once, whatever signals are pending.
///
/// # Safety
/// The call may do anything that the kernel can do to this process; the arguments are the caller's promise.
pub unsafe fn raw(number: i64, args: [u64; 6]) -> Result<u64, Errno> {
    static NEVER: AtomicU32 = AtomicU32::new(0);
    // SAFETY: the stub follows the C calling convention; the rest is the caller's promise.
    Errno::check(unsafe { philae_safe_syscall(&NEVER, number as u64, &args) })
}

/// A system call for the guest: not begun if `pending` is not 0 ([`Errno::NOT_STARTED`]).
///
/// # Safety
/// As [`raw`]; pointers among the arguments may be bad (the kernel says EFAULT) but must not reach Philae's own
/// memory unless that is meant.
pub unsafe fn interruptible(pending: &AtomicU32, number: i64, args: [u64; 6]) -> Result<u64, Errno> {
    // SAFETY: the stub follows the C calling convention; the rest is the caller's promise.
    Errno::check(unsafe { philae_safe_syscall(pending, number as u64, &args) })
}

/// Where the interrupted context of a signal handler was, and where it has to go on.
/// The host's signal handler calls this for each signal that it notes.
///
/// # Safety
/// `context` is the third argument of a running SA_SIGINFO handler.
pub unsafe fn settle(context: *mut libc::ucontext_t) {
    let check = philae_safe_syscall_check as *const () as usize as i64;
    let insn = philae_safe_syscall_insn as *const () as usize as i64;
    let done = philae_safe_syscall_done as *const () as usize as i64;
    // SAFETY: the caller promises a handler's context, which nothing else refers to while the handler runs.
    let gregs = unsafe { &mut (*context).uc_mcontext.gregs };
    let pc = gregs[libc::REG_RIP as usize];
    if (check..=insn).contains(&pc) {
        let begun = gregs[libc::REG_RCX as usize] == done || KEEPS_RCX.load(Ordering::Relaxed);
        let restart = pc == insn && begun;
        gregs[libc::REG_RIP as usize] = if restart {
            philae_safe_syscall_restart as *const () as usize as i64
        } else {
            philae_safe_syscall_not_started as *const () as usize as i64
        };
    }
}

/// `struct sigaction` as the kernel takes it, on the host and on both guests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct KernelSigaction {
    /// Address of the handler, or SIG_DFL, SIG_IGN.
    pub handler: u64,
    /// SA_* flags.
    pub flags: u64,
    /// Address that the handler returns to, if SA_RESTORER is set.
    pub restorer: u64,
    /// Signals blocked while the handler runs.
    pub mask: u64,
}

/// `rt_sigaction(2)` of the host for `signal`; the C library would refuse signals 32 and 33.
pub fn sigaction(signal: i32, new: Option<KernelSigaction>) -> Result<KernelSigaction, Errno> {
    let mut old = KernelSigaction::default();
    let new = new.map(|mut action| {
        action.flags |= 0x0400_0000; // SA_RESTORER
        action.restorer = philae_host_restorer as *const () as usize as u64;
        action
    });
    let new = new.as_ref().map_or(0, |action| action as *const KernelSigaction as u64);
    let args = [signal as u64, new, &mut old as *mut KernelSigaction as u64, 8, 0, 0];
    // SAFETY: both pointers are to live structs of the kernel's layout; the handler is the runtime's.
    unsafe { raw(libc::SYS_rt_sigaction, args) }?;
    Ok(old)
}

/// Sets the calling thread's host signal mask and returns the old one.
pub fn set_mask(mask: u64) -> u64 {
    let mut old = 0u64;
    let args = [libc::SIG_SETMASK as u64, &mask as *const u64 as u64, &mut old as *mut u64 as u64, 8, 0, 0];
    // SAFETY: both pointers are to live words; blocking signals breaks nothing.
    let _ = unsafe { raw(libc::SYS_rt_sigprocmask, args) };
    old
}

/// The calling thread's host signal mask.
pub fn mask() -> u64 {
    let mut old = 0u64;
    // SAFETY: the pointer is to a live word; nothing is changed.
    let _ = unsafe { raw(libc::SYS_rt_sigprocmask, [0, 0, &mut old as *mut u64 as u64, 8, 0, 0]) };
    old
}

/// Is a capability below 32 effective for the calling thread, capabilities(7)?
pub(crate) fn is_capable(capability: u32) -> bool {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let mut data = [0u32; 6];
    let args = [header.as_ptr() as u64, data.as_mut_ptr() as u64, 0, 0, 0, 0];
    // SAFETY: two words and two sets of three words, as version 3 has them.
    unsafe { raw(libc::SYS_capget, args) }.is_ok() && data[0] >> capability & 1 != 0
}

/// Does no other thread, of any process, run in the calling thread's memory? Asking changes nothing (`unshare(2)`: a
/// process of one thread has its memory for itself). If the host cannot say: no.
pub fn is_alone() -> bool {
    // SAFETY: CLONE_VM unshares nothing; it is refused where there is somebody to share with.
    unsafe { raw(libc::SYS_unshare, [libc::CLONE_VM as u64, 0, 0, 0, 0, 0]) }.is_ok()
}

/// Starts a host thread, by `start`, with all signals blocked, and takes back what the C library takes when it makes its
/// first one: it installs a handler of its own for SIGSETXID, which the guest's C library uses as well.
pub fn starting_thread<R>(start: impl FnOnce() -> R) -> R {
    const SIGSETXID: i32 = 33;
    static TAKEN_BACK: AtomicBool = AtomicBool::new(false);
    let mask = set_mask(!0);
    let action = if TAKEN_BACK.load(Ordering::Acquire) { None } else { sigaction(SIGSETXID, None).ok() };
    let started = start();
    if let Some(action) = action {
        // Nobody else can have changed it: this is the first thread beside the calling one.
        let _ = sigaction(SIGSETXID, Some(action));
        TAKEN_BACK.store(true, Ordering::Release);
    }
    set_mask(mask);
    started
}

/// The calling thread's id.
pub fn gettid() -> u32 {
    // SAFETY: gettid has no arguments and no effect.
    unsafe { raw(libc::SYS_gettid, [0; 6]) }.unwrap_or(0) as u32
}

/// The process id.
pub fn getpid() -> u32 {
    // SAFETY: getpid has no arguments and no effect.
    unsafe { raw(libc::SYS_getpid, [0; 6]) }.unwrap_or(0) as u32
}

// SAFETY: four words.
unsafe impl crate::uaccess::Plain for KernelSigaction {}
