// The vdso of aarch64 guests, vdso(7). In this page reading S3_3_C15_C0_0 is the runtime's: W9 is what is asked (0
// clock_gettime, 1 clock_getres), W0 the clock. It answers in the register that is read, which is X10, and in X11; X11
// is -1 if the kernel has to be asked.
    .text

.macro function name
    .globl \name
    .type \name, %function
    .balign 4
\name:
    .cfi_startproc
.endm

.macro end name
    .cfi_endproc
    .size \name, . - \name
.endm

function __kernel_clock_gettime
    mov w9, #0
    mrs x10, S3_3_C15_C0_0
    cmn x11, #1
    b.eq 1f
    stp x10, x11, [x1]
    mov w0, #0
    ret
1:  mov x8, #113
    svc #0
    ret
end __kernel_clock_gettime

function __kernel_clock_getres
    mov w9, #1
    mrs x10, S3_3_C15_C0_0
    cmn x11, #1
    b.eq 2f
    cbz x1, 1f
    stp x10, x11, [x1]
1:  mov w0, #0
    ret
2:  mov x8, #114
    svc #0
    ret
end __kernel_clock_getres

// The kernel knows the time zone.
function __kernel_gettimeofday
    cbnz x1, 2f
    cbz x0, 1f
    mov x12, x0
    mov w0, #0
    mov w9, #0
    mrs x10, S3_3_C15_C0_0
    mov x0, x12
    cmn x11, #1
    b.eq 2f
    mov w9, #1000
    udiv w11, w11, w9
    stp x10, x11, [x0]
1:  mov w0, #0
    ret
2:  mov x8, #169
    svc #0
    ret
end __kernel_gettimeofday

// Where a handler returns to. Unwinders know these two instructions, find the signal frame at the stack pointer and
// restore every register from it: a description of the frame here could name but two. They look up the address before
// the one they return to, which must not be the end of another function.
    .balign 4
    nop
    .globl __kernel_rt_sigreturn
    .type __kernel_rt_sigreturn, %function
__kernel_rt_sigreturn:
    mov x8, #139
    svc #0
    .size __kernel_rt_sigreturn, . - __kernel_rt_sigreturn

    .section .note.GNU-stack, "", %progbits
