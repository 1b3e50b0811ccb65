//! Files: open(2), stat(2), readlink(2), fcntl(2), close(2), dup(2), pipe(2) and their kin.
//!
//! In: the guest's arguments. Out: the host's calls, with open flags and `struct stat` in the guest's layout and
//! paths as the host knows them. Philae's own descriptors are not the guest's to close or replace.

use crate::arch;
use crate::args::Fd;
use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::exec;
use crate::path::HostPath;
use crate::proc::{self, OwnFile, View};
use crate::uaccess::{self, GuestPtr};
use std::ffi::CString;

const O_CREAT: u64 = libc::O_CREAT as u64;
/// RESOLVE_BENEATH and RESOLVE_IN_ROOT of openat2(2): the path is the directory's business, not the sysroot's.
pub(crate) const RESOLVE_INSIDE: u64 = 0x08 | 0x10;

pub(crate) fn open(call: &mut Call<'_>, name: u64, flags: u32, mode: u32) -> Reply {
    openat(call, Fd::CWD, name, flags, mode)
}

pub(crate) fn creat(call: &mut Call<'_>, name: u64, mode: u32) -> Reply {
    let flags = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u32;
    openat(call, Fd::CWD, name, flags, mode)
}

pub(crate) fn openat(call: &mut Call<'_>, dir: Fd, name: u64, flags: u32, mode: u32) -> Reply {
    let flags = arch::open_flags_to_host(call.task.arch, u64::from(flags));
    if let Some(file) = open_own(call, dir, name, flags) {
        return file;
    }
    let host = HostPath::of(call.task, name, follows(flags))?;
    refuse_writing_to_program(dir, host.word(), flags)?;
    call.host(libc::SYS_openat, [dir.word(), host.word(), flags, u64::from(mode), 0, 0])
}

/// ETXTBSY where a program's file is to be opened for writing while it runs.
fn refuse_writing_to_program(dir: Fd, host: u64, flags: u64) -> Result<(), Errno> {
    let reads = flags & libc::O_ACCMODE as u64 == libc::O_RDONLY as u64 && flags & libc::O_TRUNC as u64 == 0;
    if !reads && flags & libc::O_PATH as u64 == 0 && exec::is_running(dir, host) { Err(Errno::ETXTBSY) } else { Ok(()) }
}

pub(crate) fn truncate(call: &mut Call<'_>, name: u64, length: u64) -> Reply {
    let host = HostPath::of(call.task, name, true)?;
    if exec::is_running(Fd::CWD, host.word()) {
        return Err(Errno::ETXTBSY);
    }
    call.pass_with([host.word(), length, 0, 0, 0, 0])
}

/// Whether an open with these flags of the host follows a symlink that is the last component.
pub(crate) fn follows(flags: u64) -> bool {
    let exclusive = flags & O_CREAT != 0 && flags & libc::O_EXCL as u64 != 0;
    flags & libc::O_NOFOLLOW as u64 == 0 && !exclusive
}

/// A file below `/proc` that shows the guest its own world.
fn open_own(call: &Call<'_>, dir: Fd, name: u64, flags: u64) -> Option<Reply> {
    let view = proc::view_at(dir, name)?;
    proc::open(call.task, view, flags)
}

pub(crate) fn openat2(call: &mut Call<'_>, dir: Fd, name: u64, how: GuestPtr<[u64; 3]>, size: u64) -> Reply {
    if size < 24 {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let [flags, mode, resolve] = how.read()?;
    let mut rest = vec![0; size as usize - 24];
    uaccess::read_bytes(how.address + 24, &mut rest)?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG);
    }
    let how = [arch::open_flags_to_host(call.task.arch, flags), mode, resolve];
    if let Some(file) = open_own(call, dir, name, how[0]) {
        return file;
    }
    let host = if resolve & RESOLVE_INSIDE != 0 {
        HostPath::Unchanged(name)
    } else {
        HostPath::of(call.task, name, follows(how[0]))?
    };
    refuse_writing_to_program(dir, host.word(), how[0])?;
    call.host(libc::SYS_openat2, [dir.word(), host.word(), how.as_ptr() as u64, 24, 0, 0])
}

pub(crate) fn open_by_handle_at(call: &mut Call<'_>, mount: Fd, handle: u64, flags: u32) -> Reply {
    let flags = arch::open_flags_to_host(call.task.arch, u64::from(flags));
    call.pass_with([mount.word(), handle, flags, 0, 0, 0])
}

pub(crate) fn fanotify_init(call: &mut Call<'_>, flags: u64, event_flags: u32) -> Reply {
    let event_flags = arch::open_flags_to_host(call.task.arch, u64::from(event_flags));
    call.pass_with([flags, event_flags, 0, 0, 0, 0])
}

pub(crate) fn stat(call: &mut Call<'_>, name: u64, to: u64) -> Reply {
    newfstatat(call, Fd::CWD, name, to, 0)
}

pub(crate) fn lstat(call: &mut Call<'_>, name: u64, to: u64) -> Reply {
    newfstatat(call, Fd::CWD, name, to, libc::AT_SYMLINK_NOFOLLOW)
}

pub(crate) fn newfstatat(call: &mut Call<'_>, dir: Fd, name: u64, to: u64, flags: i32) -> Reply {
    let host = HostPath::of(call.task, name, flags & libc::AT_SYMLINK_NOFOLLOW == 0)?;
    let mut stat = empty_stat();
    let words = [dir.word(), host.word(), &mut stat as *mut libc::stat as u64, flags as u64, 0, 0];
    call.host(libc::SYS_newfstatat, words)?;
    arch::write_stat(call.task.arch, to, &stat).map(|()| 0)
}

pub(crate) fn fstat(call: &mut Call<'_>, fd: Fd, to: u64) -> Reply {
    let mut stat = empty_stat();
    call.host(libc::SYS_fstat, [fd.word(), &mut stat as *mut libc::stat as u64, 0, 0, 0, 0])?;
    arch::write_stat(call.task.arch, to, &stat).map(|()| 0)
}

fn empty_stat() -> libc::stat {
    // SAFETY: all-zero is a valid struct stat.
    unsafe { std::mem::zeroed() }
}

pub(crate) fn readlink(call: &mut Call<'_>, name: u64, to: u64, size: i32) -> Reply {
    readlinkat(call, Fd::CWD, name, to, size)
}

pub(crate) fn readlinkat(call: &mut Call<'_>, dir: Fd, name: u64, to: u64, size: i32) -> Reply {
    if size <= 0 {
        return Err(Errno::EINVAL);
    }
    if let Some(target) = program_link(call, dir, name) {
        let target = target.to_bytes();
        let target = &target[..target.len().min(size as usize)];
        uaccess::write_bytes(to, target)?;
        return Ok(target.len() as u64);
    }
    let host = HostPath::of(call.task, name, false)?;
    call.host(libc::SYS_readlinkat, [dir.word(), host.word(), to, size as u64, 0, 0])
}

/// What `/proc/PID/exe` of the calling process, or of another Philae's, reads as.
fn program_link(call: &Call<'_>, dir: Fd, name: u64) -> Option<CString> {
    match proc::view_at(dir, name)? {
        View::Own(_, OwnFile::Exe) => Some(call.task.process.info.exe.clone()),
        View::OtherExe(process) => Some(proc::guest_name(call.task, proc::other_exe(process)?)),
        _ => None,
    }
}

pub(crate) fn fcntl(call: &mut Call<'_>, fd: Fd, command: i32, arg: u64) -> Reply {
    let fd = call.guest_fd(fd)?;
    let arch = call.task.arch;
    match command {
        libc::F_GETFL => call.pass().map(|flags| arch::open_flags_to_guest(arch, flags)),
        libc::F_SETFL => {
            let flags = arch::open_flags_to_host(arch, arg);
            call.pass_with([fd.word(), command as u64, flags, 0, 0, 0])
        }
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => duplicate(call, fd),
        _ => call.pass(),
    }
}

pub(crate) fn close(call: &mut Call<'_>, fd: Fd) -> Reply {
    call.guest_fd(fd)?;
    call.task.files.closed(i64::from(fd.0)..i64::from(fd.0) + 1);
    call.pass()
}

/// Closes everything from `first` to `last` around Philae's own.
pub(crate) fn close_range(call: &mut Call<'_>, first: u32, last: u32, flags: u32) -> Reply {
    const CLOSE_RANGE_UNSHARE: u32 = 2;
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    if first > last {
        return Err(Errno::EINVAL);
    }
    if flags & CLOSE_RANGE_CLOEXEC == 0 {
        call.task.files.closed(i64::from(first)..i64::from(last) + 1);
    }
    let mut start = first;
    let mut flags = flags;
    for own in call.task.files.own().into_iter().map(|fd| fd as u32) {
        if own < start || own > last {
            continue;
        }
        if own > start {
            call.pass_with([u64::from(start), u64::from(own - 1), u64::from(flags), 0, 0, 0])?;
            flags &= !CLOSE_RANGE_UNSHARE;
        }
        start = own + 1;
    }
    if start > last {
        return Ok(0);
    }
    call.pass_with([u64::from(start), u64::from(last), u64::from(flags), 0, 0, 0])
}

pub(crate) fn dup(call: &mut Call<'_>, fd: Fd) -> Reply {
    call.guest_fd(fd)?;
    duplicate(call, fd)
}

pub(crate) fn dup2(call: &mut Call<'_>, old: Fd, new: Fd) -> Reply {
    call.guest_fd(old)?;
    call.guest_fd(new)?;
    duplicate(call, old)
}

/// Makes the call, whose value is a duplicate of a descriptor.
fn duplicate(call: &Call<'_>, old: Fd) -> Reply {
    let new = call.pass()?;
    call.task.files.duplicated(old.0, new as i32);
    Ok(new)
}

pub(crate) fn dup3(call: &mut Call<'_>, old: Fd, new: Fd, _flags: u32) -> Reply {
    dup2(call, old, new)
}

pub(crate) fn pipe2(call: &mut Call<'_>, fds: u64, flags: u32) -> Reply {
    // O_DIRECT asks for packet mode.
    call.pass_with([fds, arch::open_flags_to_host(call.task.arch, u64::from(flags)), 0, 0, 0, 0])
}
