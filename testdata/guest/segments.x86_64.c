// Accesses at addresses that are not canonical, through one segment and another: what a handler is told of each.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static sigjmp_buf buffer;
static volatile long said[5];

static void handler(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    said[0] = number, said[1] = info->si_code, said[2] = (long)info->si_addr;
    said[3] = registers[REG_TRAPNO], said[4] = registers[REG_ERR];
    siglongjmp(buffer, 1);
}

#define TRY(text, bad)                                                                                     \
    do {                                                                                                   \
        for (int i = 0; i < 3; i++) {                                                                      \
            memset((void *)said, 0, sizeof said);                                                          \
            if (!sigsetjmp(buffer, 1))                                                                     \
                asm volatile("mov %0, %%rax\n mov %0, %%r12\n" text : : "r"(bad) : "rax", "r12", "memory"); \
        }                                                                                                  \
        printf("%-40s signal %ld code %ld address %lx trap %ld error %ld\n", text, said[0], said[1], said[2], said[3], said[4]); \
    } while (0)

int main(void) {
    stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
    sigaltstack(&stack, 0);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, 0), sigaction(SIGBUS, &action, 0);
    long bad = 0x1234567800000000;
    TRY("mov (%%rax), %%rax", bad);
    TRY("mov %%rax, 8(%%r12)", bad);
    TRY("addq $1, (%%rax, %%rax)", bad);
    TRY("mov %%rax, %%rbp\n mov (%%rbp), %%rax", bad);
    TRY("mov %%rax, %%rbp\n mov %%ds:(%%rbp), %%rax", bad);
    TRY("mov %%rax, %%rbp\n lock incl 4(%%rbp)", bad);
    TRY("mov %%rax, %%rbp\n movups (%%rbp), %%xmm0", bad);
    TRY("mov %%rax, %%rbp\n mov (, %%rbp), %%rax", bad);
    TRY("mov (%%rsp, %%rax), %%rax", bad);
    TRY("mov %%rax, %%rsp\n mov (%%rsp), %%rax", bad);
    TRY("mov %%rax, %%rsp\n push %%rcx", bad);
    TRY("mov %%rax, %%rsp\n pop %%rcx", bad);
    TRY("mov %%rax, %%rsp\n call 1f\n 1:", bad);
    TRY("mov %%rax, %%rsp\n ret", bad);
    TRY("mov %%rax, %%rbp\n leave", bad);
    TRY("push (%%rax)", bad);
    TRY("mov %%rax, %%rsi\n lodsb", bad);
    TRY("mov %%rax, %%rdi\n stosb", bad);
    TRY("mov %%rax, %%rbp\n fldl (%%rbp)", bad);
    return 0;
}
