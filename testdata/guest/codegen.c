//@ static: -static -pthread
// A compiler at run time: codegen [FUNCTIONS [RUNS [THREADS]]]. Each thread writes functions one after another, runs
// each, patches its last jump so that it continues in an earlier one, and runs it again. The processor
// time is written to standard error.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "again.h"

enum { SPACING = 64 };
typedef unsigned (*function)(unsigned);

static int functions = 2000, runs = 3, threads = 2;

// The function adds i to its argument, jumps to the next instruction, and returns the sum.
static void emit(char *at, unsigned i) {
#if defined __aarch64__
    uint32_t code[] = {0x52800009 | i << 5, 0x0b090000, 0x14000001, 0xd65f03c0};
#else
    unsigned char code[] = {0x81, 0xc7, (unsigned char)i, (unsigned char)(i >> 8), 0, 0, 0xe9, 0, 0, 0, 0, 0x89, 0xf8, 0xc3};
#endif
    memcpy(at, code, sizeof code);
    __builtin___clear_cache(at, at + sizeof code);
}

// Makes its jump lead to `target`.
static void patch(char *at, char *target) {
#if defined __aarch64__
    uint32_t jump = 0x14000000 | ((uint32_t)((target - (at + 8)) / 4) & 0x3ffffff);
    char *place = at + 8;
#else
    int32_t jump = (int32_t)(target - (at + 11));
    char *place = at + 7;
#endif
    memcpy(place, &jump, 4);
    __builtin___clear_cache(place, place + 4);
}

static unsigned run(char *at) {
    unsigned sum = 0;
    for (int n = 0; n < runs; n++) sum += ((function)(void *)at)((unsigned)n);
    return sum;
}

static void *generate(void *argument) {
    size_t size = (size_t)functions * SPACING;
    char *code = mmap(0, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) exit(2);
    unsigned sum = (unsigned)(uintptr_t)argument;
    for (int i = 0; i < functions; i++) {
        char *at = code + (size_t)i * SPACING;
        emit(at, (unsigned)i & 0x7fff);
        sum = sum * 31 + run(at);
        if (i) patch(at, code + (size_t)(i / 2) * SPACING);
        sum = sum * 31 + run(at);
    }
    munmap(code, size);
    return (void *)(uintptr_t)sum;
}

static int body(int argc, char **argv) {
    if (argc > 1) functions = atoi(argv[1]);
    if (argc > 2) runs = atoi(argv[2]);
    if (argc > 3) threads = atoi(argv[3]);
    struct timespec start, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    pthread_t others[64];
    for (long t = 1; t < threads; t++)
        if (pthread_create(&others[t], 0, generate, (void *)t)) return 3;
    unsigned sums[64] = {(unsigned)(uintptr_t)generate(0)};
    for (long t = 1; t < threads; t++) {
        void *sum;
        pthread_join(others[t], &sum);
        sums[t] = (unsigned)(uintptr_t)sum;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    for (int t = 0; t < threads; t++) printf("thread %d: %u\n", t, sums[t]);
    fprintf(stderr, "%.0f ns for each function\n", seconds * 1e9 / functions);
    return 0;
}
