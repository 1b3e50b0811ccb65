//! Files below `/proc/self` that show the guest its own world: proc_pid_maps(5), proc_pid_cmdline(5)…
//!
//! In: a name below `/proc/self`. Out: a descriptor of a memory file with the guest's view, made when it is
//! opened; or nothing, and the host's file is opened.

use crate::call::Reply;
use crate::errno::Errno;
use crate::host;
use crate::task::Task;

/// Opens the guest's version of `/proc/self/NAME`, if there is one; `flags` are the host's open flags.
pub(crate) fn open(task: &Task, name: &[u8], flags: u64) -> Option<Reply> {
    let text = text(task, name)?;
    let access = flags & libc::O_ACCMODE as u64;
    Some(if access == libc::O_RDONLY as u64 { memory_file(name, &text, flags) } else { Err(Errno::EACCES) })
}

/// The contents of the guest's version of `/proc/self/NAME`.
pub(crate) fn text(task: &Task, name: &[u8]) -> Option<Vec<u8>> {
    match name {
        b"maps" => Some(task.mm.maps_text().into_bytes()),
        b"auxv" => Some(task.process.info.auxv.clone()),
        b"cmdline" => {
            let argv = &task.process.info.argv;
            Some(argv.iter().flat_map(|arg| arg.to_bytes_with_nul().iter().copied()).collect())
        }
        _ => None,
    }
}

fn memory_file(name: &[u8], text: &[u8], flags: u64) -> Reply {
    let mut label = name.to_vec();
    label.push(0);
    let close = if flags & libc::O_CLOEXEC as u64 != 0 { u64::from(libc::MFD_CLOEXEC) } else { 0 };
    // SAFETY: the label is NUL-terminated.
    let fd = unsafe { host::raw(libc::SYS_memfd_create, [label.as_ptr() as u64, close, 0, 0, 0, 0]) }?;
    let mut written = 0;
    while written < text.len() {
        let rest = &text[written..];
        let args = [fd, rest.as_ptr() as u64, rest.len() as u64, written as u64, 0, 0];
        // SAFETY: the bytes are readable for their length.
        match unsafe { host::raw(libc::SYS_pwrite64, args) } {
            Ok(count) if count > 0 => written += count as usize,
            _ => {
                // SAFETY: the descriptor is the one just made.
                let _ = unsafe { host::raw(libc::SYS_close, [fd, 0, 0, 0, 0, 0]) };
                return Err(Errno::ENOMEM);
            }
        }
    }
    Ok(fd)
}
