// integer -O2 n=110
// Primes below a million by Eratosthenes' sieve: byte stores with a stride, then a scan.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1000000 };
static unsigned char composite[LIMIT];

static unsigned count_primes(void) {
    memset(composite, 0, sizeof composite);
    unsigned count = 0;
    for (unsigned i = 2; i < LIMIT; i++) {
        if (composite[i]) continue;
        count++;
        for (unsigned j = 2 * i; j < LIMIT; j += i) composite[j] = 1;
    }
    return count;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0;
    unsigned long sum = 0;
    for (int i = 0; i < n; i++) sum += count_primes();
    printf("sieve %lu\n", sum);
    return 0;
}
