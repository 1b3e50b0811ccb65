//! The page of code that the kernel gives every program, `vdso(7)`: clocks without a system call, and where a handler
//! returns to.
//!
//! In: the images that `vdso/build` makes. Out: the bytes to map, and what their one special instruction calls: an
//! instruction that is undefined or privileged everywhere else asks the runtime, which asks the host's own vdso. What
//! that cannot answer, the code asks the kernel, with an ordinary system call.

use crate::arch::aarch64::SIGRETURN_CODE;
use philae_ir::{Arch, Helper, HelperEffect, Ty};
use std::ffi::c_uint;

/// The image for this guest: an ELF shared object, as it is mapped.
pub(crate) fn image(arch: Arch) -> &'static [u8] {
    match arch {
        Arch::Aarch64 => include_bytes!("vdso/aarch64.so"),
        Arch::X86_64 => include_bytes!("vdso/x86_64.so"),
    }
}

/// Where in the image handlers return to: `__kernel_rt_sigreturn`. Programs for x86_64 bring their own.
pub(crate) fn sigreturn_offset(arch: Arch) -> Option<usize> {
    match arch {
        Arch::X86_64 => None,
        Arch::Aarch64 => {
            let code: Vec<u8> = SIGRETURN_CODE.iter().flat_map(|word| word.to_le_bytes()).collect();
            image(arch).windows(code.len()).position(|bytes| bytes == code)
        }
    }
}

/// What is asked, as the images number it.
const GETTIME: u32 = 0;
const GETRES: u32 = 1;
const GETCPU: u32 = 2;

/// The second word of an answer that only the kernel knows.
const ASK_THE_KERNEL: u64 = u64::MAX;

/// What the images' special instruction calls: the question and a clock's number give two words, low one first:
/// seconds and nanoseconds, or processor and node.
pub static QUESTION: Helper = Helper {
    name: "vdso_question",
    operands: 2,
    result: Ty::V128,
    effect: HelperEffect::State,
    function: |_, [question, clock, _]| {
        let [low, high] = answer(question as u32, clock as i32).unwrap_or([0, ASK_THE_KERNEL]);
        u128::from(low) | u128::from(high) << 64
    },
};

fn answer(question: u32, clock: libc::clockid_t) -> Option<[u64; 2]> {
    match question {
        GETTIME => time(clock, libc::clock_gettime),
        GETRES => time(clock, libc::clock_getres),
        GETCPU => processor(),
        _ => None,
    }
}

fn time(
    clock: libc::clockid_t,
    ask: unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> i32,
) -> Option<[u64; 2]> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the function writes the struct and nothing else.
    let result = unsafe { ask(clock, &mut time) };
    (result == 0).then_some([time.tv_sec as u64, time.tv_nsec as u64])
}

fn processor() -> Option<[u64; 2]> {
    unsafe extern "C" {
        fn getcpu(cpu: *mut c_uint, node: *mut c_uint) -> i32;
    }
    let (mut cpu, mut node) = (0, 0);
    // SAFETY: the function of the C library (getcpu(2)) writes the two words and nothing else.
    let result = unsafe { getcpu(&mut cpu, &mut node) };
    (result == 0).then_some([u64::from(cpu), u64::from(node)])
}
