//! The memory calls: mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), brk(2), mlock(2), shmat(2).
//!
//! In: the guest's arguments. Out: what [`Mm`](crate::mm::Mm) did.

use crate::args::Fd;
use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::host;
use crate::limits::{self, Kind};
use crate::loan::{self, by_lender};
use crate::mm::{PAGE, PROT_BTI};
use crate::task::Processor;
use philae_ir::processor::{Feature, Features};

pub(crate) fn mmap(
    call: &mut Call<'_>,
    address: u64,
    length: u64,
    prot: u32,
    flags: u32,
    fd: Fd,
    offset: u64,
) -> Reply {
    if !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let fd = if flags & libc::MAP_ANONYMOUS as u32 != 0 { Fd(-1) } else { call.guest_fd(fd)? };
    if length == 0 && fd != Fd(-1) {
        // A descriptor that is none says so first.
        call.prepare(libc::SYS_fcntl, [fd.word(), libc::F_GETFD as u64, 0, 0, 0, 0])?;
    }
    limits::check_room(call, length, kind(prot, flags))?;
    // Unlike mprotect(2), mmap(2) takes no notice of what it does not know.
    let prot = if has_guards(call) { prot } else { prot & !PROT_BTI };
    let map = |fd: i32| call.task.mm.map(address, length, prot, flags, fd, offset);
    let at = match loan::is_borrower() && fd.0 >= 0 {
        true => by_lender(|| with_descriptor_of(call.task.tid, fd, map)),
        false => by_lender(|| map(fd.0)),
    }?;
    call.task.files.mapped(fd.0, offset, at);
    Ok(at)
}

/// Calls `f` with a copy of another process's descriptor (`pidfd_getfd(2)`).
fn with_descriptor_of(pid: u32, fd: Fd, f: impl FnOnce(i32) -> Reply) -> Reply {
    // SAFETY: the descriptors that are made here are closed here.
    unsafe {
        let process = host::raw(libc::SYS_pidfd_open, [u64::from(pid), 0, 0, 0, 0, 0])?;
        let copy = host::raw(libc::SYS_pidfd_getfd, [process, fd.word(), 0, 0, 0, 0]);
        let reply = copy.and_then(|copy| f(copy as i32));
        for fd in [Ok(process), copy].into_iter().flatten() {
            let _ = host::raw(libc::SYS_close, [fd, 0, 0, 0, 0, 0]);
        }
        reply
    }
}

/// What a mapping counts as.
fn kind(prot: u32, flags: u32) -> Kind {
    let private = flags & 0xf == libc::MAP_PRIVATE as u32;
    if private && prot & libc::PROT_WRITE as u32 != 0 { Kind::Data } else { Kind::Other }
}

pub(crate) fn munmap(call: &mut Call<'_>, address: u64, length: u64) -> Reply {
    by_lender(|| call.task.mm.unmap(address, length)).map(|()| 0)
}

/// Whether the guest's processor has guarded pages.
fn has_guards(call: &Call<'_>) -> bool {
    match call.task.process.info.processor {
        Processor::Aarch64(model) => model.features.contain(Features::NONE.with(Feature::Bti)),
        Processor::X86_64 { .. } => false,
    }
}

pub(crate) fn mprotect(call: &mut Call<'_>, address: u64, length: u64, prot: u32) -> Reply {
    if prot & PROT_BTI != 0 && !has_guards(call) {
        return Err(Errno::EINVAL);
    }
    by_lender(|| call.task.mm.protect(address, length, prot)).map(|()| 0)
}

/// No protection keys: only 0, which every page has, and −1, which means none, are valid.
pub(crate) fn pkey_mprotect(call: &mut Call<'_>, address: u64, length: u64, prot: u32, key: i32) -> Reply {
    if matches!(key, -1 | 0) { mprotect(call, address, length, prot) } else { Err(Errno::EINVAL) }
}

pub(crate) fn mremap(call: &mut Call<'_>, old: u64, old_length: u64, new_length: u64, flags: u32, new: u64) -> Reply {
    limits::check_room(call, new_length.saturating_sub(old_length), Kind::Other)?;
    by_lender(|| call.task.mm.remap(old, old_length, new_length, flags, new))
}

pub(crate) fn madvise(call: &mut Call<'_>, address: u64, length: u64, advice: i32) -> Reply {
    by_lender(|| call.task.mm.advise(address, length, advice as u64)).map(|()| 0)
}

pub(crate) fn brk(call: &mut Call<'_>, end: u64) -> Reply {
    let now = by_lender(|| call.task.mm.brk(0));
    if end > now && limits::check_room(call, end - now, Kind::Data).is_err() {
        return Ok(now);
    }
    Ok(by_lender(|| call.task.mm.brk(end)))
}

/// mlock(2), mlock2(2), munlock(2): ENOMEM for Philae's own memory, which is not the guest's.
pub(crate) fn mlock(call: &mut Call<'_>, address: u64, length: u64) -> Reply {
    if call.task.mm.touches_own(&(address..address.saturating_add(length))) {
        return Err(Errno::ENOMEM);
    }
    call.pass()
}

/// EINVAL for flags that mlockall(2) does not know; EPERM and ENOMEM by the limit of locked memory, as there.
pub(crate) fn mlockall(call: &mut Call<'_>, flags: u32) -> Reply {
    const KNOWN: u32 = 7;
    const ONFAULT: u32 = 4;
    const CAP_IPC_LOCK: u32 = 14;
    if flags & !KNOWN != 0 || flags & !ONFAULT == 0 {
        return Err(Errno::EINVAL);
    }
    if !host::is_capable(CAP_IPC_LOCK) {
        let [limit, _] = call.task.process.limits.get(libc::RLIMIT_MEMLOCK);
        if limit == 0 {
            return Err(Errno::EPERM);
        }
        if flags & libc::MCL_CURRENT as u32 != 0 && call.task.mm.totals().size > limit {
            return Err(Errno::ENOMEM);
        }
    }
    by_lender(|| call.task.mm.lock_all(u64::from(flags))).map(|()| 0)
}

pub(crate) fn munlockall(call: &mut Call<'_>) -> Reply {
    by_lender(|| call.task.mm.lock_all(0)).map(|()| 0)
}

pub(crate) fn mseal(call: &mut Call<'_>, address: u64, length: u64, flags: u64) -> Reply {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    by_lender(|| call.task.mm.seal(address, length)).map(|()| 0)
}

pub(crate) fn shmat(call: &mut Call<'_>, id: i32, address: u64, flags: i32) -> Reply {
    // SAFETY: all-zero is a valid struct shmid_ds.
    let mut segment: libc::shmid_ds = unsafe { std::mem::zeroed() };
    let stat = [id as u64, libc::IPC_STAT as u64, &mut segment as *mut libc::shmid_ds as u64, 0, 0, 0];
    call.prepare(libc::SYS_shmctl, stat)?;
    limits::check_room(call, segment.shm_segsz as u64, Kind::Other)?;
    by_lender(|| call.task.mm.attach(id as u64, address, flags as u64, segment.shm_segsz as u64))
}

pub(crate) fn shmdt(call: &mut Call<'_>, address: u64) -> Reply {
    by_lender(|| call.task.mm.detach(address)).map(|()| 0)
}
