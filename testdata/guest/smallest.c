//@ static: -static -pthread
// Products and fused sums that are rounded to the smallest normal number: where they were below it, they underflow,
// which the cumulative flags tell that a program reads without ever having written them. Each operation runs in a hot
// loop, in a thread of its own so that no flag is there before. Flags are those of Arm ARM, FPRoundBase; natively the
// program prints what they are to be.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

enum { UNDERFLOW = 8, INEXACT = 16, BOTH = UNDERFLOW | INEXACT, ROUNDS = 150000 };

// 2^-511, that times 1 + 2^-30 and 1 - 2^-30; the smallest normal number and the largest that is none. The same of
// singles, twice: 2^-63, and 2^-14 for 2^-30.
#define HALF 0x2000000000000000
#define ABOVE 0x2000000000400000
#define BELOW 0x1fffffffff800000
#define SMALLEST 0x0010000000000000
#define LARGEST 0x000fffffffffffff
#define NEXT_TO_ONE 0x3fefffffffffffff
#define SINGLES(word) (0x100000001 * (uint64_t)(word))
#define HALF_S SINGLES(0x20000000)
#define ABOVE_S SINGLES(0x20000200)
#define BELOW_S SINGLES(0x1ffffc00)
#define LARGEST_S SINGLES(0x007fffff)
#define NEXT_TO_ONE_S SINGLES(0x3f7fffff)

struct operation {
    const char *name;
    uint64_t a, b, c;
    void (*loop)(const struct operation *);
    unsigned flags;
};

#if defined __aarch64__
#define LOOP(name, code)                                                                                              \
    static void name(const struct operation *of) {                                                                    \
        __asm__ volatile("dup v0.2d, %0\n dup v1.2d, %1\n mov x9, %3\n"                                               \
            "1: dup v2.2d, %2\n " code "\n subs x9, x9, #1\n b.ne 1b\n"                                               \
            :: "r"(of->a), "r"(of->b), "r"(of->c), "r"((long)ROUNDS) : "v0", "v1", "v2", "v3", "x9", "cc");           \
    }
static unsigned raised(const struct operation *of) {
    uint64_t fpsr;
    __asm__ volatile("mrs %0, fpsr" : "=r"(fpsr));
    return fpsr & 31;
}
#else
#define LOOP(name, code)                                                                                              \
    static void name(const struct operation *of) {}
static unsigned raised(const struct operation *of) { return of->flags; }
#endif

LOOP(mul_d, "fmul d3, d0, d1")
LOOP(nmul_d, "fnmul d3, d0, d1")
LOOP(mul_s, "fmul s3, s0, s1")
LOOP(mulx_s, "fmulx s3, s0, s1")
LOOP(sum_of_product, "fmul d3, d0, d1\n fadd d3, d3, d3")
LOOP(square, "fmul d3, d0, d0")
LOOP(half, "fmov d3, #0.5\n fmul d3, d0, d3")
LOOP(madd_d, "fmadd d3, d0, d1, d2")
LOOP(msub_d, "fmsub d3, d0, d1, d2")
LOOP(madd_s, "fmadd s3, s0, s1, s2")
LOOP(mul_2d, "fmul v3.2d, v0.2d, v1.2d")
LOOP(sum_of_products, "fmul v3.4s, v0.4s, v1.4s\n fadd v3.4s, v3.4s, v3.4s")
LOOP(mul_4s, "fmul v3.4s, v0.4s, v1.4s")
LOOP(mla_2d, "fmla v2.2d, v0.2d, v1.2d")
LOOP(mla_4s, "fmla v2.4s, v0.4s, v1.4s")
LOOP(mla_element, "fmla v2.2s, v0.2s, v1.s[1]")
LOOP(divide, "fdiv d3, d0, d1")

static const struct operation operations[] = {
    {"just below", ABOVE, BELOW, 0, mul_d, BOTH},
    {"just below, negative", ABOVE, BELOW, 0, nmul_d, BOTH},
    {"just below, single", ABOVE_S, BELOW_S, 0, mul_s, BOTH},
    {"just below, extended", ABOVE_S, BELOW_S, 0, mulx_s, BOTH},
    {"just below, and added", ABOVE, BELOW, 0, sum_of_product, BOTH},
    {"exact", HALF, HALF, 0, mul_d, 0},
    {"exact, single", HALF_S, HALF_S, 0, mul_s, 0},
    {"above", ABOVE, HALF, 0, mul_d, 0},
    {"inexact from above", ABOVE, 0x1fffffffff800001, 0, mul_d, INEXACT},
    {"square", BELOW, 0, 0, square, BOTH},
    {"half of the next to twice", 0x001fffffffffffff, 0, 0, half, BOTH},
    {"fused, just below", ABOVE, BELOW, 0, madd_d, BOTH},
    {"fused, just below by its addend", 1, NEXT_TO_ONE, LARGEST, madd_d, BOTH},
    {"fused, just below by its addend, negative", 1, NEXT_TO_ONE, LARGEST | 1ull << 63, msub_d, BOTH},
    {"fused, exact", 1, 0x3ff0000000000000, LARGEST, madd_d, 0},
    {"fused, from above", 1, 0x3ff0000000000001, LARGEST, madd_d, INEXACT},
    {"fused, cancelled", 0x4000000000000000, SMALLEST, 1ull << 63 | SMALLEST, madd_d, 0},
    {"fused, single", SINGLES(1), NEXT_TO_ONE_S, LARGEST_S, madd_s, BOTH},
    {"vector", ABOVE, BELOW, 0, mul_2d, BOTH},
    {"vector of singles", ABOVE_S, BELOW_S, 0, mul_4s, BOTH},
    {"vector, and added", ABOVE_S, BELOW_S, 0, sum_of_products, BOTH},
    {"vector, exact", HALF, HALF, 0, mul_2d, 0},
    {"vector, one lane", ABOVE_S & 0xffffffff, BELOW_S, 0, mul_4s, BOTH},
    {"fused vector", 1, NEXT_TO_ONE, LARGEST, mla_2d, BOTH},
    {"fused vector of singles", SINGLES(1), NEXT_TO_ONE_S, LARGEST_S, mla_4s, BOTH},
    {"fused vector by an element", SINGLES(1), NEXT_TO_ONE_S, LARGEST_S, mla_element, BOTH},
    {"quotient", 0x001fffffffffffff, 0x4000000000000000, 0, divide, BOTH},
};

static void *thread(void *argument) {
    const struct operation *of = argument;
    of->loop(of);
    return (void *)(uintptr_t)raised(of);
}

int main(void) {
    for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++) {
        pthread_t id;
        void *flags;
        pthread_create(&id, 0, thread, (void *)&operations[i]);
        pthread_join(id, &flags);
        printf("%s: %#x\n", operations[i].name, (unsigned)(uintptr_t)flags);
    }
    return 0;
}
