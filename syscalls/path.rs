//! Paths: from what the guest names to what the host opens.
//!
//! In: a path in guest memory. Out: the path for the host call. With a sysroot, an absolute path is tried under
//! it first, symlinks resolved inside it; `/proc`, `/dev` and `/sys` are the host's. `/proc/self/exe` and its
//! other names are the guest's program.

use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::proc::{self, OwnFile, View};
use crate::task::Task;
use crate::uaccess;
use std::ffi::{CStr, CString, OsStr};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

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
    task.fs.sysroot.as_ref()?.find(path, follow)
}

/// A directory in which absolute paths are tried first (`-L`).
#[derive(Debug)]
pub struct Sysroot {
    root: PathBuf,
}

impl Sysroot {
    /// The sysroot at `root`, a host directory; None if it is the host's own root, which changes nothing.
    /// A relative directory is taken from the working directory of now.
    pub fn new(root: &Path) -> Option<Sysroot> {
        // Component by component: without a slash at the end.
        let root: PathBuf = std::path::absolute(root).ok()?.components().collect();
        (root != Path::new("/")).then_some(Sysroot { root })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The host path of the guest's absolute `path`, if it exists in the sysroot; `follow` resolves a symlink
    /// that is its last component.
    pub fn find(&self, path: &CStr, follow: bool) -> Option<CString> {
        let mut links = 0;
        // What is left to walk, and the host path of what has been walked.
        let mut left = path.to_bytes().to_vec();
        let mut at = 0;
        let root = self.root.as_os_str().as_bytes();
        let mut here = Vec::with_capacity(root.len() + left.len() + 2);
        here.extend_from_slice(root);
        while let Some(name) = next_name(&left, &mut at) {
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
    }
}
