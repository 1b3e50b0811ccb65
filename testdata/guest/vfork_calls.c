//@ static: -static
// Children of vfork that call more functions through pointers than a small table of jumps has room for: what the
// program keeps of that for the next child must not lie where the child's own memory was.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ONE(n) \
    static __attribute__((noinline)) int f##n(int x) { return x + 0x##n; } \
    static __attribute__((noinline)) int g##n(int x) { return x - 0x##n; }
#define EACH(with, n) with(n##0) with(n##1) with(n##2) with(n##3) with(n##4) with(n##5) with(n##6) with(n##7) \
    with(n##8) with(n##9) with(n##a) with(n##b) with(n##c) with(n##d) with(n##e) with(n##f)
#define MANY(with, n) EACH(with, n##0) EACH(with, n##1) EACH(with, n##2) EACH(with, n##3) EACH(with, n##4) \
    EACH(with, n##5) EACH(with, n##6) EACH(with, n##7) EACH(with, n##8) EACH(with, n##9) EACH(with, n##a) \
    EACH(with, n##b) EACH(with, n##c) EACH(with, n##d) EACH(with, n##e) EACH(with, n##f)
#define ALL(with) MANY(with, 0) MANY(with, 1) MANY(with, 2) MANY(with, 3) MANY(with, 4) MANY(with, 5) MANY(with, 6) \
    MANY(with, 7) MANY(with, 8) MANY(with, 9) MANY(with, a) MANY(with, b) MANY(with, c) MANY(with, d)
ALL(ONE)
#define NAME(n) f##n, g##n,
static int (*volatile const all[])(int) = {ALL(NAME)};

int main(void) {
    volatile int sums[6] = {0};
    for (int round = 0; round < 6; round++) {
        pid_t pid = vfork();
        if (!pid) {
            // The first calls most functions, each of the others some that are new.
            for (int n = 0; n < 6000 + 200 * round; n++) sums[round] += all[n](round);
            for (int n = 0; n < 6000 + 200 * round; n++) sums[round] += all[n](round);
            _exit(round);
        }
        int status;
        waitpid(pid, &status, 0);
        printf("child %d: %s %d, sum %d\n", round, WIFEXITED(status) ? "exit" : "signal",
               WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), sums[round]);
    }
    return 0;
}
