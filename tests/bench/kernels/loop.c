// integer -O2 n=500
// The tight loop: n million iterations of three dependent integer operations.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    uint64_t iterations = argc > 1 ? strtoull(argv[1], 0, 10) * 1000000 : 0;
    uint64_t x = 1;
    for (uint64_t i = 0; i < iterations; i++) {
        x += i;
        __asm__ volatile("" : "+r"(x)); // the sum has a closed form that gcc must not find
    }
    printf("loop %llu\n", (unsigned long long)x);
    return 0;
}
