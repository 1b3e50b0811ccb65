// Memory faults handled by the program: the access repaired and repeated, skipped by siglongjmp, and described.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };
static char *volatile page;
static volatile int faults, code, number;
static void *volatile address;
static sigjmp_buf buffer;

static void repair(int signal, siginfo_t *info, void *context) {
    (void)context;
    faults++, number = signal, code = info->si_code, address = info->si_addr;
    if (faults > 1000 || mprotect((void *)((uintptr_t)info->si_addr & -PAGE), PAGE, PROT_READ | PROT_WRITE)) _exit(90);
}

static void escape(int signal, siginfo_t *info, void *context) {
    (void)context;
    number = signal, code = info->si_code, address = info->si_addr;
    siglongjmp(buffer, 1);
}

static void install(void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0);
    sigaction(SIGBUS, &action, 0);
}

static void show(const char *name, const char *base) {
    printf("%s: signal %d code %d offset %td\n", name, number, code, (char *)address - base);
}

// A fault in the middle of a computation: what was computed before must be intact after the repair.
__attribute__((noinline)) static uint64_t sum(const volatile unsigned char *p, size_t size) {
    uint64_t a = 1, b = 2, c = 3, d = 4;
    double x = 0.5;
    for (size_t i = 0; i < size; i++) {
        a += p[i] + i, b ^= a << 3, c += b >> 5, d = d * 3 + c;
        x = x * 0.75 + p[i];
    }
    return a ^ b ^ c ^ d ^ (uint64_t)(x * 1e6);
}

static void repairs(void) {
    install(repair);
    for (int i = 0; i < 8; i++) memset(page + i * PAGE, i + 1, PAGE);
    uint64_t wanted = sum((unsigned char *)page, 8 * PAGE);
    mprotect(page, 8 * PAGE, PROT_NONE);
    faults = 0;
    uint64_t got = sum((unsigned char *)page, 8 * PAGE);
    printf("reads repaired %d same %d\n", faults, got == wanted);
    show("last read", page);
    mprotect(page, 8 * PAGE, PROT_READ);
    faults = 0;
    for (size_t i = 0; i < 8 * PAGE; i += 64) *(volatile uint64_t *)(page + i) = i;
    printf("writes repaired %d last %d\n", faults, *(int *)(page + 8 * PAGE - 64));
    show("last write", page);
    mprotect(page + PAGE, PAGE, PROT_NONE);
    faults = 0;
    volatile uint64_t *across = (volatile uint64_t *)(page + PAGE - 4);
    *across = 0x1122334455667788;
    printf("across a page end %d %d\n", faults, *across == 0x1122334455667788);
    show("across", page);
    mprotect(page, PAGE, PROT_NONE);
    faults = 0;
    memcpy(page + 2 * PAGE, page + 16, 1000);
    printf("memcpy %d\n", faults);
    mprotect(page, PAGE, PROT_READ);
    faults = 0;
    __atomic_fetch_add((int *)(page + 8), 5, __ATOMIC_SEQ_CST);
    printf("atomic %d\n", faults);
}

static void escapes(void) {
    install(escape);
    mprotect(page, PAGE, PROT_NONE);
    if (!sigsetjmp(buffer, 1)) page[100] = 1;
    show("protected", page);
    char *gone = mmap(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gone, PAGE);
    if (!sigsetjmp(buffer, 1)) number = *(volatile char *)(gone + 7);
    show("unmapped", gone);
    if (!sigsetjmp(buffer, 1)) number = *(volatile int *)24;
    show("null", 0);
    if (!sigsetjmp(buffer, 1)) ((void (*)(void))(page + 2 * PAGE))();
    show("not executable", page + 2 * PAGE);
    if (!sigsetjmp(buffer, 1)) ((void (*)(void))40)();
    show("call of null", 0);
    FILE *file = tmpfile();
    char *mapped = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    if (ftruncate(fileno(file), PAGE)) exit(2);
    if (!sigsetjmp(buffer, 1)) mapped[10] = 1, mapped[PAGE + 5] = 1;
    printf("bus %d: ", number == SIGBUS);
    show("past the end of a file", mapped);
    if (!sigsetjmp(buffer, 1)) {
        char *volatile null = 0;
        if (write(-1, null, 1) == -1) raise(SIGSEGV); // a bad pointer in a system call is no fault
    }
    printf("raised %d %d\n", number == SIGSEGV, code == SI_TKILL);
}

int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    page = mmap(0, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    repairs();
    escapes();
    return 0;
}
