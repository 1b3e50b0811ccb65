//@ static: -static -pthread
// A process that forks in a loop while seven threads write code, call what was written, allocate, take signals, start
// threads that end, and change mappings: forks [N]. Each child does all of it too; one that finds a lock taken by a
// thread that it does not have never ends.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, SLOTS = 64 };
typedef int (*function)(void);

static volatile int stopping;
static volatile sig_atomic_t signals;

static void fail(const char *what) {
    if (write(1, what, strlen(what)) < 0) abort();
    _exit(99);
}

// A function that returns n, which is less than 65536.
static void emit(char *at, int n) {
#if defined __aarch64__
    uint32_t code[] = {0x52800000 | (uint32_t)n << 5, 0xd65f03c0}; // mov w0, #n; ret
#else
    unsigned char code[] = {0xb8, (unsigned char)n, (unsigned char)(n >> 8), 0, 0, 0xc3}; // mov eax, n; ret
#endif
    memcpy(at, code, sizeof code);
    __builtin___clear_cache(at, at + sizeof code);
}

static int call(char *at) { return ((function)(void *)at)(); }

static char *code_page(void) {
    char *page = mmap(0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) fail("mmap");
    return page;
}

static void write_and_call(char *page, int round) {
    char *at = page + round % SLOTS * (PAGE / SLOTS);
    emit(at, round & 0xffff);
    if (call(at) != (round & 0xffff)) fail("code that was written returned something else");
}

static void *writer(void *unused) {
    char *page = code_page();
    for (int round = 0; !stopping; round++) write_and_call(page, round);
    return unused;
}

static int by_value(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void allocate(unsigned seed) {
    char *blocks[32];
    for (int i = 0; i < 32; i++) {
        seed = seed * 1103515245 + 12345;
        size_t size = 1 + (seed >> 16) % (i == 7 ? 300000 : 2000);
        blocks[i] = malloc(size);
        memset(blocks[i], i, size);
    }
    int numbers[64];
    for (int i = 0; i < 64; i++) numbers[i] = (int)((seed = seed * 1103515245 + 12345) >> 8);
    qsort(numbers, 64, sizeof *numbers, by_value);
    for (int i = 1; i < 64; i++) if (numbers[i - 1] > numbers[i]) fail("not sorted");
    for (int i = 0; i < 32; i++) {
        if (*blocks[i] != i) fail("memory changed");
        free(blocks[i]);
    }
}

static void *allocator(void *argument) {
    for (unsigned round = 0; !stopping; round++) allocate(round + (unsigned)(uintptr_t)argument);
    return argument;
}

static void *mapper(void *unused) {
    while (!stopping) {
        char *page = code_page();
        emit(page, 7);
        if (call(page) != 7 || mprotect(page, PAGE, PROT_READ | PROT_EXEC) || call(page) != 7) fail("mapped code");
        munmap(page, PAGE);
    }
    return unused;
}

static void count_signal(int number) { signals += number == SIGUSR1; }

static void *spinner(void *unused) {
    while (!stopping) signals = signals;
    return unused;
}

static void *end_at_once(void *argument) { return argument; }

static void start_and_join(void) {
    pthread_t thread;
    void *result = 0;
    if (pthread_create(&thread, 0, end_at_once, &thread) || pthread_join(thread, &result) || result != &thread)
        fail("a thread that ends at once");
}

static void *starter(void *unused) {
    while (!stopping) start_and_join();
    return unused;
}

static void in_child(int round) {
    alarm(60);
    char *page = code_page();
    for (int i = 0; i < 4; i++) write_and_call(page, round + i);
    allocate((unsigned)round);
    int before = signals;
    raise(SIGUSR1);
    if (signals != before + 1) fail("a signal was lost");
    if (round % 4 == 0) start_and_join();
    _exit(round & 63);
}

int main(int argc, char **argv) {
    int forks = argc > 1 ? atoi(argv[1]) : 60;
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, 0);
    pthread_t threads[7];
    void *(*bodies[7])(void *) = {writer, writer, allocator, allocator, mapper, spinner, starter};
    for (int i = 0; i < 7; i++)
        if (pthread_create(&threads[i], 0, bodies[i], (void *)(intptr_t)i)) fail("pthread_create");
    for (int round = 0; round < forks; round++) {
        pthread_kill(threads[round % 6], SIGUSR1);
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) in_child(round);
        int status;
        while (waitpid(child, &status, 0) != child) if (errno != EINTR) fail("waitpid");
        if (status != (round & 63) << 8) {
            printf("child %d ended with %#x\n", round, status);
            return 1;
        }
    }
    stopping = 1;
    for (int i = 0; i < 7; i++) pthread_join(threads[i], 0);
    puts("every child came back");
    return 0;
}
