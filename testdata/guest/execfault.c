// A jump to memory that may not be executed: the handler makes it executable, or maps it, and the jump is made again.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

static char *memory;
static volatile int faults;
static volatile int codes[2];

// A function that returns n.
static void emit(char *at, unsigned n) {
#if defined __aarch64__
    uint32_t code[] = {0x52800000 | n << 5, 0xd65f03c0}; // mov w0, #n; ret
#else
    unsigned char code[] = {0xb8, (unsigned char)n, (unsigned char)(n >> 8), 0, 0, 0xc3}; // mov eax, n; ret
#endif
    memcpy(at, code, sizeof code);
    __builtin___clear_cache(at, at + sizeof code);
}

static void map(unsigned n) {
    mmap(memory, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    emit(memory, n);
}

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    (void)number;
    faults++;
    if ((char *)info->si_addr != memory) _Exit(3);
    codes[info->si_code == SEGV_MAPERR]++;
    if (info->si_code == SEGV_MAPERR) map(7);
    mprotect(memory, PAGE, PROT_READ | PROT_EXEC);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0);
    memory = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int (*volatile function)(void) = (int (*)(void))(void *)memory;
    int sum = 0;
    for (int round = 0; round < 50; round++) {
        map((unsigned)round + 1);
        for (int call = 0; call < 300; call++) sum += function();
        mprotect(memory, PAGE, PROT_READ | PROT_WRITE);
        sum += function();
        munmap(memory, PAGE);
        sum += function();
        munmap(memory, PAGE);
    }
    printf("%d faults, %d and %d, sum %d\n", faults, codes[0], codes[1], sum);
    return 0;
}
