// Control flow: setjmp and longjmp, computed gotos, variadic calls, alloca, deep recursion, function pointers.
#include <setjmp.h>
#include <alloca.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static jmp_buf buffer;

static void leave(int depth, int value) {
    volatile char pad[64] = {(char)depth};
    if (depth > 0) leave(depth - 1, value + pad[0] * 0);
    longjmp(buffer, value);
}

static void long_jumps(void) {
    volatile int count = 0;
    volatile double kept = 1.25;
    int value = setjmp(buffer);
    printf("setjmp %d count %d kept %g\n", value, count, kept);
    if (count++ < 3) leave(count * 100, count == 3 ? 0 : count * 10); // longjmp turns 0 into 1
}

static int threaded(const char *code) {
    static void *const labels[] = {&&inc, &&dec, &&twice, &&stop};
    int x = 1;
    goto *labels[*code++ - '0'];
inc:
    x += 1;
    goto *labels[*code++ - '0'];
dec:
    x -= 1;
    goto *labels[*code++ - '0'];
twice:
    x *= 2;
    goto *labels[*code++ - '0'];
stop:
    return x;
}

// What linkers make for calls of other files' functions, with a pointer that changes while it is hot.
long stub(long);
__attribute__((used)) long plus(long x) { return x + 1; }
__attribute__((used)) long twice_plus(long x) { return x * 2 + 1; }
long (*volatile stub_pointer)(long) = plus;
asm(".text\n"
    "stub:\n"
#ifdef __aarch64__
    "adrp x16, stub_pointer\n"
    "ldr x17, [x16, #:lo12:stub_pointer]\n"
    "add x16, x16, #:lo12:stub_pointer\n"
    "br x17\n"
#else
    "jmp *stub_pointer(%rip)\n"
#endif
);

static void through_pointers(void) {
    unsigned long sum = 0;
    for (int i = 0; i < 30000; i++) {
        stub_pointer = i >= 15000 && (i < 20000 || i % 3 == 0) ? twice_plus : plus;
        sum = sum * 31 + stub(i);
    }
    printf("through pointers %lx\n", sum);
}

static double sum(const char *kinds, ...) {
    va_list list, copy;
    va_start(list, kinds);
    va_copy(copy, list);
    double total = 0;
    for (const char *kind = kinds; *kind; kind++) {
        switch (*kind) {
        case 'i': total += va_arg(list, int); break;
        case 'l': total += (double)va_arg(list, long long); break;
        case 'd': total += va_arg(list, double); break;
        case 'L': total += (double)va_arg(list, long double); break;
        }
    }
    total += *kinds == 'i' ? va_arg(copy, int) : 0;
    va_end(copy), va_end(list);
    return total;
}

struct wide { long a, b, c; double d; };
struct pair { double x; float y; };
static struct wide widen(struct wide w, struct pair p) { return (struct wide){w.c, w.a, w.b, w.d + p.x * p.y}; }
static struct pair swap(struct pair p) { return (struct pair){p.y, (float)p.x}; }

static unsigned depth(unsigned n) {
    volatile char pad[200];
    pad[n % 200] = 1;
    return n == 0 ? 0 : pad[n % 200] + depth(n - 1);
}

static int descending(const void *a, const void *b) { return *(const int *)b - *(const int *)a; }

static int classify(int x) {
    switch (x) {
    case 0: return 5;
    case 1: case 2: return 17;
    case 3: return -4;
    case 4: return 99;
    case 5: return 12;
    case 1000: return 1;
    case -7: return 2;
    default: return 0;
    }
}

int main(void) {
    long_jumps();
    printf("threaded %d\n", threaded("0022210213"));
    printf("variadic %g %g\n", sum("iiiiiiiiii", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
           sum("dildLdddddddddL", 0.5, 2, 3ll << 33, 4.0, 5.0L, 1., 2., 3., 4., 5., 6., 7., 8., 9., 10.0L));
    struct wide w = widen((struct wide){1, 2, 3, 0.5}, swap((struct pair){2.5, 4}));
    printf("structs %ld %ld %ld %g\n", w.a, w.b, w.c, w.d);
    printf("depth %u\n", depth(20000));
    for (int n = 10; n < 2000; n *= 5) {
        char *text = alloca((size_t)n);
        memset(text, 'x', (size_t)n);
        text[n - 1] = 0;
        printf("alloca %zu\n", strlen(text));
    }
    int numbers[50];
    for (int i = 0; i < 50; i++) numbers[i] = i * 37 % 50;
    qsort(numbers, 50, sizeof numbers[0], descending);
    printf("qsort %d %d %d\n", numbers[0], numbers[25], numbers[49]);
    int total = 0;
    for (volatile int i = -10; i < 1010; i++) total = total * 3 + classify(i);
    printf("switch %d\n", total);
    through_pointers();
    return 7;
}
