// The smallest aarch64 program: write(1, text, length), then exit(0), with nothing of a C library.
// Built with: aarch64-linux-gnu-as -o hello.o hello.aarch64.s && aarch64-linux-gnu-ld -s -o hello.aarch64 hello.o

        .global _start
        .text
_start:
        mov     x0, #1
        adr     x1, text
        mov     x2, #length
        mov     x8, #64                 // write
        svc     #0
        cmp     x0, #length
        cset    x0, ne                  // a short write is exit status 1
        mov     x8, #94                 // exit_group
        svc     #0

text:   .ascii  "Hello from aarch64\n"
        .equ    length, . - text
