//@ static: -static -pthread
// Resource limits, locked and sealed memory, options of prctl(2).
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY(call)                                                    \
    do {                                                             \
        errno = 0;                                                   \
        long result = (long)(call);                                  \
        printf("%s = %ld%s%s\n", #call, result, errno ? " " : "", errno ? strerrorname_np(errno) : ""); \
    } while (0)

static int mapped(size_t size) {
    void *at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return errno;
    munmap(at, size);
    return 0;
}

static void show(const char *what, int resource) {
    struct rlimit limit;
    getrlimit(resource, &limit);
    printf("%s %lld %lld\n", what, (long long)limit.rlim_cur, (long long)limit.rlim_max);
}

static void set(int resource, rlim_t soft, rlim_t hard) {
    struct rlimit limit = {soft, hard};
    printf("set %d\n", setrlimit(resource, &limit) ? errno : 0);
}

static void limits(char *self) {
    set(RLIMIT_AS, 64 << 20, RLIM_INFINITY);
    show("RLIMIT_AS", RLIMIT_AS);
    printf("32 MiB %d, 128 MiB %d\n", mapped(32 << 20), mapped(128 << 20));
    fflush(stdout);
    if (!fork()) _exit(mapped(128 << 20));
    int status;
    wait(&status);
    printf("in a child %d\n", WEXITSTATUS(status));
    if (!fork()) execl(self, self, "limited", (char *)0), _exit(99);
    wait(&status);
    printf("in a program %d\n", WEXITSTATUS(status));
    set(RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY);
    printf("without %d\n", mapped(128 << 20));
    set(RLIMIT_DATA, 16 << 20, RLIM_INFINITY);
    printf("data %d %d, not data %d\n", mapped(1 << 20), mapped(32 << 20),
           mmap(0, 32 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    char *end = sbrk(0);
    printf("brk %d\n", brk(end + (64 << 20)) ? errno : 0);
    set(RLIMIT_DATA, RLIM_INFINITY, RLIM_INFINITY);
    set(RLIMIT_STACK, 2 << 20, 1 << 20);
    set(RLIMIT_STACK, 256 << 10, RLIM_INFINITY);
    if (!fork()) execl(self, self, "stack", (char *)0), _exit(99);
    wait(&status);
    printf("stack %d\n", WEXITSTATUS(status));
    struct rlimit old, new = {1 << 20, RLIM_INFINITY};
    TRY(prlimit(0, RLIMIT_STACK, &new, &old));
    printf("old %ld\n", (long)old.rlim_cur);
    TRY(prlimit(getpid(), RLIMIT_STACK, 0, &old));
    printf("new %ld\n", (long)old.rlim_cur);
    FILE *file = fopen("/proc/self/limits", "r");
    char line[200];
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, "Max stack", 9) || !strncmp(line, "Max add", 7) || !strncmp(line, "Max data", 8)) fputs(line, stdout);
    fclose(file);
    set(RLIMIT_STACK, 8 << 20, RLIM_INFINITY);
    set(1000, 0, 0);
}

static void locks(void) {
    TRY(mlockall(0));
    TRY(mlockall(MCL_ONFAULT));
    TRY(mlockall(8));
    TRY(mlockall(MCL_CURRENT | MCL_FUTURE));
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char there = 0;
    TRY(mincore(page, 4096, &there));
    printf("in memory %d\n", there & 1);
    TRY(munlockall());
    page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TRY(mincore(page, 4096, &there));
    printf("in memory %d\n", there & 1);
}

static void seals(void) {
    enum { MSEAL = 462, PAGE = 4096 };
    char *pages = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TRY(syscall(MSEAL, pages, PAGE, 1));
    TRY(syscall(MSEAL, pages + 1, PAGE, 0));
    TRY(munmap(pages + 3 * PAGE, PAGE));
    TRY(syscall(MSEAL, pages + 2 * PAGE, 2 * PAGE, 0));
    TRY(mprotect(pages + PAGE, PAGE, PROT_READ));
    TRY(syscall(MSEAL, pages + PAGE, PAGE, 0));
    TRY(munmap(pages + PAGE, PAGE));
    TRY(munmap(pages, 3 * PAGE));
    TRY(mprotect(pages, 2 * PAGE, PROT_NONE));
    TRY(mremap(pages + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
    TRY(mmap(pages + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
    TRY(madvise(pages + PAGE, PAGE, MADV_DONTNEED));
    TRY(madvise(pages + PAGE, PAGE, MADV_WILLNEED));
    TRY(munmap(pages + 2 * PAGE, PAGE));
}

static void options(void) {
    char name[16] = "";
    int number = -1;
    TRY(prctl(PR_SET_NAME, "a name that is too long"));
    TRY(prctl(PR_GET_NAME, name));
    puts(name);
    TRY(prctl(PR_SET_NAME, 8L));
    TRY(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    TRY(prctl(PR_GET_PDEATHSIG, &number));
    printf("%d\n", number);
    TRY(prctl(PR_SET_PDEATHSIG, 65));
    TRY(prctl(PR_GET_DUMPABLE));
    TRY(prctl(PR_SET_DUMPABLE, 0));
    TRY(prctl(PR_GET_DUMPABLE));
    TRY(prctl(PR_SET_DUMPABLE, 1));
    TRY(prctl(PR_SET_DUMPABLE, 3));
    TRY(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    TRY(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    TRY(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    TRY(prctl(PR_SET_CHILD_SUBREAPER, 1));
    TRY(prctl(PR_GET_CHILD_SUBREAPER, &number));
    printf("%d\n", number);
    TRY(prctl(PR_SET_KEEPCAPS, 1));
    TRY(prctl(PR_GET_KEEPCAPS));
    TRY(prctl(PR_SET_KEEPCAPS, 0));
    TRY(prctl(PR_SET_TIMERSLACK, 70000));
    TRY(prctl(PR_GET_TIMERSLACK));
    TRY(prctl(PR_GET_TIMING));
    TRY(prctl(PR_CAPBSET_READ, 1000));
    TRY(prctl(PR_GET_SECCOMP));
    TRY(prctl(PR_SET_SECCOMP, 7));
    TRY(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    TRY(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    TRY(prctl(PR_SET_MM, 15, &number, 0, 0) ? -1 : number > 80);
    TRY(prctl(PR_SET_MM, 99, 0, 0, 0));
    TRY(prctl(66, 0, 0, 0, 0));
    TRY(prctl(66, 1, 0, 0, 0));
    TRY(prctl(PR_SET_UNALIGN, 1));
    TRY(prctl(PR_SET_FP_MODE, 1));
    TRY(prctl(12345));
    // The parent's death.
    int ends[2];
    pipe(ends);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        sigprocmask(SIG_BLOCK, &set, 0);
        int go[2];
        pipe(go);
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGUSR2);
            write(go[1], "x", 1);
            siginfo_t info;
            int got = sigwaitinfo(&set, &info);
            dprintf(ends[1], "%d %d\n", got == SIGUSR2, info.si_code);
            _exit(0);
        }
        read(go[0], name, 1);
        _exit(0);
    }
    close(ends[1]);
    waitpid(child, 0, 0);
    char text[32] = "";
    read(ends[0], text, sizeof text - 1);
    printf("the parent's death: %s", text);
    wait(0);
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "limited")) return mapped(128 << 20);
    if (argc == 2 && !strcmp(argv[1], "stack")) {
        struct rlimit limit;
        getrlimit(RLIMIT_STACK, &limit);
        return limit.rlim_cur == 256 << 10 ? 3 : 4;
    }
    limits(argv[0]);
    locks();
    seals();
    options();
    return 0;
}
