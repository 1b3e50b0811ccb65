//! The background compiler: regions that are worth compiling wait in a queue for one host thread of this process.
//!
//! In: regions that guest threads have lifted. Out: their code, published in the cache, or a request that will come
//! again. The thread never reads guest memory, blocks all signals, starts with the first request and leaves when
//! nothing was asked of it for a while. What must hold:
//!
//! - A child of fork has no such thread, and starts its own; a child of vfork, whose memory is its parent's, starts
//!   none and leaves the work to its parent's. So nothing that a child needs may be with the thread: it owns its
//!   compiler and its job, and holds a lock only where fork waits for it.
//! - Where a process must have one thread (`unshare(2)`, `setns(2)`), [`Background::stop`] comes back when the kernel
//!   has forgotten the other. The guest is not to see it: [`Background::tid`] is who is to be left out.

use crate::host;
use crate::run;
use crate::runtime::Runtime;
use crate::tier;
use crate::translate::{self, Job};
use philae_backends::compiled::CompileError;
use philae_backends::cranelift::{Compiler, Recovery};
use philae_syscalls::host as kernel;
use philae_syscalls::proc::set_own_thread;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Requests that wait at most: what does not fit asks again when it has run some more.
const LONGEST_QUEUE: usize = 32;
/// The thread leaves after so long without work.
const PATIENCE: Duration = Duration::from_millis(50);
/// The thread's stack: Cranelift recurses with the size of a region.
const STACK: usize = 4 << 20;

/// The queue and its thread.
#[derive(Debug)]
pub struct Background {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Job>,
    /// The guest address of the region that is being compiled, and where it lies.
    current: Option<(u64, Vec<Range<u64>>)>,
    thread: Existence,
    /// Whether the thread is to leave whatever waits.
    stopping: bool,
    /// The process whose thread it is, or was before the last fork.
    process: u32,
    /// Requests that were put off because Cranelift has not run yet.
    put_off: u32,
    /// When the first of them came.
    first_request: Option<Instant>,
    /// The most instructions of regions that turned out to be too large, by guest address.
    limits: HashMap<u64, usize>,
}

impl State {
    /// The regions that wait, and the one that is being compiled: where they start, and where they lie.
    fn waiting(&self) -> impl Iterator<Item = (u64, &[Range<u64>])> + Clone {
        let queued = self.queue.iter().map(|job| (job.pc, &job.coverage.ranges[..]));
        queued.chain(self.current.iter().map(|(pc, ranges)| (*pc, &ranges[..])))
    }
}

/// Whether there is a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Existence {
    /// There is none, or it takes no more work; its id, if the kernel may still know it.
    Left(Option<u32>),
    /// It is about to say its id.
    Starting,
    /// It works, or waits for work.
    Running(u32),
}

/// What becomes of a request for a guest address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Lift it, with so many instructions at most, and hand it over.
    Lift(usize),
    /// It waits already.
    Known,
    /// Not now: there is too much to do, or it is part of what waits and will perhaps be executed there.
    Later,
}

impl Background {
    /// An empty queue, without a thread.
    pub fn new() -> Background {
        let state = State {
            queue: VecDeque::new(),
            current: None,
            thread: Existence::Left(None),
            stopping: false,
            process: std::process::id(),
            put_off: 0,
            first_request: None,
            limits: HashMap::new(),
        };
        Background { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The lock, for fork.
    pub fn freeze(&self) -> impl Sized + '_ {
        self.lock()
    }

    /// What to do about a guest address that has become worth compiling.
    pub fn admit(&self, pc: u64) -> Admission {
        let mut state = self.lock();
        let waits_since = *state.first_request.get_or_insert_with(Instant::now);
        if state.put_off < tier::FIRST_PUT_OFF && waits_since.elapsed() < tier::FIRST_PUT_OFF_FOR {
            state.put_off += 1;
            return Admission::Later;
        }
        let can_start = state.process == std::process::id() || matches!(state.thread, Existence::Running(_));
        let mut waiting = state.waiting();
        if waiting.clone().any(|(start, _)| start == pc) {
            Admission::Known
        } else if state.queue.len() >= LONGEST_QUEUE
            || state.stopping
            || !can_start
            || waiting.any(|(_, ranges)| ranges.iter().any(|range| range.contains(&pc)))
        {
            Admission::Later
        } else {
            Admission::Lift(state.limits.get(&pc).copied().unwrap_or(tier::REGION_LIMIT))
        }
    }

    /// The bytes of guest code in the region that starts at `pc`, if it waits to be compiled.
    pub fn waiting_bytes(&self, pc: u64) -> u64 {
        let state = self.lock();
        let found = state.waiting().find(|&(start, _)| start == pc);
        found.map_or(0, |(_, ranges)| ranges.iter().map(|range| range.end - range.start).sum())
    }

    /// Queues a region; an error if there is no thread and none can be started.
    pub fn request(&self, runtime: &Arc<Runtime>, job: Job) -> io::Result<()> {
        let mut state = self.lock();
        if let Existence::Left(last) = state.thread {
            if state.process != std::process::id() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            while last.is_some_and(host::has_thread) {
                std::thread::yield_now();
            }
            state.thread = Existence::Starting;
            let runtime = runtime.clone();
            let builder = std::thread::Builder::new().stack_size(STACK);
            let started = kernel::starting_thread(|| builder.spawn(move || work(&runtime)));
            started.inspect_err(|_| state.thread = Existence::Left(None))?;
        }
        state.queue.push_back(job);
        self.changed.notify_all();
        Ok(())
    }

    /// The thread's next job, or none if it is to leave.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        state.current = None;
        loop {
            if !state.stopping
                && let Some(job) = state.queue.pop_front()
            {
                state.current = Some((job.pc, job.coverage.ranges.clone()));
                return Some(job);
            }
            let mut timed_out = false;
            if !state.stopping {
                let waited =
                    self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(|poisoned| poisoned.into_inner());
                (state, timed_out) = (waited.0, waited.1.timed_out());
            }
            if state.stopping || timed_out && state.queue.is_empty() {
                state.thread = Existence::Left(Some(kernel::gettid()));
                return None;
            }
        }
    }

    /// The id of the thread beside the guest's, if there is one.
    pub fn tid(&self) -> Option<u32> {
        let mut state = self.lock();
        if state.process != std::process::id() {
            return None;
        }
        loop {
            match state.thread {
                Existence::Starting => {
                    state = self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
                }
                Existence::Running(tid) | Existence::Left(Some(tid)) if host::has_thread(tid) => return Some(tid),
                Existence::Running(_) | Existence::Left(_) => {
                    state.thread = Existence::Left(None);
                    return None;
                }
            }
        }
    }

    /// Ends the thread, if there is one. What waits stays in the queue, for the next one.
    pub fn stop(&self) {
        if self.tid().is_none() {
            return;
        }
        self.lock().stopping = true;
        self.changed.notify_all();
        while self.tid().is_some() {
            std::thread::sleep(Duration::from_micros(50));
        }
        self.lock().stopping = false;
    }

    /// Before anything is asked for a process that has its memory for itself: a child of fork may not know yet that this
    /// is its own by now, if there was no thread when it began.
    pub fn adopt(&self) {
        let mut state = self.lock();
        let process = std::process::id();
        if state.process != process {
            (state.process, state.thread) = (process, Existence::Left(None));
        }
    }

    /// In a child of fork, which does not have the thread: gives the addresses of what it had to do.
    pub fn lose_thread(&self) -> Vec<u64> {
        let mut state = self.lock();
        state.thread = Existence::Left(None);
        state.stopping = false;
        state.process = std::process::id();
        let current = state.current.take().map(|(pc, _)| pc);
        current.into_iter().chain(state.queue.drain(..).map(|job| job.pc)).collect()
    }
}

/// What the thread does.
fn work(runtime: &Arc<Runtime>) {
    let background = &runtime.background;
    // No signal for the guest goes to it; the C library may have opened one of them.
    kernel::set_mask(!0);
    set_own_thread();
    {
        let mut state = background.lock();
        state.thread = Existence::Running(kernel::gettid());
        background.changed.notify_all();
    }
    let Some(first) = background.next() else { return };
    let mut compiler = {
        // Cranelift makes tables of its own with the first region; a child of fork must not find them half made.
        let _alone = runtime.compiler.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut compiler = Compiler::with_recovery(Recovery::InLoops);
        compile(runtime, &mut compiler, first);
        compiler
    };
    while let Some(job) = background.next() {
        compile(runtime, &mut compiler, job);
    }
}

/// Compiles a region and publishes it; one that is out of date may be asked for again.
fn compile(runtime: &Runtime, compiler: &mut Compiler, mut job: Job) {
    let pc = job.pc;
    if job.is_cut || !runtime.cache.is_current(&job.coverage, job.generation) || !runtime.cache.has_room() {
        return runtime.cache.set_heat(pc, tier::SOON);
    }
    let instructions = job.coverage.instructions;
    match translate::compile(runtime, compiler, &mut job) {
        Ok(code) => {
            if translate::publish(runtime, code, job).is_none() {
                runtime.cache.set_heat(pc, tier::SOON);
            }
        }
        Err(CompileError::TooManyFaults) if instructions > 1 => {
            runtime.background.lock().limits.insert(pc, instructions / 2);
            runtime.cache.set_heat(pc, tier::SOON);
        }
        Err(error) => {
            runtime.cache.set_heat(pc, tier::SETTLED);
            run::report_refusal(runtime, pc, &error);
        }
    }
}
