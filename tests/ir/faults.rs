//! Faults of the interpreter's accesses become its exits, as in the runtime.

use philae_backends::interp::recovery;
use std::ffi::{c_int, c_void};

/// Makes SIGSEGV continue at the interpreter's recovery. Anything else ends the process.
pub(crate) fn recover() {
    // SAFETY: the action is complete, and its handler only touches the context it is given.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut());
    }
}

extern "C" fn on_fault(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes both to SA_SIGINFO handlers.
    let (registers, address) =
        unsafe { (&mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs, (*info).si_addr() as i64) };
    match recovery(registers[libc::REG_RIP as usize] as u64) {
        Some(pc) => {
            registers[libc::REG_RAX as usize] = address;
            registers[libc::REG_RIP as usize] = pc as i64;
        }
        None => std::process::abort(),
    }
}
