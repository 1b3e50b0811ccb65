//@ static: -static -pthread
//@ llsc aarch64: -static -pthread -mno-outline-atomics -march=armv8-a
//@ lse aarch64: -static -pthread -mno-outline-atomics -march=armv8.1-a
// Atomic operations from several threads: every width and operation, and orders that message passing needs.
// argv[1]: how many rounds.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "again.h"

enum { THREADS = 4 };
static uint32_t rounds = 20000;
static _Atomic uint8_t a8, x8;
static _Atomic uint16_t a16, o16;
static _Atomic uint32_t a32, cas32;
static _Atomic uint64_t a64, cas64, highest;
static _Atomic int64_t lowest;
static _Atomic uint32_t ticket, serving, flag[2], turn;
static uint64_t protected_count, peterson_count, messages_lost;

// Waits for another thread: spins, but not until the end of a time slice if that thread has no processor to run on.
#define UNTIL(condition) for (int spins = 0; !(condition); spins++) if (spins >= 1000) sched_yield()

static void *work(void *argument) {
    uint64_t id = (uint64_t)argument;
    for (uint32_t i = 0; i < rounds; i++) {
        atomic_fetch_add(&a8, 1);
        atomic_fetch_sub(&a16, 3);
        atomic_fetch_add_explicit(&a32, i, memory_order_relaxed);
        atomic_fetch_add_explicit(&a64, (uint64_t)i << 20, memory_order_acq_rel);
        atomic_fetch_xor(&x8, (uint8_t)(1 << id));
        atomic_fetch_or(&o16, (uint16_t)(1 << (i & 15)));
        uint32_t seen = atomic_load(&cas32);
        while (!atomic_compare_exchange_weak(&cas32, &seen, seen * 3 + 1 - seen * 2)) {}
        uint64_t seen64 = atomic_load_explicit(&cas64, memory_order_relaxed);
        while (!atomic_compare_exchange_strong_explicit(&cas64, &seen64, seen64 + 5, memory_order_release, memory_order_relaxed)) {}
        uint64_t mine = (uint64_t)i * 7 + id;
        for (uint64_t top = highest; top < mine && !atomic_compare_exchange_weak(&highest, &top, mine);) {}
        int64_t low = -(int64_t)mine;
        for (int64_t bottom = lowest; bottom > low && !atomic_compare_exchange_weak(&lowest, &bottom, low);) {}
        if (i % 16 == 0) {
            uint32_t my = atomic_fetch_add_explicit(&ticket, 1, memory_order_relaxed);
            UNTIL(atomic_load_explicit(&serving, memory_order_acquire) == my);
            protected_count++;
            atomic_store_explicit(&serving, my + 1, memory_order_release);
        }
    }
    return 0;
}

// Two threads with sequentially consistent plain loads and stores: a store then a load must not swap.
static void *peterson(void *argument) {
    unsigned me = (unsigned)(uintptr_t)argument, other = 1 - me;
    for (uint32_t i = 0; i < rounds; i++) {
        atomic_store(&flag[me], 1);
        atomic_store(&turn, other);
        UNTIL(!atomic_load(&flag[other]) || atomic_load(&turn) != other);
        peterson_count++;
        atomic_store(&flag[me], 0);
    }
    return 0;
}

static uint64_t payload[8];
static _Atomic uint32_t sequence;

static void *receive(void *unused) {
    for (uint32_t wanted = 1; wanted <= rounds; wanted++) {
        UNTIL(atomic_load_explicit(&sequence, memory_order_acquire) == 2 * wanted - 1);
        for (int i = 0; i < 8; i++) messages_lost += payload[i] != wanted * 10 + (unsigned)i;
        atomic_store_explicit(&sequence, 2 * wanted, memory_order_release);
    }
    return unused;
}

static void send(void) {
    for (uint32_t n = 1; n <= rounds; n++) {
        UNTIL(atomic_load_explicit(&sequence, memory_order_acquire) == 2 * n - 2);
        for (int i = 0; i < 8; i++) payload[i] = n * 10 + (unsigned)i;
        atomic_store_explicit(&sequence, 2 * n - 1, memory_order_release);
    }
}

static int body(int argc, char **argv) {
    if (argc > 1) rounds = atoi(argv[1]);
    a8 = x8 = 0, a16 = o16 = 0, a32 = cas32 = ticket = serving = turn = sequence = 0, a64 = cas64 = highest = 0, lowest = 0;
    protected_count = peterson_count = messages_lost = 0;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, work, (void *)i);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
    printf("%u %u %u %llu\n", a8, a16, a32, (unsigned long long)a64);
    printf("%u %x %u %llu\n", x8, o16, cas32, (unsigned long long)cas64);
    printf("%llu %lld %llu\n", (unsigned long long)highest, (long long)lowest, (unsigned long long)protected_count);
    for (uintptr_t i = 0; i < 2; i++) pthread_create(&threads[i], 0, peterson, (void *)i);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
    printf("peterson %llu\n", (unsigned long long)peterson_count);
    pthread_create(&threads[0], 0, receive, 0);
    send();
    pthread_join(threads[0], 0);
    printf("lost %llu\n", (unsigned long long)messages_lost);
    uint32_t before = atomic_exchange(&a32, 7), masked = atomic_fetch_and(&a32, 5);
    printf("%u %u %u\n", before, masked, a32);
    return 0;
}
