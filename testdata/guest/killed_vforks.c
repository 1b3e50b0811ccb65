//@ static: -static
// Children of vfork that are killed at random moments, while they compute, make system calls, map memory and come to code
// that is new: each time the parent goes on at once, and everything still works. argv[1]: how many; "forks" behind it:
// they fork, too.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "again.h"

#define NEW(n) static __attribute__((noinline)) int code##n(int x) { return x % (n + 2) ? x * 3 + n : x - n; }
#define TEN(n) NEW(n##0) NEW(n##1) NEW(n##2) NEW(n##3) NEW(n##4) NEW(n##5) NEW(n##6) NEW(n##7) NEW(n##8) NEW(n##9)
TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7) TEN(8)
#define NAME(n) code##n,
#define NAMES(n) NAME(n##0) NAME(n##1) NAME(n##2) NAME(n##3) NAME(n##4) NAME(n##5) NAME(n##6) NAME(n##7) NAME(n##8) NAME(n##9)
static int (*const all[])(int) = {NAMES(1) NAMES(2) NAMES(3) NAMES(4) NAMES(5) NAMES(6) NAMES(7) NAMES(8)};

static volatile pid_t victim;
static volatile long delay;
static volatile int sum, ready, forks, over;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

// Kills each child after a while that is a little longer from time to time.
static void *killer(void *argument) {
    for (;;) {
        while (!ready) {
            if (over) return argument;
            sched_yield();
        }
        for (volatile long n = 0; n < delay; n++);
        ready = 0;
        kill(victim, SIGKILL);
    }
}

static void child(int round) {
    victim = syscall(SYS_getpid);
    ready = 1;
    for (int n = 0;; n++) {
        sum += all[(round + n) % (sizeof all / sizeof *all)](n);
        if (n % 3 == 0) {
            char *page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            page[0] = 1;
            munmap(page, 8192);
        }
        if (n % 7 == 0) close(dup(1));
        if (n % 50 == 0) access("/etc", R_OK);
        if (forks && n % 2 == 0) {
            // Not the C library's, which takes locks of the parent's that nobody would ever free.
            long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
            if (!pid) free(malloc(100)), sum += all[n % 80](n), syscall(SYS_exit_group, 0);
            syscall(SYS_wait4, pid, 0, 0, 0);
        }
    }
}

static int body(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 50, killed = 0;
    forks = argc > 2;
    double longest = 0;
    pthread_t thread;
    over = 0;
    pthread_create(&thread, 0, killer, 0);
    srand(1);
    for (int round = 0; round < rounds; round++) {
        delay = rand() % 100000;
        double start = now();
        pid_t pid = vfork();
        if (!pid) child(round);
        double end = now();
        if (end - start > longest) longest = end - start;
        int status;
        if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) killed++;
        free(malloc(100 + round));
    }
    over = 1;
    pthread_join(thread, 0);
    printf("%d killed, the parent waited %s\n", killed, longest < 10 ? "not long" : "too long");
    return 0;
}
