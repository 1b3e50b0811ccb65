//@ static: -static
//@ dynamic:
// Signals: handlers, masks, EINTR and SA_RESTART, alternate stacks, siglongjmp, queued values, timers, defaults.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "again.h"

static volatile sig_atomic_t count, last, nested, depth, on_stack;
static volatile int value, code;
static volatile pid_t sender;
static sigjmp_buf buffer;
static char stack[64 << 10];

static void counting(int signal) { count++, last = signal; }
static volatile int *seen; // by another process, too
static void telling(int signal) { ++*seen, last = signal; }

static void install(int signal, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    if (sigaction(signal, &action, 0)) printf("sigaction: %s\n", strerror(errno));
}

static void informed(int signal, siginfo_t *info, void *context) {
    last = signal, value = info->si_value.sival_int, code = info->si_code, sender = info->si_pid;
    count += context != 0;
}

static void nesting(int signal) {
    if (++depth > nested) nested = depth;
    if (++count < 3) raise(signal);
    depth--;
}

static void where(int signal) {
    char here;
    on_stack = &here >= stack && &here < stack + sizeof stack;
    last = signal;
}

static void leaving(int signal) { siglongjmp(buffer, signal); }

static void masks(void) {
    sigset_t set, old, pending;
    install(SIGUSR1, counting, 0);
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR1), raise(SIGUSR1); // not queued: one delivery
    sigpending(&pending);
    printf("blocked %d pending %d\n", count, sigismember(&pending, SIGUSR1));
    sigset_t none;
    sigemptyset(&none);
    int suspended = sigsuspend(&none);
    printf("sigsuspend %d %s, count %d\n", suspended, strerror(errno), count);
    raise(SIGUSR1);
    sigprocmask(SIG_SETMASK, &old, 0);
    printf("unblocked %d\n", count);
    install(SIGRTMIN + 1, counting, 0);
    sigemptyset(&set), sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, 0);
    count = 0;
    for (int i = 0; i < 5; i++) raise(SIGRTMIN + 1); // queued: five
    sigprocmask(SIG_UNBLOCK, &set, 0);
    printf("queued %d\n", count);
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, &old);
    sigprocmask(SIG_BLOCK, 0, &set);
    printf("unblockable %d %d\n", sigismember(&set, SIGKILL), sigismember(&set, SIGSTOP));
    sigprocmask(SIG_SETMASK, &old, 0);
}

static void information(void) {
    struct sigaction action = {.sa_sigaction = informed, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR2, &action, 0);
    sigaction(SIGRTMAX, &action, 0);
    kill(getpid(), SIGUSR2);
    printf("kill %d %d %d\n", last == SIGUSR2, code == SI_USER, sender == getpid());
    union sigval v = {.sival_int = 4711};
    sigqueue(getpid(), SIGRTMAX, v);
    printf("sigqueue %d %d %d\n", last == SIGRTMAX, code == SI_QUEUE, value);
    raise(SIGUSR2);
    printf("tgkill %d\n", code == SI_TKILL);
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set), sigaddset(&set, SIGRTMAX);
    sigprocmask(SIG_BLOCK, &set, 0);
    v.sival_int = 12;
    sigqueue(getpid(), SIGRTMAX, v);
    int got = sigwaitinfo(&set, &info);
    printf("sigwaitinfo %d %d\n", got == SIGRTMAX, info.si_value.sival_int);
    struct timespec soon = {0, 10000000};
    got = sigtimedwait(&set, &info, &soon);
    printf("sigtimedwait %d %s\n", got, strerror(errno));
    struct sigaction old;
    sigaction(SIGUSR2, 0, &old);
    printf("old %d %d\n", old.sa_sigaction == informed, (old.sa_flags & SA_SIGINFO) != 0);
    errno = 0;
    printf("SIGKILL %d ", sigaction(SIGKILL, &action, 0));
    printf("%s\n", strerror(errno));
}

static void flags(void) {
    count = 0;
    install(SIGUSR1, nesting, SA_NODEFER);
    raise(SIGUSR1);
    printf("nested %d\n", nested);
    count = nested = 0;
    install(SIGUSR1, nesting, 0);
    raise(SIGUSR1);
    printf("deferred %d times %d\n", nested, count);
    install(SIGUSR1, counting, SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction now;
    sigaction(SIGUSR1, 0, &now);
    printf("reset %d\n", now.sa_handler == SIG_DFL);
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack}, old;
    sigaltstack(&alternate, 0);
    install(SIGUSR1, where, SA_ONSTACK);
    raise(SIGUSR1);
    printf("alternate %d", on_stack);
    install(SIGUSR1, where, 0);
    raise(SIGUSR1);
    sigaltstack(0, &old);
    printf(" normal %d kept %d\n", on_stack, old.ss_sp == stack);
    alternate.ss_flags = SS_DISABLE;
    sigaltstack(&alternate, 0);
}

static void interruptions(void) {
    int ends[2];
    char byte;
    if (pipe(ends)) exit(2);
    install(SIGALRM, counting, 0);
    // Again and again: the first may come before the call that it is to interrupt.
    struct itimerval timer = {.it_value = {0, 30000}, .it_interval = {0, 30000}}, none = {{0}};
    setitimer(ITIMER_REAL, &timer, 0);
    long got = read(ends[0], &byte, 1);
    printf("read %ld %s\n", got, strerror(errno));
    setitimer(ITIMER_REAL, &none, 0);
    seen = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    install(SIGALRM, telling, SA_RESTART);
    pid_t child = fork();
    if (!child) {
        // Signals have come, and some more while the parent surely reads.
        while (*seen < 2) usleep(1000);
        usleep(50000);
        if (write(ends[1], "x", 1) != 1) _exit(1);
        _exit(0);
    }
    timer.it_interval.tv_usec = 20000;
    setitimer(ITIMER_REAL, &timer, 0);
    got = read(ends[0], &byte, 1);
    setitimer(ITIMER_REAL, &none, 0);
    printf("restarted %ld %c %d\n", got, byte, *seen > 1);
    while (waitpid(child, 0, 0) == -1 && errno == EINTR) {}
    install(SIGALRM, counting, SA_RESTART);
    setitimer(ITIMER_REAL, &timer, 0);
    struct timespec rest, minutes = {100, 0};
    int slept = nanosleep(&minutes, &rest);
    setitimer(ITIMER_REAL, &none, 0);
    printf("nanosleep %d %s rest %d\n", slept, strerror(errno), rest.tv_sec > 0 && rest.tv_sec < 100);
    timer.it_value.tv_usec = 10000;
    timer.it_interval.tv_usec = 1000;
    count = 0;
    setitimer(ITIMER_REAL, &timer, 0);
    volatile unsigned long spins = 0;
    while (count < 20) spins++; // signals reach a loop without system calls
    setitimer(ITIMER_REAL, &none, 0);
    printf("loop %d\n", count >= 20);
    count = 0;
    alarm(0);
}

static void jumps(void) {
    install(SIGUSR1, leaving, 0);
    volatile int times = 0;
    int from = sigsetjmp(buffer, 1);
    if (times++ < 3) raise(SIGUSR1);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, 0, &mask);
    printf("siglongjmp %d times %d blocked %d\n", from == SIGUSR1, times, sigismember(&mask, SIGUSR1));
}

static void children(void) {
    install(SIGCHLD, counting, SA_NOCLDSTOP | SA_RESTART);
    count = 0;
    pid_t child = fork();
    if (!child) _exit(3);
    int status;
    while (waitpid(child, &status, 0) == -1 && errno == EINTR) {}
    while (!count) usleep(1000);
    printf("SIGCHLD %d %d\n", count, WEXITSTATUS(status));
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    int ends[2];
    if (pipe(ends)) exit(2);
    close(ends[0]);
    long wrote = write(ends[1], "x", 1);
    printf("SIGPIPE ignored %ld %s\n", wrote, strerror(errno));
    child = fork();
    if (!child) {
        signal(SIGPIPE, SIG_DFL);
        wrote = write(ends[1], "x", 1);
        _exit(1);
    }
    waitpid(child, &status, 0);
    printf("SIGPIPE default %d\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    signal(SIGTERM, SIG_DFL);
    child = fork();
    if (!child) for (;;) pause();
    install(SIGTERM, counting, 0);
    kill(child, SIGTERM); // the child had no handler when it was made
    waitpid(child, &status, 0);
    printf("killed %d\n", WTERMSIG(status));
}

static int body(int argc, char **argv) {
    (void)argc, (void)argv;
    setvbuf(stdout, 0, _IOLBF, 0);
    count = nested = depth = 0;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, 0);
    masks();
    information();
    flags();
    interruptions();
    jumps();
    children();
    return 0;
}
