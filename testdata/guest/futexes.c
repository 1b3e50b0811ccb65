//@ static: -static -pthread
// Futexes beyond plain waiting: owners that die, priority inheritance, requeueing, many at once, shared memory.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "again.h"

static const char *name(int error) { return error ? strerrorname_np(error) : "0"; }

static long futex(uint32_t *word, int operation, uint32_t value, void *timeout, uint32_t *word2, uint32_t value3) {
    long result = syscall(SYS_futex, word, operation, value, timeout, word2, value3);
    return result < 0 ? -errno : result;
}

static pthread_mutex_t *mutex(int protocol, int robust) {
    pthread_mutex_t *made = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setprotocol(&attributes, protocol);
    pthread_mutexattr_setrobust(&attributes, robust);
    pthread_mutex_init(made, &attributes);
    return made;
}

static void *lock_and_end(void *lock) {
    pthread_mutex_lock(lock);
    return 0;
}

static void *lock_and_exec(void *lock) {
    pthread_mutex_lock(lock);
    execl("/proc/self/exe", "futexes", "nothing", (char *)0);
    return 0;
}

static void *wait_for(void *lock) { return (void *)(long)pthread_mutex_lock(lock); }

static void owners(int protocol, const char *what) {
    pthread_mutex_t *lock = mutex(protocol, PTHREAD_MUTEX_ROBUST);
    pthread_t thread, waiter;
    void *result;
    pthread_create(&thread, 0, lock_and_end, lock);
    pthread_join(thread, 0);
    printf("%s: thread ended %s", what, name(pthread_mutex_lock(lock)));
    printf(" %s", name(pthread_mutex_consistent(lock)));
    printf(" %s\n", name(pthread_mutex_unlock(lock)));
    // Killed, ended, and become another program.
    for (int way = 0; way < 3; way++) {
        int ready[2];
        pipe(ready);
        pid_t child = fork();
        if (!child) {
            pthread_mutex_lock(lock);
            write(ready[1], "x", 1);
            if (way == 0) for (;;) pause();
            if (way == 1) _exit(0);
            pthread_mutex_unlock(lock);
            lock_and_exec(lock);
        }
        char byte;
        read(ready[0], &byte, 1);
        // One who waits already is woken by the owner's death.
        pthread_create(&waiter, 0, wait_for, lock);
        if (way == 0) usleep(50000), kill(child, SIGKILL);
        waitpid(child, 0, 0);
        pthread_join(waiter, &result);
        // The one that executes gives the lock free in between.
        printf("%s: process gone %d: %s", what, way, way == 2 ? "" : name((long)result));
        // The waiter has ended with it, too.
        printf(" %s", name(pthread_mutex_lock(lock)));
        pthread_mutex_consistent(lock);
        printf(" %s\n", name(pthread_mutex_unlock(lock)));
        close(ready[0]), close(ready[1]);
    }
    pthread_create(&thread, 0, lock_and_end, lock);
    pthread_join(thread, 0);
    printf("%s: %s", what, name(pthread_mutex_lock(lock)));
    printf(" %s", name(pthread_mutex_unlock(lock)));
    printf(" not consistent %s\n", name(pthread_mutex_lock(lock)));
}

static pthread_mutex_t *inherit;
static int turns;

static void *take_turns(void *unused) {
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(inherit);
        turns++;
        pthread_mutex_unlock(inherit);
    }
    return 0;
}

static void inheritance(void) {
    inherit = mutex(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, take_turns, 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    printf("turns %d\n", turns);
    uint32_t word = 0;
    printf("lock %ld", futex(&word, FUTEX_LOCK_PI, 0, 0, 0, 0));
    printf(" owner %d", word == (uint32_t)gettid());
    printf(" again %ld", futex(&word, FUTEX_LOCK_PI, 0, 0, 0, 0));
    printf(" try %ld", futex(&word, FUTEX_TRYLOCK_PI, 0, 0, 0, 0));
    printf(" unlock %ld", futex(&word, FUTEX_UNLOCK_PI, 0, 0, 0, 0));
    printf(" word %u", word);
    printf(" unlock %ld\n", futex(&word, FUTEX_UNLOCK_PI, 0, 0, 0, 0));
}

static uint32_t first, second;
static int woken;

static void *sleep_on(void *word) {
    while (futex(word, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0) == -EINTR) {}
    __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static void *bits(void *word) {
    long result = futex(word, FUTEX_WAIT_BITSET_PRIVATE, 0, 0, 0, 4);
    return (void *)result;
}

// Waits until COUNT threads sleep on a word: they can be moved to it again.
static void asleep(uint32_t *word, int count) {
    for (int tries = 0; tries < 5000; tries++) {
        if (futex(word, FUTEX_REQUEUE_PRIVATE, 0, (void *)(long)count, word, 0) >= count) return;
        usleep(1000);
    }
    puts("nobody sleeps");
}

static void requeueing(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, sleep_on, &first);
    asleep(&first, 4);
    printf("compare %ld", futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &second, 7));
    printf(" requeue %ld", futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &second, 0));
    printf(" wake %ld", futex(&first, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0));
    printf(" wake %ld\n", futex(&second, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0));
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    printf("woken %d\n", woken);
    pthread_create(threads, 0, bits, &first);
    asleep(&first, 1);
    printf("bits %ld", futex(&first, FUTEX_WAKE_BITSET_PRIVATE, 1, 0, 0, 3));
    printf(" %ld", futex(&first, FUTEX_WAKE_BITSET_PRIVATE, 1, 0, 0, 6));
    void *result;
    pthread_join(threads[0], &result);
    printf(" %ld\n", (long)result);
    printf("value %ld", futex(&first, FUTEX_WAIT, 1, 0, 0, 0));
    struct timespec soon = {0, 1000000};
    printf(" timeout %ld", futex(&first, FUTEX_WAIT, 0, &soon, 0, 0));
    printf(" address %ld", futex((uint32_t *)2, FUTEX_WAIT, 0, 0, 0, 0));
    printf(" nobody %ld\n", futex(&first, FUTEX_WAKE_OP, 1, (void *)1, &second, 0));
}

struct waitv { uint64_t value, address; uint32_t flags, reserved; };

static void *wait_many(void *unused) {
    (void)unused;
    struct waitv all[3] = {{0, (uintptr_t)&first, 2 | 128, 0}, {0, (uintptr_t)&second, 2 | 128, 0}, {5, (uintptr_t)&turns, 2, 0}};
    turns = 5;
    long result = syscall(449, all, 3, 0, 0, 0);
    return (void *)(result < 0 ? -(long)errno : result);
}

static void many(void) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, 0, wait_many, 0);
    long woken = 0;
    for (int tries = 0; tries < 5000 && !woken; tries++) usleep(1000), woken = futex(&second, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    pthread_join(thread, &result);
    printf("waitv %ld woken %ld\n", (long)result, woken);
    struct waitv wrong = {1, (uintptr_t)&first, 2, 0};
    printf("other value %s\n", syscall(449, &wrong, 1, 0, 0, 0) == -1 ? name(errno) : "woken");
    wrong.flags = 64;
    printf("flags %s\n", syscall(449, &wrong, 1, 0, 0, 0) == -1 ? name(errno) : "woken");
}

static int body(int argc, char **argv) {
    (void)argv;
    if (argc > 1) return 0;
    setvbuf(stdout, 0, _IONBF, 0);
    turns = woken = 0;
    owners(PTHREAD_PRIO_NONE, "plain");
    owners(PTHREAD_PRIO_INHERIT, "inheriting");
    inheritance();
    requeueing();
    many();
    return 0;
}
