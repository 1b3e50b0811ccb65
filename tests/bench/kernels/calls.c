// integer -O2 n=220
// Recursion (Fibonacci, Ackermann) and calls through a pointer: branch with link, return, stack.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static uint64_t fibonacci(unsigned n) {
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

__attribute__((noinline)) static unsigned ackermann(unsigned m, unsigned n) {
    if (m == 0) return n + 1;
    if (n == 0) return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

__attribute__((noinline)) static uint64_t twice(uint64_t x) { return 2 * x + 1; }
__attribute__((noinline)) static uint64_t square(uint64_t x) { return x * x + 3; }
__attribute__((noinline)) static uint64_t turn(uint64_t x) { return x << 7 ^ x >> 5; }

int main(int argc, char **argv) {
    static uint64_t (*const steps[])(uint64_t) = {twice, square, turn};
    int n = argc > 1 ? atoi(argv[1]) : 0;
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) {
        sum += fibonacci(25) + ackermann(2, 300 + i % 3);
        uint64_t x = i;
        for (int j = 0; j < 300000; j++) x = steps[j % 3](x);
        sum ^= x;
    }
    printf("calls %llu\n", (unsigned long long)sum);
    return 0;
}
