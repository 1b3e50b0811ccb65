//@ static: -static
// x86 flags where C cannot see them: pushf and popf, lahf and sahf, DF, carry chains, rep prefixes, xlat, enter,
// and the flags that a signal handler finds in its context.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ARITHMETIC = 0x8d5 }; // CF PF AF ZF SF OF
static volatile uint64_t seen;

static void look(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    __asm__("" : : : "memory");
    struct { uint64_t head[5], registers[23]; } *frame = context;
    seen = frame->registers[17] & (ARITHMETIC | 0x400);
    frame->registers[16] += 2; // over the ud2
    frame->registers[17] ^= 0x41; // CF and ZF
}

static uint64_t popped(uint64_t flags) {
    uint64_t after;
    __asm__ volatile("push %1\n popfq\n pushfq\n pop %0\n cld" : "=r"(after) : "r"(flags | 0x202) : "cc", "memory");
    return after & (ARITHMETIC | 0x400);
}

int main(void) {
    unsigned digest = 0;
    for (unsigned flags = 0; flags < 0x1000; flags += 1) {
        if (flags & 0x32a) continue; // reserved, TF, IF
        digest = digest * 31 + (unsigned)popped(flags);
    }
    printf("popf %x\n", digest);

    uint8_t high;
    digest = 0;
    for (unsigned ah = 0; ah < 256; ah++) {
        __asm__ volatile("movb %1, %%ah\n sahf\n lahf\n movb %%ah, %0" : "=r"(high) : "r"((uint8_t)ah) : "rax", "cc");
        digest = digest * 31 + high;
    }
    printf("sahf %x\n", digest);

    uint64_t a[4] = {~0ull, ~0ull, 5, 1}, carry;
    __asm__ volatile("clc\n movq $4, %%rcx\n lea %1, %%rdi\n"
                     "1: adcq $0, (%%rdi)\n lea 8(%%rdi), %%rdi\n stc\n dec %%rcx\n jnz 1b\n setc %b0"
                     : "=q"(carry), "+m"(a) : : "rcx", "rdi", "cc", "memory");
    printf("carry chain %llx %llx %llx %llx %d\n", (long long)a[0], (long long)a[1], (long long)a[2], (long long)a[3], (int)(carry & 1));

    char from[32] = "backwards we copy these", to[32] = "";
    char *source = from + 22, *target = to + 22;
    uint64_t count = 23;
    __asm__ volatile("std\n rep movsb\n cld" : "+S"(source), "+D"(target), "+c"(count) : : "memory", "cc");
    printf("%s %llu %td\n", to, (long long)count, source - from);
    target = from, count = sizeof from;
    uint8_t zero;
    __asm__ volatile("repne scasb\n setz %2" : "+D"(target), "+c"(count), "=q"(zero) : "a"('w') : "memory", "cc");
    printf("scas %td %llu %d\n", target - from, (long long)count, zero);

    struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &action, 0);
    uint64_t after;
    for (unsigned flags = 0; flags < 6; flags++) {
        static const uint64_t sets[] = {0, 0x1, 0x40, 0x8d5, 0x400, 0x810};
        __asm__ volatile("push %1\n popfq\n ud2\n pushfq\n pop %0\n cld" : "=r"(after) : "r"(sets[flags] | 0x202) : "cc", "memory");
        printf("handler saw %llx, left %llx\n", (long long)seen, (long long)after & (ARITHMETIC | 0x400));
    }
    return 0;
}
