// Ends as its argument says: an exit status, a raised signal, or the fault that makes the signal.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// An instruction that no processor has, and one of an extension that Philae does not announce to its guests.
#if defined __aarch64__
#define UNDEFINED ".inst 0x00000000"
#define UNKNOWN ".inst 0x2518e3e0" // SVE: ptrue p0.b
#else
#define UNDEFINED "ud2"
#define UNKNOWN ".byte 0x62, 0xf1, 0x74, 0x48, 0x58, 0xc2" // AVX-512: vaddps zmm0, zmm1, zmm2
#endif

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "";
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setvbuf(stdout, 0, _IOLBF, 0);
    printf("ending by %s\n", way);
    if (!strncmp(way, "exit", 4)) exit(atoi(way + 4));
    if (!strncmp(way, "signal", 6)) raise(atoi(way + 6));
    if (!strcmp(way, "abort")) abort();
    if (!strcmp(way, "syscall")) exit(syscall(9999) == -1 && errno == ENOSYS ? 0 : 1);
    if (!strcmp(way, "null")) *(volatile int *)0 = 1;
    if (!strcmp(way, "jump")) ((void (*)(void))16)();
    if (!strcmp(way, "undefined")) __asm__ volatile(UNDEFINED);
    if (!strcmp(way, "unknown")) __asm__ volatile(UNKNOWN);
    if (!strcmp(way, "data")) ((void (*)(void))(void *)way)();
    if (!strcmp(way, "stack")) {
        volatile char *p = (volatile char *)__builtin_frame_address(0);
        for (;;) *(p -= 1024) = 1;
    }
    if (!strcmp(way, "handler")) {
        signal(SIGSEGV, (void (*)(int))8);
        *(volatile int *)0 = 1;
    }
    return 99;
}
