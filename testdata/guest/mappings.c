//@ static: -static
// What large and old programs ask of an address space: huge reservations, places of their own choice, stacks that grow,
// mappings moved away, heaps that shrink.
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
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
enum { ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS, RW = PROT_READ | PROT_WRITE };

static const char *outcome(const void *at) { return at == MAP_FAILED ? strerrorname_np(errno) : "mapped"; }

// A reservation, a part of it used, and given back.
static void reserve(const char *what, uintptr_t place, size_t size, int flags) {
    char *at = mmap((void *)place, size, PROT_NONE, ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
    printf("%s %s", what, outcome(at));
    if (at != MAP_FAILED) {
        if (flags) printf(" there %d", at == (char *)place);
        char *part = at + (size / 2 & ~(PAGE - 1));
        printf(" %d", mprotect(part, 2 * PAGE, RW));
        part[5000] = 7;
        printf(" %d", madvise(part, 2 * PAGE, MADV_DONTNEED));
        printf(" %d", part[5000]);
        printf(" %d", munmap(at, size));
    }
    puts("");
}

static void places(void) {
    reserve("a terabyte", 0, 1ul << 40, 0);
    reserve("sixteen terabytes", 0, 16ul << 40, 0);
    reserve("Go's arena", 0xc000000000, 64ul << 20, MAP_FIXED_NOREPLACE);
    reserve("32 GiB low", 0x800000000, 32ul << 30, MAP_FIXED_NOREPLACE);
    reserve("below 4 GiB", 0x80000000, 1ul << 30, MAP_FIXED_NOREPLACE);
    reserve("the lowest", 0x10000, 16 * PAGE, MAP_FIXED_NOREPLACE);
    reserve("ASan's shadow", 0x7fff8000, 0x10007fff8000, MAP_FIXED_NOREPLACE);
    char *first = mmap(0, 4 * PAGE, RW, ANONYMOUS, -1, 0);
    char *hinted = mmap(first + (1ul << 32), PAGE, RW, ANONYMOUS, -1, 0);
    printf("hint %s\n", outcome(hinted));
    printf("again %s\n", outcome(mmap(first + PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)));
    first[PAGE] = 5;
    printf("replaced %d", mmap(first + PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0) == first + PAGE);
    printf(" %d\n", first[PAGE]);
    printf("unaligned %s\n", outcome(mmap(first + 5, PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0)));
    printf("nothing %s\n", outcome(mmap(0, 0, RW, ANONYMOUS, -1, 0)));
    printf("too much %s\n", outcome(mmap(0, 1ul << 60, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0)));
    printf("beyond the end %s\n", outcome(mmap((void *)(1ul << 62), PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0)));
#ifdef MAP_32BIT
    char *low = mmap(0, PAGE, RW, ANONYMOUS | MAP_32BIT, -1, 0);
    printf("low %s %d\n", outcome(low), (uintptr_t)low < 1ul << 32);
#else
    puts("low mapped 1");
#endif
}

static void moves(void) {
    char *from = mmap(0, 4 * PAGE, RW, ANONYMOUS, -1, 0);
    strcpy(from, "text");
    char *to = mremap(from, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
    printf("left behind %s", outcome(to));
    if (to != MAP_FAILED) printf(" %s %d", to, from[0]);
    char *larger = mremap(from, 4 * PAGE, 1ul << 22, MREMAP_MAYMOVE);
    printf(", grown %s", outcome(larger));
    larger[(1 << 22) - 1] = 1;
    printf(", shrunk %d", mremap(larger, 1ul << 22, PAGE, 0) == larger);
    printf(", in place %s", outcome(mremap(to, 4 * PAGE, 1ul << 45, 0)));
    printf(", hole %s\n", outcome(mremap(larger, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE)));
    int file = memfd_create("shared", MFD_ALLOW_SEALING);
    ftruncate(file, 2 * PAGE);
    char *one = mmap(0, 2 * PAGE, RW, MAP_SHARED_VALIDATE, file, 0);
    char *second = mremap(one, 0, 2 * PAGE, MREMAP_MAYMOVE);
    one[5] = 'x';
    printf("a second view %s", outcome(second));
    printf(" %c\n", second == MAP_FAILED ? '-' : second[5]);
    printf("of what is private %s\n", outcome(mremap(to, 0, PAGE, MREMAP_MAYMOVE)));
    printf("unknown flag %s\n", outcome(mmap(0, PAGE, RW, MAP_SHARED_VALIDATE | 1 << 25, file, 0)));
    printf("sealed %d", fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE));
    printf(" %d", ftruncate(file, PAGE));
    printf(" %s", outcome(mmap(0, PAGE, RW, MAP_SHARED, file, 0)));
    printf(" %s\n", outcome(mmap(0, PAGE, PROT_READ, MAP_SHARED, file, 0)));
}

static void advice(void) {
    char *at = mmap(0, 4ul << 20, RW, ANONYMOUS, -1, 0);
    printf("huge %d", madvise(at, 4ul << 20, MADV_HUGEPAGE));
    printf(" %d\n", madvise(at, 4ul << 20, MADV_NOHUGEPAGE));
    printf("huge pages %s\n", outcome(mmap(0, 2ul << 20, RW, ANONYMOUS | MAP_HUGETLB | 60 << 26, -1, 0)));
    at[0] = 1;
    printf("fork %d", madvise(at, PAGE, MADV_DONTFORK));
    printf(" %d", madvise(at, PAGE, MADV_DOFORK));
    printf(" %d\n", madvise(at + PAGE, PAGE, MADV_WIPEONFORK));
    at[PAGE] = 9;
    pid_t child = fork();
    if (!child) _exit(at[0] * 10 + at[PAGE]);
    int status;
    waitpid(child, &status, 0);
    printf("in the child %d, here %d\n", WEXITSTATUS(status), at[PAGE]);
    unsigned char resident[4];
    at[3 * PAGE] = 1;
    printf("mincore %d", mincore(at + 2 * PAGE, 2 * PAGE, resident));
    printf(" %d\n", resident[1] & 1);
    const int kinds[] = {MADV_FREE, MADV_COLD, 23 /* MADV_POPULATE_WRITE */, 777};
    for (int n = 0; n < 4; n++) {
        int result = madvise(at, PAGE, kinds[n]);
        printf("advice %d: %s\n", kinds[n], result ? strerrorname_np(errno) : "taken");
    }
    munmap(at + PAGE, PAGE);
    int result = madvise(at, 3 * PAGE, MADV_DONTNEED);
    printf("hole %s\n", result ? strerrorname_np(errno) : "taken");
    printf("name %d\n", prctl(0x53564d41, 0, at, PAGE, "a name") == 0 || errno == EINVAL);
}

static void heap(void) {
    char *start = sbrk(0);
    printf("grown %d", sbrk(1 << 20) == start);
    start[1 << 19] = 3;
    printf(" shrunk %d", sbrk(-(1 << 20)) == start + (1 << 20));
    printf(" grown %d", sbrk(1 << 20) == start);
    printf(" empty %d", start[1 << 19]);
    printf(" refused %d\n", brk((void *)8) == -1);
}

static jmp_buf buffer;

static void fault(int signal) { siglongjmp(buffer, signal); }

// A stack that grows down on demand, as far as the guard gap below it lets it.
static void stacks(void) {
    signal(SIGSEGV, fault);
    char *top = mmap(0, 64 * PAGE, PROT_NONE, ANONYMOUS, -1, 0);
    munmap(top, 64 * PAGE);
    char *stack = mmap(top + 62 * PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    printf("grows %s", outcome(stack));
    int caught = sigsetjmp(buffer, 1);
    if (!caught) {
        for (volatile char *at = stack + PAGE - 1; at > stack - 8 * PAGE; at -= PAGE) *at = 1;
        printf(" eight pages %d\n", stack[-7 * (long)PAGE + 4095]);
    } else {
        printf(" signal %d\n", caught);
    }
}

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    places();
    moves();
    advice();
    heap();
    stacks();
    return 0;
}
