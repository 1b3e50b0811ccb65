//! The host's signal handler: a fault of the guest, a bad guest pointer, a signal for the guest, or our bug.
//!
//! A fault in translated code or in an access without code makes execution return with a Fault exit; a fault
//! in a copy to or from the guest makes that copy fail; everything else that is not a fault is noted for delivery
//! and makes translated code leave. What remains is a bug of Philae's, and ends it with what is known.
//!
//! The host faults where an address of an aarch64 guest has a tag (Arm ARM D8.8), which the guest's processor ignores.
//! The access is then made where the address points without it, by a copy of the instruction with another operand, and
//! the runtime is told, so that the code to come removes tags. Interpreted accesses have none.

use crate::cache::{self, EMPTY_JUMP_CACHE, Maker, Site};
use crate::host::{self, Access, Context};
use crate::thread::Thread;
use philae_backends::{interp, link};
use philae_ir::Arch;
use philae_ir::state::{StateAddress, aarch64};
use philae_syscalls::signal::{self, FaultContext, SigInfo};
use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::Ordering;

/// The x86 vectors of an address that is not canonical (SDM volume 3, 6.15): #SS with RSP or RBP as its base, else #GP.
pub const STACK_FAULT: u64 = 12;
/// See [`STACK_FAULT`].
pub const GENERAL_PROTECTION: u64 = 13;

/// `si_code` of a signal that the kernel sends without more to say.
pub const SI_KERNEL: i32 = 0x80;
/// `si_code` of an access to what is not mapped.
pub const SEGV_MAPERR: i32 = 1;
/// `si_code` of an access that the mapping does not allow.
pub const SEGV_ACCERR: i32 = 2;

/// The last fault of the guest on this thread.
#[derive(Clone, Copy, Debug)]
pub struct HostFault {
    /// What the kernel said.
    pub info: SigInfo,
    /// What the processor said.
    pub context: FaultContext,
    /// Where in translated code it was, or 0 if there was none.
    pub host_pc: u64,
    /// What it means.
    pub kind: FaultKind,
}

/// What a fault means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// The guest may not do what it tried.
    Guest,
    /// It wrote to code, and may: the write is made again, by what the guest has there then, because what it changed may
    /// come next.
    WroteCode,
}

/// An access that is made at another address.
#[derive(Clone, Copy)]
struct Moved {
    /// Where it belongs.
    pc: u64,
    /// The register that holds the other address, and what it held before.
    register: u8,
    held: u64,
}

thread_local! {
    // `const` and without destructors: safe to use in the handler.
    static MOVED: Cell<Option<Moved>> = const { Cell::new(None) };
    static MOVED_CODE: Cell<u64> = const { Cell::new(0) };
    static THREAD: Cell<*const Thread> = const { Cell::new(std::ptr::null()) };
    static FAULT: Cell<Option<HostFault>> = const { Cell::new(None) };
}

/// Makes the calling host thread the one that runs `thread`, which stays where it is until it is detached.
pub fn attach_thread(thread: &Thread) {
    THREAD.set(thread);
}

/// The calling host thread runs no guest thread any more.
pub fn detach_thread() {
    host::unmap_moved_code(MOVED_CODE.replace(0));
    THREAD.set(std::ptr::null());
}

/// The guest thread that the calling host thread runs.
fn current() -> Option<&'static Thread> {
    // SAFETY: `attach_thread` vouches for the pointer until `detach_thread`. The handler reads what the interrupted
    // code of this same thread does not change meanwhile, and atomics.
    unsafe { THREAD.get().as_ref() }
}

/// Takes what the handler noted of the last fault.
pub fn take() -> Option<HostFault> {
    FAULT.take()
}

/// What the handler noted of the last fault, if it has not been taken yet.
pub fn peek() -> Option<HostFault> {
    FAULT.get()
}

/// Where in translated code the fault was that has not been taken yet, if there is one.
pub fn peek_host_pc() -> Option<u64> {
    peek().map(|fault| fault.host_pc).filter(|&pc| pc != 0)
}

/// The SA_SIGINFO handler of every signal that Philae catches.
pub extern "C" fn handler(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel calls this with the arguments of an SA_SIGINFO handler.
    let (details, mut context) = unsafe { (SigInfo::from_host(info), Context::new(context)) };
    let synchronous = matches!(number, libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP);
    if synchronous && details.code() > 0 {
        return fault(number, details, &mut context);
    }
    // SAFETY: as above; the context is the kernel's.
    unsafe { signal::host_signal(info, context.as_ptr()) };
    if let Some(thread) = current() {
        thread.cpu.ctl.jump_cache.store(EMPTY_JUMP_CACHE.address(), Ordering::Release);
    }
}

fn fault(number: i32, mut info: SigInfo, context: &mut Context<'_>) {
    put_back(context);
    let pc = context.pc();
    let mut said = context.fault();
    if context.is_without_address()
        && let Some(access) = tagged_access(pc)
    {
        let address = access.address(|register| context.register(register));
        if make_untagged(&access, address, context) {
            return;
        }
        let error = 4 | u64::from(access.is_write()) << 1;
        said = FaultContext { address, trap: 14, error };
        info = SigInfo::fault(libc::SIGSEGV, SEGV_MAPERR, aarch64::untagged(address));
    }
    if said.trap == STACK_FAULT && cache::contains(pc) {
        // That the host's base was RBP says nothing about the guest's.
        said.trap = GENERAL_PROTECTION;
        info = SigInfo::fault(libc::SIGSEGV, SI_KERNEL, 0);
    }
    let access = cache::contains(pc) || interp::recovery(pc).is_some() || philae_syscalls::recovery(pc).is_some();
    let refused_write = number == libc::SIGSEGV && info.code() == SEGV_ACCERR && context.is_write();
    let mut kind = FaultKind::Guest;
    if access && refused_write && writes_code(info.address()) {
        if site(pc).is_none_or(|site| site.maker != Maker::Watched) {
            return;
        }
        kind = FaultKind::WroteCode;
    }
    if cache::contains(pc) {
        FAULT.set(Some(HostFault { info, context: said, host_pc: pc, kind }));
        if let Some(recovery) = site(pc).and_then(|site| site.recovery) {
            context.set_pc(recovery);
        } else {
            let state = current().map(|thread| StateAddress::of((&raw const thread.cpu).cast_mut()));
            context.set_first_argument(state.map_or(0, StateAddress::bits));
            context.set_pc(link::fault_exit_address());
        }
    } else if let Some(recovery) = interp::recovery(pc) {
        FAULT.set(Some(HostFault { info, context: said, host_pc: 0, kind }));
        context.set_result(info.address());
        context.set_pc(recovery);
    } else if let Some(recovery) = philae_syscalls::recovery(pc) {
        context.set_pc(recovery);
    } else {
        bug(number, info, pc);
    }
}

/// The access of an aarch64 guest at `pc`, if there is one.
fn tagged_access(pc: u64) -> Option<Access> {
    let ours = cache::contains(pc) || interp::recovery(pc).is_some();
    if !ours || current()?.task.arch != Arch::Aarch64 {
        return None;
    }
    // SAFETY: an instruction that was just executed is followed by more code, in the code cache and in the interpreter.
    Access::decode(unsafe { &*(pc as *const _) })
}

/// Goes on with the access made at `address` without its tag; false if it has none.
fn make_untagged(access: &Access, address: u64, context: &mut Context<'_>) -> bool {
    let (target, pc) = (aarch64::untagged(address), context.pc());
    let Some(thread) = current() else { return false };
    if target == address || !cache::contains(pc) {
        return false;
    }
    let register = access.spare_register();
    let held = context.register(register);
    let Some(code) = host::put_moved_code(MOVED_CODE.get(), &access.moved(pc, held)) else { return false };
    MOVED_CODE.set(code);
    MOVED.set(Some(Moved { pc, register, held }));
    context.set_register(register, target);
    context.set_pc(code);
    thread.runtime.note_tag();
    thread.cpu.ctl.poll.store(1, Ordering::Release);
    thread.cpu.ctl.jump_cache.store(EMPTY_JUMP_CACHE.address(), Ordering::Release);
    true
}

/// If an access faults that was moved: makes it the one at its own place.
fn put_back(context: &mut Context<'_>) {
    if let Some(moved) = MOVED.get().filter(|_| context.pc() == MOVED_CODE.get()) {
        context.set_register(moved.register, moved.held);
        context.set_pc(moved.pc);
    }
}

/// A write to a page that code was translated from, and that the guest may write: the code goes, the write is
/// made again. No lock is held where the guest's memory is accessed.
fn writes_code(address: u64) -> bool {
    current().is_some_and(|thread| thread.task.mm.unwatch_code(address))
}

/// The access in translated code at a host address.
fn site(host_pc: u64) -> Option<Site> {
    let thread = current().filter(|_| cache::contains(host_pc))?;
    thread.runtime.cache.fault_site(host_pc)
}

/// Ends Philae for a fault in its own code.
fn bug(number: i32, info: SigInfo, host_pc: u64) -> ! {
    let guest_pc = current().map_or(0, |thread| thread.cpu.pc());
    let mut line = [0u8; 200];
    let mut rest = &mut line[..];
    let address = info.address();
    let _ = writeln!(
        rest,
        "philae: bug: signal {number} at host pc {host_pc:#x}, address {address:#x}, after guest pc {guest_pc:#x}"
    );
    let length = 200 - rest.len();
    // SAFETY: the bytes are ours; write is async-signal-safe.
    unsafe { libc::write(2, line.as_ptr().cast(), length) };
    signal::die(number)
}
