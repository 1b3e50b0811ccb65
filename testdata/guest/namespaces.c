// What only a process of one thread may do, done while code has just become hot: unshare and setns of namespaces, in
// children of fork that came into being in the middle of it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOP(n)                                                            \
    static __attribute__((noinline)) unsigned loop##n(unsigned x, int k) { \
        for (int i = 0; i < k; i++) {                                      \
            x = x * 1103515245u + n;                                       \
            if (x & 1u << (n & 31)) x ^= x >> 7;                           \
        }                                                                  \
        return x;                                                          \
    }
LOOP(1) LOOP(2) LOOP(3) LOOP(4) LOOP(5) LOOP(6) LOOP(7) LOOP(8) LOOP(9) LOOP(10) LOOP(11) LOOP(12)

static unsigned (*const loops[])(unsigned, int) = {
    loop1, loop2, loop3, loop4, loop5, loop6, loop7, loop8, loop9, loop10, loop11, loop12,
};

static unsigned heat(unsigned x, int from, int to) {
    for (int i = from; i < to; i++) x = loops[i](x, 30000);
    return x;
}

static void child(int round) {
    unsigned x = heat(round, 2, 2 + round % 4);
    int space = open("/proc/self/ns/time", O_RDONLY);
    int error = setns(space, CLONE_NEWTIME) ? errno : 0;
    x = heat(x, 6, 9);
    int why = unshare(CLONE_NEWUSER) ? errno : 0;
    x = heat(x, 9, 12);
    pid_t grandchild = fork();
    if (grandchild == 0) _exit(heat(1, 0, 12) & 63);
    int status;
    waitpid(grandchild, &status, 0);
    printf("%d: %u, unshare %d, setns %d, %d\n", round, x, why, error, WEXITSTATUS(status));
    fflush(stdout);
    _exit(0);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    unsigned x = 1;
    for (int round = 0; round < 12; round++) {
        x = heat(x, round % 2, 2);
        pid_t pid = fork();
        if (pid == 0) child(round);
        waitpid(pid, NULL, 0);
    }
    printf("%u\n", x);
    return 0;
}
