//! vfork(2) as it is: a child in its parent's memory. The parent's thread waits until the child has executed
//! another program or ended; what the child has written, and an error that it reports through memory as
//! posix_spawn(3) does, the parent then finds.
//!
//! In: a [`NewProcess`] that shares memory, and what the child is to run. Out: the child's id, when it is gone.
//!
//! What must hold: the child runs on a host stack of its own and with the waiting thread's thread-local data, and leaves
//! to that thread what must not be half done when the child is killed ([`loan`]); signal handlers, descriptors and
//! process are copies, as the kernel makes them.

use crate::arch;
use crate::errno::Errno;
use crate::futex;
use crate::host;
#[cfg(doc)]
use crate::loan;
use crate::loan::Loan;
use crate::process::{self, CloneArgs, NewProcess};
use crate::signal::{self, AltStack};
use crate::task::{Memory, Task};
use crate::uaccess::GuestPtr;
use philae_ir::CpuState;
use std::arch::global_asm;

global_asm!(
    ".pushsection .text.philae_vfork, \"ax\", @progbits",
    ".globl philae_vfork",
    ".hidden philae_vfork",
    // (rdi flags, rsi top of the child's stack, rdx pidfd, rcx entry, r8 its argument, r9 what the kernel clears when the
    // child has left the memory) → rax the child's id
    "philae_vfork:",
    "mov [rsi - 16], rcx",
    "mov [rsi - 8], r8",
    "sub rsi, 16",
    "mov r10, r9",
    "xor r8d, r8d",
    "mov eax, 56", // clone
    "syscall",
    "test rax, rax",
    "jnz 1f",
    "xor ebp, ebp",
    "pop rcx",
    "pop rdi",
    "call rcx",
    "ud2",
    "1: ret",
    ".popsection",
);

unsafe extern "C" {
    fn philae_vfork(
        flags: u64,
        stack: u64,
        pidfd: u64,
        entry: extern "C" fn(*mut libc::c_void) -> !,
        argument: *mut libc::c_void,
        clear: u64,
    ) -> u64;
}

/// The task and the registers of the child that [`run`] will start; its memory is the parent's.
pub fn child(parent: &Task, cpu: &CpuState, new: &NewProcess) -> (Task, CpuState) {
    let args = &new.args;
    let mut registers = cpu.fork();
    process::set_child_registers(parent.arch, &mut registers, args);
    let shares = |flag: i32| args.flags & flag as u64 != 0;
    let task = Task {
        arch: parent.arch,
        tid: 0,
        // Beside its parent, it cannot share the alternate stack.
        signals: parent.signals.child(if new.runs_beside() { AltStack::default() } else { parent.signals.alt_stack }),
        clear_child_tid: if shares(libc::CLONE_CHILD_CLEARTID) { args.child_tid } else { 0 },
        robust_list: 0,
        mm: parent.mm.clone(),
        sighand: if shares(libc::CLONE_SIGHAND) { parent.sighand.clone() } else { parent.sighand.copy() },
        files: if shares(libc::CLONE_FILES) { parent.files.clone() } else { parent.files.copy() },
        fs: parent.fs.clone(),
        process: parent.process.copy(),
        memory: Memory::Parents,
        vfork_done: None,
        restart: None,
        seccomp: parent.seccomp.clone(),
        tags: parent.tags,
    };
    (task, registers)
}

/// What the child does first, before [`signal::attach_thread`]: takes its id and writes it where the flags say.
/// Returns the id.
pub fn enter_child(task: &mut Task, new: &NewProcess) -> u32 {
    process::take_child_id(task, &new.args);
    if new.runs_beside() && task.clear_child_tid != 0 {
        // Whoever waits for its end must find it done: the kernel does it, in place of clearing the loan's word.
        // SAFETY: the address is the guest's.
        let _ = unsafe { host::raw(libc::SYS_set_tid_address, [task.clear_child_tid, 0, 0, 0, 0, 0]) };
    }
    task.tid
}

/// What the kernel does when a process leaves memory that others use (`set_tid_address(2)`), for a child that has left
/// its parent's, however that came.
pub fn leave(task: &mut Task) {
    let address = std::mem::take(&mut task.clear_child_tid);
    if address != 0 && GuestPtr::new(address).write(&0u32).is_ok() {
        futex::wake(address, 1);
    }
}

/// The same for a child whose parent goes on: called on a host thread of its own, which waits instead, all its
/// signals blocked, and whose thread-local data the child uses. An error if there is no child.
pub fn beside(new: &NewProcess, child: impl FnOnce()) -> Result<(), Errno> {
    start(&new.args, child).map(|_| ())
}

/// The parent's last step when it knows the id of a child beside it, or why there is none: sets the result register.
pub fn report(task: &mut Task, cpu: &mut CpuState, new: &NewProcess, result: Result<u32, Errno>) {
    if let Ok(pid) = result {
        process::write_parent_tid(&new.args, pid);
    }
    arch::set_result(task.arch, cpu, result.map_or_else(Errno::as_result, u64::from));
}

/// Starts `child` in a process that shares this one's memory and comes back when that process has executed a
/// program or ended; `child` does not return. Sets the result register, of an error too. The waiting thread's
/// attachment to its signals is restored; what else `child` has changed of thread-local data is the caller's to
/// restore. The child's id, if there was one.
pub fn run(task: &mut Task, cpu: &mut CpuState, new: &NewProcess, child: impl FnOnce()) {
    let mask = host::set_mask(!0);
    let attachment = signal::attachment();
    let result = start(&new.args, child);
    signal::restore_attachment(attachment);
    host::set_mask(mask);
    report(task, cpu, new, result);
}

extern "C" fn enter<F: FnOnce()>(child: *mut libc::c_void) -> ! {
    // SAFETY: `start` passes its own `Option<F>`, which outlives the child: it waits.
    if let Some(child) = unsafe { (*child.cast::<Option<F>>()).take() } {
        child();
    }
    // SAFETY: only reached if `child` came back, which it must not: there is no frame to return to.
    let _ = unsafe { host::raw(libc::SYS_exit_group, [127, 0, 0, 0, 0, 0]) };
    std::process::abort()
}

fn start<F: FnOnce()>(args: &CloneArgs, child: F) -> Result<u32, Errno> {
    let flags = process::host_flags(args) | (libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID) as u64;
    let flags = flags | args.flags & libc::CLONE_SIGHAND as u64 | args.exit_signal;
    let mut child = Some(child);
    let loan = Loan::new()?;
    loan.begin();
    // SAFETY: the child runs `enter` on the loan's stack, from where it does not return; it is gone, or has other memory,
    // when the loan has been served.
    let pid = Errno::check(unsafe {
        philae_vfork(flags, loan.stack(), args.pidfd, enter::<F>, (&raw mut child).cast(), loan.word())
    });
    match pid {
        Ok(pid) => loan.serve(pid as u32),
        Err(_) => loan.end(),
    }
    pid.map(|pid| pid as u32)
}
