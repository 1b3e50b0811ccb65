//@ static: -static -pthread
// Thread cancellation and signals sent to threads: the C library's own signals 32 and 33, cleanup handlers.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "again.h"

static sem_t ready;
static volatile sig_atomic_t hits;
static pthread_t target;

static void cleanup(void *text) { printf("cleanup %s\n", (char *)text); }

static void *sleep_in_pause(void *unused) {
    pthread_cleanup_push(cleanup, "pause");
    sem_post(&ready);
    for (;;) pause();
    pthread_cleanup_pop(0);
    return unused;
}

static void *spin(void *unused) {
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, 0);
    pthread_cleanup_push(cleanup, "loop");
    sem_post(&ready);
    for (volatile unsigned long i = 0;; i++) {}
    pthread_cleanup_pop(0);
    return unused;
}

static void handler(int signal) { hits += pthread_equal(pthread_self(), target) ? signal == SIGUSR1 : 100; }

static void *wait_for_signal(void *pipe) {
    char byte;
    sem_post(&ready);
    errno = 0;
    long got = read(*(int *)pipe, &byte, 1);
    return (void *)(got == -1 && errno == EINTR ? 1l : 0l);
}

static int body(int argc, char **argv) {
    (void)argc, (void)argv;
    void *result;
    hits = 0;
    sem_init(&ready, 0, 0);
    void *(*const bodies[])(void *) = {sleep_in_pause, spin};
    for (int i = 0; i < 2; i++) {
        pthread_create(&target, 0, bodies[i], 0);
        sem_wait(&ready);
        pthread_cancel(target);
        pthread_join(target, &result);
        printf("cancelled %d\n", result == PTHREAD_CANCELED);
    }
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, 0);
    int ends[2];
    if (pipe(ends)) return 2;
    pthread_create(&target, 0, wait_for_signal, &ends[0]);
    sem_wait(&ready);
    while (!hits) {
        usleep(20000);
        pthread_kill(target, SIGUSR1);
    }
    pthread_join(target, &result);
    printf("interrupted %ld, handled %s\n", (long)result, hits < 100 ? "by the target" : "elsewhere");
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, 0);
    pthread_kill(pthread_self(), SIGUSR2);
    int got;
    printf("sigwait %d ", sigwait(&set, &got));
    printf("%d\n", got == SIGUSR2);
    return 0;
}
