//! Guest threads and processes beginning and ending: host threads, fork, and the last words of a process.
//!
//! A guest thread is a host thread, a guest process a host process. A child of fork has the forking thread alone, so
//! that a lock which another thread holds at that moment would never be free in it: fork takes them all. This is
//! their order; whoever holds one may take those behind it, no other:
//!
//! 0. with `--check`, the right to run guest code ([`Check`]), held while it runs;
//! 1. the address space's (`Mm`), the signal handlers' (`Sighand`), the descriptors' (`Files`), which
//!    [`process::fork`] takes;
//! 2. the compiler's (`Runtime::compiler`), held while a guest thread compiles a region for itself, or the background
//!    compiler its first one;
//! 3. perf's map's ([`PerfMap`]), the log's, standard error's among them ([`Log`](crate::trace::Log));
//! 4. the background compiler's queue's ([`Background`](crate::background::Background));
//! 5. the code cache's (`Cache`);
//! 6. those of the host's C library, the allocator's among them, which its fork takes; where the host's own clone has to
//!    do, the background compiler has left first.
//!
//! Where a process has one host thread and no relative in its memory, fork takes none: what is locked is a page that
//! both sides would copy. For the same reason what fork does not need is not on its stack (`inline(never)`).
//!
//! No lock is held where guest memory is accessed: the fault handler takes those of 1 and 5. A child of vfork shares
//! all of them with its parent, whose other threads go on: it has the host thread that waits for it take them
//! ([`loan`](philae_syscalls::loan)), and hold them while it forks.

use crate::check::Check;
use crate::fault;
use crate::host;
use crate::perf_map::PerfMap;
use crate::run::End;
use crate::runtime::Runtime;
use crate::thread::{Counts, Thread};
use crate::tier;
use crate::trace::Clock;
use philae_syscalls::errno::Errno;
use philae_syscalls::host as kernel;
use philae_syscalls::loan::{by_lender, is_borrower};
use philae_syscalls::process::{self, Forked, NewProcess, NewThread, Remaining};
use philae_syscalls::{arch as abi, signal, vfork};
use std::os::unix::thread::JoinHandleExt;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

/// Philae's own descriptors are at this number or above.
pub const OWN_DESCRIPTORS: i32 = 1000;
/// The host stack of a guest thread: for Philae's own frames only, guest code has its own stack.
const HOST_STACK: usize = 1 << 20;

/// Starts a guest thread on a host thread of its own; its id is the parent's result. The parent does not wait for it,
/// which may be at once what keeps the parent from the processor (`sched_setscheduler(2)`).
#[inline(never)]
pub fn thread(parent: &mut Thread, new: Box<NewThread>) {
    // The new host thread inherits the mask: no signal reaches it before it can note one.
    let mask = kernel::set_mask(!0);
    let result = start_thread(&parent.runtime, new).map_or(Errno::EAGAIN.as_result(), u64::from);
    kernel::set_mask(mask);
    abi::set_result(parent.task.arch, &mut parent.cpu, result);
}

/// The id of a thread that runs, or is about to; none if the host has no more threads.
fn start_thread(runtime: &Arc<Runtime>, new: Box<NewThread>) -> Option<u32> {
    let runtime = runtime.clone();
    let (hand_over, receive) = mpsc::sync_channel::<Box<NewThread>>(1);
    let (started, wait) = mpsc::sync_channel(1);
    let thread = start_host_thread(move || {
        let _end = EndOnPanic;
        let Ok(new) = receive.recv() else { return };
        let mut new = *new;
        process::start_thread(&mut new);
        let _ = started.send(());
        let end = run_thread(Thread::new(runtime, new.task, new.cpu));
        if end != Ended::Thread {
            end.finish();
        }
    });
    let tid = host::thread_id(thread.ok()?.as_pthread_t())?;
    new.announce(tid);
    let must_wait = new.takes_along();
    hand_over.send(new).ok()?;
    if must_wait {
        let _ = wait.recv();
    }
    Some(tid)
}

fn start_host_thread(run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    let builder = std::thread::Builder::new().stack_size(HOST_STACK);
    kernel::starting_thread(|| {
        builder.spawn(move || {
            // The C library opens a signal when it makes its first thread.
            kernel::set_mask(!0);
            run();
        })
    })
}

/// A bug that ends a guest thread ends the process: the other threads would wait for it forever.
struct EndOnPanic;

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            signal::die(libc::SIGABRT);
        }
    }
}

/// Starts a guest process; both come back, each with its result. A child that shares this process's memory has come
/// and gone when the parent comes back.
pub fn process(thread: &mut Thread, new: &NewProcess) {
    if new.shares_memory() {
        return borrower(thread, new);
    }
    if new.runs_beside() {
        return companion(thread, new);
    }
    thread.translate_for_children();
    thread.expect_forks();
    fork(thread, new);
}

/// Forks; both sides come back, the child alone with what it shares with nobody.
fn fork(thread: &mut Thread, new: &NewProcess) -> Forked {
    if !new.is_plain() || is_borrower() {
        by_lender(|| thread.runtime.background.stop());
    }
    let check = thread.check.clone();
    let _alone = check.as_deref().map(Check::alone);
    let Thread { runtime, task, cpu, .. } = thread;
    let hold = || {
        let compiler = runtime.compiler.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let perf_map = runtime.perf_map.as_ref().map(PerfMap::freeze);
        (compiler, perf_map, runtime.log.freeze(), runtime.background.freeze(), runtime.cache.freeze())
    };
    let forked = process::fork(task, cpu, new, hold);
    if !matches!(forked, Forked::Child | Forked::OnlyChild) {
        return forked;
    }
    if forked == Forked::Child {
        forget_other_threads(thread);
    }
    let runtime = &thread.runtime;
    runtime.change_process();
    thread.tidings.become_child();
    thread.counts = Counts::default();
    thread.clock = Clock::new(runtime.options.stats.then(Instant::now));
    forked
}

/// In a child of fork, whose parent had more threads.
fn forget_other_threads(thread: &Thread) {
    let runtime = &thread.runtime;
    runtime.cache.keep_thread(&thread.cpu.ctl);
    if let Some(check) = &thread.check {
        check.forget_others();
    }
    for lost in runtime.background.lose_thread() {
        runtime.cache.set_heat(lost, tier::SOON);
    }
}

/// With `--chaos`: forks a child that the guest does not see, at a moment when the other threads do what they please. It
/// throws all code away, translates the block at the pc, and ends; a lock that is not free in it hangs this thread.
pub fn unseen_child(thread: &mut Thread) {
    if !thread.task.owns_memory() {
        return;
    }
    let registers = thread.cpu.fork();
    let forked = fork(thread, &NewProcess::unseen());
    thread.cpu.restore(&registers);
    match forked {
        Forked::Child | Forked::OnlyChild => {
            thread.runtime.cache.renew();
            thread.synchronise();
            thread.translate(thread.cpu.pc());
            host::exit_process(0)
        }
        Forked::Parent(child) => process::wait_for(child),
        Forked::Refused => {}
    }
}

/// Runs a child of vfork in this process's memory until it execs or ends.
#[inline(never)]
fn borrower(parent: &mut Thread, new: &NewProcess) {
    let (task, cpu) = vfork::child(&parent.task, &parent.cpu, new);
    let mut child = Thread::new(parent.runtime.clone(), task, cpu);
    // It may be killed at any moment, with the right to run guest code.
    child.check = None;
    let borrowed = &mut *child;
    vfork::run(&mut parent.task, &mut parent.cpu, new, || {
        vfork::enter_child(&mut borrowed.task, new);
        run_to_end(borrowed).finish()
    });
    vfork::leave(&mut child.task);
    child.forget_what_was_built();
    // The child has used this thread's thread-local data, and may have left without a word.
    fault::attach_thread(parent);
    parent.runtime.cache.remove_thread(&child.cpu.ctl);
}

/// Starts a child that runs in this process's memory beside it. A host thread waits for its end in this one's place
/// and lends it its thread-local data.
#[inline(never)]
fn companion(parent: &mut Thread, new: &NewProcess) {
    let (task, cpu) = vfork::child(&parent.task, &parent.cpu, new);
    let (runtime, request) = (parent.runtime.clone(), new.clone());
    let (sender, receiver) = mpsc::sync_channel(1);
    let mask = kernel::set_mask(!0);
    let started = start_host_thread(move || {
        let mut child = Thread::new(runtime.clone(), task, cpu);
        child.check = None;
        let borrowed = &mut *child;
        let refused = vfork::beside(&request, || {
            let pid = vfork::enter_child(&mut borrowed.task, &request);
            let _ = by_lender(|| sender.send(Ok(pid)));
            run_to_end(borrowed).finish()
        });
        if let Err(error) = refused {
            let _ = sender.send(Err(error));
        }
        child.forget_what_was_built();
        runtime.cache.remove_thread(&child.cpu.ctl);
    });
    let result = started.ok().and_then(|_| receiver.recv().ok()).unwrap_or(Err(Errno::EAGAIN));
    kernel::set_mask(mask);
    vfork::report(&mut parent.task, &mut parent.cpu, new, result);
}

/// What is left to do when a guest thread has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The process goes on without it.
    Thread,
    /// The process ends with this status.
    Process(i32),
    /// The process ends by this signal.
    Signal(i32),
}

impl Ended {
    /// Ends the process as the guest's ended; a thread that leaves others behind ends alone.
    pub fn finish(self) -> ! {
        match self {
            Ended::Signal(number) => signal::die(number),
            Ended::Process(status) => host::exit_process(status),
            Ended::Thread => host::exit_thread(),
        }
    }
}

/// Runs the first guest thread of a process on the calling host thread, and ends with it whatever it ends.
pub fn run_first_thread(thread: Box<Thread>) -> ! {
    host::at_page_end(move || run_thread(thread).finish())
}

/// Runs a guest thread on the calling host thread, to its end.
fn run_thread(mut thread: Box<Thread>) -> Ended {
    let ended = run_to_end(&mut thread);
    if ended != Ended::Thread {
        // The process is over: the kernel takes all its memory back faster than its owners give it up.
        std::mem::forget(thread);
    }
    ended
}

fn run_to_end(thread: &mut Thread) -> Ended {
    thread.attach();
    let ended = match thread.run() {
        End::Process(status) => Ended::Process(status),
        End::Signal(number) => Ended::Signal(number),
        End::Thread(status) => {
            thread.detach();
            match process::exit_thread(&mut thread.task, status) {
                Remaining::Nobody(status) => Ended::Process(status),
                Remaining::Others => Ended::Thread,
            }
        }
    };
    // Whoever ends with the process leaves no order behind: each page that is written to once more is copied first.
    if ended != Ended::Thread && thread.runtime.options.stats {
        thread.report_counts();
        thread.runtime.print_stats();
    }
    ended
}
