//! Paths: from what the guest names to what the host opens.
//!
//! In: a path in guest memory. Out: the path for the host call. With a sysroot, an absolute path is tried under
//! it first, symlinks resolved inside it; `/proc`, `/dev` and `/sys` are the host's. `/proc/self/exe` and its
//! other names are the guest's program.

use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::host;
use crate::proc::{self, OwnFile, View};
use crate::task::Task;
use crate::uaccess;
use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// PATH_MAX of limits.h, NUL included.
pub(crate) const PATH_MAX: usize = 4096;
/// Symlinks that one path may go through, as in the kernel.
const MAX_LINKS: usize = 40;

/// Does a call act on a symlink itself when it is the last component?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Follow {
    /// No: on what it points to.
    Always,
    /// Yes.
    Never,
    /// On what it points to, unless the argument with this index has this bit.
    Unless(u8, u32),
    /// On what it points to, if the argument with this index has this bit.
    If(u8, u32),
}

impl Follow {
    fn follows(self, args: &[u64; 6]) -> bool {
        let has = |index: u8, bit: u32| args[index as usize] & u64::from(bit) != 0;
        match self {
            Follow::Always => true,
            Follow::Never => false,
            Follow::Unless(index, bit) => !has(index, bit),
            Follow::If(index, bit) => has(index, bit),
        }
    }
}

/// A path among the arguments of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathArg {
    /// Which argument it is.
    pub index: u8,
    /// What its last component means.
    pub follow: Follow,
}

/// Makes the call's host twin with its paths as the host knows them.
pub(crate) fn pass(call: &Call<'_>, paths: &[PathArg]) -> Reply {
    let mut args = call.args;
    let mut translated = Vec::with_capacity(paths.len());
    for path in paths {
        let word = &mut args[path.index as usize];
        let host = HostPath::of(call.task, *word, path.follow.follows(&call.args))?;
        *word = host.word();
        // The words point into these: they live until the call is done.
        translated.push(host);
    }
    call.pass_with(args)
}

/// A path argument for a host call.
#[derive(Debug)]
pub(crate) enum HostPath {
    /// The guest's own bytes will do: their address.
    Unchanged(u64),
    /// Another path.
    Translated(CString),
}

impl HostPath {
    /// The path in guest memory at `address`; `follow` as in [`Follow::follows`]. A bad address is left for the
    /// host call to find.
    pub(crate) fn of(task: &Task, address: u64, follow: bool) -> Result<HostPath, Errno> {
        // The first bytes decide for nearly all: relative paths, and absolute ones without a sysroot that do
        // not begin with /proc, need no translation.
        if task.fs.sysroot.is_none() {
            let mut start = [0; 6];
            if uaccess::read_bytes(address, &mut start).is_ok() && !(start[0] == b'/' && may_be_proc(&start)) {
                return Ok(HostPath::Unchanged(address));
            }
        }
        let Ok(path) = uaccess::read_string(address, PATH_MAX) else { return Ok(HostPath::Unchanged(address)) };
        Ok(translate(task, &path, follow).map_or(HostPath::Unchanged(address), HostPath::Translated))
    }

    /// The argument of the host call.
    pub(crate) fn word(&self) -> u64 {
        match self {
            HostPath::Unchanged(address) => *address,
            HostPath::Translated(path) => path.as_ptr() as u64,
        }
    }
}

fn may_be_proc(start: &[u8; 6]) -> bool {
    start.starts_with(b"/proc/") || start[1] == b'/' || start[1] == b'.'
}

/// What the host knows `path` as, if that is something else.
pub(crate) fn translate(task: &Task, path: &CStr, follow: bool) -> Option<CString> {
    if path.to_bytes().first() != Some(&b'/') {
        return None;
    }
    match proc::view(path.to_bytes()) {
        Some(View::Own(_, OwnFile::Exe)) if follow => return Some(task.process.info.exe_host.clone()),
        Some(View::OtherExe(process)) if follow => return proc::other_exe(process),
        Some(_) => return None,
        None => {}
    }
    let walk = if task.files.is_alone() { Walk::AtOnce } else { Walk::NameByName };
    task.fs.sysroot.as_ref()?.find_by(walk, path, follow)
}

/// How a path is walked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Walk {
    /// By the kernel, as far as it can. It takes a descriptor for a moment, which a thread beside this one may replace.
    AtOnce,
    /// By looking at each name.
    NameByName,
}

/// A directory in which absolute paths are tried first (`-L`).
#[derive(Debug)]
pub struct Sysroot {
    root: PathBuf,
    /// Whether the kernel can be asked about paths as a whole.
    asks: AtomicBool,
    /// The start of the last name in the root that turned out to be a link: paths through it are not asked about.
    link: AtomicU64,
}

impl Sysroot {
    /// The sysroot at `root`, a host directory; None if it is the host's own root, which changes nothing.
    /// A relative directory is taken from the working directory of now, and links on the way to it as they are now.
    pub fn new(root: &Path) -> Option<Sysroot> {
        // Component by component: without a slash at the end.
        let absolute = || Some(std::path::absolute(root).ok()?.components().collect());
        let folder = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(root);
        let root: PathBuf = folder.ok().and_then(|folder| path_of(&folder)).or_else(absolute)?;
        (root != Path::new("/")).then_some(Sysroot { root, asks: AtomicBool::new(true), link: AtomicU64::new(0) })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The host path of the absolute `path` of a guest that has not begun, if it exists in the sysroot; `follow` resolves
    /// a symlink that is its last component.
    pub fn find(&self, path: &CStr, follow: bool) -> Option<CString> {
        self.find_by(Walk::AtOnce, path, follow)
    }

    fn find_by(&self, walk: Walk, path: &CStr, follow: bool) -> Option<CString> {
        let mut links = 0;
        // What is left to walk, and the host path of what has been walked.
        let mut left = path.to_bytes().to_vec();
        let mut at = 0;
        let first = next_name(&left, &mut 0).map_or(0, |name| start_of(&left[name]));
        let may_ask = || walk == Walk::AtOnce && self.asks.load(Ordering::Relaxed);
        let mut asks = may_ask() && first != self.link.load(Ordering::Relaxed);
        let root = self.root.as_os_str().as_bytes();
        let mut here = Vec::with_capacity(root.len() + left.len() + 2);
        here.extend_from_slice(root);
        loop {
            if std::mem::take(&mut asks) {
                match self.ask(&here, &left[at..], follow) {
                    Answer::There(path) => {
                        here = path.into_bytes();
                        break;
                    }
                    Answer::Absent => return None,
                    Answer::Walk => {}
                }
            }
            let Some(name) = next_name(&left, &mut at) else { break };
            let parent = here.len();
            match &left[name.clone()] {
                b"." => continue,
                b".." => {
                    let above = here[root.len()..].iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                    here.truncate(root.len() + above);
                    continue;
                }
                b"proc" | b"dev" | b"sys" if parent == root.len() => return None,
                name => {
                    here.push(b'/');
                    here.extend_from_slice(name);
                }
            }
            let is_last = next_name(&left, &mut at.clone()).is_none();
            if let Some(target) = link_target(&here)?.filter(|_| follow || !is_last) {
                links += 1;
                if links > MAX_LINKS {
                    return None;
                }
                if links == 1 && parent == root.len() {
                    self.link.store(first, Ordering::Relaxed);
                }
                asks = may_ask();
                here.truncate(if target.first() == Some(&b'/') { root.len() } else { parent });
                left = [target.as_slice(), b"/", &left[at..]].concat();
                at = 0;
            }
        }
        // A slash at the end asks for a directory.
        if path.to_bytes().ends_with(b"/") {
            here.push(b'/');
        }
        CString::new(here).ok()
    }

    /// Has the kernel walk the names in `left` from the host path `here` on: one call instead of one for each. It stops at
    /// links, and is not asked where a name has a meaning of its own.
    fn ask(&self, here: &[u8], left: &[u8], follow: bool) -> Answer {
        let mut path = here.to_vec();
        let mut at = 0;
        while let Some(name) = next_name(left, &mut at) {
            let in_root = path.len() == self.root.as_os_str().len();
            match &left[name] {
                b"." | b".." => return Answer::Walk,
                b"proc" | b"dev" | b"sys" if in_root => return Answer::Walk,
                name => {
                    path.push(b'/');
                    path.extend_from_slice(name);
                }
            }
        }
        let Ok(path) = CString::new(path) else { return Answer::Walk };
        let last = if follow { 0 } else { libc::O_NOFOLLOW };
        let how = [(libc::O_PATH | libc::O_CLOEXEC | last) as u64, 0, libc::RESOLVE_NO_SYMLINKS];
        let words = [libc::AT_FDCWD as u64, path.as_ptr() as u64, how.as_ptr() as u64, size_of_val(&how) as u64, 0, 0];
        // SAFETY: the path is a string, and the struct open_how that of openat2(2).
        match unsafe { host::raw(libc::SYS_openat2, words) } {
            Ok(fd) => {
                // SAFETY: nobody else knows the descriptor.
                let _ = unsafe { host::raw(libc::SYS_close, [fd, 0, 0, 0, 0, 0]) };
                Answer::There(path)
            }
            Err(Errno::ENOENT) => Answer::Absent,
            Err(Errno::ENOSYS | Errno::EPERM) => {
                self.asks.store(false, Ordering::Relaxed);
                Answer::Walk
            }
            Err(_) => Answer::Walk,
        }
    }
}

/// What the kernel says of a path that is walked as a whole.
enum Answer {
    /// This is its host path.
    There(CString),
    /// Nothing is there.
    Absent,
    /// It has to be walked name by name.
    Walk,
}

/// The first eight bytes of a name.
fn start_of(name: &[u8]) -> u64 {
    name.iter().take(8).fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// The path of an open file without links, if the kernel tells it and it has one: one call, where a walk makes one for each
/// folder.
pub fn path_of(file: &File) -> Option<PathBuf> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let is_file = path.is_absolute() && !path.as_os_str().as_bytes().ends_with(b" (deleted)");
    is_file.then_some(path)
}

/// Where the next name of a path is, from `at` on, which goes behind it.
fn next_name(path: &[u8], at: &mut usize) -> Option<Range<usize>> {
    let start = *at + path[*at..].iter().position(|&byte| byte != b'/')?;
    let end = path[start..].iter().position(|&byte| byte == b'/').map_or(path.len(), |length| start + length);
    *at = end;
    Some(start..end)
}

/// What the link at a host path leads to; nothing inside if there is something else, nothing at all if there is nothing
/// (or nothing that can be looked at). One call tells both: a program that starts asks for dozens of names.
fn link_target(path: &[u8]) -> Option<Option<Vec<u8>>> {
    match std::fs::read_link(OsStr::from_bytes(path)) {
        Ok(target) => Some(Some(target.into_os_string().into_vec())),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Some(None),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    struct TempDir(PathBuf);

    impl TempDir {
        fn new(name: &str) -> TempDir {
            let path = std::env::temp_dir().join(format!("philae-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            TempDir(path)
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn sysroot_holds_absolute_links_and_dot_dot() {
        let dir = TempDir::new("sysroot");
        let root = &dir.0;
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        fs::write(root.join("usr/lib/libc.so"), "").unwrap();
        symlink("/usr/lib", root.join("lib")).unwrap();
        symlink("../../../../usr/lib/libc.so", root.join("usr/lib/up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let sysroot = Sysroot::new(root).unwrap();
        let find = |path: &CStr, follow| sysroot.find(path, follow).map(|path| path.into_string().unwrap());
        let root = &root.canonicalize().unwrap();
        let at = |path: &str| Some(root.join(path).to_str().unwrap().to_owned());
        assert_eq!(find(c"/lib/libc.so", true), at("usr/lib/libc.so"));
        assert_eq!(find(c"/usr/lib/up", true), at("usr/lib/libc.so"));
        assert_eq!(find(c"/usr/lib/up", false), at("usr/lib/up"));
        assert_eq!(find(c"/lib", false), at("lib"));
        assert_eq!(find(c"/../../usr//./lib", true), at("usr/lib"));
        assert_eq!(find(c"/usr/", true), at("usr/"));
        assert_eq!(find(c"/loop", true), None);
        assert_eq!(find(c"/nothing", true), None);
        fs::create_dir(root.join("proc")).unwrap();
        assert_eq!(find(c"/usr/../proc", true), None);
        // In any order of paths with and without links.
        for walk in [Walk::AtOnce, Walk::NameByName, Walk::AtOnce] {
            let find =
                |path: &CStr, follow| sysroot.find_by(walk, path, follow).map(|path| path.into_string().unwrap());
            assert_eq!(find(c"/usr/lib/libc.so", true), at("usr/lib/libc.so"));
            assert_eq!(find(c"//usr///lib/libc.so/", true), at("usr/lib/libc.so/"));
            assert_eq!(find(c"/usr/lib/nothing", true), None);
            assert_eq!(find(c"/lib/nothing", false), None);
            assert_eq!(find(c"/lib/libc.so", false), at("usr/lib/libc.so"));
            assert_eq!(find(c"/usr/lib/libc.so/below", true), None);
            assert_eq!(find(c"/usr/lib/up", true), at("usr/lib/libc.so"));
            assert_eq!(find(c"/usr/lib/up", false), at("usr/lib/up"));
            assert_eq!(find(c"/proc", true), None);
            assert_eq!(find(c"/", true), at(""));
        }
    }
}
