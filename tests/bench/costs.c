// What the kernel interface costs: microseconds of CPU time, its own and its children's, for each of a system call,
// a signal round trip, a thread, a fork, and a fork with exec and a spawn of the program that the argument names.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *program;
static volatile int got;

static void handler(int signal) { got += signal; }
static void *nothing(void *argument) { return argument; }

static double used(void) {
    struct rusage own, children;
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    double seconds = own.ru_utime.tv_sec + own.ru_stime.tv_sec + children.ru_utime.tv_sec + children.ru_stime.tv_sec;
    double micros = own.ru_utime.tv_usec + own.ru_stime.tv_usec + children.ru_utime.tv_usec + children.ru_stime.tv_usec;
    return seconds * 1e6 + micros;
}

static void call(void) { syscall(SYS_getppid); }
static void signalled(void) { kill(getpid(), SIGUSR1); }

static void thread(void) {
    pthread_t made;
    pthread_create(&made, 0, nothing, 0);
    pthread_join(made, 0);
}

static void forked(void) {
    pid_t child = fork();
    if (!child) _exit(0);
    waitpid(child, 0, 0);
}

static void executed(void) {
    pid_t child = fork();
    if (!child) execl(program, program, (char *)0), _exit(1);
    waitpid(child, 0, 0);
}

static void spawned(void) {
    pid_t child;
    char *words[] = {program, 0};
    posix_spawn(&child, program, 0, 0, words, environ);
    waitpid(child, 0, 0);
}

static const struct { const char *name; void (*once)(void); int count; } all[] = {
    {"getppid", call, 200000}, {"signal", signalled, 50000}, {"thread", thread, 2000},
    {"fork", forked, 500},     {"exec", executed, 100},      {"spawn", spawned, 100},
};

int main(int argc, char **argv) {
    if (argc < 2) return 0;
    program = argv[1];
    signal(SIGUSR1, handler);
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        // Once to warm up: what is compiled for it is not its cost.
        for (int n = 0; n < all[i].count / 4; n++) all[i].once();
        double start = used();
        for (int n = 0; n < all[i].count; n++) all[i].once();
        printf("%s %.2f\n", all[i].name, (used() - start) / all[i].count);
    }
    return 0;
}
