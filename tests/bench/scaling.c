// What threads cost each other: scaling MODE THREADS, each thread doing the same work.
//
// compute: integers in registers. mutex: a pthread mutex around an addition. atomics: additions to one word.
// Out: the sum, which does not depend on order.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// On lines of their own: libgcc's word that says whether an aarch64 processor has atomic instructions, which each of
// its functions reads, would else be in the line that threads fight for.
static _Alignas(64) pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Alignas(64) uint64_t total[8];

static void *compute(void *argument) {
    uint64_t x = (uintptr_t)argument + 1, sum = 0;
    for (int i = 0; i < 300000000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        sum += x;
    }
    __atomic_fetch_add(&total[0], sum, __ATOMIC_RELAXED);
    return 0;
}

static void *mutex(void *argument) {
    for (int i = 0; i < 8000000; i++) {
        pthread_mutex_lock(&lock);
        total[0] += (uintptr_t)argument + 1;
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

static void *atomics(void *argument) {
    for (int i = 0; i < 20000000; i++) __atomic_fetch_add(&total[0], (uintptr_t)argument + 1, __ATOMIC_SEQ_CST);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    void *(*work)(void *) = !strcmp(argv[1], "mutex") ? mutex : !strcmp(argv[1], "atomics") ? atomics : compute;
    pthread_t threads[64];
    int count = atoi(argv[2]);
    for (int i = 0; i < count; i++) pthread_create(&threads[i], 0, work, (void *)(uintptr_t)i);
    for (int i = 0; i < count; i++) pthread_join(threads[i], 0);
    printf("%llu\n", (unsigned long long)total[0]);
    return 0;
}
