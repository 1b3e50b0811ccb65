//! A guest thread and what it shares with others, cut as the kernel cuts it: a [`Task`] refers to an address
//! space, signal handlers, descriptors, file-system context and process, and clone flags say which of them a
//! child shares. None of it is in a static.

use crate::args::Fd;
use crate::call::SavedCall;
use crate::host;
use crate::io_uring::Rings;
use crate::limits::Limits;
use crate::loan::{self, by_lender};
use crate::mm::Mm;
use crate::path::Sysroot;
use crate::proc;
use crate::seccomp::{Seccomp, Shared};
use crate::signal::{Sighand, TaskSignals};
use crate::tags::Tags;
use philae_ir::Arch;
use philae_ir::processor::{MAX, Model};
use std::ffi::{CString, OsStr};
use std::fmt;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A guest thread.
#[derive(Debug)]
pub struct Task {
    /// The machine that the thread's code is for.
    pub arch: Arch,
    /// Its thread id, which is its host thread's.
    pub tid: u32,
    /// Mask, alternate stack, and what is pending for this thread alone.
    pub signals: TaskSignals,
    /// Where the kernel writes 0 and wakes a waiter when the thread ends (`set_tid_address(2)`); 0 if nowhere.
    pub clear_child_tid: u64,
    /// The guest's robust futex list (`set_robust_list(2)`); 0 if none.
    pub robust_list: u64,
    /// The address space.
    pub mm: Arc<Mm>,
    /// The signal handlers.
    pub sighand: Arc<Sighand>,
    /// The descriptors.
    pub files: Arc<Files>,
    /// The file-system context.
    pub fs: Arc<Fs>,
    /// The process (thread group).
    pub process: Arc<Process>,
    pub(crate) memory: Memory,
    /// The pipe that this child of vfork(2) holds open until it execs or exits.
    pub(crate) vfork_done: Option<i32>,
    pub(crate) restart: Option<SavedCall>,
    pub(crate) seccomp: Seccomp,
    /// Whether its system calls accept tags in pointers.
    pub(crate) tags: Tags,
}

impl Task {
    /// The first thread of a program, on the calling host thread; its signal mask is the host thread's.
    pub fn new(
        arch: Arch,
        mm: Arc<Mm>,
        sighand: Arc<Sighand>,
        files: Arc<Files>,
        fs: Arc<Fs>,
        process: Arc<Process>,
    ) -> Task {
        let mut signals = TaskSignals::default();
        signals.inherit_host_mask();
        Task {
            arch,
            tid: host::gettid(),
            signals,
            clear_child_tid: 0,
            robust_list: 0,
            mm,
            sighand,
            files,
            fs,
            process,
            memory: Memory::Own,
            vfork_done: None,
            restart: None,
            seccomp: Seccomp::default(),
            tags: Tags::default(),
        }
    }

    /// Takes over what the program before has left for this one ([`ExecRequest::inheritance`]).
    ///
    /// [`ExecRequest::inheritance`]: crate::ExecRequest::inheritance
    pub fn inherit(&mut self, inheritance: &Inheritance) {
        self.seccomp = Seccomp::decode(&inheritance.filters);
        // The host's mask opens when the thread is attached.
        self.signals.mask = inheritance.mask.unwrap_or(self.signals.mask);
    }

    /// Whether its process runs in memory of its own, and not in its parent's as a child of vfork(2) does.
    pub fn owns_memory(&self) -> bool {
        self.memory == Memory::Own
    }

    /// Has the last system call ended in [`Then::Restart`](crate::Then::Restart), and [`deliver`] not seen to it?
    ///
    /// [`deliver`]: crate::signal::deliver
    pub fn must_restart(&self) -> bool {
        self.restart.is_some()
    }
}

/// Whose memory a process runs in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Memory {
    /// Its own.
    Own,
    /// That of the parent, which waits: a child of vfork(2).
    Parents,
}

/// The descriptor table. Guest descriptors are host descriptors; what is kept here are Philae's own among them.
#[derive(Debug, Default)]
pub struct Files {
    own: Mutex<Vec<i32>>,
    /// Those that are the guest's io_urings.
    rings: Mutex<Rings>,
    /// Whether there has been any.
    has_rings: AtomicBool,
    /// Whether another process has the same table, or had.
    is_lent: AtomicBool,
}

impl Files {
    /// A table in which every descriptor is the guest's.
    pub fn new() -> Arc<Files> {
        Arc::default()
    }

    /// A table of its own for a child.
    pub(crate) fn copy(&self) -> Arc<Files> {
        let has_rings = self.has_rings.load(Ordering::Acquire);
        let rings = if has_rings { self.rings().clone() } else { Rings::default() };
        Arc::new(Files {
            own: Mutex::new(self.own()),
            rings: Mutex::new(rings),
            has_rings: AtomicBool::new(has_rings),
            is_lent: AtomicBool::new(false),
        })
    }

    /// The calling process is about to have a child that shares the table (CLONE_FILES of clone(2)).
    pub(crate) fn lend(&self) {
        self.is_lent.store(true, Ordering::Release);
    }

    /// Whether nobody but the caller opens and closes anything in it.
    pub(crate) fn is_alone(self: &Arc<Files>) -> bool {
        Arc::strong_count(self) == 1 && !self.is_lent.load(Ordering::Acquire)
    }

    /// Makes `fd` Philae's own: the guest cannot close or replace it.
    pub fn keep(&self, fd: i32) {
        self.change_own(|own| {
            own.push(fd);
            own.sort_unstable();
        });
    }

    fn change_own(&self, change: impl FnOnce(&mut Vec<i32>)) {
        let tells = !loan::is_borrower();
        by_lender(|| {
            let mut own = self.own.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            change(&mut own);
            if tells {
                proc::set_descriptors(&own);
            }
        })
    }

    /// Philae has closed its own `fd`.
    pub fn release(&self, fd: i32) {
        self.change_own(|own| own.retain(|own| *own != fd));
    }

    /// Holds the table still, for the length of a fork.
    pub(crate) fn freeze(&self) -> impl Sized + '_ {
        let own = self.own.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let rings = self.rings.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        (own, rings)
    }

    /// The io_urings among them, of which there may be some from now on.
    pub(crate) fn rings(&self) -> MutexGuard<'_, Rings> {
        self.has_rings.store(true, Ordering::Release);
        self.rings.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The io_urings among them, if there are any.
    fn known_rings(&self) -> Option<MutexGuard<'_, Rings>> {
        self.has_rings.load(Ordering::Acquire).then(|| self.rings())
    }

    /// The guest closes a range of them.
    pub(crate) fn closed(&self, fds: Range<i64>) {
        self.known_rings().into_iter().for_each(|mut rings| rings.close(fds.clone()));
    }

    /// The guest has made `new` a duplicate of `old`.
    pub(crate) fn duplicated(&self, old: i32, new: i32) {
        self.known_rings().into_iter().for_each(|mut rings| rings.duplicate(old, new));
    }

    /// The guest has mapped what is at this offset of a descriptor.
    pub(crate) fn mapped(&self, fd: i32, offset: u64, address: u64) {
        self.known_rings().into_iter().for_each(|mut rings| rings.mapped(fd, offset, address));
    }

    /// Is `fd` Philae's own?
    pub fn is_own(&self, fd: Fd) -> bool {
        self.own().contains(&fd.0)
    }

    /// Philae's own descriptors, ascending.
    pub fn own(&self) -> Vec<i32> {
        self.own.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

/// The file-system context: the host keeps root, working directory and umask; the sysroot is ours.
#[derive(Debug, Default)]
pub struct Fs {
    /// Where absolute paths are tried first (`-L`).
    pub sysroot: Option<Sysroot>,
}

impl Fs {
    /// A context with this sysroot.
    pub fn new(sysroot: Option<Sysroot>) -> Arc<Fs> {
        Arc::new(Fs { sysroot })
    }
}

/// What the guest's processor says of itself.
#[derive(Clone, Copy, Debug)]
pub enum Processor {
    /// An AArch64 of this model.
    Aarch64(&'static Model),
    /// An x86-64.
    X86_64 {
        /// CPUID: EAX, EBX, ECX, EDX of a leaf and subleaf.
        cpuid: fn(u32, u32) -> [u32; 4],
    },
}

impl Default for Processor {
    fn default() -> Processor {
        Processor::Aarch64(&MAX)
    }
}

/// Where the parts of a program are: the fields of `/proc/PID/stat` that say so.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The executable segment of the program.
    pub code: Range<u64>,
    /// Its writable segment.
    pub data: Range<u64>,
    /// The first stack pointer.
    pub stack: u64,
    /// The strings of the arguments.
    pub arguments: Range<u64>,
    /// The strings of the environment, which follow them.
    pub environment: Range<u64>,
}

/// What a process is told about itself.
#[derive(Clone, Debug, Default)]
pub struct ProcessInfo {
    /// What `/proc/cpuinfo` says.
    pub processor: Processor,
    /// Where its program is.
    pub layout: Layout,
    /// Does the host kernel know of layout, arguments and auxiliary vector ([`proc::show`](crate::proc::show))?
    pub shown: bool,
    /// What `/proc/self/exe` reads as: the program's absolute path as the guest names it.
    pub exe: CString,
    /// Where the program is on the host.
    pub exe_host: CString,
    /// The arguments, argv\[0\] first.
    pub argv: Vec<CString>,
    /// The auxiliary vector, AT_NULL included.
    pub auxv: Vec<u8>,
    /// The kernel release that `uname(2)` reports, if not the host's (`-r`).
    pub release: Option<String>,
}

/// What survives execve and the host's process does not keep.
#[derive(Clone, Debug, Default)]
pub struct Inheritance {
    /// The signal mask, if there was a program before.
    mask: Option<u64>,
    limits: Vec<u64>,
    filters: Vec<u64>,
}

impl Inheritance {
    /// What `task` leaves.
    pub(crate) fn of(task: &Task) -> Inheritance {
        Inheritance {
            mask: Some(task.signals.mask),
            limits: task.process.limits.encode(),
            filters: task.seccomp.encode(),
        }
    }

    /// Are there filters, which only Philae applies?
    pub fn has_filters(&self) -> bool {
        !self.filters.is_empty()
    }

    /// As bytes, for the journey.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = [self.mask.unwrap_or(0), self.limits.len() as u64];
        head.iter().chain(&self.limits).chain(&self.filters).flat_map(|word| word.to_le_bytes()).collect()
    }

    /// What [`Inheritance::to_bytes`] has written; nothing if it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Inheritance {
        let words: Vec<u64> = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let Some((&[mask, count], rest)) = words.split_first_chunk() else { return Inheritance::default() };
        let Some((limits, filters)) = rest.split_at_checked(count as usize) else { return Inheritance::default() };
        Inheritance { mask: Some(mask), limits: limits.to_vec(), filters: filters.to_vec() }
    }

    /// The limits among it.
    pub fn limits(&self) -> Limits {
        Limits::decode(&self.limits)
    }
}

/// A process: what all threads of a group share.
#[derive(Debug)]
pub struct Process {
    /// What it is told about itself.
    pub info: ProcessInfo,
    /// Threads that have not ended.
    pub(crate) threads: AtomicUsize,
    /// The status that the leader gave to `exit(2)`: the process's, if nobody calls `exit_group(2)`.
    pub(crate) leader_status: AtomicI32,
    /// Limits that are not the host's.
    pub limits: Limits,
    /// Filters that one thread has installed for all.
    pub(crate) filters: Shared,
    /// Philae's thread in it.
    own_thread: OwnThread,
}

/// Says which host thread of this process is none of the guest's, if there is one: `/proc` is not to show it.
#[derive(Clone)]
pub struct OwnThread(pub Arc<dyn Fn() -> Option<u32> + Send + Sync>);

impl Default for OwnThread {
    fn default() -> OwnThread {
        OwnThread(Arc::new(|| None))
    }
}

impl fmt::Debug for OwnThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", (self.0)())
    }
}

impl Process {
    /// A process of one thread with these limits. A relative host path is taken from the working directory of now.
    pub fn new(mut info: ProcessInfo, limits: Limits, own_thread: OwnThread) -> Arc<Process> {
        let host = Path::new(OsStr::from_bytes(info.exe_host.to_bytes()));
        let absolute =
            std::path::absolute(host).ok().and_then(|path| CString::new(path.into_os_string().into_vec()).ok());
        info.exe_host = absolute.unwrap_or(info.exe_host);
        Arc::new(Process {
            info,
            threads: AtomicUsize::new(1),
            leader_status: AtomicI32::new(0),
            limits,
            filters: Shared::default(),
            own_thread,
        })
    }

    /// Philae's own host threads.
    pub(crate) fn own_threads(&self) -> Vec<u32> {
        (self.own_thread.0)().into_iter().collect()
    }

    /// A new process has the forking thread alone.
    pub(crate) fn forget_threads(&self) {
        if !self.is_single_threaded() {
            self.threads.store(1, Ordering::Release);
        }
    }

    /// Whether it has one thread.
    pub fn is_single_threaded(&self) -> bool {
        self.threads.load(std::sync::atomic::Ordering::Acquire) == 1
    }

    /// A child process of one thread, told the same about itself.
    pub(crate) fn copy(&self) -> Arc<Process> {
        let copy = Process {
            info: self.info.clone(),
            threads: AtomicUsize::new(1),
            leader_status: AtomicI32::new(0),
            limits: self.limits.copy(),
            filters: self.filters.copy(),
            own_thread: self.own_thread.clone(),
        };
        Arc::new(copy)
    }
}
