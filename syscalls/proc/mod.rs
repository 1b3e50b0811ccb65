//! Files below `/proc` that show the guest its own world: its machine, its memory, its threads (proc(5)).
//!
//! In: a path. Out: which [`View`] it is, and a descriptor of a memory file with the guest's view, made when it is
//! opened; or nothing, and the host's file is opened.
//!
//! The arguments, the environment and the auxiliary vector are the host kernel's business where it takes them
//! ([`show`]): then every process sees them, live, under every name. What is answered here concerns the calling
//! process, and the program, the mappings and the state of another Philae's.

mod cpuinfo;
mod listing;
mod memory;
mod others;
mod shown;
mod status;

pub(crate) use listing::{getdents, getdents64};
pub use shown::set_own_thread;
pub(crate) use shown::{set_descriptors, set_fault_handler, set_heap};

use crate::args::Fd;
use crate::call::Reply;
use crate::errno::Errno;
use crate::host;
use crate::task::{Layout, ProcessInfo, Task};
use crate::uaccess;
use std::ffi::{CString, OsStr, OsString};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a path below `/proc` names, if the guest is to see something else there than the host has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum View {
    /// `/proc/cpuinfo`.
    Cpuinfo,
    /// `/proc/sys/kernel/arch`.
    Machine,
    /// A file of the calling process.
    Own(Scope, OwnFile),
    /// The program of another process.
    OtherExe(u32),
    /// A file of another process.
    Other(u32, Scope, OtherFile),
}

/// Whose file it is: the process's, or one thread's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// Below `/proc/PID`.
    Process,
    /// Below `/proc/PID/task/TID`.
    Thread(u32),
}

/// Files of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OwnFile {
    Auxv,
    Cmdline,
    Environ,
    Exe,
    Limits,
    Maps,
    Smaps,
    SmapsRollup,
    Stat,
    Statm,
    Status,
}

/// Files of another process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OtherFile {
    Maps,
    Smaps,
    Stat,
    Statm,
    Status,
}

const OWN_FILES: [(&[u8], OwnFile); 11] = [
    (b"auxv", OwnFile::Auxv),
    (b"cmdline", OwnFile::Cmdline),
    (b"environ", OwnFile::Environ),
    (b"exe", OwnFile::Exe),
    (b"limits", OwnFile::Limits),
    (b"maps", OwnFile::Maps),
    (b"smaps", OwnFile::Smaps),
    (b"smaps_rollup", OwnFile::SmapsRollup),
    (b"stat", OwnFile::Stat),
    (b"statm", OwnFile::Statm),
    (b"status", OwnFile::Status),
];

/// What an absolute path names.
pub(crate) fn view(path: &[u8]) -> Option<View> {
    let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    if names.next()? != b"proc" {
        return None;
    }
    let rest: Vec<&[u8]> = names.take(5).collect();
    match rest.as_slice() {
        [b"cpuinfo"] => Some(View::Cpuinfo),
        [b"sys", b"kernel", b"arch"] => Some(View::Machine),
        [b"self", name] => own(Scope::Process, name),
        [b"thread-self", name] => own(Scope::Thread(host::gettid()), name),
        [b"self", b"task", thread, name] => own(Scope::Thread(number(thread)?), name),
        [process, b"task", thread, name] if is_own(process) => own(Scope::Thread(number(thread)?), name),
        [process, name] if is_own(process) => own(Scope::Process, name),
        [process, b"exe"] => Some(View::OtherExe(number(process)?)),
        [process, b"task", thread, name] => other(process, Scope::Thread(number(thread)?), name),
        [process, name] => other(process, Scope::Process, name),
        _ => None,
    }
}

fn own(scope: Scope, name: &[u8]) -> Option<View> {
    OWN_FILES.iter().find(|(known, _)| *known == name).map(|(_, file)| View::Own(scope, *file))
}

fn other(process: &[u8], scope: Scope, name: &[u8]) -> Option<View> {
    let file = match name {
        b"maps" => OtherFile::Maps,
        b"smaps" => OtherFile::Smaps,
        b"stat" => OtherFile::Stat,
        b"statm" => OtherFile::Statm,
        b"status" => OtherFile::Status,
        _ => return None,
    };
    Some(View::Other(number(process)?, scope, file))
}

fn is_own(process: &[u8]) -> bool {
    number(process) == Some(host::getpid())
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// What the path in guest memory at `name`, below `dir` if it is relative, names.
pub(crate) fn view_at(dir: Fd, name: u64) -> Option<View> {
    let mut start = [0; 1];
    uaccess::read_bytes(name, &mut start).ok()?;
    let path = uaccess::read_string(name, crate::path::PATH_MAX).ok()?;
    let path = path.to_bytes();
    if start[0] == b'/' {
        return view(path);
    }
    let last = path.rsplit(|byte| *byte == b'/').next()?;
    let known = OWN_FILES.iter().any(|(known, _)| *known == last) || last == b"cpuinfo" || last == b"arch";
    if !known {
        return None;
    }
    let base = match dir {
        Fd::CWD => std::fs::read_link("/proc/self/cwd"),
        Fd(fd) => std::fs::read_link(format!("/proc/self/fd/{fd}")),
    };
    let base = base.ok()?.into_os_string().into_vec();
    view(&[&base, b"/".as_slice(), path].concat())
}

/// Opens the guest's version of a file, if it is not the host's; `flags` are the host's open flags.
pub(crate) fn open(task: &Task, view: View, flags: u64) -> Option<Reply> {
    if flags & libc::O_PATH as u64 != 0 {
        return None;
    }
    let text = text(task, view)?;
    let access = flags & libc::O_ACCMODE as u64;
    Some(if access == libc::O_RDONLY as u64 { memory_file(&text, flags) } else { Err(Errno::EACCES) })
}

/// The contents of the guest's version of a file, if it is not the host's.
pub(crate) fn text(task: &Task, view: View) -> Option<Vec<u8>> {
    match view {
        View::Cpuinfo => Some(cpuinfo::text(task.arch, task.process.info.processor)),
        View::Machine => Some(format!("{}\n", task.arch.name()).into_bytes()),
        View::OtherExe(_) => None,
        View::Other(process, scope, file) => others::text(process, scope, file),
        View::Own(scope, file) => own_text(task, scope, file),
    }
}

fn own_text(task: &Task, scope: Scope, file: OwnFile) -> Option<Vec<u8>> {
    let info = &task.process.info;
    match file {
        OwnFile::Exe => None,
        OwnFile::Auxv | OwnFile::Cmdline | OwnFile::Environ if info.shown => None,
        OwnFile::Auxv => Some(info.auxv.clone()),
        OwnFile::Cmdline => Some(guest_bytes(&info.layout.arguments)),
        OwnFile::Environ => Some(guest_bytes(&info.layout.environment)),
        OwnFile::Limits => status::limits(task),
        OwnFile::Maps => Some(task.mm.maps_text().into_bytes()),
        OwnFile::Smaps => memory::smaps(&task.mm),
        OwnFile::SmapsRollup => memory::smaps_rollup(&task.mm),
        OwnFile::Stat => status::own_text(task, scope, "stat", status::stat),
        OwnFile::Statm => status::own_text(task, Scope::Process, "statm", status::statm),
        OwnFile::Status => status::own_text(task, scope, "status", status::status),
    }
}

fn guest_bytes(range: &std::ops::Range<u64>) -> Vec<u8> {
    let mut bytes = vec![0; range.end.saturating_sub(range.start) as usize];
    match uaccess::read_bytes(range.start, &mut bytes) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Where the host has its own version of a file of the calling process.
fn host_path(scope: Scope, name: &str) -> String {
    match scope {
        Scope::Process => format!("/proc/self/{name}"),
        Scope::Thread(thread) => format!("/proc/self/task/{thread}/{name}"),
    }
}

/// The program of another process as the host knows it, if a Philae runs it: the file in whose mapping that
/// process's program headers (AT_PHDR) are.
pub(crate) fn other_exe(process: u32) -> Option<CString> {
    let own = std::fs::metadata("/proc/self/exe").ok()?;
    let other = std::fs::metadata(format!("/proc/{process}/exe")).ok()?;
    if (own.dev(), own.ino()) != (other.dev(), other.ino()) {
        return None;
    }
    let auxv = std::fs::read(format!("/proc/{process}/auxv")).ok()?;
    let words: Vec<u64> =
        auxv.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or([0; 8]))).collect();
    let headers = words.chunks_exact(2).find(|pair| pair[0] == libc::AT_PHDR)?[1];
    let maps = std::fs::read(format!("/proc/{process}/maps")).ok()?;
    let line = maps.split(|byte| *byte == b'\n').find(|line| memory::line_holds(line, headers))?;
    let path = line.iter().position(|byte| *byte == b'/').map(|start| &line[start..])?;
    CString::new(path).ok()
}

/// A host path as the guest names it: without the sysroot that it lies in.
pub(crate) fn guest_name(task: &Task, host: CString) -> CString {
    let path = Path::new(OsStr::from_bytes(host.to_bytes()));
    let inside = task.fs.sysroot.as_ref().and_then(|sysroot| path.strip_prefix(sysroot.root()).ok());
    let Some(inside) = inside else { return host };
    let absolute: OsString = Path::new("/").join(inside).into_os_string();
    CString::new(absolute.into_vec()).unwrap_or(host)
}

/// A descriptor for reading these bytes, which nobody can write.
fn memory_file(text: &[u8], flags: u64) -> Reply {
    // SAFETY: the label is NUL-terminated.
    let fd = unsafe {
        host::raw(libc::SYS_memfd_create, [c"proc".as_ptr() as u64, u64::from(libc::MFD_CLOEXEC), 0, 0, 0, 0])
    }?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let mut file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    file.write_all(text).map_err(|_| Errno::ENOMEM)?;
    // SAFETY: the mode is a number.
    let _ = unsafe { host::raw(libc::SYS_fchmod, [fd, 0o444, 0, 0, 0, 0]) };
    let again = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(|_| Errno::EINVAL)?;
    let kept = libc::O_CLOEXEC | libc::O_NONBLOCK;
    let words = [Fd::CWD.word(), again.as_ptr() as u64, flags & kept as u64, 0, 0, 0];
    // SAFETY: the path is NUL-terminated.
    unsafe { host::raw(libc::SYS_openat, words) }
}

/// `struct prctl_mm_map` of linux/prctl.h.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct MmMap {
    pub(crate) code: [u64; 2],
    pub(crate) data: [u64; 2],
    pub(crate) brk: [u64; 2],
    pub(crate) stack: u64,
    pub(crate) arguments: [u64; 2],
    pub(crate) environment: [u64; 2],
    pub(crate) auxv: u64,
    pub(crate) auxv_size: u32,
    pub(crate) exe_fd: u32,
}

// SAFETY: words without padding.
unsafe impl uaccess::Plain for MmMap {}

/// PR_SET_MM and PR_SET_MM_MAP of linux/prctl.h.
pub(crate) const PR_SET_MM: u64 = 35;
pub(crate) const PR_SET_MM_MAP: u64 = 14;

/// Has the host kernel show the guest's arguments, environment, auxiliary vector and layout to whoever looks at this
/// process, `ps` among them. False where it cannot (CONFIG_CHECKPOINT_RESTORE).
pub fn show(info: &ProcessInfo) -> bool {
    let Layout { code, data, stack, arguments, environment } = &info.layout;
    let pair = |range: &std::ops::Range<u64>| [range.start, range.end];
    let map = MmMap {
        code: pair(code),
        data: pair(data),
        stack: *stack,
        arguments: pair(arguments),
        environment: pair(environment),
        auxv: info.auxv.as_ptr() as u64,
        auxv_size: info.auxv.len() as u32,
        exe_fd: u32::MAX,
        ..MmMap::default()
    };
    set_mm_map(map).is_ok()
}

/// Where Philae's own heap may be said to start, which ends there: it cannot shrink below. The C library's first thread
/// has its thread-local data there, first of all; other threads look it up. Without /proc, a heap that cannot shrink will do.
fn heap_start(end: u64) -> u64 {
    const NEAR: u64 = 1 << 20;
    // SAFETY: the address of the calling thread's errno.
    let own = unsafe { libc::__errno_location() } as u64 & !4095;
    if (end.saturating_sub(NEAR)..end).contains(&own) {
        return own;
    }
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    status::field(&stat, status::START_BRK).unwrap_or(end)
}

/// `PR_SET_MM_MAP` with the heap left where Philae's C library has it.
pub(crate) fn set_mm_map(mut map: MmMap) -> Reply {
    // SAFETY: brk(0) reports.
    let end = unsafe { host::raw(libc::SYS_brk, [0; 6]) }?;
    map.brk = [heap_start(end), end];
    let args = [PR_SET_MM, PR_SET_MM_MAP, &raw const map as u64, size_of::<MmMap>() as u64, 0, 0];
    // SAFETY: the struct is the kernel's; the heap keeps its place, the rest only informs.
    unsafe { host::raw(libc::SYS_prctl, args) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_files_are_recognised() {
        let own = |file| Some(View::Own(Scope::Process, file));
        assert_eq!(view(b"/proc/self/exe"), own(OwnFile::Exe));
        assert_eq!(view(b"//proc/./self/maps"), own(OwnFile::Maps));
        let path = format!("/proc/{}/task/{}/stat", host::getpid(), host::gettid());
        assert_eq!(view(path.as_bytes()), Some(View::Own(Scope::Thread(host::gettid()), OwnFile::Stat)));
        assert_eq!(view(b"/proc/cpuinfo"), Some(View::Cpuinfo));
        assert_eq!(view(b"/proc/1/exe"), Some(View::OtherExe(1)));
        assert_eq!(view(b"/proc/1/maps"), Some(View::Other(1, Scope::Process, OtherFile::Maps)));
        assert_eq!(view(b"/proc/1/task/2/stat"), Some(View::Other(1, Scope::Thread(2), OtherFile::Stat)));
        for path in [&b"/proc/self/fd/1"[..], b"/proc/self", b"/proc/self/comm", b"/self/exe"] {
            assert_eq!(view(path), None, "{}", String::from_utf8_lossy(path));
        }
    }
}
