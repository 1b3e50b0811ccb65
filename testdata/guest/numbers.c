//@ static: -static
// Every system call number, with arguments that are all 0 and all -1: what it answers, or how it ends its process.
// Prints "<number> <with 0> <with -1>" for each; a call that waits ends with SIGALRM.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

// A place for each try: a child of clone may write late.
static volatile int *answers;

// Calls that would disturb the machine or this program's stack.
static int is_left_out(long number) {
#ifdef SYS_vfork
    if (number == SYS_vfork) return 1;
#endif
    return number == SYS_vhangup || number == SYS_reboot || number == SYS_sync;
}

static void try(long number, long argument) {
    volatile int *answer = answers + 2 * number + (argument != 0);
    if (is_left_out(number)) return (void)printf(" left-out");
    fflush(stdout);
    *answer = -1;
    pid_t child = fork();
    if (!child) {
        // What the call may change is this process's own.
        unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS);
        setsid();
        struct itimerval limit = {{0, 0}, {1, 0}};
        setitimer(ITIMER_REAL, &limit, 0);
        errno = 0;
        long result = syscall(number, argument, argument, argument, argument, argument, argument);
        *answer = result == -1 ? errno : 0;
        syscall(SYS_exit_group, 0);
    }
    int status = 0;
    waitpid(child, &status, __WALL);
    if (WIFSIGNALED(status)) printf(" signal%d", WTERMSIG(status));
    else if (*answer < 0) printf(" exit%d", WEXITSTATUS(status));
    else printf(" %s", *answer ? strerrorname_np(*answer) ? strerrorname_np(*answer) : "unknown" : "done");
}

int main(int argc, char **argv) {
    answers = mmap(0, 2 * 1024 * sizeof *answers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    // Descriptor 0 is among the arguments: it is a file that nobody else has.
    dup2(memfd_create("nothing", 0), 0);
    close_range(3, ~0u, 0);
    long first = argc > 1 ? atol(argv[1]) : 0, last = argc > 2 ? atol(argv[2]) : 475;
    for (long number = first; number <= last; number++) {
        printf("%ld", number);
        try(number, 0);
        try(number, -1);
        puts("");
    }
    return 0;
}
