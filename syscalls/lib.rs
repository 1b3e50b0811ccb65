//! The Linux kernel that a guest sees.
//!
//! In: a guest's system call (a [`Task`], its registers) and the host's signals. Out: an [`Outcome`], the value
//! for the guest and what the caller has to do next, as data.
//!
//! Guest addresses are host addresses, guest descriptors are host descriptors, guest thread ids are host thread
//! ids; both guests and all hosts are 64-bit and little-endian, so most calls pass to the host as they are.
//! [`table`] says for every number of both guests how it is answered.
//!
//! What the runtime does, in order:
//!
//! 1. [`Mm::new`], which is told how translations are forgotten ([`mm::Forget`]), then loads the program with [`Mm::map`], [`Mm::set_brk`] and [`Mm::map_vdso`];
//!    [`process::set_name`].
//! 2. [`Sighand::new`] with its host handler; [`Task::new`]; [`signal::attach_thread`] on each guest thread, which
//!    opens the host's signal mask.
//! 3. At the exit for a system call, pc behind the instruction: [`system_call`], which reads number and
//!    arguments from the registers and writes the result to them; then it follows [`Then`].
//! 4. After every system call, and whenever `ctl.poll` was set: clear `ctl.poll`, then
//!    while [`signal::pending`] or [`Task::must_restart`]: [`signal::deliver`].
//! 5. Its host handler asks [`recovery`] first (a fault of ours in guest memory), then its own tables, and
//!    hands every signal that is not a fault of translated code to [`signal::host_signal`].
//! 6. A fault of the guest: [`signal::force_signal`], then [`signal::deliver`].
//! 7. [`Then::Thread`]: the parent starts a host thread with all signals blocked, calls [`NewThread::announce`] with its
//!    id, and lets it go on; that one calls [`process::start_thread`], attaches, runs; at its end it detaches and calls
//!    [`process::exit_thread`].
//! 8. [`Then::Fork`]: [`vfork::child`] and [`vfork::run`] if [`NewProcess::shares_memory`], else [`process::fork`].
//!    In a child of the first kind, whatever takes a lock that it shares is called through [`loan::by_lender`].
//! 9. [`Then::Exec`]: [`signal::prepare_exec`], which leaves everything blocked on the host, the host's execve, and [`signal::abandon_exec`] if that came back.
//!
//! What must hold: no guest state in statics (one per-thread pointer for the host's signal handler excepted);
//! every host call made for the guest goes through one interruptible stub ([`host`]); at most one of them blocks.

mod allocator;
pub mod arch;
mod args;
mod call;
pub mod errno;
pub mod exec;
mod fs;
mod futex;
pub mod host;
mod info;
mod io_uring;
mod ipc;
pub mod limits;
pub mod loan;
mod memory;
pub mod mm;
mod net;
pub mod path;
mod pauth;
mod poll;
pub mod proc;
pub mod process;
mod seccomp;
mod sigcall;
pub mod signal;
pub mod strace;
pub mod table;
mod tags;
pub mod task;
#[cfg(test)]
mod tests;
pub mod uaccess;
pub mod vdso;
pub mod vfork;
mod vma;

pub use args::Fd;
pub use call::{Outcome, Then, dispatch, put_off_call, system_call};
pub use errno::Errno;
pub use exec::{ExecRequest, ExecTarget};
pub use mm::Mm;
pub use process::{NewProcess, NewThread};
pub use signal::{Delivery, SigInfo, Sighand};
pub use task::{Files, Fs, Process, Task};
pub use uaccess::{GuestPtr, recovery};
