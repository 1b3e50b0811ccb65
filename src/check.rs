//! `--check`: every run of a compiled region against the interpreter.
//!
//! In: compiled code about to be entered, of either compiler, and the region it came from as it was lifted, before any
//! pass. Out: the exit of the compiled code, which has run for real; or Philae's end, with what differed. While it is
//! on, compiled code is not linked and indirect branches find nothing, so that one entry is one run of one region.
//!
//! The interpreter rehearses the run on a copy of the registers, its stores kept aside ([`Overlay`]). Then the compiled
//! code runs, and why it left, where the guest goes on, the fault, all registers and what was stored are compared.
//!
//! What must hold: nothing else changes what the two runs see. Guest code, interpreted or compiled, runs in one thread
//! of a process at a time. A difference is excused, and counted, only
//!
//! * if the compiled code left at a poll because it was asked to meanwhile, and the rehearsal was not, or where it
//!   wrote to code, to go on in what it changed;
//! * if memory that the rehearsal read, and did not write, holds something else now, or any memory that it touched is
//!   shared with other processes: the kernel or they wrote to it;
//! * if one of the two alone met a fault while another thread was in a system call, which may have changed mappings.
//!
//! Not compared are regions that read a clock, and of loops that go on for more than [`POLLS`] rounds all but the first
//! [`ROUNDS`] rounds after each such discovery; in a process of many threads every round is.

use crate::cache::{EMPTY_JUMP_CACHE, SlotPointer};
use crate::fault::{self, FaultKind, HostFault};
use crate::host;
use crate::thread::Thread;
use crate::tier::SETTLED;
use philae_backends::cranelift::Exactness;
use philae_backends::interp::{Overlay, Steps};
use philae_backends::{Exit, FloatControl};
use philae_ir::state::Life;
use philae_ir::{CpuState, ExitReason, Region, Slot, Ty};
use philae_syscalls::signal;
use std::fmt::{self, Display, Formatter, Write};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The polls after which a rehearsal is given up: the loop may have no end.
const POLLS: u32 = 1000;
/// How many rounds of a loop that was given up are compared one by one before one run is not compared.
const ROUNDS: u32 = 64;
/// The same in a process of many threads, where the whole loop is rehearsed again after that.
const ROUNDS_AMONG_THREADS: u32 = 4096;
/// Helpers whose result is another one each time: the counters of both guests, and the vdso's.
const CLOCKS: [&str; 3] = ["a64_virtual_count", "x86_time_stamp", "vdso_question"];

/// What a compiled region has to do.
#[derive(Debug)]
pub struct Reference {
    region: Region,
    steps: Steps,
    exactness: Exactness,
    /// How many of the next runs are of one round.
    rounds: AtomicU32,
}

impl Reference {
    /// The reference of the code that will be compiled from `region`, which is as it was lifted.
    pub fn new(region: &Region, exactness: Exactness) -> Reference {
        Reference { steps: Steps::new(region), region: region.clone(), exactness, rounds: AtomicU32::new(0) }
    }

    fn reads_a_clock(&self) -> bool {
        self.region.helpers.iter().any(|helper| CLOCKS.contains(&helper.name))
    }
}

/// What the threads of a process share for it. The child of a vfork takes no part.
#[derive(Debug, Default)]
pub struct Check {
    /// Who may run guest code: the tickets given and the one that is served. A mutex would go to the same thread again
    /// and again, which may wait for another one to do something.
    given: AtomicU32,
    served: AtomicU32,
    calls_begun: AtomicU64,
    calls_ended: AtomicU64,
}

/// The right to run guest code.
pub struct Alone<'a>(&'a Check);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let next = self.0.served.fetch_add(1, Ordering::SeqCst).wrapping_add(1);
        if self.0.given.load(Ordering::SeqCst) != next {
            host::wake_all(&self.0.served);
        }
    }
}

impl Check {
    /// Waits until no other thread of the process runs guest code. The first of all locks (see `spawn.rs`).
    pub fn alone(&self) -> Alone<'_> {
        let ticket = self.given.fetch_add(1, Ordering::SeqCst);
        loop {
            let served = self.served.load(Ordering::SeqCst);
            if served == ticket {
                break;
            }
            host::wait_while(&self.served, served);
        }
        Alone(self)
    }

    /// In a child of fork, whose one thread may run guest code: nobody waits for it or is in a system call.
    pub fn forget_others(&self) {
        self.given.store(self.served.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.calls_ended.store(self.calls_begun.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// A thread makes a system call.
    pub fn begin_call(&self) {
        self.calls_begun.fetch_add(1, Ordering::SeqCst);
    }

    /// It is done.
    pub fn end_call(&self) {
        self.calls_ended.fetch_add(1, Ordering::SeqCst);
    }

    /// How many system calls there were, or `None` while one is being made.
    fn calls(&self) -> Option<u64> {
        let begun = self.calls_begun.load(Ordering::SeqCst);
        (self.calls_ended.load(Ordering::SeqCst) == begun).then_some(begun)
    }
}

/// Enters the code that a slot is linked to and compares what it does with the interpreter.
#[inline(never)]
pub fn enter(thread: &mut Thread, check: &Check, slot: SlotPointer, code: u64) -> Exit {
    let alone = check.alone();
    let Some(reference) = thread.runtime.cache.reference(slot, code) else {
        // Another thread has just forgotten the code, or replaced it.
        return Exit { reason: ExitReason::Interrupted, argument: 0 };
    };
    thread.cpu.ctl.jump_cache.store(EMPTY_JUMP_CACHE.address(), Ordering::Release);
    // A unit whose count ends with this run would leave at once.
    let heat = slot.heat();
    slot.set_heat(SETTLED);
    let exit = run(thread, check, &reference, (slot, code));
    // The slot that it left through is nobody's.
    thread.through_link = false;
    let Some(exit) = exit else {
        drop(alone);
        return thread.interpret_afresh(thread.cpu.pc());
    };
    slot.set_heat(heat.saturating_sub(i32::from(heat != SETTLED)));
    exit
}

/// Runs the code; not if rehearsing it has made it stale, because it is about to write to what it came from.
fn run(thread: &mut Thread, check: &Check, reference: &Reference, (slot, code): (SlotPointer, u64)) -> Option<Exit> {
    let runtime = thread.runtime.clone();
    let stats = &runtime.stats;
    if reference.reads_a_clock() {
        stats.check_clocks.add(1);
        return Some(thread.run_code(code));
    }
    let rehearsal = rehearse(thread, reference, check);
    if slot.code() != Some(code) {
        return None;
    }
    let Some(rehearsal) = rehearsal else {
        stats.check_endless.add(1);
        return Some(thread.run_code(code));
    };
    let exit = thread.run_code(code);
    match rehearsal.compare(thread, reference, exit) {
        Verdict::Same => stats.check_compared.add(1),
        Verdict::Interrupted => stats.check_interrupted.add(1),
        Verdict::Raced => stats.check_raced.add(1),
        Verdict::Different(what) => {
            runtime.log.write(&rehearsal.describe(thread, reference, &what));
            signal::die(libc::SIGABRT);
        }
    }
    Some(exit)
}

/// Rehearses the run that comes next, whole or to its first poll; `None` if it is not to be compared.
fn rehearse<'a>(thread: &mut Thread, reference: &Reference, check: &'a Check) -> Option<Rehearsal<'a>> {
    let asked = thread.cpu.ctl.poll.load(Ordering::Acquire) != 0;
    let rounds = reference.rounds.load(Ordering::Relaxed);
    let single = thread.task.process.is_single_threaded();
    if !asked && rounds == 1 && single {
        reference.rounds.store(0, Ordering::Relaxed);
        return None;
    }
    if !asked && rounds <= 1 {
        let rehearsal = Rehearsal::run(thread, reference, check, POLLS);
        if rehearsal.exit.reason != ExitReason::Interrupted {
            return Some(rehearsal);
        }
        reference.rounds.store(if single { ROUNDS } else { ROUNDS_AMONG_THREADS }, Ordering::Relaxed);
    } else if !asked {
        reference.rounds.store(rounds - 1, Ordering::Relaxed);
    }
    thread.cpu.ctl.poll.store(1, Ordering::Release);
    Some(Rehearsal::run(thread, reference, check, 1))
}

/// What the compiled code has to do.
struct Rehearsal<'a> {
    check: &'a Check,
    calls: Option<u64>,
    /// The registers before it and after it.
    states: Box<[CpuState; 2]>,
    overlay: Overlay,
    exit: Exit,
    fault: Option<HostFault>,
    polls: u32,
}

/// What came of a comparison.
enum Verdict {
    Same,
    Interrupted,
    Raced,
    /// How they differ, one line for each thing.
    Different(String),
}

impl<'a> Rehearsal<'a> {
    fn run(thread: &mut Thread, reference: &Reference, check: &'a Check, polls: u32) -> Rehearsal<'a> {
        let (mut states, mut overlay) = (Box::new([thread.cpu.fork(), thread.cpu.fork()]), Overlay::default());
        let calls = check.calls();
        let control = FloatControl::of(thread.task.arch, &states[0]);
        control.set();
        let exit = thread.interpreter.rehearse(&reference.steps, &mut states[1], &mut overlay, polls);
        control.reset();
        Rehearsal { check, calls, states, overlay, exit, fault: fault::take(), polls }
    }

    /// Compares what the compiled code has done with it.
    fn compare(&self, thread: &Thread, reference: &Reference, exit: Exit) -> Verdict {
        let fault = fault::peek();
        let after = &self.states[1];
        let mut what = String::new();
        let ends = [End::of(self.exit, self.fault, after), End::of(exit, fault, &thread.cpu)];
        if ends[0] != ends[1] {
            difference(&mut what, "end", &ends[0].to_string(), &ends[1].to_string());
        }
        // A guest that handles no fault does not see the registers at one.
        let relaxed = reference.exactness == Exactness::Relaxed && exit.reason == ExitReason::Fault;
        if !relaxed && !after.same_guest(&thread.cpu, thread.task.arch) {
            describe_registers(&mut what, thread, after);
        }
        for access in self.overlay.missing() {
            let mut now = [0];
            let now = philae_syscalls::uaccess::read_bytes(access.address, &mut now).map(|()| now[0]);
            difference(
                &mut what,
                &format!("memory {:#x}", access.address),
                &format!("{:#x}", access.value),
                &format!("{now:x?}"),
            );
        }
        if what.is_empty() {
            Verdict::Same
        } else if exit.reason == ExitReason::Interrupted && (self.polls != 1 || wrote_code(fault)) {
            Verdict::Interrupted
        } else if self.was_disturbed(thread, fault) {
            Verdict::Raced
        } else {
            Verdict::Different(what)
        }
    }

    /// Whether the kernel or another process may be the reason for a difference.
    fn was_disturbed(&self, thread: &Thread, fault: Option<HostFault>) -> bool {
        let is_shared = |address| thread.task.mm.find(address).is_some_and(|mapping| mapping.shared);
        let mappings_may_differ =
            self.fault.is_some() != fault.is_some() && (self.calls.is_none() || self.calls != self.check.calls());
        mappings_may_differ || !self.overlay.changed_reads().is_empty() || self.overlay.addresses().any(is_shared)
    }

    /// Everything that is known of a difference.
    fn describe(&self, thread: &Thread, reference: &Reference, what: &str) -> String {
        let region = &reference.region;
        let mut text = format!(
            "philae: bug: compiled code differs from the interpreter: region {:#x} ({:?}, {} polls), thread {}\n{what}before it:\n",
            region.pc, reference.exactness, self.polls, thread.task.tid
        );
        for (slot, ty, name) in guest_slots(thread) {
            let _ = writeln!(text, "  {name} {:#x}", value(&self.states[0], slot, ty));
        }
        let _ = write!(text, "--dump opt,code@{:#x} shows what became of it; as it was lifted:\n{region}", region.pc);
        text
    }
}

/// Why a run ended, and where. Compiled code does not tell one kind of jump from another where it could be linked.
#[derive(PartialEq, Eq)]
enum End {
    Jump {
        pc: u64,
    },
    Fault {
        pc: u64,
        signal: i32,
        code: i32,
        address: u64,
    },
    Argument {
        pc: u64,
        reason: ExitReason,
        argument: u64,
    },
    /// The argument of these means nothing.
    Other {
        pc: u64,
        reason: ExitReason,
    },
}

impl End {
    fn of(exit: Exit, fault: Option<HostFault>, cpu: &CpuState) -> End {
        let pc = cpu.pc();
        match (exit.reason, fault) {
            (reason, _) if reason.is_jump() => End::Jump { pc },
            (ExitReason::Fault, Some(HostFault { info, .. })) => {
                End::Fault { pc, signal: info.signal(), code: info.code(), address: info.address() }
            }
            (ExitReason::StaleCode | ExitReason::Misaligned | ExitReason::FetchFault, _) => {
                End::Argument { pc, reason: exit.reason, argument: exit.argument }
            }
            (reason, _) => End::Other { pc, reason },
        }
    }
}

impl Display for End {
    fn fmt(&self, to: &mut Formatter) -> fmt::Result {
        match *self {
            End::Jump { pc } => write!(to, "jump to {pc:#x}"),
            End::Fault { pc, signal, code, address } => {
                write!(to, "fault at {pc:#x}: signal {signal} code {code} address {address:#x}")
            }
            End::Argument { pc, reason, argument } => {
                write!(to, "{} at {pc:#x}, argument {argument:#x}", reason.name())
            }
            End::Other { pc, reason } => write!(to, "{} at {pc:#x}", reason.name()),
        }
    }
}

/// Whether the compiled code was left because it wrote to code.
fn wrote_code(fault: Option<HostFault>) -> bool {
    fault.is_some_and(|fault| fault.kind == FaultKind::WroteCode)
}

fn difference(what: &mut String, name: &str, expected: &str, found: &str) {
    let _ = writeln!(what, "  {name}: {expected} interpreted, {found} compiled");
}

/// The registers that a rehearsal leaves otherwise than the thread has them now.
fn describe_registers(what: &mut String, thread: &Thread, after: &CpuState) {
    for (slot, ty, name) in guest_slots(thread) {
        let [expected, found] = [after, &thread.cpu].map(|cpu| value(cpu, slot, ty));
        if expected != found {
            difference(what, name, &format!("{expected:#x}"), &format!("{found:#x}"));
        }
    }
}

/// The registers that outlive a region.
fn guest_slots(thread: &Thread) -> impl Iterator<Item = (Slot, Ty, &'static str)> {
    let guest = thread.task.arch.slots().iter().filter(|info| info.life == Life::Guest);
    guest.map(|info| (info.slot, info.ty, info.name))
}

fn value(cpu: &CpuState, slot: Slot, ty: Ty) -> u128 {
    if ty.bits() == 128 { cpu.get128(slot) } else { u128::from(cpu.get(slot)) }
}
