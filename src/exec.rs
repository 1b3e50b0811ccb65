//! execve of a guest: Philae executes itself with what the new program needs to know in a sealed descriptor, so
//! nothing of it shows in the guest's arguments or environment.
//!
//! In: a request whose file has been found and opened. Out: nothing, the process is another one; or an error number
//! for the guest if the host refuses.

use crate::host::{self, AcrossExec};
use crate::loader::describe;
use crate::options::Options;
use crate::start::Launch;
use crate::thread::Thread;
use philae_syscalls::signal::Successor;
use philae_syscalls::task::Inheritance;
use philae_syscalls::{Errno, ExecRequest, ExecTarget, arch as abi, signal};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The settings that a guest's children inherit, and the program that one of them becomes.
#[derive(Debug, Default)]
pub struct Handover {
    fields: Vec<Vec<u8>>,
    lists: Vec<Vec<CString>>,
    program: i32,
    /// Philae's own file, which a program may not find again: it changes its root, and has no /proc.
    own: i32,
}

/// The fields of a handover, in the order in which they travel.
#[derive(Clone, Copy)]
enum Field {
    Sysroot,
    Release,
    LogFile,
    Flags,
    HostPath,
    GuestPath,
    ExecFn,
    Inheritance,
    Count,
}

impl Handover {
    fn of(options: &Options, request: &ExecRequest, own: &File) -> Handover {
        let mut handover = Handover { fields: vec![Vec::new(); Field::Count as usize], ..Handover::default() };
        let path =
            |path: &Option<PathBuf>| path.as_ref().map(|p| p.as_os_str().as_bytes().to_vec()).unwrap_or_default();
        handover.set(Field::Sysroot, path(&options.sysroot));
        handover.set(Field::Release, options.uname_release.clone().map(OsString::into_vec).unwrap_or_default());
        handover.set(Field::LogFile, path(&options.log_file));
        handover.set(Field::Flags, options.inherited_words().join("\n").into_bytes());
        handover.set(Field::HostPath, request.host_path.to_bytes().to_vec());
        handover.set(Field::GuestPath, request.exe.to_bytes().to_vec());
        handover.set(Field::ExecFn, request.name.to_bytes().to_vec());
        handover.set(Field::Inheritance, request.inheritance.to_bytes());
        handover.lists = vec![request.argv.clone(), request.envp.clone()];
        handover.program = request.file.as_raw_fd();
        handover.own = own.as_raw_fd();
        handover
    }

    fn set(&mut self, field: Field, bytes: Vec<u8>) {
        self.fields[field as usize] = bytes;
    }

    fn field(&self, field: Field) -> OsString {
        OsString::from_vec(self.fields[field as usize].clone())
    }

    /// Writes the handover into a descriptor that survives execve.
    fn send(&self) -> std::io::Result<File> {
        let mut bytes = Vec::new();
        bytes.extend(self.program.to_le_bytes());
        bytes.extend(self.own.to_le_bytes());
        for field in &self.fields {
            push_bytes(&mut bytes, field);
        }
        for list in &self.lists {
            bytes.extend((list.len() as u32).to_le_bytes());
            for string in list {
                push_bytes(&mut bytes, string.to_bytes());
            }
        }
        let mut file = host::anonymous_file(c"philae")?;
        file.write_all(&bytes)?;
        file.rewind()?;
        Ok(file)
    }

    /// Reads what a parent has sent, and closes the descriptor.
    pub fn receive(fd: i32) -> Result<Handover, String> {
        let mut file = host::adopt_descriptor(fd);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| format!("descriptor {fd}: {}", describe(&error)))?;
        Handover::parse(&bytes).ok_or_else(|| format!("descriptor {fd} is not what a parent Philae sends"))
    }

    fn parse(bytes: &[u8]) -> Option<Handover> {
        let mut rest = bytes;
        let mut next = || Some(take_u32(&mut rest)? as i32);
        let mut handover = Handover { program: next()?, own: next()?, ..Handover::default() };
        for _ in 0..Field::Count as usize {
            handover.fields.push(take_bytes(&mut rest)?.to_vec());
        }
        for _ in 0..2 {
            let count = take_u32(&mut rest)?;
            let strings = (0..count).map(|_| CString::new(take_bytes(&mut rest)?).ok());
            handover.lists.push(strings.collect::<Option<Vec<_>>>()?);
        }
        rest.is_empty().then_some(handover)
    }

    /// Sets the inherited options and gives the program to start.
    pub fn apply(mut self, options: &mut Options) -> Launch {
        let path = |field: OsString| (!field.is_empty()).then(|| PathBuf::from(field));
        options.inherit_words(&self.field(Field::Flags).to_string_lossy());
        options.sysroot = path(self.field(Field::Sysroot));
        options.uname_release = Some(self.field(Field::Release)).filter(|release| !release.is_empty());
        options.log_file = path(self.field(Field::LogFile));
        let string = |field: OsString| CString::new(field.into_vec()).unwrap_or_default();
        let envp = self.lists.pop().unwrap_or_default();
        let argv = self.lists.pop().unwrap_or_default();
        Launch {
            file: host::adopt_descriptor(self.program),
            own_file: Some(host::adopt_descriptor(self.own)),
            host_path: PathBuf::from(self.field(Field::HostPath)),
            guest_path: string(self.field(Field::GuestPath)),
            execfn: string(self.field(Field::ExecFn)),
            inheritance: Inheritance::from_bytes(self.field(Field::Inheritance).as_bytes()),
            argv,
            envp,
        }
    }
}

fn push_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend((bytes.len() as u32).to_le_bytes());
    to.extend(bytes);
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_le_bytes(*head))
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_u32(rest)? as usize;
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

/// Replaces the program of this process. Comes back only if the host refuses: the guest then sees the error.
#[inline(never)]
pub fn replace(thread: &mut Thread, request: &ExecRequest) {
    thread.report_counts();
    thread.runtime.print_stats();
    let foreign = |arch| arch == thread.task.arch || arch != host::ARCH || request.inheritance.has_filters();
    let successor = match request.target {
        ExecTarget::Guest(arch) if foreign(arch) => Successor::Philae,
        ExecTarget::Guest(_) | ExecTarget::Host => Successor::Native,
    };
    signal::prepare_exec(&mut thread.task, successor);
    let error = match successor {
        Successor::Philae => replace_by_guest(thread, request),
        Successor::Native => replace_by_native(request),
    };
    signal::abandon_exec(&thread.task);
    abi::set_result(thread.task.arch, &mut thread.cpu, error.as_result());
}

fn replace_by_guest(thread: &Thread, request: &ExecRequest) -> Errno {
    let Some(own) = &thread.runtime.own_file else { return Errno::ENOENT };
    let Ok(handover) = Handover::of(&thread.runtime.options, request, own).send() else { return Errno::ENOMEM };
    let descriptor = handover.as_raw_fd().to_string();
    let words = [c"philae".to_owned(), c"--resume".to_owned(), CString::new(descriptor).unwrap_or_default()];
    let program = request.file.as_raw_fd();
    let kept = [program, own.as_raw_fd()];
    kept.iter().for_each(|fd| host::set_across_exec(*fd, AcrossExec::Kept));
    let error = host::execute(own.as_raw_fd(), c"", &words, &request.envp, libc::AT_EMPTY_PATH);
    kept.iter().for_each(|fd| host::set_across_exec(*fd, AcrossExec::Closed));
    errno(&error)
}

fn replace_by_native(request: &ExecRequest) -> Errno {
    request.inheritance.limits().apply();
    errno(&host::execute(libc::AT_FDCWD, &request.host_path, &request.argv, &request.envp, 0))
}

fn errno(error: &std::io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::ENOEXEC))
}
