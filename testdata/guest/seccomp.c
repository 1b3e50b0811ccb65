//@ static: -static -pthread
// System call filters: their verdicts, what they see, whom they follow.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __aarch64__
#define MACHINE AUDIT_ARCH_AARCH64
#else
#define MACHINE AUDIT_ARCH_X86_64
#endif
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

// A filter that gives ANSWER for system call NUMBER, and lets others through.
static int refuse(int number, unsigned answer, unsigned flags) {
    struct sock_filter filter[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        RETURN(answer),
        RETURN(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static const char *call(int number) {
    errno = 0;
    return syscall(number, 0, 0, 0) == -1 ? strerrorname_np(errno) : "done";
}

// Runs BODY in a child and prints how that ended.
#define CHILD(name, ...)                                                           \
    do {                                                                           \
        fflush(stdout);                                                            \
        pid_t child = fork();                                                      \
        if (!child) { __VA_ARGS__; fflush(stdout); syscall(SYS_exit_group, 0); }          \
        int status;                                                                \
        waitpid(child, &status, 0);                                                \
        printf("%s: %s %d\n", name, WIFSIGNALED(status) ? "signal" : "exit", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)); \
    } while (0)

static void on_trap(int signal, siginfo_t *info, void *context) {
    (void)context;
    char text[100];
    int size = snprintf(text, sizeof text, "SIGSYS %d code %d errno %d call %d machine %d address %d\n", signal, info->si_code,
                        info->si_errno, info->si_syscall == SYS_getppid, info->si_arch == (int)MACHINE, info->si_call_addr != 0);
    write(1, text, size);
}

static void *other(void *unused) {
    (void)unused;
    for (int i = 0; i < 1000; i++) {
        if (!strcmp(call(SYS_getppid), "EDOM")) return "refused";
        usleep(1000);
    }
    return "not refused";
}

static void *killed(void *unused) {
    (void)unused;
    call(SYS_getppid);
    return "alive";
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void arguments(void) {
    // Close of the descriptor 1234567 alone is refused; the upper half of the word counts too.
    struct sock_filter filter[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 0, 4),
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1234567, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(SECCOMP_RET_ERRNO | EXDEV),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    printf("installed %d\n", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
    errno = 0;
    long result = syscall(SYS_close, 1234567L);
    printf("%ld %s\n", result, strerrorname_np(errno));
    result = syscall(SYS_close, 1234568L);
    printf("%ld %s\n", result, strerrorname_np(errno));
    result = syscall(SYS_close, 1234567L | 1L << 32);
    printf("%ld %s\n", result, strerrorname_np(errno));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        printf("after exec %s mode %d\n", call(SYS_getppid), prctl(PR_GET_SECCOMP));
        return 0;
    }
    setvbuf(stdout, 0, _IONBF, 0);
    long result;
    unsigned action = SECCOMP_RET_TRAP, unknown = 0x12340000;
    printf("available %ld %ld\n", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action), syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &unknown));
    result = syscall(SYS_seccomp, 99, 0, 0);
    printf("unknown operation %ld %s\n", result, strerrorname_np(errno));
    result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 8);
    printf("bad pointer %ld %s\n", result, strerrorname_np(errno));
    struct sock_fprog empty = {0, 0};
    result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &empty);
    printf("empty %ld %s\n", result, strerrorname_np(errno));
    printf("mode %d\n", prctl(PR_GET_SECCOMP));
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    CHILD("errno", {
        printf("installed %d\n", refuse(SYS_getppid, SECCOMP_RET_ERRNO | EDOM, 0));
        printf("mode %d\n", prctl(PR_GET_SECCOMP));
        puts(call(SYS_getppid));
        puts(call(SYS_sched_yield));
        refuse(SYS_getppid, SECCOMP_RET_ERRNO | ERANGE, 0);
        puts(call(SYS_getppid));
        refuse(SYS_getppid, SECCOMP_RET_LOG, 0);
        puts(call(SYS_getppid));
        if (!fork()) puts(call(SYS_getppid)), syscall(SYS_exit_group, 0);
        wait(0);
        execl(argv[0], argv[0], "again", (char *)0);
    });
    CHILD("trap", {
        struct sigaction act = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
        sigaction(SIGSYS, &act, 0);
        refuse(SYS_getppid, SECCOMP_RET_TRAP | 77, 0);
        // The result register is as it was: the argument, or the number.
        printf("as before %d\n", syscall(SYS_getppid, 5L) == (MACHINE == AUDIT_ARCH_AARCH64 ? 5 : SYS_getppid));
    });
    CHILD("trap without a handler", refuse(SYS_getppid, SECCOMP_RET_TRAP, 0); call(SYS_getppid));
    CHILD("kill the process", signal(SIGSYS, SIG_IGN); refuse(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0); call(SYS_getppid));
    CHILD("kill the last thread", refuse(SYS_getppid, SECCOMP_RET_KILL_THREAD, 0); call(SYS_getppid));
    CHILD("trace", refuse(SYS_getppid, SECCOMP_RET_TRACE, 0); puts(call(SYS_getppid)));
    CHILD("all threads", {
        pthread_t thread;
        void *result;
        pthread_create(&thread, 0, other, 0);
        printf("%d\n", refuse(SYS_getppid, SECCOMP_RET_ERRNO | EDOM, SECCOMP_FILTER_FLAG_TSYNC));
        pthread_join(thread, &result);
        puts(result);
    });
    CHILD("one thread", {
        pthread_t thread;
        void *result;
        refuse(SYS_getppid, SECCOMP_RET_KILL_THREAD, 0);
        pthread_create(&thread, 0, killed, 0);
        usleep(100000);
        puts("alive");
    });
    CHILD("arguments", arguments());
    CHILD("strict", {
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
        write(1, "written\n", 8);
        syscall(SYS_exit, 5);
    });
    CHILD("strict kills", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); syscall(SYS_getppid));
    return 0;
}
