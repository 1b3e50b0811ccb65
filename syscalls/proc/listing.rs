//! getdents(2): directories below `/proc/PID` do not list Philae's own threads and descriptors.
//!
//! In: entries that the host has put into guest memory. Out: the same without what is not the guest's.

use crate::arch::Fields;
use crate::args::Fd;
use crate::call::{Call, Reply};
use crate::host;
use crate::task::Task;
use crate::uaccess;
use std::os::unix::ffi::OsStringExt;

/// Where the length of an entry is, and its name: `struct linux_dirent64`, `struct linux_dirent`.
const LENGTH: usize = 16;
const NAME_64: usize = 19;
const NAME: usize = 18;

pub(crate) fn getdents64(call: &mut Call<'_>, dir: Fd, entries: u64, room: u32) -> Reply {
    list(call, dir, entries, room, NAME_64)
}

pub(crate) fn getdents(call: &mut Call<'_>, dir: Fd, entries: u64, room: u32) -> Reply {
    list(call, dir, entries, room, NAME)
}

fn list(call: &Call<'_>, dir: Fd, entries: u64, room: u32, name: usize) -> Reply {
    loop {
        let size = call.pass()?;
        let hidden = hidden(call.task, dir);
        if size == 0 || size > u64::from(room) || hidden.is_empty() {
            return Ok(size);
        }
        let mut bytes = vec![0; size as usize];
        uaccess::read_bytes(entries, &mut bytes)?;
        let kept = without(&bytes, name, &hidden);
        // A buffer full of what is hidden is not the directory's end.
        if kept.is_empty() {
            continue;
        }
        if kept.len() < bytes.len() {
            uaccess::write_bytes(entries, &kept)?;
        }
        return Ok(kept.len() as u64);
    }
}

/// The numbers that `dir` is not to list.
fn hidden(task: &Task, dir: Fd) -> Vec<u32> {
    // Nearly every directory is told from those of /proc by its file system.
    if !is_proc(dir) {
        return Vec::new();
    }
    let Ok(path) = std::fs::read_link(format!("/proc/self/fd/{}", dir.0)) else { return Vec::new() };
    let path = path.into_os_string().into_vec();
    let mut names = path.split(|byte| *byte == b'/');
    let [b"", b"proc", process] = std::array::from_fn(|_| names.next().unwrap_or_default()) else { return Vec::new() };
    let Some(process) = super::number(process) else { return Vec::new() };
    let threads = match names.next_back() {
        Some(b"task") => true,
        Some(b"fd" | b"fdinfo") => false,
        _ => return Vec::new(),
    };
    if process == host::getpid() {
        let files = || task.files.own().into_iter().map(|fd| fd as u32).collect();
        return if threads { task.process.own_threads() } else { files() };
    }
    let Some(told) = super::others::told(process) else { return Vec::new() };
    if threads { told.own_thread(process).into_iter().collect() } else { told.own_descriptors().collect() }
}

fn is_proc(dir: Fd) -> bool {
    // SAFETY: all-zero is a valid struct statfs.
    let mut system: libc::statfs64 = unsafe { std::mem::zeroed() };
    // SAFETY: the struct has the kernel's layout.
    let done = unsafe { host::raw(libc::SYS_fstatfs, [dir.word(), &raw mut system as u64, 0, 0, 0, 0]) };
    done.is_ok() && system.f_type == libc::PROC_SUPER_MAGIC
}

/// The entries whose names are not these numbers.
fn without(bytes: &[u8], name: usize, hidden: &[u32]) -> Vec<u8> {
    let hidden: Vec<Vec<u8>> = hidden.iter().map(|number| number.to_string().into_bytes()).collect();
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while rest.len() > name {
        let length = usize::from(Fields(rest).u16(LENGTH));
        let Some((entry, after)) = rest.split_at_checked(length).filter(|_| length > name) else { break };
        let text = entry[name..].split(|byte| *byte == 0).next().unwrap_or_default();
        if !hidden.iter().any(|hidden| hidden == text) {
            kept.extend_from_slice(entry);
        }
        rest = after;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_left_out_by_name() {
        let entry = |text: &str| {
            let mut bytes = vec![0; 32];
            bytes[LENGTH] = 32;
            bytes[NAME_64..NAME_64 + text.len()].copy_from_slice(text.as_bytes());
            bytes
        };
        let all = [entry("."), entry("10"), entry("100")].concat();
        assert_eq!(without(&all, NAME_64, &[10]), [entry("."), entry("100")].concat());
        assert_eq!(without(&all, NAME_64, &[1]), all);
    }
}
