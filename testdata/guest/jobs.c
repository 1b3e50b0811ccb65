//@ static: -static -pthread
// Jobs on a terminal of their own, identities of many threads, odd kinds of clone, the alternate stack's odd ends, threads
// that end in every order.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void describe(const char *what, int status) {
    if (WIFSTOPPED(status)) printf("%s: stopped by %s\n", what, sigabbrev_np(WSTOPSIG(status)));
    else if (WIFCONTINUED(status)) printf("%s: continued\n", what);
    else if (WIFSIGNALED(status)) printf("%s: killed by %s%s\n", what, sigabbrev_np(WTERMSIG(status)), WCOREDUMP(status) ? " and dumped" : "");
    else printf("%s: exit %d\n", what, WEXITSTATUS(status));
}

static pid_t wait_for(const char *what, pid_t child) {
    int status = 0;
    pid_t found = waitpid(child, &status, WUNTRACED | WCONTINUED);
    describe(what, status);
    return found;
}

static int report;
static volatile sig_atomic_t resized;
static void resize(int signal) { resized = signal; }

// Leads a session on the terminal: a job in the foreground, one in the background.
static void session(int terminal) {
    setsid();
    printf("controlling %d\n", ioctl(terminal, TIOCSCTTY, 0));
    printf("leads %d %d\n", tcgetsid(terminal) == getpid(), tcgetpgrp(terminal) == getpgrp());
    signal(SIGTTOU, SIG_IGN);
    pid_t job = fork();
    if (!job) {
        setpgid(0, 0);
        signal(SIGTTOU, SIG_DFL);
        char byte;
        long got = read(terminal, &byte, 1); // from the background: SIGTTIN
        _exit(got == 1 ? byte : 99);
    }
    setpgid(job, job);
    wait_for("background read", job);
    printf("foreground %d", tcsetpgrp(terminal, job));
    printf(" %d\n", tcgetpgrp(terminal) == job);
    kill(-job, SIGCONT);
    wait_for("job", job);
    // Our parent types now: ^Z, and a line later.
    write(report, "f", 1);
    wait_for("typed ^Z", job);
    kill(-job, SIGCONT);
    wait_for("job", job);
    write(report, "r", 1);
    wait_for("job", job);
    printf("back %d\n", tcsetpgrp(terminal, getpgrp()));
    signal(SIGTTOU, SIG_DFL);
    job = fork();
    if (!job) {
        setpgid(0, 0);
        struct termios modes;
        tcgetattr(terminal, &modes);
        modes.c_lflag |= TOSTOP;
        tcsetattr(terminal, TCSANOW, &modes); // SIGTTOU
        _exit(5);
    }
    setpgid(job, job);
    wait_for("background tcsetattr", job);
    kill(-job, SIGKILL);
    wait_for("job", job);
    struct sigaction action = {.sa_handler = resize};
    sigaction(SIGWINCH, &action, 0);
    write(report, "w", 1);
    while (!resized) usleep(1000);
    struct winsize size;
    ioctl(terminal, TIOCGWINSZ, &size);
    printf("resized to %d x %d\n", size.ws_row, size.ws_col);
    write(report, "h", 1);
    for (;;) pause(); // until the terminal hangs up
}

static void terminal(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY), told[2];
    grantpt(master), unlockpt(master), pipe(told);
    pid_t leader = fork();
    if (!leader) {
        report = told[1];
        int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
        close(master);
        session(terminal);
        _exit(1);
    }
    close(told[1]);
    char byte = 0;
    while (byte != 'h' && read(told[0], &byte, 1) == 1) {
        if (byte == 'f') write(master, "\x1a", 1);
        if (byte == 'r') write(master, "A\n", 2);
        if (byte == 'w') ioctl(master, TIOCSWINSZ, &(struct winsize){33, 44});
    }
    close(master);
    wait_for("leader", leader);
}

static void cores(void) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    const int signals[] = {SIGQUIT, SIGABRT, SIGSYS, SIGXCPU, SIGTERM, SIGSTKFLT, 32, 64};
    for (int n = 0; n < 8; n++) {
        pid_t child = fork();
        if (!child) kill(getpid(), signals[n]), _exit(0);
        int status;
        waitpid(child, &status, 0);
        printf("%d: %x\n", signals[n], status);
    }
}

static char alternate[65536];
static sigjmp_buf out;
static volatile int overflows;

static void overflown(int signal, siginfo_t *info, void *context) {
    stack_t stack;
    sigaltstack(0, &stack);
    overflows++;
    // SS_AUTODISARM: disarmed while its handler runs.
    if (overflows == 1) printf("in the handler flags %x %d\n", stack.ss_flags, info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR);
    siglongjmp(out, 1);
}

static __attribute__((noinline)) int deep(int n) {
    volatile char frame[4096];
    frame[0] = n;
    return deep(n + 1) + frame[0];
}

static void *overflow(void *unused) {
    struct sigaction action = {.sa_sigaction = overflown, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    for (int round = 0; round < 3; round++) {
        stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate, .ss_flags = round ? 0 : 1u << 31};
        if (sigaltstack(&stack, 0)) printf("sigaltstack %s\n", strerrorname_np(errno));
        sigaction(SIGSEGV, &action, 0);
        if (!sigsetjmp(out, 1)) deep(0);
    }
    printf("overflows %d\n", overflows);
    signal(SIGSEGV, SIG_DFL);
    return unused;
}


static pthread_barrier_t barrier;
static void *observer(void *unused) {
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return (void *)(uintptr_t)geteuid();
}

// setuid in one thread is the C library's business in all: by signal 33.
static void identities(void) {
    pid_t child = fork();
    if (!child) {
        pthread_t all[8];
        pthread_barrier_init(&barrier, 0, 9);
        for (int n = 0; n < 8; n++) pthread_create(&all[n], 0, observer, 0);
        pthread_barrier_wait(&barrier);
        int changed = setresuid(65534, 65534, 65534);
        pthread_barrier_wait(&barrier);
        int others = 0;
        for (int n = 0; n < 8; n++) {
            void *identity;
            pthread_join(all[n], &identity);
            others += (uintptr_t)identity == geteuid();
        }
        printf("setresuid %d seen by %d\n", changed, others);
        exit(0);
    }
    wait_for("identities", child);
}

static void *count(void *total) { return __atomic_add_fetch((int *)total, 1, __ATOMIC_RELAXED), NULL; }

static void *outlive(void *leader) {
    void *result;
    printf("leader ended %d\n", pthread_join((pthread_t)leader, &result));
    exit(44);
}

static void *execute(void *unused) {
    execl("/proc/self/exe", "jobs", "executed", (char *)0);
    return unused;
}

static void threads(void) {
    int total = 0;
    for (int round = 0; round < 100; round++) {
        pthread_t all[20];
        for (int n = 0; n < 20; n++) pthread_create(&all[n], 0, count, &total);
        for (int n = 0; n < 20; n++) pthread_join(all[n], 0);
    }
    printf("threads %d\n", total);
    pthread_t thread;
    pid_t child = fork();
    if (!child) pthread_create(&thread, 0, outlive, (void *)pthread_self()), pthread_exit(0);
    wait_for("the leader first", child);
    child = fork();
    if (!child) {
        pthread_create(&thread, 0, execute, 0);
        for (;;) pause();
    }
    wait_for("exec by another thread", child);
}

static void clones(void) {
    struct { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls; } clone = {.exit_signal = SIGCHLD};
    int descriptor = -1, status;
    clone.flags = CLONE_PIDFD | 1ull << 32 /* CLONE_CLEAR_SIGHAND */, clone.pidfd = (uintptr_t)&descriptor;
    signal(SIGUSR1, resize), signal(SIGUSR2, SIG_IGN);
    long child = syscall(SYS_clone3, &clone, sizeof clone);
    if (!child) {
        struct sigaction one, two;
        sigaction(SIGUSR1, 0, &one), sigaction(SIGUSR2, 0, &two);
        _exit((one.sa_handler == SIG_DFL) + 2 * (two.sa_handler == SIG_IGN));
    }
    printf("pidfd %d", descriptor > 2);
    siginfo_t info = {0};
    waitid(3 /* P_PIDFD */, descriptor, &info, WEXITED);
    printf(" handlers %d\n", info.si_status);
    // Shared descriptors and working directory, memory apart.
    clone.flags = CLONE_FILES | CLONE_FS, clone.pidfd = 0;
    child = syscall(SYS_clone3, &clone, sizeof clone);
    if (!child) close(descriptor), chdir("/proc"), _exit(0);
    waitpid(child, &status, 0);
    char here[64];
    printf("closed %d, in %s\n", fcntl(descriptor, F_GETFD), getcwd(here, sizeof here));
    // No signal at the end: only who asks for such children finds it.
    clone.flags = 0, clone.exit_signal = 0;
    child = syscall(SYS_clone3, &clone, sizeof clone);
    if (!child) _exit(6);
    printf("unseen %d", waitpid(child, &status, 0));
    printf(" %d", waitpid(child, &status, __WCLONE) == child);
    printf(" %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv) {
    setvbuf(stdout, 0, _IONBF, 0);
    if (argc > 1) return printf("%s as %d\n", argv[1], gettid() == getpid()), 45;
    terminal();
    cores();
    pthread_t thread;
    pthread_create(&thread, 0, overflow, 0);
    pthread_join(thread, 0);
    identities();
    threads();
    clones();
    return 0;
}
