//@ static: -static -pthread
//@ dynamic: -pthread
// Processes: fork, exec of itself, wait statuses, pipes, orphans, vfork, posix_spawn, errors of exec.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "again.h"

extern char **environ;
static char self[4096];

static void describe(const char *name, int status) {
    if (WIFEXITED(status)) printf("%s: exit %d\n", name, WEXITSTATUS(status));
    else if (WIFSIGNALED(status)) printf("%s: signal %d\n", name, WTERMSIG(status));
    else printf("%s: status %x\n", name, status);
    fflush(stdout);
}

static void wait_for(const char *name, pid_t child) {
    int status;
    if (waitpid(child, &status, 0) != child) printf("%s: waitpid %s\n", name, strerror(errno));
    else describe(name, status);
}

// What the program does when it is started again with a first argument.
static int executed(int argc, char **argv) {
    if (!strcmp(argv[1], "args")) {
        for (int i = 0; i < argc; i++) printf("[%s]", argv[i]);
        printf(" %s %d\n", getenv("COLOUR") ? getenv("COLOUR") : "none", environ[1] == 0);
        return 5;
    }
    if (!strcmp(argv[1], "descriptors")) {
        printf("kept %d closed %d\n", fcntl(atoi(argv[2]), F_GETFD) >= 0, fcntl(atoi(argv[3]), F_GETFD) < 0);
        return 0;
    }
    if (!strcmp(argv[1], "upper")) {
        for (int c; (c = getchar()) != EOF;) putchar(c >= 'a' && c <= 'z' ? c - 32 : c);
        return 0;
    }
    if (!strcmp(argv[1], "ignored")) {
        struct sigaction action;
        sigaction(SIGUSR1, 0, &action);
        sigset_t mask;
        sigprocmask(SIG_BLOCK, 0, &mask);
        printf("ignored %d blocked %d", action.sa_handler == SIG_IGN, sigismember(&mask, SIGUSR2));
        sigaction(SIGTERM, 0, &action);
        printf(" default %d\n", action.sa_handler == SIG_DFL);
        return 0;
    }
    return 99;
}

static void nothing(int signal) { (void)signal; }

static void statuses(void) {
    static const int codes[] = {0, 1, 42, 255, 256};
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (!child) _exit(codes[i]);
        wait_for("child", child);
    }
    static const int signals[] = {SIGTERM, SIGKILL, SIGUSR1, SIGABRT, SIGSEGV, SIGPIPE};
    for (int i = 0; i < 6; i++) {
        pid_t child = fork();
        if (!child) {
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            raise(signals[i]);
            _exit(77);
        }
        wait_for("raise", child);
    }
    pid_t child = fork();
    if (!child) for (;;) pause();
    kill(child, SIGSTOP);
    int status;
    waitpid(child, &status, WUNTRACED);
    printf("stopped %d by %d\n", WIFSTOPPED(status), WSTOPSIG(status) == SIGSTOP);
    kill(child, SIGCONT);
    waitpid(child, &status, WCONTINUED);
    printf("continued %d\n", WIFCONTINUED(status));
    printf("not yet %d\n", waitpid(child, &status, WNOHANG));
    kill(child, SIGINT);
    wait_for("interrupted", child);
    int none = wait(&status);
    printf("no more %d %s\n", none, strerror(errno));
    fflush(stdout);
}

static void memory(void) {
    int *shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static int private = 1;
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (!child) {
            private += 10;
            shared[i] = private + i;
            _exit(0);
        }
        waitpid(child, 0, 0);
    }
    printf("shared %d %d private %d\n", shared[0], shared[4], private);
}

static void pipeline(void) {
    int in[2], out[2];
    if (pipe(in) || pipe(out)) exit(2);
    pid_t child = fork();
    if (!child) {
        dup2(in[0], 0), dup2(out[1], 1);
        close(in[0]), close(in[1]), close(out[0]), close(out[1]);
        execl(self, "self", "upper", (char *)0);
        _exit(98);
    }
    close(in[0]), close(out[1]);
    if (write(in[1], "through a pipe", 14) != 14) exit(2);
    close(in[1]);
    char text[100];
    long length = 0, got;
    while ((got = read(out[0], text + length, sizeof text - (size_t)length)) > 0) length += got;
    printf("%.*s\n", (int)length, text);
    wait_for("upper", child);
}

static void executions(void) {
    pid_t child = fork();
    if (!child) {
        char *arguments[] = {"a name", "args", "", "two words", "\xff\n", 0}, *environment[] = {"COLOUR=green", 0};
        execve(self, arguments, environment);
        _exit(98);
    }
    wait_for("execve", child);

    int kept = open("/dev/null", O_RDONLY), closed = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char a[12], b[12];
    sprintf(a, "%d", kept), sprintf(b, "%d", closed);
    child = vfork();
    if (!child) {
        execl(self, self, "descriptors", a, b, (char *)0);
        _exit(98);
    }
    wait_for("vfork", child);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, 1, 7);
    char *spawned[] = {"spawned", "descriptors", "7", b, 0};
    int error = posix_spawn(&child, self, &actions, 0, spawned, environ);
    if (error) printf("posix_spawn %s\n", strerror(error));
    else wait_for("posix_spawn", child);

    child = fork();
    if (!child) {
        signal(SIGUSR1, SIG_IGN), signal(SIGTERM, nothing);
        sigset_t set;
        sigemptyset(&set), sigaddset(&set, SIGUSR2);
        sigprocmask(SIG_BLOCK, &set, 0);
        int me = open(self, O_RDONLY | O_CLOEXEC);
        char *arguments[] = {"by descriptor", "ignored", 0};
        fexecve(me, arguments, environ);
        _exit(98);
    }
    wait_for("fexecve", child);

    static const char *const bad[] = {"/no/such/program", "/", "/etc/passwd", "/etc/passwd/x", ""};
    for (int i = 0; i < 5; i++) {
        char *arguments[] = {"x", 0};
        execve(bad[i], arguments, environ);
        printf("exec '%s': %s\n", bad[i], strerror(errno));
    }
}

static void family(void) {
    int ends[2];
    if (pipe(ends)) exit(2);
    pid_t parent = getpid(), child = fork();
    if (!child) {
        int ok = getppid() == parent && getpid() != parent;
        setsid();
        ok = ok && getsid(0) == getpid() && getpgrp() == getpid();
        pid_t middle = getpid();
        if (!fork()) {
            while (getppid() == middle) usleep(1000); // until the parent is gone
            if (write(ends[1], "orphan", 6) != 6) _exit(1);
            _exit(0);
        }
        _exit(ok);
    }
    wait_for("family", child);
    close(ends[1]);
    char text[10] = "";
    long got = read(ends[0], text, 9);
    printf("%ld %s\n", got, text);
    siginfo_t info = {0};
    child = fork();
    if (!child) _exit(33);
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    printf("waitid %d %d %d\n", info.si_code == CLD_EXITED, info.si_status, info.si_pid == child);
    struct rusage usage;
    int status;
    printf("wait4 %d", wait4(child, &status, 0, &usage) == child);
    printf(" %d\n", WEXITSTATUS(status));
}

static int body(int argc, char **argv) {
    int forks_alone = argc > 1 && !strcmp(argv[1], "forks");
    if (argc > 1 && !forks_alone) return executed(argc, argv);
    if (!realpath("/proc/self/exe", self)) return 2;
    statuses();
    memory();
    if (!forks_alone) pipeline(), executions();
    family();
    return 0;
}
