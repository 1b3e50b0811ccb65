//@ static: -static -O1 -pthread
// How soon a thread that makes no system call learns of something: of a signal, of a change of the code that it runs,
// of that code going away. latency [N [BOUND]]: N times each; on standard error the median and the longest time in
// microseconds; the median must be less than BOUND. The time is what the thread itself still runs, so that it is no
// matter what else the processors do.
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MOST = 100000 };
static int times = 100, bound = 1000;
static double taken[MOST];
static volatile int stopping, running;
static volatile double arrived;
static clockid_t thread_clock;

static void fail(const char *what) {
    printf("%s\n", what);
    exit(1);
}

static double now(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time)) fail("clock_gettime");
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void pause_for(double microseconds) {
    for (double end = now(CLOCK_MONOTONIC) + microseconds; now(CLOCK_MONOTONIC) < end;) usleep(100);
}

static int by_value(const void *a, const void *b) { return *(double *)a < *(double *)b ? -1 : *(double *)a > *(double *)b; }

static void report(const char *what) {
    qsort(taken, times, sizeof *taken, by_value);
    double median = taken[times / 2];
    fprintf(stderr, "%s: median %.1f us, longest %.1f us of %d\n", what, median, taken[times - 1], times);
    printf("%s: %s\n", what, taken[0] < 0 ? "too early" : median < bound ? "in time" : "too late");
}

// Loops of several kinds. What they compute is of no interest; none may be optimised away.
static volatile uint64_t result;
__attribute__((noinline)) static uint64_t step(uint64_t x) { return x * 6364136223846793005 + 1; }
static uint64_t (*volatile pointer)(uint64_t) = step;
__attribute__((noinline)) static uint64_t depth(int n, uint64_t x) { return n ? depth(n - 1, x) + step(x) : x; }

static void tight(void) {
    while (!stopping) __asm__ volatile("");
}

static void nested(void) {
    while (!stopping) {
        uint64_t x = 0;
        for (int i = 0; i < 1000; i++) for (int j = 0; j < 1000; j++) { x += i ^ j; __asm__ volatile("" : "+r"(x)); if (stopping) return; }
        result = x;
    }
}

static void calling(void) {
    uint64_t x = 1;
    while (!stopping) x = pointer(x);
    result = x;
}

static void recursive(void) {
    while (!stopping) result = depth(1000, result);
}

static void computing(void) {
    double a = 1, b = 2;
    uint64_t c = 3;
    while (!stopping)
        for (int i = 0; i < 64; i++) a = a * 0.999 + b, b = b / 1.0001 + 0.1, c = (c << 13 ^ c >> 7) + (uint64_t)i;
    result = c + (uint64_t)(a + b);
}

static void note(int signal) {
    (void)signal;
    arrived = now(CLOCK_THREAD_CPUTIME_ID);
}

static void *run(void *loop) {
    running = 1;
    ((void (*)(void))loop)();
    return 0;
}

static void signals(const char *what, void (*loop)(void)) {
    stopping = running = 0;
    pthread_t thread;
    if (pthread_create(&thread, 0, run, (void *)loop)) fail("pthread_create");
    if (pthread_getcpuclockid(thread, &thread_clock)) fail("pthread_getcpuclockid");
    while (!running) usleep(100);
    for (int i = 0; i < times; i++) {
        pause_for(200 + i % 7 * 50);
        arrived = 0;
        double sent = now(thread_clock);
        pthread_kill(thread, SIGUSR1);
        while (!arrived) {}
        taken[i] = arrived - sent;
    }
    stopping = 1;
    pthread_join(thread, 0);
    report(what);
}

// A loop that ends when its code is changed, and tells by the word at the argument that it runs.
#if defined __aarch64__
static const uint32_t code[] = {0xd2800021, 0xf9000001, 0x17ffffff, 0xd65f03c0}; // mov x1, #1; 1: str x1, [x0]; b 1b; ret
enum { CHANGED = 8 };
static void change(char *page) { *(volatile uint32_t *)(page + CHANGED) = 0x14000001; } // b to the ret
#else
static const unsigned char code[] = {0xb8, 1, 0, 0, 0, 0x0f, 0x1f, 0, 0x48, 0x89, 0x07, 0x0f, 0x1f, 0, 0xeb, 0xf8, 0xc3}; // mov eax, 1; 1: mov [rdi], rax; jmp 1b; ret
enum { CHANGED = 14 };
static void change(char *page) { *(volatile uint16_t *)(page + CHANGED) = 0x00eb; } // jmp to the ret
#endif

static char *page;
static volatile uint64_t word;
static __thread sigjmp_buf out;

static void leave(int signal) {
    (void)signal;
    siglongjmp(out, 1);
}

static void *run_code(void *unused) {
    if (!sigsetjmp(out, 1)) ((void (*)(volatile uint64_t *))(void *)page)(&word);
    arrived = now(CLOCK_THREAD_CPUTIME_ID);
    return unused;
}

static void forbid(char *page) { mprotect(page, PAGE, PROT_READ | PROT_WRITE); }
static void unmap(char *page) { munmap(page, PAGE); }

static void changes(const char *what, void (*act)(char *)) {
    for (int i = 0; i < times; i++) {
        page = mmap(0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) fail("mmap");
        memcpy(page, code, sizeof code);
        __builtin___clear_cache(page, page + sizeof code);
        word = arrived = 0;
        pthread_t thread;
        if (pthread_create(&thread, 0, run_code, 0)) fail("pthread_create");
        if (pthread_getcpuclockid(thread, &thread_clock)) fail("pthread_getcpuclockid");
        while (!word) usleep(100);
        pause_for(300);
        double done = now(thread_clock);
        act(page);
        if (act == change) __builtin___clear_cache(page, page + sizeof code);
        pthread_join(thread, 0);
        taken[i] = arrived - done;
        munmap(page, PAGE);
    }
    report(what);
}

int main(int argc, char **argv) {
    if (argc > 1) times = atoi(argv[1]);
    if (argc > 2) bound = atoi(argv[2]);
    if (times < 1 || times > MOST) fail("N");
    setvbuf(stdout, 0, _IOLBF, 0);
    signal(SIGUSR1, note);
    signal(SIGSEGV, leave);
    signals("a tight loop", tight);
    signals("nested loops", nested);
    signals("calls through a pointer", calling);
    signals("recursion", recursive);
    signals("floating point", computing);
    changes("code that changes", change);
    changes("code that may not run any more", forbid);
    changes("code that is unmapped", unmap);
    return 0;
}
