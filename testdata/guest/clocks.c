// The vdso: clocks without system calls agree with those calls, it lists as a program expects, unwinders find their way
// over a handler's return, and what asks the runtime there is no instruction anywhere else.
//@ static: -static -fasynchronous-unwind-tables
//@ dynamic: -fasynchronous-unwind-tables
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

static long long nanos(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }

// The address of a function of the image, by its dynamic symbols.
static void *find(const char *name) {
    char *base = (char *)getauxval(AT_SYSINFO_EHDR);
    ElfW(Ehdr) *head = (void *)base;
    ElfW(Phdr) *program = (void *)(base + head->e_phoff);
    ElfW(Dyn) *dynamic = 0;
    for (int i = 0; i < head->e_phnum; i++)
        if (program[i].p_type == PT_DYNAMIC) dynamic = (void *)(base + program[i].p_vaddr);
    ElfW(Sym) *symbols = 0;
    char *strings = 0;
    for (; dynamic->d_tag; dynamic++) {
        // The C library may have added the base already.
        char *at = dynamic->d_un.d_ptr < (ElfW(Addr))base ? base + dynamic->d_un.d_ptr : (char *)dynamic->d_un.d_ptr;
        if (dynamic->d_tag == DT_SYMTAB) symbols = (void *)at;
        if (dynamic->d_tag == DT_STRTAB) strings = at;
    }
    // Not every kernel's image has a table that says how many there are; the strings come next.
    for (; (char *)symbols < strings; symbols++)
        if (!strcmp(strings + symbols->st_name, name)) return base + symbols->st_value;
    return 0;
}

#ifdef __x86_64__
#define PREFIX "__vdso_"
#else
#define PREFIX "__kernel_"
#endif

static void compare_clocks(void) {
    int (*gettime)(clockid_t, struct timespec *) = find(PREFIX "clock_gettime");
    int (*getres)(clockid_t, struct timespec *) = find(PREFIX "clock_getres");
    printf("functions: %d %d %d\n", !!gettime, !!getres, !!find(PREFIX "gettimeofday"));
    // Thread and process time, and clocks that do not exist, are the kernel's to answer.
    for (clockid_t clock = -1; clock < 13; clock++) {
        struct timespec a = {0}, b = {0}, c = {0}, r1 = {0}, r2 = {0};
        long e1 = syscall(SYS_clock_gettime, clock, &a) ? -errno : 0;
        int e2 = gettime(clock, &b), e3 = clock_gettime(clock, &c) ? -errno : 0;
        struct timespec d = {0};
        syscall(SYS_clock_gettime, clock, &d);
        printf("clock %d: %ld %d %d, in order %d", clock, e1, e2, e3,
               nanos(a) <= nanos(b) && nanos(b) <= nanos(c) && nanos(c) <= nanos(d));
        e1 = syscall(SYS_clock_getres, clock, &r1) ? -errno : 0;
        e2 = getres(clock, &r2);
        printf(", resolution %d %d %d\n", e1 == e2, nanos(r1) == nanos(r2), getres(clock, 0) == e1);
    }
}

static void compare_others(void) {
    int (*today)(struct timeval *, struct timezone *) = find(PREFIX "gettimeofday");
    struct timeval a, b, c;
    struct timezone zone1 = {7, 7}, zone2 = {8, 8};
    syscall(SYS_gettimeofday, &a, &zone1);
    int results[] = {today(&b, 0), today(&c, &zone2), today(0, 0)};
    long long first = a.tv_sec * 1000000LL + a.tv_usec, second = b.tv_sec * 1000000LL + b.tv_usec,
              third = c.tv_sec * 1000000LL + c.tv_usec;
    printf("gettimeofday: %d %d %d, in order %d, zone %d\n", results[0], results[1], results[2],
           first <= second && second <= third, !memcmp(&zone1, &zone2, sizeof zone1));
    time_t stored = 0, now = time(&stored);
    struct timespec coarse;
    syscall(SYS_clock_gettime, CLOCK_REALTIME_COARSE, &coarse);
    printf("time: %d %d\n", now == stored, coarse.tv_sec - now <= 1);
    cpu_set_t set;
    unsigned cpu = 99999, node = 99999;
    sched_getaffinity(0, sizeof set, &set);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set)) {
            CPU_ZERO(&set);
            CPU_SET(i, &set);
            sched_setaffinity(0, sizeof set, &set);
            int result = getcpu(&cpu, &node);
            printf("getcpu: %d %d\n", result, cpu == (unsigned)i && node < 1024);
            break;
        }
}

static void list(void) {
    unsigned long base = getauxval(AT_SYSINFO_EHDR), start, end;
    char line[512], rights[8] = "", name[64] = "";
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "[vdso]") && sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3) break;
    fclose(maps);
    printf("maps: %d %s\n", start == base, rights);
    printf("image: %d\n", !memcmp((void *)base, ELFMAG, SELFMAG));
}

static volatile int handled;
static int frames, saw_main;
static void *lowest, *highest;

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *argument) {
    frames++;
    void *at = (void *)_Unwind_GetIP(context);
    if (at >= lowest && at < highest) saw_main = 1;
    return _URC_NO_REASON;
}

static void handler(int signal) {
    _Unwind_Backtrace(step, 0);
    handled = signal;
}

__attribute__((noinline)) static void unwind(void) {
    lowest = __builtin_return_address(0);
    highest = (char *)lowest + 1;
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    printf("unwound over a handler: %d %d\n", handled == SIGUSR1, saw_main && frames >= 4);
}

static sigjmp_buf back;
static void trapped(int signal) { siglongjmp(back, signal); }

// Other code: the instruction by which the runtime is asked is none there.
static void elsewhere(void) {
    char *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#ifdef __x86_64__
    static const unsigned char words[] = {0xf4, 0xc3}; // hlt; ret
#else
    static const unsigned words[] = {0xd53bf00a, 0xd65f03c0}; // mrs x10, s3_3_c15_c0_0; ret
#endif
    memcpy(code, words, sizeof words);
    __builtin___clear_cache(code, code + sizeof words);
    signal(SIGSEGV, trapped);
    signal(SIGILL, trapped);
    int signal = sigsetjmp(back, 1);
    if (!signal) ((void (*)(void))code)();
    printf("elsewhere: %d\n", signal == SIGSEGV || signal == SIGILL);
}

int main(void) {
    compare_clocks();
    compare_others();
    list();
    unwind();
    elsewhere();
    return 0;
}
