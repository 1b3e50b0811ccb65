// integer -O2 -pthread n=50
// Atomic operations of one thread while another waits: fetch-and-add, compare-and-swap loops, exchange, acquire and
// release. The second thread is there because a program with one may be run without atomicity at all.
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static _Atomic uint64_t counter, maximum, state;
static _Atomic uint32_t lock, word;

static pthread_mutex_t until_end = PTHREAD_MUTEX_INITIALIZER;

static void *wait_for_end(void *unused) {
    pthread_mutex_lock(&until_end);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t waiting;
    pthread_mutex_lock(&until_end);
    if (pthread_create(&waiting, 0, wait_for_end, 0)) return 1;
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
    pthread_mutex_unlock(&until_end);
    pthread_join(waiting, 0);
    return 0;
}
