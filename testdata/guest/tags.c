//@ static: -static -pthread
//@ llsc aarch64: -static -pthread -mno-outline-atomics
// Addresses with tags in their top byte, which accesses and branches of aarch64 ignore: every kind of access, in cold
// code and in code that was hot before it saw the first tag; faults; the tagged address ABI of system calls. Elsewhere
// the program uses no tags and says what they must come to: values of the emulator, addresses and errors of Linux
// (untagged_addr of arch/arm64/include/asm/uaccess.h, Documentation/arch/arm64/tagged-address-abi.rst).
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SET = 55, GET = 56 };

#if defined __aarch64__
static void *tagged(const void *pointer, unsigned tag) {
    return (void *)(((uintptr_t)pointer & 0x00ffffffffffffff) | (uintptr_t)tag << 56);
}
#define for_call tagged
#define inherit(control)
#else
static void *tagged(const void *pointer, unsigned tag) { return (void)tag, (void *)pointer; }
static __thread int control;
static void *for_call(const void *pointer, unsigned tag) { return tagged(control ? pointer : (void *)8, tag); }
static void inherit(int value) { control = value; }
static int tag_control(int option, unsigned long value, unsigned long third) {
    if (option == GET) return control;
    if (value > 1 || third) return -1;
    control = (int)value;
    return 0;
}
#define prctl(option, second, third, fourth, fifth) tag_control(option, second, third)
#endif

// Hot without tags first: compiled before any handler for faults is there.
__attribute__((noinline)) static uint64_t sum(const uint64_t *from, uint64_t *to, long count) {
    uint64_t all = 0;
    for (long i = 0; i < count; i++) {
        all = all * 31 + from[i];
        to[i] = all + (uintptr_t)(from == to);
    }
    return all;
}

// Loads into its own base, stores its own base.
typedef struct node { struct node *next, *self; uint64_t value; } node;
__attribute__((noinline)) static uint64_t chase(node *at, long count) {
    uint64_t all = 0;
    while (count--) {
        at->self = at;
        all += at->value + ((uintptr_t)at->self >> 56);
        at = at->next;
    }
    return all;
}

static uint64_t numbers[64], others[64];
static node ring[4];

static void hot(void) {
    for (int i = 0; i < 64; i++) numbers[i] = (uint64_t)i * i;
    for (int i = 0; i < 4; i++) ring[i] = (node){&ring[(i + 1) % 4], 0, (uint64_t)i};
    uint64_t all = 0;
    for (int i = 0; i < 40000; i++) all += sum(numbers, others, 64) + chase(ring, 8);
    usleep(100000);
    for (int i = 0; i < 40000; i++) all += sum(numbers, others, 64) + chase(ring, 8);
    printf("untagged: %llu\n", (unsigned long long)all);
    all = 0;
    for (int i = 0; i < 64; i++) all += sum(tagged(numbers, 7), tagged(others, 9), 64);
    printf("tagged: %llu\n", (unsigned long long)all);
    for (int i = 0; i < 4; i++) ring[i].next = tagged(&ring[(i + 1) % 4], 0x80u + (unsigned)i);
    uint64_t with_tags = chase(tagged(ring, 1), 1001);
    node lonely = {0, 0, 3};
    lonely.next = &lonely;
    uint64_t alone = chase(tagged(&lonely, 0xff), 3);
#if !defined __aarch64__
    with_tags = 131001, alone = 264;
#endif
    printf("tagged ring: %llu, own address: %llu\n", (unsigned long long)with_tags, (unsigned long long)alone);
    for (int i = 0; i < 200000; i++) all += sum(tagged(numbers, (unsigned)i), tagged(others, (unsigned)i * 3), 64);
    printf("many: %llu\n", (unsigned long long)all);
}

static void kinds(unsigned tag) {
#if !defined __aarch64__
    (void)tag;
    puts("pairs 312a231c150e0700 69625b544d463f38 ffffffff857e7770 ffffffffa19a938c\nwriteback 312a231c150e0700 24\n"
        "vectors 0 7\nzeroed 0 0\natomics 1 1 1 18 4\nexclusive 19 4 0 19\npair 19 4 23 42");
#else
    _Alignas(64) static unsigned char buffer[256];
    unsigned char *bytes = tagged(buffer, tag);
    for (int i = 0; i < 256; i++) bytes[i] = (unsigned char)(i * 7);
    uint64_t a, b, c, d;
    __asm__("ldp %0, %1, [%4]\nldpsw %2, %3, [%4, #16]" : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d) : "r"(bytes) : "memory");
    printf("pairs %llx %llx %llx %llx\n", (unsigned long long)a, (unsigned long long)b, (unsigned long long)c, (unsigned long long)d);
    uintptr_t base = (uintptr_t)bytes, before = base;
    __asm__ volatile("ldr %0, [%1], #8\nstr %0, [%1, #16]!\nprfm pldl1keep, [%1]" : "=&r"(a), "+r"(base) :: "memory");
    printf("writeback %llx %lld\n", (unsigned long long)a, (long long)(base - before));
    __asm__ volatile("ld3 {v0.4s-v2.4s}, [%0]\nst3 {v0.4s-v2.4s}, [%1]\nld1r {v3.8h}, [%0]\nstr q3, [%2]\nldr b4, [%0]\n"
        "st1 {v4.b}[3], [%2]" :: "r"(bytes), "r"(bytes + 128), "r"(bytes + 192) : "v0", "v1", "v2", "v3", "v4", "memory");
    printf("vectors %d %d\n", memcmp(buffer, buffer + 128, 48), buffer[195]);
    __asm__ volatile("dc zva, %0" :: "r"(bytes + 64) : "memory");
    printf("zeroed %d %d\n", buffer[64], buffer[127]);
    uint64_t *word = (uint64_t *)(bytes + 192), old = *word;
    a = __atomic_fetch_add(word, 5, __ATOMIC_SEQ_CST);
    b = __atomic_exchange_n(word, 17, __ATOMIC_ACQ_REL);
    c = 17;
    int swapped = __atomic_compare_exchange_n(word, &c, 18, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    __atomic_store_n(word + 1, 4, __ATOMIC_RELEASE);
    printf("atomics %d %d %d %llu %llu\n", a == old, b == old + 5, swapped,
        (unsigned long long)__atomic_load_n(word, __ATOMIC_ACQUIRE), (unsigned long long)word[1]);
    uint32_t failed = 1;
    __asm__ volatile("1: ldaxp %0, %1, [%3]\nadd %0, %0, #1\nstlxp %w2, %0, %1, [%4]\ncbnz %w2, 1b"
        : "=&r"(a), "=&r"(b), "+&r"(failed) : "r"(word), "r"(tagged(word, tag + 1)) : "memory");
    printf("exclusive %llu %llu %u %llu\n", (unsigned long long)a, (unsigned long long)b, failed, (unsigned long long)*word);
    register uint64_t low __asm__("x2") = 19, high __asm__("x3") = 4, new_low __asm__("x4") = 23, new_high __asm__("x5") = 42;
    __asm__ volatile(".arch_extension lse\ncaspal x2, x3, x4, x5, [%4]"
        : "+r"(low), "+r"(high) : "r"(new_low), "r"(new_high), "r"(word) : "memory");
    printf("pair %llu %llu %llu %llu\n", (unsigned long long)low, (unsigned long long)high, (unsigned long long)word[0],
        (unsigned long long)word[1]);
#endif
}

static int call(int x) { return x + 1; }

static void branches(void) {
    int (*volatile pointer)(int) = tagged((void *)call, 0x5a);
    int all = 0;
    for (int i = 0; i < 1000; i++) all = pointer(all);
    uintptr_t counter = 0;
#if defined __aarch64__
    __asm__ volatile("adr x9, 1f\norr x9, x9, #(0x3f << 56)\nbr x9\n1: adr %0, 1b" : "=r"(counter) :: "x9");
#endif
    printf("branches %d, tag of the program counter %u\n", all, (unsigned)(counter >> 56));
}

static sigjmp_buf jump;
static uintptr_t where;
static int code;

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    where = (uintptr_t)info->si_addr, code = info->si_code;
    siglongjmp(jump, number);
}

static void fault_at(const char *what, uintptr_t address, int write) {
#if defined __aarch64__
    int number = sigsetjmp(jump, 1);
    if (!number) {
        if (write) *(volatile char *)address = 1;
        else (void)*(volatile char *)address;
        puts("no fault");
    }
#else
    int number = SIGSEGV;
    code = SEGV_MAPERR, where = address & (uintptr_t)((intptr_t)(address << 8) >> 8);
#endif
    printf("%s, %s: signal %d, code %d, address %llx\n", what, write ? "write" : "read", number, code, (unsigned long long)where);
}

static void faults(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0), sigaction(SIGBUS, &action, 0);
    char *page = mmap((void *)0x41000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    for (int write = 0; write < 2; write++) {
        fault_at("not mapped", 0x5500000000000008, write);
        fault_at("tag and bit 55", 0x5580000000000008, write);
        fault_at("the kernel's half", 0xffffffffffffff08, write);
        fault_at("the kernel's half, other tag", 0x12ffffffffffff08, write);
        fault_at("beyond 48 bits", 0x0012000000000010, write);
        fault_at("beyond 47 bits", 0x0000900000000010, write);
    }
    for (int i = 0; i < 30000; i++) {
        int number = sigsetjmp(jump, 1);
        if (!number) *(volatile char *)tagged(page, (unsigned)i) = 1;
        if (number != SIGSEGV || code != SEGV_ACCERR || where != (uintptr_t)page) puts("wrong");
    }
    int number = sigsetjmp(jump, 1);
#if defined __aarch64__
    uint64_t value = 0;
    if (!number) __asm__ volatile("ldxr %0, [%1]" : "=r"(value) : "r"(tagged(page + 1, 0x33)));
#else
    number = SIGBUS, where = (uintptr_t)page + 1;
#endif
    printf("misaligned: signal %d, address %llx\n", number, (unsigned long long)where);
}

static void try_calls(const char *when) {
    int ends[2];
    char text[8] = "";
    if (pipe(ends)) exit(1);
    errno = 0;
    long done = write(ends[1], for_call("abc", 3), 3);
    printf("%s: write %ld %d\n", when, done, done < 0 ? errno : 0);
    if (done < 0) done = write(ends[1], "abc", 3);
    struct iovec parts[2] = {{for_call(text, 9), 1}, {for_call(text + 1, 10), 2}};
    done = readv(ends[0], for_call(parts, 0x21), 2);
    printf("%s: readv %ld %d %s\n", when, done, done < 0 ? errno : 0, text);
    done = access(for_call("/", 1), F_OK);
    printf("%s: access %ld %d\n", when, done, done < 0 ? errno : 0);
    struct timespec now = {0, 0};
    done = nanosleep(for_call(&now, 4), for_call(&now, 4));
    printf("%s: nanosleep %ld %d\n", when, done, done < 0 ? errno : 0);
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int protected = mprotect(tagged(page, 1), 4096, PROT_READ), advised = madvise(tagged(page, 2), 4096, MADV_DONTNEED);
    printf("%s: mprotect %d, madvise %d, munmap %d\n", when, protected, advised, munmap(tagged(page, 3), 4096));
    uintptr_t place = 0x0642000000000000;
    page = mmap((void *)place, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    printf("%s: mmap %d\n", when, page == MAP_FAILED ? errno : 0);
    close(ends[0]), close(ends[1]);
}

static void *in_thread(void *argument) {
    inherit(*(int *)argument);
    printf("thread: %d\n", prctl(GET, 0, 0, 0, 0));
    try_calls("thread");
    prctl(SET, 0, 0, 0, 0);
    (void)argument;
    return 0;
}

static void calls(void) {
    printf("control %d\n", prctl(GET, 0, 0, 0, 0));
    try_calls("off");
    printf("refused %d %d\n", prctl(SET, 1, 1, 0, 0), prctl(SET, 1ul << 40, 0, 0, 0));
    printf("set %d, ", prctl(SET, 1, 0, 0, 0));
    printf("control %d\n", prctl(GET, 0, 0, 0, 0));
    try_calls("on");
    pthread_t thread;
    int value = prctl(GET, 0, 0, 0, 0);
    pthread_create(&thread, 0, in_thread, &value);
    pthread_join(thread, 0);
    printf("control after the thread %d\n", prctl(GET, 0, 0, 0, 0));
    fflush(stdout);
    if (!fork()) {
        printf("child: %d\n", prctl(GET, 0, 0, 0, 0));
        fflush(stdout);
        _exit(0);
    }
    wait(0);
    prctl(SET, 0, 0, 0, 0);
    try_calls("off again");
}

int main(int count, char **arguments) {
    setvbuf(stdout, 0, _IOLBF, 0);
    if (count > 1) {
        printf("after exec: %d\n", prctl(GET, 0, 0, 0, 0));
        return 0;
    }
    hot();
    kinds(0x11);
    kinds(0xfe);
    branches();
    calls();
    faults();
    kinds(0x22);
    prctl(SET, 1, 0, 0, 0);
    execl(arguments[0], arguments[0], "again", (char *)0);
    return 1;
}
