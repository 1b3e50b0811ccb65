//@ static: -static
// Code made at run time: written then executed, rewritten in place, on pages that are writable and executable or
// change between the two, through a second mapping, and moved away. Each step returns another number.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096 };
typedef int (*function)(void);

// A function that returns n, which is less than 65536.
static size_t emit(char *at, int n) {
#if defined __aarch64__
    uint32_t code[] = {0x52800000 | (uint32_t)n << 5, 0xd65f03c0}; // mov w0, #n; ret
#else
    unsigned char code[] = {0xb8, (unsigned char)n, (unsigned char)(n >> 8), 0, 0, 0xc3}; // mov eax, n; ret
#endif
    memcpy(at, code, sizeof code);
    __builtin___clear_cache(at, at + sizeof code);
    return sizeof code;
}

static int call(char *at) { return ((function)(void *)at)(); }

static char *map(int protection) {
    char *p = mmap(0, 4 * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) exit(2);
    return p;
}

int main(void) {
    char *p = map(PROT_READ | PROT_WRITE | PROT_EXEC);
    long sum = 0;
    for (int i = 0; i < 3000; i++) {
        emit(p, i);
        int got = call(p);
        if (got != i) return printf("rewritten in place: got %d, wanted %d\n", got, i), 1;
        sum += got;
    }
    printf("rewritten in place %ld\n", sum);

    size_t size = 0;
    char *many[100];
    for (int i = 0; i < 100; i++) {
        many[i] = p + PAGE + size;
        size += emit(many[i], i * 3);
    }
    sum = 0;
    for (int round = 0; round < 200; round++) {
        emit(many[round % 100], round);
        for (int i = 0; i < 100; i++) sum = sum * 31 + call(many[i]);
    }
    printf("neighbours %ld\n", sum);

    char *q = map(PROT_READ | PROT_WRITE);
    sum = 0;
    for (int i = 0; i < 200; i++) {
        if (mprotect(q, PAGE, PROT_READ | PROT_WRITE)) return 3;
        emit(q, i * 7);
        if (mprotect(q, PAGE, PROT_READ | PROT_EXEC)) return 3;
        sum = sum * 3 + call(q) + call(q);
    }
    printf("protected in turn %ld\n", sum);

    int file = memfd_create("code", 0);
    if (ftruncate(file, PAGE)) return 4;
    char *writer = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    char *code = mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
    sum = 0;
    for (int i = 0; i < 200; i++) {
        emit(writer, i);
        __builtin___clear_cache(code, code + 16);
        sum = sum * 3 + call(code);
    }
    printf("two mappings %ld\n", sum);

    emit(p, 100);
    printf("before %d", call(p));
    char other[16];
    size = emit(other, 200);
    int ends[2];
    if (pipe(ends) || write(ends[1], other, size) != (ssize_t)size || read(ends[0], p, size) != (ssize_t)size) return 5;
    __builtin___clear_cache(p, p + size);
    printf(" written by a system call %d\n", call(p));

    char *old = q;
    emit(p + 2 * PAGE, 300);
    printf("old %d", call(old));
    if (mremap(p + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, old) != old) return 6;
    printf(" moved over it %d", call(old));
    if (mmap(old, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != old) return 7;
    emit(old, 400);
    printf(" mapped over it %d\n", call(old));

    pid_t child = fork();
    emit(p, child ? 1 : 2);
    if (!child) _exit(call(p) == 2 ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    printf("parent %d child %d\n", call(p), status);
    return 0;
}
