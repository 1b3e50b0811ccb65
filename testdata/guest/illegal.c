//@ static: -static
// Undefined instructions and traps: handled, with the program counter moved on; and by siglongjmp; state kept.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ucontext.h>

static volatile int number, code, count;
static volatile uintptr_t address, counter;
static sigjmp_buf buffer;

#if defined __aarch64__
#define PC(context) ((context)->uc_mcontext.pc)
#define UNDEFINED ".inst 0x00000000\n"
#define BREAKPOINT "brk #7\n"
#define FLOAT(y) "+w"(y)
enum { LENGTH = 4 };
#else
#define PC(context) ((context)->uc_mcontext.gregs[REG_RIP])
#define UNDEFINED "ud2\n"
#define BREAKPOINT "int3\n"
#define FLOAT(y) "+x"(y)
enum { LENGTH = 2 };
#endif

static void skip(int signal, siginfo_t *info, void *context) {
    number = signal, code = info->si_code, address = (uintptr_t)info->si_addr;
    counter = (uintptr_t)PC((ucontext_t *)context);
    count++;
#if !defined __aarch64__
    if (signal == SIGTRAP) return; // after int3 the counter already points behind it
#endif
    PC((ucontext_t *)context) += LENGTH;
}

static void leave(int signal, siginfo_t *info, void *context) {
    (void)info, (void)context;
    siglongjmp(buffer, signal);
}

static void install(void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &action, 0);
    sigaction(SIGTRAP, &action, 0);
    sigaction(SIGFPE, &action, 0);
}

__attribute__((noinline)) static uint64_t around(uint64_t a, double x) {
    uint64_t b = a * 3 + 1, c = a ^ b;
    double y = x * 1.5;
    __asm__ volatile(UNDEFINED : "+r"(a), "+r"(b), "+r"(c), FLOAT(y));
    return a + b * 5 + c * 7 + (uint64_t)y;
}

int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    install(skip);
    uint64_t sum = 0;
    for (int i = 0; i < 1000; i++) sum += around((uint64_t)i, i);
    printf("undefined %d times %d sum %llu\n", number == SIGILL, count, (unsigned long long)sum);
    printf("code %d address is the counter %d\n", code == ILL_ILLOPC || code == ILL_ILLOPN, address == counter);
    __asm__ volatile(BREAKPOINT);
    printf("breakpoint %d\n", number == SIGTRAP);
    install(leave);
    int from = sigsetjmp(buffer, 1);
    if (!from) __asm__ volatile(UNDEFINED);
    printf("left by %d\n", from == SIGILL);
#if !defined __aarch64__
    from = sigsetjmp(buffer, 1);
    volatile int zero = 0;
    if (!from) zero = 5 / zero;
    if (from != SIGFPE) printf("division gave %d\n", from);
#endif
    return 0;
}
