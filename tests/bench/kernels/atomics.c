// integer -O2 n=50
// One thread's atomic operations: fetch-and-add, compare-and-swap loops, exchange, acquire and release.
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static _Atomic uint64_t counter, maximum, state;
static _Atomic uint32_t lock, word;

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0;
    uint64_t plain = 0;
    for (int i = 0; i < n; i++) {
        for (uint32_t j = 0; j < 200000; j++) {
            atomic_fetch_add(&counter, j);
            while (atomic_exchange_explicit(&lock, 1, memory_order_acquire)) {}
            plain += atomic_load_explicit(&state, memory_order_relaxed);
            atomic_store_explicit(&lock, 0, memory_order_release);
            uint64_t seen = atomic_load_explicit(&maximum, memory_order_acquire);
            uint64_t value = (uint64_t)j * 2654435761u % 1000003;
            while (seen < value && !atomic_compare_exchange_weak(&maximum, &seen, value)) {}
            atomic_fetch_xor_explicit(&word, j, memory_order_relaxed);
            atomic_store(&state, value);
        }
    }
    printf("atomics %llu %llu %llu %u\n", (unsigned long long)counter, (unsigned long long)maximum,
           (unsigned long long)plain, (unsigned)word);
    return 0;
}
