//! Where Philae meets its host: what depends on the machine, one file each, and the calls made for ourselves.

#[cfg(target_arch = "x86_64")]
#[path = "access_x86_64.rs"]
mod access;
mod calls;
#[cfg(all(target_arch = "x86_64", fixed_address))]
#[path = "entry_x86_64.rs"]
mod entry;
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use access::{Access, MOVED};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{ARCH, Context, at_page_end, forget_rseq};

pub use calls::*;
#[cfg(target_arch = "x86_64")]
use x86_64::free_stacks;

use std::ffi::{CStr, OsStr, OsString, c_char};
use std::os::unix::ffi::OsStrExt;

/// The C library's way in.
///
/// # Safety
///
/// Called once, by the C library's start, with the process's arguments.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, expect(dead_code, reason = "a test program has an entry of its own"))]
unsafe extern "C" fn main(argc: i32, argv: *const *const c_char) -> i32 {
    prepare_memory();
    let args: Vec<OsString> = (0..argc as usize)
        .map(|index| {
            // SAFETY: argv has argc strings.
            let argument = unsafe { CStr::from_ptr(*argv.add(index)) };
            OsStr::from_bytes(argument.to_bytes()).to_owned()
        })
        .collect();
    crate::philae_main(args)
}
