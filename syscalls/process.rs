//! Processes and threads: clone(2), fork(2), vfork(2), exit(2).
//!
//! In: the guest's flags. Out: a [`NewThread`] or [`NewProcess`] for the runtime to start, and what each side
//! does then ([`start_thread`], [`fork`], [`exit_thread`]).
//!
//! What must hold: a thread's id is known to its parent before the parent goes on; nobody is told that a thread
//! has ended before its robust futexes are released.

use crate::allocator::{Held, Side};
use crate::arch;
use crate::args::Fd;
use crate::call::{Call, Outcome, Reply, Then};
use crate::errno::Errno;
use crate::futex;
use crate::host;
use crate::loan;
use crate::signal::{self, AltStack, SIGNALS};
use crate::task::{Memory, Task};
use crate::uaccess::{self, GuestPtr};
use philae_ir::{Arch, CpuState};
use std::ffi::CStr;
use std::sync::atomic::Ordering;

const CSIGNAL: u64 = 0xff;
const VM: u64 = libc::CLONE_VM as u64;
const FS: u64 = libc::CLONE_FS as u64;
const FILES: u64 = libc::CLONE_FILES as u64;
const SIGHAND: u64 = libc::CLONE_SIGHAND as u64;
const PIDFD: u64 = libc::CLONE_PIDFD as u64;
const VFORK: u64 = libc::CLONE_VFORK as u64;
const THREAD: u64 = libc::CLONE_THREAD as u64;
const SETTLS: u64 = libc::CLONE_SETTLS as u64;
const PARENT_SETTID: u64 = libc::CLONE_PARENT_SETTID as u64;
const CHILD_CLEARTID: u64 = libc::CLONE_CHILD_CLEARTID as u64;
const CHILD_SETTID: u64 = libc::CLONE_CHILD_SETTID as u64;
/// CLONE_CLEAR_SIGHAND and CLONE_INTO_CGROUP of `clone3(2)`.
const CLEAR_SIGHAND: u64 = 1 << 32;
const INTO_CGROUP: u64 = 1 << 33;
/// CLONE_NEWTIME, whose bit is a signal's in clone(2).
const NEWTIME: u64 = 0x80;
/// Flags that only `clone3(2)` takes.
const OF_CLONE3: u64 = INTO_CGROUP | NEWTIME;
/// What is done here, not by the host's clone.
const OURS: u64 =
    VM | SIGHAND | VFORK | THREAD | SETTLS | PARENT_SETTID | CHILD_CLEARTID | CHILD_SETTID | CLEAR_SIGHAND;

/// What a guest asked of `clone(2)` or `clone3(2)`; the fields of `struct clone_args`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CloneArgs {
    pub(crate) flags: u64,
    pub(crate) pidfd: u64,
    pub(crate) child_tid: u64,
    parent_tid: u64,
    pub(crate) exit_signal: u64,
    /// The child's stack pointer; 0 for the parent's.
    stack: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// A thread to be started on a host thread of its own.
#[derive(Debug)]
pub struct NewThread {
    /// The thread's task. [`start_thread`] completes it.
    pub task: Task,
    /// The thread's registers: the result register, stack and thread pointer are set.
    pub cpu: CpuState,
    flags: u64,
    parent_tid: u64,
    child_tid: u64,
}

/// A process to be started by [`fork`], or by [`vfork::run`](crate::vfork::run).
#[derive(Clone, Debug)]
pub struct NewProcess {
    pub(crate) args: CloneArgs,
}

impl NewProcess {
    /// Does the child run in its parent's memory, the parent waiting? [`fork`] would give it a copy instead.
    pub fn shares_memory(&self) -> bool {
        // Chosen ids and control groups are left to `fork`, which can ask clone3 for them.
        self.args.flags & (VM | VFORK) == VM | VFORK && self.args.set_tid_size == 0 && self.args.flags & OF_CLONE3 == 0
    }

    /// Does the child run in its parent's memory while the parent goes on?
    /// [`vfork::beside`](crate::vfork::beside) does that.
    pub fn runs_beside(&self) -> bool {
        self.args.flags & (VM | VFORK) == VM
    }

    /// A child of which the guest learns nothing: no signal says that it ends, and only who asks for it by its id, as
    /// [`wait_for`] does, waits for it.
    pub fn unseen() -> NewProcess {
        NewProcess { args: CloneArgs::default() }
    }

    /// Is it what the C library's fork does? [`fork`] asks the kernel itself for anything else.
    pub fn is_plain(&self) -> bool {
        let chosen_signal = self.args.exit_signal != libc::SIGCHLD as u64;
        host_flags(&self.args) == 0 && !chosen_signal && self.args.set_tid_size == 0
    }
}

/// On which side of [`fork`] the caller is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forked {
    /// The parent of the child with this id, which is in the result register.
    Parent(u32),
    /// There is no child; the error is in the result register.
    Refused,
    /// The child, whose only thread this is.
    Child,
    /// The same, and its parent had no other either.
    OnlyChild,
}

/// Whether a process goes on after one of its threads has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remaining {
    /// Other threads do.
    Others,
    /// This was the last one: the process ends with this status.
    Nobody(i32),
}

pub(crate) fn fork_call(call: &mut Call<'_>) -> Result<Outcome, Errno> {
    start(call, CloneArgs { exit_signal: libc::SIGCHLD as u64, ..CloneArgs::default() })
}

pub(crate) fn vfork(call: &mut Call<'_>) -> Result<Outcome, Errno> {
    start(call, CloneArgs { flags: VM | VFORK, exit_signal: libc::SIGCHLD as u64, ..CloneArgs::default() })
}

pub(crate) fn clone(
    call: &mut Call<'_>,
    flags: u64,
    stack: u64,
    parent_tid: u64,
    fourth: u64,
    fifth: u64,
) -> Result<Outcome, Errno> {
    let (child_tid, tls) = match call.task.arch {
        Arch::X86_64 => (fourth, fifth),
        Arch::Aarch64 => (fifth, fourth),
    };
    if flags & PIDFD != 0 && flags & PARENT_SETTID != 0 {
        return Err(Errno::EINVAL);
    }
    // Only the low half is looked at; `clone3` has flags in the upper one.
    let flags = flags & 0xffff_ffff;
    let args = CloneArgs {
        flags: flags & !CSIGNAL,
        exit_signal: flags & CSIGNAL,
        pidfd: parent_tid,
        stack,
        parent_tid,
        child_tid,
        tls,
        ..CloneArgs::default()
    };
    start(call, args)
}

/// Bytes in the first and in the current version of `struct clone_args`.
const CLONE_ARGS_FIRST: u64 = 64;
const CLONE_ARGS_NOW: u64 = 88;

pub(crate) fn clone3(call: &mut Call<'_>, address: u64, size: u64) -> Result<Outcome, Errno> {
    if size < CLONE_ARGS_FIRST {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let mut bytes = vec![0; size.max(CLONE_ARGS_NOW) as usize];
    uaccess::read_bytes(address, &mut bytes[..size as usize])?;
    if bytes[CLONE_ARGS_NOW as usize..].iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG);
    }
    let word = |index: usize| arch::Fields(&bytes).u64(8 * index);
    let (flags, exit_signal, stack, stack_size) = (word(0), word(4), word(5), word(6));
    const REFUSED: u64 = CSIGNAL & !NEWTIME | libc::CLONE_DETACHED as u64;
    const WITHOUT_SIGNAL: u64 = THREAD | libc::CLONE_PARENT as u64;
    let is_valid = (stack == 0) == (stack_size == 0)
        && exit_signal <= SIGNALS as u64
        && flags & REFUSED == 0
        && (flags & WITHOUT_SIGNAL == 0 || exit_signal == 0);
    if !is_valid {
        return Err(Errno::EINVAL);
    }
    let args = CloneArgs {
        flags,
        pidfd: word(1),
        child_tid: word(2),
        parent_tid: word(3),
        exit_signal,
        stack: stack.wrapping_add(stack_size),
        tls: word(7),
        set_tid: word(8),
        set_tid_size: word(9),
        cgroup: word(10),
    };
    start(call, args)
}

/// Sorts a request into thread and process, with the kernel's own checks first.
fn start(call: &mut Call<'_>, args: CloneArgs) -> Result<Outcome, Errno> {
    let has = |flags: u64| args.flags & flags == flags;
    let contradicts = has(THREAD) && !has(SIGHAND)
        || has(SIGHAND) && !has(VM)
        || has(SIGHAND | CLEAR_SIGHAND)
        || has(FS | libc::CLONE_NEWNS as u64)
        || has(THREAD | PIDFD) && args.flags & CLEAR_SIGHAND != 0;
    if contradicts {
        return Err(Errno::EINVAL);
    }
    if has(THREAD) {
        return thread(call, &args);
    }
    if has(VM) && !has(VFORK) && (args.set_tid_size != 0 || args.flags & OF_CLONE3 != 0) {
        // Only clone3 can do that, and the host's is not asked for a process beside this one.
        return Err(Errno::ENOSYS);
    }
    Ok(Outcome::then(0, Then::Fork(NewProcess { args })))
}

#[inline(never)]
fn thread(call: &Call<'_>, args: &CloneArgs) -> Result<Outcome, Errno> {
    const HANDLED: u64 = VM
        | FS
        | FILES
        | SIGHAND
        | THREAD
        | libc::CLONE_SYSVSEM as u64
        | SETTLS
        | PARENT_SETTID
        | CHILD_CLEARTID
        | CHILD_SETTID
        | libc::CLONE_IO as u64
        | libc::CLONE_PTRACE as u64
        | libc::CLONE_UNTRACED as u64
        | libc::CLONE_DETACHED as u64;
    let parent = &*call.task;
    // A second thread in borrowed memory would outlive the loan.
    if args.flags & !HANDLED != 0 || args.set_tid_size != 0 || parent.memory == Memory::Parents {
        return Err(Errno::ENOSYS);
    }
    let mut cpu = call.cpu.fork();
    set_child_registers(parent.arch, &mut cpu, args);
    let task = Task {
        arch: parent.arch,
        tid: 0,
        // CLONE_VM without CLONE_VFORK: the alternate stack is the parent's alone.
        signals: parent.signals.child(AltStack::default()),
        clear_child_tid: if args.flags & CHILD_CLEARTID != 0 { args.child_tid } else { 0 },
        robust_list: 0,
        mm: parent.mm.clone(),
        sighand: parent.sighand.clone(),
        files: parent.files.clone(),
        fs: parent.fs.clone(),
        process: parent.process.clone(),
        memory: Memory::Own,
        vfork_done: None,
        restart: None,
        seccomp: parent.seccomp.clone(),
        tags: parent.tags,
    };
    let new = NewThread { task, cpu, flags: args.flags, parent_tid: args.parent_tid, child_tid: args.child_tid };
    Ok(Outcome::then(0, Then::Thread(Box::new(new))))
}

pub(crate) fn set_child_registers(arch: Arch, cpu: &mut CpuState, args: &CloneArgs) {
    arch::set_result(arch, cpu, 0);
    if args.stack != 0 {
        arch::set_stack_pointer(arch, cpu, args.stack);
    }
    if args.flags & SETTLS != 0 {
        arch::set_thread_pointer(arch, cpu, args.tls);
    }
}

impl NewThread {
    /// What the parent does once the kernel has given the thread an id, before the thread is let go on: counts it, and
    /// writes the id where CLONE_PARENT_SETTID says.
    pub fn announce(&self, tid: u32) {
        self.task.process.threads.fetch_add(1, Ordering::AcqRel);
        write_tid(self.flags & PARENT_SETTID, self.parent_tid, tid);
    }

    /// What it has of its own that threads of the C library share: FS and FILES.
    fn apart(&self) -> u64 {
        (FS | FILES) & !self.flags
    }

    /// Whether the parent must wait for [`start_thread`]: what the thread takes along is as it is now.
    pub fn takes_along(&self) -> bool {
        self.apart() != 0
    }
}

/// What a new thread does first, on its own host thread with all signals blocked, after [`NewThread::announce`]: takes
/// its id, and writes it where CLONE_CHILD_SETTID says. [`signal::attach_thread`] comes next.
pub fn start_thread(new: &mut NewThread) {
    // Host threads share what glibc's do; what the guest wants apart is taken apart here.
    if new.takes_along() {
        // SAFETY: unsharing the working directory and descriptors concerns this thread only.
        let _ = unsafe { host::raw(libc::SYS_unshare, [new.apart(), 0, 0, 0, 0, 0]) };
    }
    new.task.tid = host::gettid();
    write_tid(new.flags & CHILD_SETTID, new.child_tid, new.task.tid);
}

/// A bad address is ignored, as by the kernel.
fn write_tid(wanted: u64, address: u64, tid: u32) {
    if wanted != 0 {
        let _ = GuestPtr::new(address).write(&tid);
    }
}

/// Starts the process that [`Then::Fork`] asked for, and sets the result register on both sides; an error is the
/// guest's result too. If the child was to share memory it has a copy, and the parent comes back when it has exec'd or
/// exited; [`NewProcess::shares_memory`] tells who can do better.
///
/// Other host threads do not exist in the child, which must not find taken what they hold: `hold` takes the caller's
/// locks that come behind those of the address space, the handlers and the descriptors. Where there are no others, no
/// lock is taken: a page that is written to is a page that parent and child copy.
pub fn fork<H>(task: &mut Task, cpu: &mut CpuState, new: &NewProcess, hold: impl FnOnce() -> H) -> Forked {
    // A signal between here and the child's first step would be seen twice.
    let mask = host::set_mask(!0);
    let forked = fork_blocked(task, cpu, &new.args, hold);
    match forked {
        Ok(Forked::Child | Forked::OnlyChild) => task.signals.sync_host_mask(),
        Ok(_) => {
            host::set_mask(mask);
        }
        Err(error) => {
            host::set_mask(mask);
            arch::set_result(task.arch, cpu, error.as_result());
        }
    }
    forked.unwrap_or(Forked::Refused)
}

fn fork_blocked<H>(
    task: &mut Task,
    cpu: &mut CpuState,
    args: &CloneArgs,
    hold: impl FnOnce() -> H,
) -> Result<Forked, Errno> {
    let done = if args.flags & VFORK != 0 { Some(Pipe::new()?) } else { None };
    let alone = host::is_alone();
    if args.flags & FILES != 0 {
        task.files.lend();
    }
    let cloned = if alone { kernel_clone(args) } else { clone_locked(task, args, hold) };
    let child = match cloned {
        Ok(0) => {
            become_child(task, cpu, args, done);
            return Ok(if alone { Forked::OnlyChild } else { Forked::Child });
        }
        result => result,
    };
    let waited = done.map(|done| done.close_write());
    let pid = child?;
    write_parent_tid(args, pid);
    arch::set_result(task.arch, cpu, u64::from(pid));
    if let Some(done) = waited {
        done.wait();
    }
    Ok(Forked::Parent(pid))
}

/// Waits until this child of the process has ended, whatever signal it sends (`waitpid(2)`), or somebody else has waited
/// for it.
pub fn wait_for(child: u32) {
    let args = [u64::from(child), 0, libc::__WALL as u64, 0, 0, 0];
    // SAFETY: nothing is written.
    while unsafe { host::raw(libc::SYS_wait4, args) } == Err(Errno::EINTR) {}
}

/// A child that finds no lock taken by a thread that it does not have.
fn clone_locked<H>(task: &Task, args: &CloneArgs, hold: impl FnOnce() -> H) -> Result<u32, Errno> {
    let (mm, sighand, files) = (task.mm.clone(), task.sighand.clone(), task.files.clone());
    let hold = || (mm.freeze(), sighand.freeze(), files.freeze(), hold());
    if loan::is_borrower() {
        let take = || (hold(), Held::take());
        let give_back = |(_held, allocators): (_, Held), side| allocators.free(side);
        return loan::clone_with(take, || kernel_clone(args), give_back);
    }
    let _held = hold();
    host_clone(args)
}

/// The flags that are the host's business.
pub(crate) fn host_flags(args: &CloneArgs) -> u64 {
    args.flags & !OURS
}

/// The host's fork or clone, by which the C library's locks are free in the child: the child's id, or 0 in the child.
fn host_clone(args: &CloneArgs) -> Result<u32, Errno> {
    if host_flags(args) == 0 && args.exit_signal == libc::SIGCHLD as u64 && args.set_tid_size == 0 {
        // SAFETY: the C library's fork leaves its own locks, the allocator's among them, free in the child.
        return match unsafe { libc::fork() } {
            -1 => Err(Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN))),
            pid => Ok(pid as u32),
        };
    }
    // Nothing is allocated from here on.
    let held = Held::take();
    let child = kernel_clone(args);
    held.free(if child == Ok(0) { Side::Child } else { Side::Parent });
    child
}

/// The kernel's clone: the child's id, or 0 in the child. The C library is not told, which knows nothing of a process
/// that it does not ask the kernel for, but for the id that it writes into locks of its own as their owner's.
fn kernel_clone(args: &CloneArgs) -> Result<u32, Errno> {
    let flags = host_flags(args);
    let child = if args.set_tid_size != 0 || flags & OF_CLONE3 != 0 {
        let (set_tid, cgroup) = (args.set_tid, args.cgroup);
        let words = [flags, args.pidfd, 0, 0, args.exit_signal, 0, 0, 0, set_tid, args.set_tid_size, cgroup];
        // SAFETY: without a stack the child goes on where the parent is, on its own copy.
        unsafe { host::raw(libc::SYS_clone3, [words.as_ptr() as u64, CLONE_ARGS_NOW, 0, 0, 0, 0]) }
    } else {
        // SAFETY: as above.
        unsafe { host::raw(libc::SYS_clone, [flags | args.exit_signal, 0, args.pidfd, 0, 0, 0]) }
    };
    child.map(|pid| pid as u32)
}

fn become_child(task: &mut Task, cpu: &mut CpuState, args: &CloneArgs, done: Option<Pipe>) {
    if let Some(inherited) = task.vfork_done.take() {
        // This child is not what the grandparent waits for.
        task.files.release(inherited);
        close(inherited);
    }
    if let Some(done) = done {
        let write = done.close_read();
        task.files.keep(write);
        task.vfork_done = Some(write);
    }
    loan::become_owner();
    task.memory = Memory::Own;
    task.process.forget_threads();
    task.mm.forget_locks();
    task.robust_list = 0;
    task.clear_child_tid = if args.flags & CHILD_CLEARTID != 0 { args.child_tid } else { 0 };
    task.signals.forget_pending();
    take_child_id(task, args);
    set_child_registers(task.arch, cpu, args);
}

/// The first steps of a child process: its id, and handlers cleared if that was asked for.
pub(crate) fn take_child_id(task: &mut Task, args: &CloneArgs) {
    task.tid = host::gettid();
    if args.flags & CLEAR_SIGHAND != 0 {
        task.sighand.clear();
    }
    write_tid(args.flags & CHILD_SETTID, args.child_tid, task.tid);
}

/// The parent's last step: the child's id where CLONE_PARENT_SETTID wants it.
pub(crate) fn write_parent_tid(args: &CloneArgs, pid: u32) {
    write_tid(args.flags & PARENT_SETTID, args.parent_tid, pid);
}

/// What a parent waits on until its child has exec'd or exited: the last copy of the write end is gone then.
struct Pipe {
    read: i32,
    write: i32,
}

impl Pipe {
    fn new() -> Result<Pipe, Errno> {
        let mut ends = [0i32; 2];
        let args = [ends.as_mut_ptr() as u64, libc::O_CLOEXEC as u64, 0, 0, 0, 0];
        // SAFETY: the array has room for both ends.
        unsafe { host::raw(libc::SYS_pipe2, args) }?;
        Ok(Pipe { read: ends[0], write: away(ends[1]) })
    }

    fn close_read(self) -> i32 {
        close(self.read);
        self.write
    }

    fn close_write(self) -> ReadEnd {
        close(self.write);
        ReadEnd(self.read)
    }
}

struct ReadEnd(i32);

impl ReadEnd {
    fn wait(self) {
        let mut byte = 0u8;
        let args = [self.0 as u64, &mut byte as *mut u8 as u64, 1, 0, 0, 0];
        // SAFETY: the byte is writable. Signals are blocked, so that only the end of the pipe comes.
        while unsafe { host::raw(libc::SYS_read, args) } == Err(Errno::EINTR) {}
        close(self.0);
    }
}

/// Moves a descriptor of ours out of the way of the guest's, which count from 0; stays where it is if it cannot.
fn away(fd: i32) -> i32 {
    const AWAY: [u64; 2] = [900, 200];
    for least in AWAY {
        let args = [fd as u64, libc::F_DUPFD_CLOEXEC as u64, least, 0, 0, 0];
        // SAFETY: duplicating a descriptor harms nobody.
        if let Ok(moved) = unsafe { host::raw(libc::SYS_fcntl, args) } {
            close(fd);
            return moved as i32;
        }
    }
    fd
}

fn close(fd: i32) {
    // SAFETY: the descriptor is one that this module made.
    let _ = unsafe { host::raw(libc::SYS_close, [Fd(fd).word(), 0, 0, 0, 0, 0]) };
}

/// Names the calling thread as the kernel names a program: the last component of the path that was executed.
pub fn set_name(path: &CStr) {
    let bytes = path.to_bytes_with_nul();
    let start = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let args = [libc::PR_SET_NAME as u64, bytes[start..].as_ptr() as u64, 0, 0, 0, 0];
    // SAFETY: the name ends in a NUL; the kernel takes its first 15 bytes.
    let _ = unsafe { host::raw(libc::SYS_prctl, args) };
}

/// What a thread does last: releases its robust futexes, tells who waits for its end, and says whether the
/// process goes on. The runtime then ends the host thread (the first one by `exit(2)` itself, with `status`, so
/// that it stays behind as the kernel's group leader), or the process.
pub fn exit_thread(task: &mut Task, status: i32) -> Remaining {
    if task.tid == host::getpid() {
        task.process.leader_status.store(status, Ordering::Release);
    }
    futex::release_robust_list(task);
    // A process in its parent's memory leaves that to whoever lends it.
    let address = if task.owns_memory() { std::mem::take(&mut task.clear_child_tid) } else { 0 };
    let others = task.process.threads.fetch_sub(1, Ordering::AcqRel) > 1;
    if others {
        signal::pass_on_pending(task);
    }
    if address != 0 && others && GuestPtr::new(address).write(&0u32).is_ok() {
        futex::wake(address, 1);
    }
    match others {
        true => Remaining::Others,
        false => Remaining::Nobody(task.process.leader_status.load(Ordering::Acquire)),
    }
}

pub(crate) fn exit(_: &mut Call<'_>, status: i32) -> Result<Outcome, Errno> {
    Ok(Outcome::then(0, Then::ExitThread(status & 0xff)))
}

pub(crate) fn exit_group(_: &mut Call<'_>, status: i32) -> Result<Outcome, Errno> {
    Ok(Outcome::then(0, Then::ExitGroup(status & 0xff)))
}

pub(crate) fn set_tid_address(call: &mut Call<'_>, address: u64) -> Reply {
    call.task.clear_child_tid = address;
    Ok(u64::from(call.task.tid))
}
