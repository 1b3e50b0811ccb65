# The smallest x86_64 program: write(1, text, length), then exit(0), with nothing of a C library.
# Built with: as -o hello.o hello.x86_64.s && ld -s -o hello.x86_64 hello.o

        .intel_syntax noprefix
        .global _start
        .text
_start:
        mov     eax, 1                  # write
        mov     edi, 1
        lea     rsi, [rip + text]
        mov     edx, offset length
        syscall
        xor     edi, edi
        cmp     rax, offset length
        setne   dil                     # a short write is exit status 1
        mov     eax, 231                # exit_group
        syscall

text:   .ascii  "Hello from x86_64\n"
        .equ    length, . - text
