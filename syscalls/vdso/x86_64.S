# The vdso of x86_64 guests, vdso(7). In this page HLT is the runtime's: EAX is what is asked (0 clock_gettime, 1
# clock_getres, 2 getcpu), EDI the clock. It answers in RAX and RDX; RDX is -1 if the kernel has to be asked.
    .intel_syntax noprefix
    .text

.macro function name
    .globl \name
    .type \name, @function
\name:
    .cfi_startproc
.endm

.macro end name alias
    .cfi_endproc
    .size \name, . - \name
    .weak \alias
    .set \alias, \name
.endm

function __vdso_clock_gettime
    xor eax, eax
    hlt
    cmp rdx, -1
    je 1f
    mov [rsi], rax
    mov [rsi + 8], rdx
    xor eax, eax
    ret
1:  mov eax, 228
    syscall
    ret
end __vdso_clock_gettime clock_gettime

function __vdso_clock_getres
    mov eax, 1
    hlt
    cmp rdx, -1
    je 2f
    test rsi, rsi
    jz 1f
    mov [rsi], rax
    mov [rsi + 8], rdx
1:  xor eax, eax
    ret
2:  mov eax, 229
    syscall
    ret
end __vdso_clock_getres clock_getres

# The kernel knows the time zone.
function __vdso_gettimeofday
    test rsi, rsi
    jnz 2f
    test rdi, rdi
    jz 1f
    mov r8, rdi
    xor edi, edi
    xor eax, eax
    hlt
    mov rdi, r8
    cmp rdx, -1
    je 2f
    mov r9, rax
    mov eax, edx
    xor edx, edx
    mov ecx, 1000
    div ecx
    mov [rdi], r9
    mov [rdi + 8], rax
1:  xor eax, eax
    ret
2:  mov eax, 96
    syscall
    ret
end __vdso_gettimeofday gettimeofday

# time(2) is the coarse clock's.
function __vdso_time
    mov r8, rdi
    mov edi, 5
    xor eax, eax
    hlt
    mov rdi, r8
    cmp rdx, -1
    je 2f
    test rdi, rdi
    jz 1f
    mov [rdi], rax
1:  ret
2:  mov eax, 201
    syscall
    ret
end __vdso_time time

function __vdso_getcpu
    mov eax, 2
    hlt
    cmp rdx, -1
    je 3f
    test rdi, rdi
    jz 1f
    mov [rdi], eax
1:  test rsi, rsi
    jz 2f
    mov [rsi], edx
2:  xor eax, eax
    ret
3:  mov eax, 309
    syscall
    ret
end __vdso_getcpu getcpu

    .section .note.GNU-stack, "", @progbits
