//! One system call: from the guest's registers to an [`Outcome`].
//!
//! In: a task, its registers behind the system call instruction. Out: the value for the guest's result register
//! and what the runtime has to do next. Effects beyond this process's kernel state come back as data.

use crate::args::Fd;
use crate::errno::Errno;
use crate::exec::ExecRequest;
use crate::process::{NewProcess, NewThread};
use crate::table::{self, How, Row};
use crate::tags::{self, Tags};
use crate::task::Task;
use crate::{arch, host, path, seccomp, signal, uaccess};
use philae_ir::CpuState;

/// What a handler gives back: the value, or the error that the guest sees.
pub(crate) type Reply = Result<u64, Errno>;

/// How a system call ended.
#[derive(Debug)]
pub struct Outcome {
    /// What the guest's result register gets: a value, or a negated error number.
    pub value: u64,
    /// What the runtime does next.
    pub then: Then,
}

/// What the runtime does after a system call.
#[derive(Debug)]
pub enum Then {
    /// Go on at the guest's program counter.
    Continue,
    /// A signal came first: [`signal::deliver`] next, which rewinds the guest's program counter to the system
    /// call instruction or leaves EINTR, as the kernel would.
    Restart,
    /// Start a host thread for this child; its thread id is the caller's result ([`process`](crate::process)).
    Thread(Box<NewThread>),
    /// [`process::fork`](crate::process::fork), between the runtime's own preparations for it.
    Fork(NewProcess),
    /// Replace the program. Whatever can fail has been tried, except what only the start of the program shows.
    Exec(Box<ExecRequest>),
    /// The registers have been restored from a signal frame: go on at the guest's program counter.
    SigReturn,
    /// End this thread: [`process::exit_thread`](crate::process::exit_thread).
    ExitThread(i32),
    /// End the process with this status.
    ExitGroup(i32),
}

impl Outcome {
    /// A value, and nothing to do.
    pub(crate) fn value(value: u64) -> Outcome {
        Outcome { value, then: Then::Continue }
    }

    /// A value, and something to do.
    pub(crate) fn then(value: u64, then: Then) -> Outcome {
        Outcome { value, then }
    }
}

/// Why a call is to be made again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restart {
    /// No part of it was done: always.
    NotStarted,
    /// The kernel would restart it unless a handler without SA_RESTART runs.
    Interrupted,
}

/// What is needed to make a call again: the registers that its result has overwritten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SavedCall {
    pub(crate) why: Restart,
    pub(crate) number: u64,
    pub(crate) first_arg: u64,
}

/// A system call while its handler runs.
pub(crate) struct Call<'a> {
    pub(crate) task: &'a mut Task,
    pub(crate) cpu: &'a mut CpuState,
    pub(crate) row: &'static Row,
    pub(crate) args: [u64; 6],
}

impl Call<'_> {
    /// The call's host twin with the guest's arguments.
    pub(crate) fn pass(&self) -> Reply {
        self.pass_with(self.args)
    }

    /// The call's host twin with other arguments.
    pub(crate) fn pass_with(&self, args: [u64; 6]) -> Reply {
        match self.row.host_number() {
            Some(number) => self.host(number, args),
            None => Err(Errno::ENOSYS),
        }
    }

    /// Any host call, through the interruptible stub.
    pub(crate) fn host(&self, number: i64, args: [u64; 6]) -> Reply {
        // SAFETY: the guest asks for the call; calls that could harm Philae's memory, descriptors or threads
        // have handlers of their own in the table.
        unsafe { host::interruptible(self.task.signals.inbox.pending_word(), number, args) }
    }

    /// A host call that does not block and belongs to the preparation of another one.
    pub(crate) fn prepare(&self, number: i64, args: [u64; 6]) -> Reply {
        // SAFETY: as `host`.
        unsafe { host::raw(number, args) }
    }

    /// Refuses descriptors that are Philae's own.
    pub(crate) fn guest_fd(&self, fd: Fd) -> Result<Fd, Errno> {
        if self.task.files.is_own(fd) { Err(Errno::EBADF) } else { Ok(fd) }
    }
}

/// Performs the system call that the guest's registers describe, pc being behind its instruction, and writes the
/// result register (not for [`Then::SigReturn`]; [`Then::Thread`] and [`Then::Fork`] leave 0 there until the
/// runtime knows the id).
pub fn system_call(task: &mut Task, cpu: &mut CpuState) -> Outcome {
    let (number, args) = arch::call_registers(task.arch, cpu);
    let mut outcome = dispatch(task, cpu, number, args);
    // The host may have refused to write to a page because code was translated from it.
    if outcome.value == Errno::EFAULT.as_result() && task.mm.unwatch_all_code() {
        outcome = dispatch(task, cpu, number, args);
    }
    match outcome.then {
        Then::SigReturn | Then::Exec(_) => {}
        _ => arch::set_result(task.arch, cpu, outcome.value),
    }
    outcome
}

/// Does not make the system call that the guest's registers describe yet, as when a signal has come before it:
/// [`signal::deliver`] has it made again.
pub fn put_off_call(task: &mut Task, cpu: &mut CpuState) -> Outcome {
    let (number, args) = arch::call_registers(task.arch, cpu);
    task.restart = Some(SavedCall { why: Restart::NotStarted, number, first_arg: args[0] });
    let interrupted = Errno::EINTR.as_result();
    arch::set_result(task.arch, cpu, interrupted);
    Outcome::then(interrupted, Then::Restart)
}

/// Performs system call `number` of the guest's table. The result register is not written; everything else is
/// as in [`system_call`].
pub fn dispatch(task: &mut Task, cpu: &mut CpuState, number: u64, args: [u64; 6]) -> Outcome {
    task.restart = None;
    // A signal that has already come is delivered before the call, as it would be natively.
    let result = if signal::pending(task) { Err(Errno::NOT_STARTED) } else { run(task, cpu, number, args) };
    let why = match result {
        Ok(outcome) => return outcome,
        Err(Errno::NOT_STARTED) => Restart::NotStarted,
        Err(Errno::RESTART) => Restart::Interrupted,
        Err(error) => return Outcome::value(error.as_result()),
    };
    task.restart = Some(SavedCall { why, number, first_arg: args[0] });
    Outcome::then(Errno::EINTR.as_result(), Then::Restart)
}

fn run(task: &mut Task, cpu: &mut CpuState, number: u64, args: [u64; 6]) -> Result<Outcome, Errno> {
    if let Some(outcome) = seccomp::stop(task, cpu, number, &args) {
        return Ok(outcome);
    }
    let row = table::find(task.arch, number).ok_or(Errno::ENOSYS)?;
    let args = tags::remove(task.arch, task.tags, row, args);
    uaccess::set_tags(task.tags);
    let mut call = Call { task, cpu, row, args };
    match row.how {
        How::Pass if call.task.tags == Tags::Accepted => tags::pass(&call).map(Outcome::value),
        How::Pass => call.pass().map(Outcome::value),
        How::Paths(paths) => path::pass(&call, paths).map(Outcome::value),
        How::Call(handler) => handler(&mut call),
        How::Refuse(error) => Err(error),
    }
}
