//! What depends on the machine that Philae itself runs on, one file each.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{ARCH, Context};

#[cfg(not(test))]
use std::ffi::{CStr, OsStr, OsString, c_char};
#[cfg(not(test))]
use std::os::unix::ffi::OsStrExt;

/// The C library's way in.
///
/// # Safety
///
/// Called once, by the C library's start, with the process's arguments.
#[cfg(not(test))]
#[unsafe(no_mangle)]
unsafe extern "C" fn main(argc: i32, argv: *const *const c_char) -> i32 {
    let args: Vec<OsString> = (0..argc as usize)
        .map(|index| {
            // SAFETY: argv has argc strings.
            let argument = unsafe { CStr::from_ptr(*argv.add(index)) };
            OsStr::from_bytes(argument.to_bytes()).to_owned()
        })
        .collect();
    crate::philae_main(args)
}

/// Ends the process, all its threads, with this status.
pub fn exit_process(status: i32) -> ! {
    // SAFETY: nothing of this process is used afterwards; exit handlers of the C library are none of the guest's.
    unsafe { libc::_exit(status) }
}

/// Ends the calling thread alone; the process goes on.
pub fn exit_thread() -> ! {
    loop {
        // SAFETY: the thread's guest side is gone, and nothing of its host side is used afterwards.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}
