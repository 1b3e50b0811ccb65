//@ static: -static -pthread
// Cumulative floating-point flags that a program reads without ever having written them: each kind of operation in a
// hot loop, in a thread of its own so that no flag is there before. Results that nobody uses raise flags as well, and
// what is not executed raises none, however often the loop around it runs.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static unsigned raised(void) {
#if defined __aarch64__
    uint64_t fpsr;
    __asm__ volatile("mrs %0, fpsr" : "=r"(fpsr));
    return fpsr & 31;
#else
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    return (mxcsr & 1) | (mxcsr >> 1 & 30);
#endif
}

// Operations on registers 0 and 1 that make register 2 or flags, and what overwrites those.
#if defined __aarch64__
#define REGISTERS "fmov d0, %0\n fmov d1, %1\n"
#define BINARY(name) name " d2, d0, d1\n"
#define ADD BINARY("fadd")
#define MUL BINARY("fmul")
#define DIV BINARY("fdiv")
#define MAX BINARY("fmax")
#define VECTOR_DIV "fdiv v2.2d, v0.2d, v1.2d\n"
#define VECTOR_LESS "fcmgt v2.2d, v1.2d, v0.2d\n"
#define ROOT "fsqrt d2, d0\n"
#define NARROW "fcvt s2, d0\n"
#define WIDEN "fcvt d2, s0\n"
#define TO_INTEGER "fcvtzs x10, d0\n"
#define FROM_INTEGER "fmov x10, d0\n scvtf s2, x10\n"
#define QUIET "fcmp d0, d1\n"
#define QUIET_AND_LOAD QUIET "ldr x10, [sp]\n"
#define SIGNALLING "fcmpe d0, d1\n"
#define BOTH "fadd d2, d0, d1\n fcmp d2, d1\n"
#define SELECT "fcmp d0, d1\n fcsel d2, d0, d1, mi\n"
#define BRANCH "fcmpe d0, d1\n b.gt 4f\n 4:\n"
#define COUNT BINARY("fadd") "fcmpe d2, d1\n cinc x10, x10, ls\n b.ls 4f\n mov x10, #1\n 4:\n"
#define OVERWRITE "movi v2.2d, #0\n mov x10, #0\n cmp x10, #0\n"
#define LOOP "mov x9, #0\n 1:\n"
#define NEXT "add x9, x9, #1\n cmp x9, %2\n b.lt 1b\n"
#define SKIP_BUT(round) "cmp x9, " round "\n b.ne 2f\n"
#define CLOBBERS "v0", "v1", "v2", "x9", "x10", "cc"
#else
#define REGISTERS "movq %0, %%xmm0\n movq %1, %%xmm1\n"
#define BINARY(name) "movapd %%xmm0, %%xmm2\n " name " %%xmm1, %%xmm2\n"
#define ADD BINARY("addsd")
#define MUL BINARY("mulsd")
#define DIV BINARY("divsd")
#define MAX BINARY("maxsd")
#define VECTOR_DIV BINARY("divpd")
#define VECTOR_LESS BINARY("cmpltpd")
#define ROOT "sqrtsd %%xmm0, %%xmm2\n"
#define NARROW "cvtsd2ss %%xmm0, %%xmm2\n"
#define WIDEN "cvtss2sd %%xmm0, %%xmm2\n"
#define TO_INTEGER "cvttsd2si %%xmm0, %%r10\n"
#define FROM_INTEGER "movq %%xmm0, %%r10\n cvtsi2ss %%r10, %%xmm2\n"
#define QUIET "ucomisd %%xmm1, %%xmm0\n"
#define QUIET_AND_LOAD QUIET "mov (%%rsp), %%r10\n"
#define SIGNALLING "comisd %%xmm1, %%xmm0\n"
#define BOTH BINARY("addsd") "ucomisd %%xmm1, %%xmm2\n"
#define SELECT QUIET
#define BRANCH "comisd %%xmm1, %%xmm0\n ja 4f\n 4:\n"
#define COUNT BINARY("addsd") "comisd %%xmm1, %%xmm2\n jbe 4f\n mov $1, %%r10d\n 4:\n"
#define OVERWRITE "xorpd %%xmm2, %%xmm2\n xor %%r10d, %%r10d\n test %%r10d, %%r10d\n"
#define LOOP "xor %%r9d, %%r9d\n 1:\n"
#define NEXT "inc %%r9\n cmp %2, %%r9\n jl 1b\n"
#define SKIP_BUT(round) "cmp " round ", %%r9\n jne 2f\n"
#define CLOBBERS "xmm0", "xmm1", "xmm2", "r9", "r10", "cc"
#endif

enum { ROUNDS = 150000, LATE = ROUNDS - 100, NEVER = -1 };

struct operation {
    const char *name;
    uint64_t a, b;
    void (*loops[4])(uint64_t, uint64_t);
};

#define RUN(suffix, code)                                                                                             \
    static void suffix(uint64_t a, uint64_t b) {                                                                      \
        __asm__ volatile(REGISTERS LOOP code NEXT                                                                     \
            :: "r"(a), "r"(b), "r"((long)ROUNDS), "r"((long)LATE), "r"((long)NEVER) : CLOBBERS);                      \
    }
// Overwritten in each round; made in each round and overwritten in the next; overwritten but in one round; never made.
#define LOOPS(name, code)                                                                                             \
    RUN(name##_dropped, code OVERWRITE)                                                                               \
    RUN(name##_kept, OVERWRITE code)                                                                                  \
    RUN(name##_late, OVERWRITE SKIP_BUT("%3") code OVERWRITE "2:\n")                                                  \
    RUN(name##_never, SKIP_BUT("%4") code "2:\n" OVERWRITE)
#define ALL(name) {name##_dropped, name##_kept, name##_late, name##_never}

LOOPS(add, ADD)
LOOPS(mul, MUL)
LOOPS(divide, DIV)
LOOPS(max, MAX)
LOOPS(vector_divide, VECTOR_DIV)
LOOPS(vector_less, VECTOR_LESS)
LOOPS(root, ROOT)
LOOPS(narrow, NARROW)
LOOPS(widen, WIDEN)
LOOPS(to_integer, TO_INTEGER)
LOOPS(from_integer, FROM_INTEGER)
LOOPS(quiet, QUIET)
LOOPS(quiet_and_load, QUIET_AND_LOAD)
LOOPS(signalling, SIGNALLING)
LOOPS(both, BOTH)
LOOPS(choose, SELECT)
LOOPS(branch, BRANCH)
LOOPS(count, COUNT)

#define ONE 0x3ff0000000000000
#define THREE 0x4008000000000000
#define HUGE 0x7fefffffffffffff
#define TINY 0x0010000000000000
#define QUIET_NAN 0x7ff8000000000000
#define SIGNALLING_NAN 0x7ff0000000000001

static const struct operation operations[] = {
    {"1 + 3", ONE, THREE, ALL(add)},
    {"tiny + 3", TINY, THREE, ALL(add)},
    {"huge * 3", HUGE, THREE, ALL(mul)},
    {"tiny * tiny", TINY, TINY, ALL(mul)},
    {"snan * 1", SIGNALLING_NAN, ONE, ALL(mul)},
    {"1 / 3", ONE, THREE, ALL(divide)},
    {"1 / 0", ONE, 0, ALL(divide)},
    {"0 / 0", 0, 0, ALL(divide)},
    {"max(snan, 1)", SIGNALLING_NAN, ONE, ALL(max)},
    {"vector 1 / 0", ONE, 0, ALL(vector_divide)},
    {"vector nan < 1", QUIET_NAN, ONE, ALL(vector_less)},
    {"sqrt(3)", THREE, 0, ALL(root)},
    {"(float)huge", HUGE, 0, ALL(narrow)},
    {"(double)snan", 0x7f800001, 0, ALL(widen)},
    {"(long)huge", HUGE, 0, ALL(to_integer)},
    {"(long)2.25", 0x4002000000000000, 0, ALL(to_integer)},
    {"(float)(2^62 + 1)", 0x4000000000000001, 0, ALL(from_integer)},
    {"nan == 1", QUIET_NAN, ONE, ALL(quiet)},
    {"snan == 1", SIGNALLING_NAN, ONE, ALL(quiet)},
    {"snan == 1 before a load", SIGNALLING_NAN, ONE, ALL(quiet_and_load)},
    {"nan < 1", QUIET_NAN, ONE, ALL(signalling)},
    {"tiny + 3 == 3", TINY, THREE, ALL(both)},
    {"nan == 1 ? nan : 1", QUIET_NAN, ONE, ALL(choose)},
    {"snan == 1 ? snan : 1", SIGNALLING_NAN, ONE, ALL(choose)},
    {"if (nan > 1)", QUIET_NAN, ONE, ALL(branch)},
    {"if (nan + 1 <= 1) count++", QUIET_NAN, ONE, ALL(count)},
    {"if (tiny + 3 <= 3) count++", TINY, THREE, ALL(count)},
};

struct run {
    const struct operation *operation;
    int loop;
    unsigned before, after;
};

static void *thread(void *argument) {
    struct run *run = argument;
    run->before = raised();
    run->operation->loops[run->loop](run->operation->a, run->operation->b);
    run->after = raised();
    return 0;
}

// A thread inherits the flags of the one that makes it: this one raises none.
static unsigned in_a_thread(const struct operation *operation, int loop) {
    struct run run = {operation, loop, 0, 0};
    pthread_t id;
    pthread_create(&id, 0, thread, &run);
    pthread_join(id, 0);
    return run.before << 8 | run.after;
}

int main(void) {
    static const char *const ways[] = {"dropped", "kept", "late", "never"};
    for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++) {
        printf("%s:", operations[i].name);
        for (int loop = 0; loop < 4; loop++) printf(" %s %#x", ways[loop], in_a_thread(&operations[i], loop));
        puts("");
    }
    return 0;
}
