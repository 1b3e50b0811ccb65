//! execve(2): from a path to a program, `#!` scripts included.
//!
//! In: a path, arguments and environment in guest memory. Out: an [`ExecRequest`] in which everything that can
//! fail has been tried (ENOENT, EACCES, ENOEXEC, ELOOP, E2BIG…), for the runtime to carry out.

use crate::arch::{self, Fields};
use crate::args::Fd;
use crate::call::{Call, Outcome, Then};
use crate::errno::Errno;
use crate::host;
use crate::path;
use crate::task::{Inheritance, Task};
use crate::uaccess::{self, GuestPtr};
use philae_ir::Arch;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// Who runs a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExecTarget {
    /// Philae, with this guest.
    Guest(Arch),
    /// The host kernel, or whatever it has for that machine: the ELF file is for neither guest.
    Host,
}

/// A program to replace the running one.
#[derive(Debug)]
pub struct ExecRequest {
    /// Who runs it.
    pub target: ExecTarget,
    /// The program (of a script: its interpreter), open for reading, close-on-exec.
    pub file: OwnedFd,
    /// Its path on the host.
    pub host_path: CString,
    /// Its path as the guest gave it, or as the script did: AT_EXECFN.
    pub name: CString,
    /// Its absolute path as the guest sees it: `/proc/self/exe`.
    pub exe: CString,
    /// The arguments, a script's interpreter put first.
    pub argv: Vec<CString>,
    /// The environment.
    pub envp: Vec<CString>,
    /// What else the new program takes over.
    pub inheritance: Inheritance,
}

/// MAX_ARG_STRLEN of the kernel: the longest single string, NUL included.
const MAX_STRING: usize = 128 << 10;
/// What arguments and environment may take together: a quarter of the stack's limit, between these (ARG_MAX, and
/// three quarters of the default stack), execve(2).
const ROOM: [u64; 2] = [128 << 10, 6 << 20];
/// BINPRM_BUF_SIZE: how much of a file decides what it is.
const HEAD: usize = 256;
/// Interpreters of interpreters that the kernel follows.
const MAX_DEPTH: usize = 5;

pub(crate) fn execve(call: &mut Call<'_>, name: u64, argv: u64, envp: u64) -> Result<Outcome, Errno> {
    let name = uaccess::read_string(name, path::PATH_MAX)?;
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    start(call.task, name, argv, envp)
}

/// As the kernel: whether the file can be executed at all comes before the arguments.
fn start(task: &Task, name: CString, argv: u64, envp: u64) -> Result<Outcome, Errno> {
    open_executable(&host_path(task, &name, true))?;
    let (argv, envp) = read_strings(task, &name, argv, envp)?;
    let request = request(task, name, argv, envp)?;
    Ok(Outcome::then(0, Then::Exec(Box::new(request))))
}

pub(crate) fn execveat(
    call: &mut Call<'_>,
    dir: Fd,
    name: u64,
    argv: u64,
    envp: u64,
    flags: i32,
) -> Result<Outcome, Errno> {
    /// AT_EXECVE_CHECK of linux/fcntl.h: only ask whether it can be executed.
    const CHECK: i32 = 0x10000;
    let name = uaccess::read_string(name, path::PATH_MAX)?;
    if flags & !(libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW | CHECK) != 0 {
        return Err(Errno::EINVAL);
    }
    if name.is_empty() && flags & libc::AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT);
    }
    let name = if name.to_bytes().starts_with(b"/") || dir == Fd::CWD {
        name
    } else {
        // As the kernel names it, so that a script's interpreter can open it.
        let below = if name.is_empty() { Vec::new() } else { [b"/", name.to_bytes()].concat() };
        CString::new([format!("/dev/fd/{}", dir.0).into_bytes(), below].concat()).map_err(|_| Errno::EINVAL)?
    };
    if flags & libc::AT_SYMLINK_NOFOLLOW != 0 && is_symlink(call.task, &name) {
        return Err(Errno::ELOOP);
    }
    if flags & CHECK != 0 {
        return open_executable(&host_path(call.task, &name, true)).map(|_| Outcome::value(0));
    }
    start(call.task, name, argv, envp)
}

fn is_symlink(task: &Task, name: &CStr) -> bool {
    let host = host_path(task, name, false);
    std::fs::symlink_metadata(std::ffi::OsString::from_vec(host.into_bytes())).is_ok_and(|kind| kind.is_symlink())
}

fn host_path(task: &Task, name: &CStr, follow: bool) -> CString {
    path::translate(task, name, follow).unwrap_or_else(|| name.to_owned())
}

/// Both vectors of strings; NULL is an empty vector. E2BIG as the kernel counts: the pointers and the strings, the
/// program's name among them.
fn read_strings(task: &Task, name: &CStr, argv: u64, envp: u64) -> Result<(Vec<CString>, Vec<CString>), Errno> {
    let [stack, _] = task.process.limits.get(libc::RLIMIT_STACK);
    let mut room = (stack / 4).clamp(ROOM[0], ROOM[1]);
    let argv = read_vector(argv, &mut room)?;
    let envp = read_vector(envp, &mut room)?;
    let more = name.to_bytes_with_nul().len() + if argv.is_empty() { 8 } else { 0 };
    if room < more as u64 { Err(Errno::E2BIG) } else { Ok((argv, envp)) }
}

fn read_vector(address: u64, room: &mut u64) -> Result<Vec<CString>, Errno> {
    let mut strings = Vec::new();
    if address == 0 {
        return Ok(strings);
    }
    loop {
        let string = GuestPtr::<u64>::new(address).at(strings.len()).read()?;
        if string == 0 {
            return Ok(strings);
        }
        let string = uaccess::read_string(string, MAX_STRING).map_err(|error| match error {
            Errno::ENAMETOOLONG => Errno::E2BIG,
            other => other,
        })?;
        *room = room.checked_sub(string.to_bytes_with_nul().len() as u64 + 8).ok_or(Errno::E2BIG)?;
        strings.push(string);
    }
}

/// Finds the program that `name` leads to.
fn request(task: &Task, asked: CString, argv: Vec<CString>, envp: Vec<CString>) -> Result<ExecRequest, Errno> {
    let mut name = asked.clone();
    let mut argv = argv;
    if argv.is_empty() {
        // Linux gives every program an argv[0].
        argv.push(CString::default());
    }
    for _ in 0..=MAX_DEPTH {
        let host_path = host_path(task, &name, true);
        let file = open_executable(&host_path)?;
        let head = read_head(&file)?;
        if head.starts_with(b"#!") {
            let (interpreter, argument) = parse_script(&head)?;
            let rest = argv.split_off(1);
            argv = vec![interpreter.clone()];
            argv.extend(argument);
            argv.push(name);
            argv.extend(rest);
            name = interpreter;
            continue;
        }
        let target = elf_target(&head)?;
        if target == ExecTarget::Host && task.seccomp.count() > 0 {
            // The host would not apply the guest's filters.
            return Err(Errno::EACCES);
        }
        let exe = exe_path(task, &file, &host_path);
        let inheritance = Inheritance::of(task);
        return Ok(ExecRequest { target, file, host_path, name: asked, exe, argv, envp, inheritance });
    }
    Err(Errno::ELOOP)
}

/// Opens a regular file that the caller may execute; EACCES otherwise, or what opening says.
fn open_executable(path: &CStr) -> Result<OwnedFd, Errno> {
    let pointer = path.as_ptr() as u64;
    let cwd = Fd::CWD.word();
    let access = [cwd, pointer, libc::X_OK as u64, libc::AT_EACCESS as u64, 0, 0];
    // SAFETY: the path is NUL-terminated.
    unsafe { host::raw(libc::SYS_faccessat2, access) }?;
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY) as u64;
    // SAFETY: as above.
    let fd = unsafe { host::raw(libc::SYS_openat, [cwd, pointer, flags, 0, 0, 0]) }?;
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    let file = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // SAFETY: all-zero is a valid struct stat and struct statfs.
    let (mut stat, mut system): (libc::stat, libc::statfs64) = unsafe { std::mem::zeroed() };
    // SAFETY: both structs have the kernel's layout.
    unsafe {
        host::raw(libc::SYS_fstat, [fd, &mut stat as *mut libc::stat as u64, 0, 0, 0, 0])?;
        host::raw(libc::SYS_fstatfs, [fd, &mut system as *mut libc::statfs64 as u64, 0, 0, 0, 0])?;
    }
    let executable = stat.st_mode & 0o111 != 0;
    let regular = stat.st_mode & libc::S_IFMT == libc::S_IFREG;
    let no_exec = system.f_flags as u64 & libc::ST_NOEXEC != 0;
    match regular && executable && !no_exec {
        true if is_written(&file) => Err(Errno::ETXTBSY),
        true => Ok(file),
        false => Err(Errno::EACCES),
    }
}

/// Has somebody opened the file for writing? The kernel gives a read lease on others only (F_SETLEASE of fcntl(2));
/// where it gives none at all, that stays unknown.
fn is_written(file: &OwnedFd) -> bool {
    let fcntl = |command: i32, value: i32| {
        let args = [file.as_raw_fd() as u64, command as u64, value as u64, 0, 0, 0];
        // SAFETY: a lease on a descriptor that is ours; it is given back at once.
        unsafe { host::raw(libc::SYS_fcntl, args) }
    };
    // Who opens the file meanwhile makes the kernel send this signal, which is ignored by default.
    const F_SETSIG: i32 = 10;
    let _ = fcntl(F_SETSIG, libc::SIGURG);
    match fcntl(libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(_) => {
            let _ = fcntl(libc::F_SETLEASE, libc::F_UNLCK);
            false
        }
        Err(error) => error == Errno::EAGAIN,
    }
}

/// `struct flock` for the byte far behind every file's end that a Philae locks in the file of the program that it runs.
/// The host kernel keeps writers from Philae's own file only; the lock goes with the last copy of its descriptor, as the
/// kernel's own does with the last process.
fn running_lock(kind: i32) -> libc::flock {
    const PLACE: i64 = i64::MAX - 1;
    // SAFETY: all-zero is a valid struct flock.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_whence, lock.l_start, lock.l_len) = (kind as i16, libc::SEEK_SET as i16, PLACE, 1);
    lock
}

/// Tells every Philae that the program in this file runs, for as long as the descriptor is open somewhere. A file system
/// without locks keeps nobody from writing.
pub fn mark_running(file: &impl AsRawFd) {
    let lock = running_lock(libc::F_RDLCK);
    let args = [file.as_raw_fd() as u64, libc::F_OFD_SETLK as u64, &raw const lock as u64, 0, 0, 0];
    // SAFETY: the struct is the kernel's.
    let _ = unsafe { host::raw(libc::SYS_fcntl, args) };
}

/// Is this host path, below `dir` if it is relative, that of a program that a Philae runs?
pub(crate) fn is_running(dir: Fd, path: u64) -> bool {
    // SAFETY: all-zero is a valid struct stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the struct is the kernel's; a bad path is EFAULT.
    let known = unsafe { host::raw(libc::SYS_newfstatat, [dir.word(), path, &raw mut stat as u64, 0, 0, 0]) };
    if known.is_err() || stat.st_mode & libc::S_IFMT != libc::S_IFREG || stat.st_mode & 0o111 == 0 {
        return false;
    }
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY) as u64;
    // SAFETY: as above.
    let Ok(fd) = (unsafe { host::raw(libc::SYS_openat, [dir.word(), path, flags, 0, 0, 0]) }) else { return false };
    let mut lock = running_lock(libc::F_WRLCK);
    let args = [fd, libc::F_OFD_GETLK as u64, &raw mut lock as u64, 0, 0, 0];
    // SAFETY: the struct is the kernel's; the descriptor was made here.
    let asked = unsafe {
        let asked = host::raw(libc::SYS_fcntl, args);
        let _ = host::raw(libc::SYS_close, [fd, 0, 0, 0, 0, 0]);
        asked
    };
    asked.is_ok() && i32::from(lock.l_type) != libc::F_UNLCK
}

fn read_head(file: &impl AsRawFd) -> Result<Vec<u8>, Errno> {
    let mut head = vec![0; HEAD];
    let args = [file.as_raw_fd() as u64, head.as_mut_ptr() as u64, HEAD as u64, 0, 0, 0];
    // SAFETY: the buffer is writable for its length.
    let count = unsafe { host::raw(libc::SYS_pread64, args) }?;
    head.truncate(count as usize);
    Ok(head)
}

/// The interpreter and its one optional argument, from the first 256 bytes of a file that begins with `#!`: the
/// kernel's load_script(). ENOEXEC for a line that it would not take.
pub fn parse_script(head: &[u8]) -> Result<(CString, Option<CString>), Errno> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let line_end = head.iter().position(|byte| *byte == b'\n');
    let line = &head[2..line_end.unwrap_or(head.len())];
    let line = &line[..line.iter().position(|byte| *byte == 0).unwrap_or(line.len())];
    let start = line.iter().position(|byte| !blank(byte)).ok_or(Errno::ENOEXEC)?;
    let line = &line[start..];
    let name_end = line.iter().position(blank);
    // A name that the head cuts off could be any name.
    if line_end.is_none() && name_end.is_none() && head.len() == HEAD {
        return Err(Errno::ENOEXEC);
    }
    let (name, rest) = line.split_at(name_end.unwrap_or(line.len()));
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::ENOEXEC);
    let first = rest.iter().position(|byte| !blank(byte));
    let last = rest.iter().rposition(|byte| !blank(byte));
    let argument = match (first, last) {
        (Some(first), Some(last)) => Some(text(&rest[first..=last])?),
        _ => None,
    };
    Ok((text(name)?, argument))
}

/// Whose program an ELF header says it is; ENOEXEC if it is no ELF program.
fn elf_target(head: &[u8]) -> Result<ExecTarget, Errno> {
    const CLASS_64: u8 = 2;
    const LITTLE_ENDIAN: u8 = 1;
    const TYPES: [u16; 2] = [2, 3];
    if head.len() < 64 || !head.starts_with(b"\x7fELF") {
        return Err(Errno::ENOEXEC);
    }
    if head[4] != CLASS_64 || head[5] != LITTLE_ENDIAN {
        return Ok(ExecTarget::Host);
    }
    if !TYPES.contains(&Fields(head).u16(16)) {
        return Err(Errno::ENOEXEC);
    }
    let machine = Fields(head).u16(18);
    let guest = [Arch::Aarch64, Arch::X86_64].into_iter().find(|arch| arch::elf_machine(*arch) == machine);
    Ok(guest.map_or(ExecTarget::Host, ExecTarget::Guest))
}

/// The absolute path of the open file without links, as the guest sees it.
fn exe_path(task: &Task, file: &OwnedFd, host_path: &CStr) -> CString {
    let Ok(real) = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) else {
        return host_path.to_owned();
    };
    let inside = task.fs.sysroot.as_ref().and_then(|sysroot| {
        let below = real.strip_prefix(sysroot.root()).ok()?;
        Some(std::path::Path::new("/").join(below))
    });
    CString::new(inside.unwrap_or(real).into_os_string().into_vec()).unwrap_or_else(|_| host_path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(head: &[u8]) -> Result<(String, Option<String>), Errno> {
        let text = |string: CString| string.into_string().unwrap();
        parse_script(head).map(|(name, argument)| (text(name), argument.map(text)))
    }

    #[test]
    fn scripts_name_an_interpreter_and_one_argument() {
        assert_eq!(script(b"#!/bin/sh\n"), Ok(("/bin/sh".into(), None)));
        assert_eq!(script(b"#! /bin/sh  \n"), Ok(("/bin/sh".into(), None)));
        assert_eq!(script(b"#!/bin/env  -S a b \nrest"), Ok(("/bin/env".into(), Some("-S a b".into()))));
        assert_eq!(script(b"#!/bin/sh"), Ok(("/bin/sh".into(), None)));
        assert_eq!(script(b"#!\n"), Err(Errno::ENOEXEC));
        let mut long = b"#!/".to_vec();
        long.resize(HEAD, b'x');
        assert_eq!(script(&long), Err(Errno::ENOEXEC));
    }

    #[test]
    fn elf_headers_say_who_runs_them() {
        let mut head = vec![0; 64];
        head[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\x00");
        head[16] = 3;
        head[18] = 183;
        assert_eq!(elf_target(&head), Ok(ExecTarget::Guest(Arch::Aarch64)));
        head[18] = 62;
        assert_eq!(elf_target(&head), Ok(ExecTarget::Guest(Arch::X86_64)));
        head[18] = 243;
        assert_eq!(elf_target(&head), Ok(ExecTarget::Host));
        head[16] = 1;
        assert_eq!(elf_target(&head), Err(Errno::ENOEXEC));
        assert_eq!(elf_target(b"echo"), Err(Errno::ENOEXEC));
    }
}
