//@ static: -static -lm -pthread -frounding-math -fno-builtin
//@ dynamic aarch64: -lm -pthread -frounding-math -fno-builtin
// Cumulative floating-point flags: what raises which, in cold code and in hot loops, in each thread for itself, saved
// and restored, and seen by a program that does not clear them first.
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct { int flag; const char *name; } flags[] = {
    {FE_INVALID, "invalid"}, {FE_DIVBYZERO, "divbyzero"}, {FE_OVERFLOW, "overflow"},
    {FE_UNDERFLOW, "underflow"}, {FE_INEXACT, "inexact"}};

static void show(const char *what) {
    int raised = fetestexcept(FE_ALL_EXCEPT);
    printf("%s:", what);
    for (unsigned i = 0; i < 5; i++) if (raised & flags[i].flag) printf(" %s", flags[i].name);
    puts("");
    feclearexcept(FE_ALL_EXCEPT);
}

static volatile double zero = 0, one = 1, three = 3, tiny = DBL_MIN, huge = DBL_MAX, infinity = INFINITY;
static volatile float single_one = 1, single_three = 3, single_tiny = FLT_MIN, single_huge = FLT_MAX;
static volatile double sink;
static volatile float single_sink;
static volatile int64_t integer_sink;

static void each(void) {
    sink = one + one, show("1 + 1");
    sink = one / three, show("1 / 3");
    sink = one / zero, show("1 / 0");
    sink = zero / zero, show("0 / 0");
    sink = infinity - infinity, show("inf - inf");
    sink = infinity * zero, show("inf * 0");
    sink = huge * huge, show("huge * huge");
    sink = huge + huge, show("huge + huge");
    sink = tiny * tiny, show("tiny * tiny");
    sink = tiny / 2, show("tiny / 2");
    sink = tiny / three, show("tiny / 3");
    sink = sqrt(-one), show("sqrt(-1)");
    sink = sqrt(three), show("sqrt(3)");
    sink = fma(one / 4, one, one), show("fma");
    single_sink = single_one / single_three, show("1f / 3f");
    single_sink = single_huge * single_huge, show("hugef * hugef");
    single_sink = single_tiny * single_tiny, show("tinyf * tinyf");
    single_sink = (float)huge, show("(float)huge");
    single_sink = (float)three, show("(float)3");
    single_sink = (float)tiny, show("(float)tiny");
    integer_sink = (int64_t)(one / 4 * 5), show("(long)1.25");
    integer_sink = (int64_t)three, show("(long)3");
    integer_sink = (int64_t)huge, show("(long)huge");
    integer_sink = (int64_t)NAN, show("(long)nan");
    integer_sink = INT64_MAX, sink = (double)integer_sink, show("(double)max");
    integer_sink = 1 << 20, sink = (double)integer_sink, show("(double)2^20");
    integer_sink = zero < NAN, show("0 < nan");
    integer_sink = zero == NAN, show("0 == nan");
    sink = rint(one / 4), show("rint(0.25)");
    sink = nearbyint(one / 4), show("nearbyint(0.25)");
    sink = floor(one / 4), show("floor(0.25)");
}

// Many rounds, so that the loop is compiled, and one that raises something after them.
static double hot(int rounds, double last) {
    double sum = 0, values[4] = {1, 2, 4, 8};
    for (int i = 0; i < rounds; i++) {
        for (int k = 0; k < 4; k++) sum += values[k] * (i & 7);
        if (i == rounds - 1) sum /= last;
    }
    return sum;
}

static void *thread(void *unused) {
    (void)unused;
    show("a new thread");
    sink = hot(50000, 0);
    show("a thread");
    return 0;
}

static void *heir(void *unused) {
    printf("in an early thread: %d\n", !!fetestexcept(FE_DIVBYZERO));
    return unused;
}

static void raise_invalid(int number) { (void)number, sink = zero / zero; }

// Nothing has been cleared yet, as far as this program goes.
static void first_look(void) {
    sink = one / zero;
    printf("first look: %d\n", !!fetestexcept(FE_DIVBYZERO));
    fesetround(FE_UPWARD);
    sink = huge * huge;
    fesetround(FE_TONEAREST);
    printf("raised while rounding upward: %d %d\n", !!fetestexcept(FE_OVERFLOW), !!fetestexcept(FE_DIVBYZERO));
    pthread_t early;
    pthread_create(&early, 0, heir, 0);
    pthread_join(early, 0);
    signal(SIGUSR1, raise_invalid);
    raise(SIGUSR1);
    printf("raised in a handler: %d, before it: %d\n", !!fetestexcept(FE_INVALID), !!fetestexcept(FE_DIVBYZERO));
    unsigned long before = 0, after = 1;
#if defined __aarch64__
    __asm__ volatile("mrs %0, fpsr\nmovi v0.16b, #0x7f\nsqadd v0.16b, v0.16b, v0.16b\nmrs %1, fpsr"
        : "=&r"(before), "=r"(after) :: "v0");
    // Given back as it was found.
    __asm__ volatile("mrs x9, fpsr\nmsr fpsr, x9" ::: "x9");
    before = before >> 27 & 1, after = after >> 27 & 1;
#endif
    printf("saturated: %lu, then %lu\n", before, after);
}

int main(void) {
    first_look();
    feclearexcept(FE_ALL_EXCEPT);
    each();
    sink = hot(100000, 1), show("hot, exact");
    sink = hot(100000, 3), show("hot, inexact at last");
    sink = hot(100000, 0), show("hot, by zero at last");
    for (int i = 0; i < 2000; i++) {
        feclearexcept(FE_ALL_EXCEPT);
        sink = one / (i % 3 ? three : 2.0);
        if (!fetestexcept(FE_INEXACT) != !(i % 3)) printf("wrong in round %d\n", i);
    }
    feclearexcept(FE_ALL_EXCEPT);
    pthread_t other;
    sink = one / three;
    pthread_create(&other, 0, thread, 0);
    pthread_join(other, 0);
    show("after the thread");
    fenv_t saved;
    sink = zero / zero;
    feholdexcept(&saved);
    sink = one / three;
    show("held");
    fesetenv(&saved);
    show("restored");
    feraiseexcept(FE_INVALID | FE_DIVBYZERO);
    show("raised by hand");
    fesetround(FE_UPWARD);
    sink = one / three, show("upward");
    printf("%.17g\n", sink);
    fesetround(FE_TONEAREST);
#if defined __aarch64__
    // FPCR.FZ, DN: results that only this machine has.
    uint64_t control = 0, bits;
    __asm__ volatile("msr fpcr, %0" : : "r"(3l << 24));
    sink = tiny / 2;
    bits = 0x7ff4000000000001;
    double nan;
    memcpy(&nan, &bits, 8);
    double quiet = nan + one;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, xzr");
    memcpy(&bits, &quiet, 8);
    if (control != 3l << 24 || sink != 0 || bits != 0x7ff8000000000000 || fetestexcept(FE_ALL_EXCEPT) != (FE_UNDERFLOW | FE_INVALID))
        printf("FZ, DN: %lx, %g, %lx, %x\n", control, sink, bits, fetestexcept(FE_ALL_EXCEPT));
#endif
    return 0;
}
