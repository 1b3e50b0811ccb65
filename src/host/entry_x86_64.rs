//! Where the process begins, if the program has a fixed address (`build.rs`): what the C library's start files would
//! do, without the 32-bit addresses that some of them hold.
//!
//! In: the stack as the kernel leaves it (System V ABI, 3.4.1). Out: `main`, called by the C library's start.
//!
//! What must hold: no function of the C library that another refers to weakly is missing, as a call of address 0 does
//! not reach from here. All of glibc 2.36 are made here, weakly, and do nothing: one that is there takes their place.

use std::arch::global_asm;

global_asm!(
    ".pushsection .text.philae_start, \"ax\", @progbits",
    ".globl _start, _dl_relocate_static_pie",
    ".type _start, @function",
    "_start:",
    "xor ebp, ebp",
    // __libc_start_main(main, argc, argv, init, fini, rtld_fini, stack_end).
    "mov r9, rdx",
    "pop rsi",
    "mov rdx, rsp",
    "and rsp, -16",
    "push rax",
    "push rsp",
    "xor ecx, ecx",
    "xor r8d, r8d",
    "lea rdi, [rip + main]",
    "call __libc_start_main",
    "hlt",
    "_dl_relocate_static_pie:",
    ".irp name, __call_tls_dtors, __default_pthread_attr_freeres, __glibc_tls_internal_free, \
     __libc_dlerror_result_free, __libpthread_freeres, __malloc_arena_thread_freeres, __malloc_fork_lock_parent, \
     __malloc_fork_unlock_child, __malloc_fork_unlock_parent, __mq_notify_fork_subprocess, __nss_action_freeres, \
     __nss_database_fork_prepare_parent, __nss_database_fork_subprocess, __nss_database_freeres, \
     __nss_module_freeres, __pthread_initialize_minimal, __pthread_unwind, __res_thread_freeres, \
     __timer_fork_subprocess, _dl_find_object_init",
    ".weak \\name",
    "\\name:",
    ".endr",
    "ret",
    ".popsection",
);
