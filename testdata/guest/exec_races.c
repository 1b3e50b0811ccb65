//@ static: -static -pthread
// execve and clone beside threads that allocate, companions in the same memory, and signals that come meanwhile.
// argv[1]: how many programs are signalled while they are replaced.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "again.h"
#include "execute.h"

static void *allocate(void *stop) {
    while (!*(volatile int *)stop) free(malloc(rand() % 100000)), free(malloc(50));
    return 0;
}

static long raw_clone(unsigned long flags) {
    return syscall(SYS_clone, flags, 0L, 0L, 0L, 0L);
}

// Children by clone with flags that fork does not have, while other threads allocate.
static void clones(void) {
    pthread_t threads[2];
    int stop = 0, wrong = 0;
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], 0, allocate, &stop);
    unsigned long flags[] = {CLONE_FILES | SIGCHLD, CLONE_FS | SIGCHLD, SIGUSR1, 0, CLONE_IO | SIGCHLD, CLONE_NEWUTS | SIGCHLD};
    signal(SIGUSR1, SIG_IGN);
    for (int i = 0; i < 120; i++) {
        pid_t child = raw_clone(flags[i % 6]);
        if (!child) syscall(SYS_exit_group, 40 + i % 6);
        if (child < 0 && errno == EPERM) continue;
        wrong += ended(child) != 40 + i % 6;
    }
    stop = 1;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
    printf("clones %d\n", wrong);
    int file = open("/dev/null", O_RDONLY), here = open(".", O_RDONLY);
    pid_t child = raw_clone(CLONE_FILES | SIGCHLD);
    if (!child) close(file), syscall(SYS_exit_group, 0);
    ended(child);
    printf("shared descriptors %d\n", fcntl(file, F_GETFD) == -1);
    child = raw_clone(CLONE_FS | SIGCHLD);
    if (!child) chdir("/dev"), syscall(SYS_exit_group, 0);
    ended(child);
    char where[4096];
    printf("shared directory %s\n", getcwd(where, sizeof where));
    fchdir(here), close(here);
    printf("contradictions %d %d %d\n", (int)raw_clone(CLONE_THREAD | SIGCHLD), (int)raw_clone(CLONE_SIGHAND | SIGCHLD),
           (int)raw_clone(CLONE_FS | CLONE_NEWNS | SIGCHLD));
}

static volatile int shared, left;

static int beside(void *path) {
    for (int i = 0; i < 1000; i++) shared++;
    if (path) execl(path, "name", "status", "6", (char *)0);
    while (shared != -1) usleep(1000);
    return 8;
}

// A process in the same memory, beside its parent.
static void companions(void) {
    char *stack = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int identity = 0;
    shared = 0, left = 1;
    pid_t child = clone(beside, stack + (1 << 20), CLONE_VM | CLONE_FILES | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, 0,
                        &identity, 0, &left);
    for (int wait = 0; shared < 1000 && wait < 10000; wait++) usleep(1000);
    printf("beside %d identity %d memory %d\n", child > 0 && child != getpid(), identity == child, shared);
    shared = -1;
    printf("ended %d", ended(child));
    printf(" left %d\n", left);
    shared = 0;
    child = clone(beside, stack + (1 << 20), CLONE_VM | SIGCHLD, program);
    printf("executed %d", ended(child));
    printf(" memory %d\n", shared);
    child = clone(beside, stack + (1 << 20), CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, 0, 0, 0, &left);
    left = 1;
    kill(child, SIGKILL);
    printf("killed %d", ended(child));
    printf(" left %d\n", left);
}

static int told;

static void tell(int signal) { (void)signal, write(told, "h", 1); }

// A signal that comes while a program is being replaced is handled before, or ends the one that comes after.
static void signalled(int attempts) {
    int lost = 0;
    char *argv[] = {"name", "sleep", 0};
    signal(SIGTERM, tell);
    for (int i = 0; i < attempts; i++) {
        int ends[2], status = 0, handled = 0, gone = 0;
        char byte;
        pipe2(ends, O_NONBLOCK);
        told = ends[1];
        pid_t child = fork();
        if (!child) execve(program, argv, none), _exit(1);
        for (volatile int spin = 0; spin < i * 1200000 / attempts; spin++) {}
        kill(child, SIGTERM);
        for (int wait = 0; wait < 5000 && !handled && !gone; wait++) {
            gone = waitpid(child, &status, WNOHANG) == child;
            handled = read(ends[0], &byte, 1) == 1;
            usleep(1000);
        }
        if (!gone) kill(child, SIGKILL), waitpid(child, 0, 0);
        lost += !handled && !(gone && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        close(ends[0]), close(ends[1]);
    }
    signal(SIGTERM, SIG_DFL);
    printf("lost signals %d\n", lost);
}

static int body(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "sleep")) return sleep(20);
    if (argc > 2 && !strcmp(argv[1], "status")) return atoi(argv[2]);
    setvbuf(stdout, 0, _IONBF, 0);
    realpath(argv[0], program);
    clones();
    companions();
    signalled(argc > 1 ? atoi(argv[1]) : 60);
    return 0;
}
