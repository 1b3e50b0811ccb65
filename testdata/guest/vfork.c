//@ static: -static
// vfork as the kernel has it: the child runs in the parent's memory, and the parent waits until it execs or exits.
#define _GNU_SOURCE
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "again.h"

extern char **environ;
static volatile int shared = 1;

static int body(int argc, char **argv) {
    (void)argc, (void)argv;
    pid_t parent = getpid(), child = vfork();
    if (!child) {
        shared = getppid() == parent ? 2 : 3;
        usleep(20000);
        shared += 10;
        _exit(4);
    }
    int status = 0, seen = shared;
    waitpid(child, &status, 0);
    printf("vfork %d %d\n", seen, WEXITSTATUS(status));
    child = vfork();
    if (!child) {
        execl("/no/such/program", "x", (char *)0);
        shared = 50;
        _exit(5);
    }
    waitpid(child, &status, 0);
    printf("failed exec %d %d\n", shared, WEXITSTATUS(status));
    char *words[] = {"missing", 0};
    int error = posix_spawn(&child, "/no/such/program", 0, 0, words, environ);
    printf("posix_spawn %s\n", strerror(error));
    return 0;
}
