//! The signal calls: sigaction(2), sigprocmask(2), sigaltstack(2), sigpending(2), sigreturn(2).
//! Those that wait or send pass, because the host's mask and actions follow the guest's.
//!
//! In: the guest's arguments. Out: the guest's signal state, and the host's beside it.

use crate::arch;
use crate::call::{Call, Outcome, Reply, Then};
use crate::errno::Errno;
use crate::host::KernelSigaction;
use crate::signal::{self, AltStack, FaultContext, SIGNALS, SigInfo};
use crate::uaccess::{self, GuestPtr};
use philae_ir::state::{WORDS, aarch64};
use philae_ir::{Arch, Slot};

/// Bytes in a signal set.
const SET_SIZE: u64 = 8;

pub(crate) fn rt_sigaction(
    call: &mut Call<'_>,
    signal: i32,
    new: GuestPtr<KernelSigaction>,
    old: GuestPtr<KernelSigaction>,
    size: u64,
) -> Reply {
    if size != SET_SIZE || !(1..=SIGNALS).contains(&signal) {
        return Err(Errno::EINVAL);
    }
    let previous = match new.optional() {
        Some(_) if matches!(signal, libc::SIGKILL | libc::SIGSTOP) => return Err(Errno::EINVAL),
        Some(new) => {
            let mut action = new.read()?;
            action.flags &= signal::sa::KNOWN;
            action.mask &= !signal::UNTOUCHABLE;
            call.task.sighand.set_action(signal, action)?
        }
        None => call.task.sighand.action(signal),
    };
    if let Some(old) = old.optional() {
        old.write(&previous)?;
    }
    Ok(0)
}

pub(crate) fn rt_sigprocmask(
    call: &mut Call<'_>,
    how: i32,
    set: GuestPtr<u64>,
    old: GuestPtr<u64>,
    size: u64,
) -> Reply {
    if size != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let before = call.task.signals.mask;
    if let Some(set) = set.optional() {
        let set = set.read()? & !signal::UNTOUCHABLE;
        let mask = match how {
            libc::SIG_BLOCK => before | set,
            libc::SIG_UNBLOCK => before & !set,
            libc::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        change_mask(call, mask)?;
    }
    if let Some(old) = old.optional() {
        old.write(&before)?;
    }
    Ok(0)
}

/// Sets the guest's mask and the host's, unless a signal comes first: one that is noted before the change must
/// be delivered before it.
fn change_mask(call: &mut Call<'_>, mask: u64) -> Result<(), Errno> {
    let host = signal::host_mask(mask);
    if host != signal::host_mask(call.task.signals.mask) {
        let args = [libc::SIG_SETMASK as u64, &host as *const u64 as u64, 0, SET_SIZE, 0, 0];
        call.host(libc::SYS_rt_sigprocmask, args)?;
    }
    call.task.signals.mask = mask;
    Ok(())
}

pub(crate) fn rt_sigpending(call: &mut Call<'_>, to: u64, size: u64) -> Reply {
    if size > SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let mut set = 0u64;
    call.host(libc::SYS_rt_sigpending, [&mut set as *mut u64 as u64, SET_SIZE, 0, 0, 0, 0])?;
    set |= call.task.signals.held_set();
    uaccess::write_bytes(to, &set.to_le_bytes()[..size as usize])?;
    Ok(0)
}

pub(crate) fn sigaltstack(call: &mut Call<'_>, new: GuestPtr<AltStack>, old: GuestPtr<AltStack>) -> Reply {
    let arch = call.task.arch;
    let sp = arch::stack_pointer(arch, call.cpu);
    let before = call.task.signals.alt_stack.report(sp);
    if let Some(new) = new.optional() {
        let new = new.read()?;
        call.task.signals.alt_stack.change(new, sp, arch::least_alt_stack(arch))?;
    }
    if let Some(old) = old.optional() {
        old.write(&before)?;
    }
    Ok(0)
}

/// Goes back to where a signal interrupted the guest. A bad frame is SIGSEGV.
pub(crate) fn rt_sigreturn(call: &mut Call<'_>) -> Result<Outcome, Errno> {
    let arch = call.task.arch;
    let mut cpu = call.cpu.fork();
    let Ok(restored) = arch::leave_handler(arch, &mut cpu) else {
        signal::force_signal(call.task, SigInfo::kernel(libc::SIGSEGV), FaultContext::default());
        return Ok(Outcome::then(0, Then::SigReturn));
    };
    if arch == Arch::Aarch64 && !call.task.mm.has_guards() {
        cpu.set(aarch64::BTYPE, 0);
    }
    change_mask(call, restored.mask & !signal::UNTOUCHABLE)?;
    for word in (0..WORDS as u16).map(Slot) {
        call.cpu.set(word, cpu.get(word));
    }
    let sp = arch::stack_pointer(arch, call.cpu);
    // As the kernel: a stack that cannot be set stays as it is.
    let _ = call.task.signals.alt_stack.change(restored.alt_stack, sp, arch::least_alt_stack(arch));
    Ok(Outcome::then(0, Then::SigReturn))
}

const _: () = assert!(size_of::<KernelSigaction>() == 32);
