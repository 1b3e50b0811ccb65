//@ static: -static
//@ pie: -static-pie
// Memory mappings: protection, files, fixed addresses, moving, growing, advice, and what /proc says of them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PAGE = 4096 };
static sigjmp_buf buffer;

static void escape(int signal) { siglongjmp(buffer, signal); }

// Whether the byte at p can be read, and written.
static const char *allowed(volatile char *p) {
    int fault = sigsetjmp(buffer, 1);
    if (fault) return "none";
    char byte = *p;
    fault = sigsetjmp(buffer, 1);
    if (fault) return "read";
    *p = byte;
    return "write";
}

static char *map(size_t size, int protection) {
    return mmap(0, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void result(const char *name, long value) {
    int error = errno;
    printf("%s %s\n", name, value == -1 ? strerrorname_np(error) : "ok");
}

static void protections(void) {
    char *p = map(4 * PAGE, PROT_READ | PROT_WRITE);
    memset(p, 7, 4 * PAGE);
    mprotect(p + PAGE, PAGE, PROT_READ);
    mprotect(p + 2 * PAGE, PAGE, PROT_NONE);
    printf("%s %s %s %s\n", allowed(p), allowed(p + PAGE), allowed(p + 2 * PAGE), allowed(p + 3 * PAGE));
    mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE);
    printf("kept %d\n", p[2 * PAGE]);
    munmap(p + PAGE, PAGE);
    printf("%s %s %s\n", allowed(p), allowed(p + PAGE), allowed(p + 2 * PAGE));
    result("mprotect over a hole", mprotect(p, 4 * PAGE, PROT_READ));
    result("mprotect unaligned", mprotect(p + 1, PAGE, PROT_READ));
    result("munmap unaligned", munmap(p + 1, PAGE));
    result("munmap nothing", munmap(p + PAGE, PAGE));
    result("mmap of nothing", (long)mmap(0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    munmap(p, 4 * PAGE);
}

static void fixed(void) {
    char *p = map(8 * PAGE, PROT_READ | PROT_WRITE);
    memset(p, 1, 8 * PAGE);
    char *q = mmap(p + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    printf("fixed %d new %d beside %d\n", q == p + 2 * PAGE, *q, q[PAGE]);
    result("noreplace", (long)mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    munmap(p + 4 * PAGE, PAGE);
    q = mmap(p + 4 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); // a hint that is free
    printf("hint %d\n", q == p + 4 * PAGE);
    q = mmap((void *)0x10000000, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    printf("low %d\n", q == (void *)0x10000000);
    munmap(q, PAGE);
    result("past the end", (long)mmap((void *)(~0ul << 12), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    munmap(p, 8 * PAGE);
}

static void moving(void) {
    char *p = map(4 * PAGE, PROT_READ | PROT_WRITE);
    strcpy(p + 3 * PAGE, "kept");
    char *blocker = mmap(p + 4 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    result("grow in place", (long)mremap(p, 4 * PAGE, 8 * PAGE, 0));
    char *q = mremap(p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    printf("moved %d %s %s %d\n", q != p, q + 3 * PAGE, allowed(p), q[63 * PAGE]);
    printf("shrunk %d", mremap(q, 64 * PAGE, 2 * PAGE, 0) == q);
    printf(" %s %s\n", allowed(q + PAGE), allowed(q + 2 * PAGE));
    char *target = map(2 * PAGE, PROT_NONE);
    *q = 'x';
    printf("to a place %d", mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    printf(" %c\n", *target);
    munmap(blocker, PAGE), munmap(target, 2 * PAGE);
}

static void files(void) {
    char name[] = "/tmp/philae-memory-XXXXXX", text[16] = "";
    int file = mkstemp(name);
    unlink(name);
    if (ftruncate(file, 2 * PAGE + 100)) exit(2);
    char *shared = mmap(0, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    char *private = mmap(0, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    char *second = mmap(0, PAGE, PROT_READ, MAP_SHARED, file, PAGE);
    strcpy(shared + PAGE, "in the file");
    printf("%s|%s|", second, private + PAGE);
    strcpy(private + PAGE, "private");
    printf("%s|%s\n", second, private + PAGE);
    if (pread(file, text, 11, PAGE) != 11) exit(3);
    puts(text);
    if (pwrite(file, "IN", 2, PAGE) != 2) exit(4);
    printf("%s %d\n", second, shared[2 * PAGE + 200]);
    result("msync", msync(shared, 2 * PAGE, MS_SYNC));
    result("offset unaligned", (long)mmap(0, PAGE, PROT_READ, MAP_SHARED, file, 1));
    result("bad descriptor", (long)mmap(0, PAGE, PROT_READ, MAP_SHARED, 999, 0));
    int read_only = open("/proc/self/exe", O_RDONLY);
    result("write to a read-only file", (long)mmap(0, PAGE, PROT_WRITE, MAP_SHARED, read_only, 0));
    unsigned char *exe = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, read_only, 0);
    printf("%.3s\n", exe + 1);
    int memory = memfd_create("name", 0);
    printf("memfd %ld\n", (long)write(memory, "abc", 3));
    close(memory), close(file), close(read_only);
}

static void advice(void) {
    char *p = map(4 * PAGE, PROT_READ | PROT_WRITE);
    memset(p, 5, 4 * PAGE);
    madvise(p + PAGE, PAGE, MADV_DONTNEED);
    printf("dontneed %d %d %d\n", p[0], p[PAGE], p[2 * PAGE]);
    result("willneed", madvise(p, PAGE, MADV_WILLNEED));
    result("unknown advice", madvise(p, PAGE, 9999));
    unsigned char in[4];
    result("mincore", mincore(p, 4 * PAGE, in));
    printf("in core %d %d\n", in[0] & 1, in[3] & 1);
    result("mlock", mlock(p, PAGE));
    result("munlock", munlock(p, PAGE));
    munmap(p, 4 * PAGE);
}

static void heap(void) {
    char *start = sbrk(0);
    printf("brk %d", sbrk(3 * PAGE + 5) == start);
    start[3 * PAGE] = 1;
    printf(" %s", allowed(start + 2 * PAGE));
    printf(" %d", brk(start) == 0 && sbrk(0) == start);
    printf(" room %d %d\n", sbrk(1 << 30) == start, brk(start));
}

static void maps(void) {
    FILE *file = fopen("/proc/self/maps", "r");
    char line[512];
    int heap = 0, stack = 0, own = 0, order = 1, local;
    uintptr_t last = 0;
    while (fgets(line, sizeof line, file)) {
        uintptr_t low, high;
        char flags[5];
        if (sscanf(line, "%lx-%lx %4s", &low, &high, flags) != 3) exit(5);
        order &= low >= last && high > low;
        last = high;
        heap += strstr(line, "[heap]") != 0;
        stack += strstr(line, "[stack]") && low <= (uintptr_t)&local && (uintptr_t)&local < high;
        own += flags[2] == 'x' && low <= (uintptr_t)maps && (uintptr_t)maps < high;
    }
    printf("maps heap %d stack %d own code %d in order %d\n", heap > 0, stack, own, order);
    fclose(file);
}

int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    signal(SIGSEGV, escape), signal(SIGBUS, escape);
    protections();
    fixed();
    moving();
    files();
    advice();
    heap();
    maps();
    return 0;
}
