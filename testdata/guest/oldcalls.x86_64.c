//@ static: -static
// Calls that only the older machine has, and those that its kernel has no longer.
#define _GNU_SOURCE
#include "calls.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

static void files(void) {
    struct stat status;
    char text[64] = "", entries[1024];
    int file = CALL(creat, "file", 0640);
    TRY(file > 2);
    close(file);
    TRY(CALL(open, "file", O_RDWR | O_APPEND, 0) > 2);
    TRY(CALL(stat, "file", &status));
    printf("%o\n", status.st_mode);
    TRY(CALL(symlink, "file", "soft"));
    TRY(CALL(lstat, "soft", &status));
    printf("%ld\n", (long)status.st_size);
    TRY(CALL(readlink, "soft", text, sizeof text));
    TRY(CALL(access, "soft", W_OK));
    TRY(CALL(link, "file", "hard"));
    TRY(CALL(rename, "hard", "other"));
    TRY(CALL(chmod, "other", 0600));
    TRY(CALL(chown, "other", -1, -1));
    TRY(CALL(lchown, "soft", -1, -1));
    TRY(CALL(chown, "missing", 0, 0));
    struct utimbuf times = {1000000000, 1200000000};
    TRY(CALL(utime, "file", &times));
    stat("file", &status);
    printf("%ld %ld\n", (long)status.st_atime, (long)status.st_mtime);
    struct timeval exact[2] = {{1100000000, 5}, {1300000000, 7}};
    TRY(CALL(utimes, "file", exact));
    exact[1].tv_usec = 9;
    TRY(CALL(futimesat, AT_FDCWD, "file", exact));
    stat("file", &status);
    printf("%ld %ld\n", (long)status.st_atim.tv_nsec, (long)status.st_mtim.tv_nsec);
    TRY(CALL(mkdir, "sub", 0700));
    TRY(CALL(mknod, "sub/pipe", S_IFIFO | 0600, 0));
    int sub = open("sub", O_RDONLY | O_DIRECTORY);
    long size = CALL(getdents, sub, entries, sizeof entries);
    int names = 0;
    for (long at = 0; at < size; at += *(unsigned short *)(entries + at + 16)) names += !strcmp(entries + at + 18, "pipe");
    printf("%ld %d\n", size, names);
    TRY(CALL(unlink, "sub/pipe"));
    TRY(CALL(rmdir, "sub"));
    char ustat[64];
    TRY(CALL(ustat, status.st_dev, ustat) == 0 || errno == EINVAL);
    TRY(CALL(sysfs, 3) > 0);
    TRY(CALL(sysfs, 1, "no such system"));
    int ends[2], copy;
    TRY(CALL(pipe, ends));
    TRY(CALL(dup2, ends[0], 30));
    struct pollfd wanted = {30, POLLIN};
    TRY(CALL(poll, &wanted, 1, 0));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[1], &set);
    struct timeval none = {0, 0};
    TRY(CALL(select, ends[1] + 1, 0, &set, 0, &none));
    int watch = CALL(inotify_init), queue = CALL(epoll_create, 1), event = CALL(eventfd, 7);
    TRY(watch > 2);
    TRY(CALL(epoll_create, 0));
    struct epoll_event ready = {.events = EPOLLIN, .data.u64 = 1ull << 40};
    TRY(epoll_ctl(queue, EPOLL_CTL_ADD, event, &ready));
    ready.data.u64 = 0;
    TRY(CALL(epoll_wait, queue, &ready, 1, 0));
    printf("%llx\n", (unsigned long long)ready.data.u64);
    sigset_t signals;
    sigemptyset(&signals), sigaddset(&signals, SIGUSR1);
    TRY(CALL(signalfd, -1, &signals, 8) > 2);
}

static void nothing(int signal) { (void)signal; }

static void processes(void) {
    int status;
    pid_t child = CALL(fork);
    if (!child) CALL(exit_group, 21);
    TRY(waitpid(child, &status, 0) == child);
    printf("%d\n", WEXITSTATUS(status));
    TRY(CALL(getpgrp) == getpgid(0));
    time_t now = 0;
    TRY(CALL(time, &now) == now && now > 1000000000);
    signal(SIGALRM, nothing);
    TRY(CALL(alarm, 100));
    TRY(CALL(alarm, 0) > 90);
    struct itimerval soon = {{0, 10000}, {0, 10000}}, none = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &soon, 0);
    TRY(CALL(pause));
    setitimer(ITIMER_REAL, &none, 0);
    uint64_t base = 0;
    // ARCH_GET_FS, ARCH_SET_GS, ARCH_GET_GS, and one that does not exist.
    TRY(CALL(arch_prctl, 0x1003, &base));
    uint64_t own;
    __asm__("mov %%fs:0, %0" : "=r"(own));
    printf("%d\n", base == own);
    TRY(CALL(arch_prctl, 0x1001, 0x12345678));
    TRY(CALL(arch_prctl, 0x1004, &base));
    printf("%llx\n", (unsigned long long)base);
    TRY(CALL(arch_prctl, 0x1001, -1L));
    TRY(CALL(arch_prctl, 0x7777, 0));
    struct rlimit { uint64_t now, most; } limit, other;
    TRY(CALL(getrlimit, 7, &limit));
    TRY(CALL(setrlimit, 7, &limit));
}

int main(void) {
    char directory[] = "/tmp/oldcalls-XXXXXX";
    setvbuf(stdout, 0, _IONBF, 0);
    if (!mkdtemp(directory) || chdir(directory)) return 2;
    files();
    processes();
    // No longer in any kernel.
    TRY(CALL(uselib, "x"));
    TRY(CALL(create_module, 0));
    TRY(CALL(getpmsg, 0));
    TRY(CALL(security, 0));
    TRY(CALL(vserver, 0));
    TRY(CALL(_sysctl, 0));
    unlink("file"), unlink("soft"), unlink("other");
    return rmdir(directory);
}
