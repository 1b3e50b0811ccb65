//@ static: -static -pthread
//@ pie: -static-pie -pthread
//@ dynamic: -pthread
// POSIX threads: mutex, condition variable, thread-local storage, once, read-write lock, barrier, keys, detach.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "again.h"

enum { THREADS = 8, ROUNDS = 2000 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER, emptied = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_barrier_t barrier;
static pthread_key_t key;
static sem_t semaphore;
static __thread long local = 5;
static __thread char block[100];
static long total, queue[4], queued, destroyed, initialised;

static void initialise(void) { initialised++; }
static void destroy(void *value) { __atomic_add_fetch(&destroyed, (long)value, __ATOMIC_SEQ_CST); }

static void *add(void *argument) {
    long id = (long)argument;
    pthread_once(&once, initialise);
    pthread_setspecific(key, argument);
    memset(block, (int)id, sizeof block);
    for (int i = 0; i < ROUNDS; i++) {
        local += id;
        pthread_mutex_lock(&mutex);
        total += local;
        pthread_mutex_unlock(&mutex);
        if (i % 100 == 0) sched_yield();
    }
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < sizeof block; i++) if (block[i] != id) return (void *)-1;
    return (void *)local;
}

static void *produce(void *unused) {
    for (long i = 1; i <= 500; i++) {
        pthread_mutex_lock(&mutex);
        while (queued == 4) pthread_cond_wait(&emptied, &mutex);
        queue[queued++] = i;
        pthread_cond_signal(&filled);
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static long consume(long count) {
    long sum = 0;
    while (count--) {
        pthread_mutex_lock(&mutex);
        while (!queued) pthread_cond_wait(&filled, &mutex);
        sum += queue[--queued];
        pthread_cond_signal(&emptied);
        pthread_mutex_unlock(&mutex);
    }
    return sum;
}

static void *read_or_write(void *argument) {
    static long a, b;
    for (int i = 0; i < 500; i++) {
        if ((long)argument % 2) {
            pthread_rwlock_wrlock(&rwlock);
            a++, b--;
            pthread_rwlock_unlock(&rwlock);
        } else {
            pthread_rwlock_rdlock(&rwlock);
            long sum = a + b;
            pthread_rwlock_unlock(&rwlock);
            if (sum) return (void *)1;
        }
    }
    return 0;
}

static void *detached(void *unused) {
    sem_post(&semaphore);
    return unused;
}

static void *identify(void *leader) {
    return (void *)(long)(getpid() == (pid_t)(long)leader && (pid_t)syscall(SYS_gettid) != getpid());
}

static int body(int argc, char **argv) {
    (void)argc, (void)argv;
    total = queued = destroyed = initialised = 0, local = 5, once = PTHREAD_ONCE_INIT;
    pthread_t threads[THREADS];
    pthread_key_create(&key, destroy);
    pthread_barrier_init(&barrier, 0, THREADS);
    sem_init(&semaphore, 0, 0);
    for (long i = 0; i < THREADS; i++) if (pthread_create(&threads[i], 0, add, (void *)(i + 1))) return 2;
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        printf("thread %d local %ld\n", i, (long)result);
    }
    printf("total %ld own local %ld keys %ld once %ld\n", total, local, destroyed, initialised);

    pthread_t producers[2];
    for (int i = 0; i < 2; i++) pthread_create(&producers[i], 0, produce, 0);
    printf("consumed %ld\n", consume(1000));
    for (int i = 0; i < 2; i++) pthread_join(producers[i], 0);

    long broken = 0;
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, read_or_write, (void *)i);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        broken += (long)result;
    }
    printf("read-write lock broken %ld\n", broken);

    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    for (int i = 0; i < 50; i++) {
        if (pthread_create(&threads[0], &attributes, detached, 0)) return 3;
        sem_wait(&semaphore);
    }
    puts("50 detached threads");

    void *same;
    pthread_create(&threads[0], 0, identify, (void *)(long)getpid());
    pthread_join(threads[0], &same);
    printf("ids %ld\n", (long)same);

    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000) soon.tv_sec++, soon.tv_nsec -= 1000000000;
    pthread_mutex_lock(&mutex);
    printf("timed wait %s\n", strerror(pthread_cond_timedwait(&filled, &mutex, &soon)));
    pthread_mutex_unlock(&mutex);
    pthread_key_delete(key);
    return 0;
}
