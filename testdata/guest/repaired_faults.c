//@ static: -static -O3 -ffp-contract=off -lm
// Faults that the program repairs, in the middle of hot loops: repaired_faults [N]. Each kind of loop runs until it has
// met N faults; every run of it must compute what it computes without any. The handler keeps few pages accessible and
// takes the others away. In the last loop, which is assembly, it also checks what the registers hold, changes some, and
// skips the access by its own means.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 12, WORDS = PAGES * PAGE / 8, MOST_OPEN = 4 };
typedef uint32_t lanes __attribute__((vector_size(16)));
typedef int32_t integers __attribute__((vector_size(16)));
typedef float singles __attribute__((vector_size(16)));

static char *memory;
// Pages that may be accessed, the oldest first, and how many may be: an access that touches more never ends.
static int order[MOST_OPEN], count, most;
static long faults, wanted;
static long checks, skips, adds, flips;

static void fail(const char *what) {
    if (write(1, what, strlen(what)) < 0 || write(1, "\n", 1) < 0) abort();
    _exit(1);
}

static void protect(int page, int how) {
    if (mprotect(memory + page * PAGE, PAGE, how)) fail("mprotect");
}

// Makes a page accessible, and the one that was longest not.
static void repair(int page) {
    if (count == most) {
        protect(order[0], most == 1 || order[0] & 1 ? PROT_NONE : PROT_READ);
        memmove(order, order + 1, sizeof *order * --count);
    }
    for (int i = 0; i < count; i++) if (order[i] == page) memmove(order + i, order + i + 1, sizeof *order * (--count - i)), i--;
    protect(page, PROT_READ | PROT_WRITE);
    order[count++] = page;
}

static void inspect(ucontext_t *context);

static void handle(int signal, siginfo_t *info, void *context) {
    uintptr_t offset = (char *)info->si_addr - memory;
    if (signal != SIGSEGV || info->si_code != SEGV_ACCERR || offset >= PAGES * PAGE) fail("another fault");
    faults++;
    if (faults % 3 == 0) inspect(context);
    if (faults < wanted) repair((int)(offset / PAGE));
    else if (mprotect(memory, PAGES * PAGE, PROT_READ | PROT_WRITE)) fail("mprotect");
}

// Every loop reads and writes several pages in each round, and computes in between.
static uint64_t integer_loop(void) {
    volatile uint64_t *p = (uint64_t *)memory;
    uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;
    for (int i = 0; i < WORDS / 6; i++) {
        a += p[i] ^ d;
        b = (b << 7 | b >> 57) + p[i + WORDS / 6];
        if (a > b) c ^= p[i + WORDS / 3] + a; else c += e;
        p[i + WORDS / 2] = c;
        d = d * 0x9e3779b97f4a7c15 + b;
        p[i + 2 * (WORDS / 3)] += d;
        e -= *((volatile uint8_t *)p + 7 * i) + (uint64_t)*(volatile int16_t *)((char *)p + 5 * i);
        *((volatile uint16_t *)(p + 5 * (WORDS / 6)) + i) = (uint16_t)e;
        f = (f ^ e) % 1000003 + i / (1 + (d & 15));
    }
    return a ^ b ^ c ^ d ^ e ^ f;
}

static uint64_t float_loop(void) {
    volatile double *p = (double *)memory;
    volatile float *q = (float *)(memory + PAGE);
    double a = 0.5, b = 1.5, c = 2.5, d = 3.5;
    float x = 0.25f, y = 4;
    for (int i = 0; i < WORDS; i++) p[i] = (i * 37 % 101) / 7.0;
    for (int i = 0; i < WORDS / 6; i++) {
        a = a * 0.875 + p[i];
        b = b + p[i + WORDS / 3] / (1 + c * c);
        c = a < b ? c * 0.5 + p[i + WORDS / 2] : __builtin_sqrt(a + c * c);
        p[i + 2 * (WORDS / 3)] = a - c;
        x = x * 0.75f + (float)d;
        y += q[i] > 0 && q[i] < 1e6f ? 0.125f : x;
        d = d * 0.9375 + (double)(int64_t)(b * 16) * 0.01 - (int)c;
        p[i + 5 * (WORDS / 6)] = d + y;
    }
    uint64_t digest = 0;
    for (int i = 0; i < WORDS; i++) digest = digest * 31 + (uint64_t)(int64_t)(p[i] * 1024);
    return digest ^ (uint64_t)(int64_t)((a + b + c + d) * 1e6) ^ (uint64_t)(int64_t)((x + y) * 4096);
}

static uint64_t vector_loop(void) {
    volatile lanes *p = (lanes *)memory;
    volatile singles *q = (singles *)(memory + PAGES * PAGE / 2);
    enum { EACH = PAGES * PAGE / 16 / 6 };
    lanes a = {1, 2, 3, 4}, b = {5, 6, 7, 8}, c = {9, 10, 11, 12};
    singles x = {1, 2, 3, 4}, y = {0.5f, 0.25f, 0.125f, 2};
    for (int i = 0; i < EACH; i++) q[i] = (singles){i, i + 1, i * 2, i % 7};
    for (int i = 0; i < EACH; i++) {
        a += p[i] ^ c;
        b = (b << 5 | b >> 27) + p[i + EACH];
        x = x * 0.5f + q[i];
        c = (lanes)(a > b) & b ^ p[i + 2 * EACH] * 3;
        y = y * 0.75f - x;
        q[i + EACH] = y + __builtin_convertvector(c >> 9, singles);
        p[i + 5 * EACH] = a - b;
        c += __builtin_shuffle(a, (lanes){2, 3, 0, 1});
    }
    uint64_t digest = 0;
    lanes all = a ^ b ^ c ^ (lanes)__builtin_convertvector(x * 16 + y * 256, integers);
    for (int i = 0; i < 4; i++) digest = digest * 1000003 + all[i];
    for (int i = 0; i < PAGES * PAGE / 4; i++) digest = digest * 31 + ((volatile uint32_t *)memory)[i];
    return digest;
}

// The words of memory, known to the handler.
static uint64_t word(uint64_t i) { return (i + 1) * 0x9e3779b97f4a7c15 ^ i << 20; }

static void fill(void) {
    for (int i = 0; i < WORDS; i++) ((uint64_t *)memory)[i] = word(i);
}

static void close_pages(int open) {
    count = 0, most = open;
    if (mprotect(memory, PAGES * PAGE, PROT_NONE)) fail("mprotect");
}

static void compare(const char *name, uint64_t (*loop)(void), long n) {
    mprotect(memory, PAGES * PAGE, PROT_READ | PROT_WRITE);
    fill();
    uint64_t expected = loop();
    faults = 0, wanted = n;
    while (faults < n) {
        mprotect(memory, PAGES * PAGE, PROT_READ | PROT_WRITE);
        fill();
        close_pages(MOST_OPEN);
        if (loop() != expected) fail(name);
    }
    printf("%s: %016llx, also with faults\n", name, (unsigned long long)expected);
}

// The loop in assembly. In round i, with i in COUNTER: PRODUCT = i * K, MIXED = PRODUCT ^ i; both halves of VECTOR = i,
// DOUBLE = (double)i; Z is set if i is even; ADDED and VECTOR_ADDED change in the handler only. VALUE is read from
// memory + OFFSET, OFFSET a step on in each round.
enum { STEP = 5 * PAGE + 72, K = 12345 };
static uint64_t sum, evens, added, vector_added;
extern const char access_begin[], access_end[];

static void assembly_loop(uint64_t rounds) {
#if defined __aarch64__
    register uint64_t s __asm__("x20") = 0, z __asm__("x21") = 0, more __asm__("x22") = 0, vector __asm__("x23");
    __asm__ volatile(
        "mov x9, #0\n mov x10, #0\n mov x14, %[k]\n movi v19.2d, #0\n"
        "1: mul x11, x9, x14\n eor x12, x11, x9\n dup v16.2d, x9\n ucvtf d18, x9\n tst x9, #1\n"
        ".globl access_begin, access_end\naccess_begin: ldr x13, [%[memory], x10]\naccess_end:\n"
        "cinc %[z], %[z], eq\n"
        "add %[s], %[s], x13\n eor %[s], %[s], x12\n add x15, x9, x9, lsl #1\n add %[s], %[s], x15\n"
        "mov x15, v16.d[1]\n add %[s], %[s], x15\n fcvtzu x15, d18\n sub %[s], %[s], x15\n"
        "add x10, x10, %[step]\n cmp x10, %[size]\n b.lo 2f\n sub x10, x10, %[size]\n2:"
        "add x9, x9, #1\n cmp x9, %[rounds]\n b.lo 1b\n mov %[vector], v19.d[1]\n"
        : [s] "+r"(s), [z] "+r"(z), [more] "+r"(more), [vector] "=r"(vector)
        : [memory] "r"(memory), [rounds] "r"(rounds), [k] "r"((uint64_t)K), [step] "r"((uint64_t)STEP), [size] "r"((uint64_t)PAGES * PAGE)
        : "x9", "x10", "x11", "x12", "x13", "x14", "x15", "v16", "v18", "v19", "cc", "memory");
#else
    uint64_t s = 0, z = 0, more = 0, vector;
    __asm__ volatile(
        "xor %%r8d, %%r8d\n xor %%r9d, %%r9d\n pxor %%xmm9, %%xmm9\n"
        "1: imul %[k], %%r8, %%r10\n mov %%r10, %%r11\n xor %%r8, %%r11\n movq %%r8, %%xmm6\n punpcklqdq %%xmm6, %%xmm6\n"
        "cvtsi2sd %%r8, %%xmm8\n test $1, %%r8b\n"
        ".globl access_begin, access_end\naccess_begin: mov (%[memory], %%r9), %%rax\naccess_end:\n"
        "sete %%cl\n movzx %%cl, %%ecx\n add %%rcx, %[z]\n"
        "add %%rax, %[s]\n xor %%r11, %[s]\n lea (%%r8, %%r8, 2), %%rcx\n add %%rcx, %[s]\n"
        "movhlps %%xmm6, %%xmm6\n movq %%xmm6, %%rcx\n add %%rcx, %[s]\n cvttsd2si %%xmm8, %%rcx\n sub %%rcx, %[s]\n"
        "add %[step], %%r9\n cmp %[size], %%r9\n jb 2f\n sub %[size], %%r9\n2:"
        "inc %%r8\n cmp %[rounds], %%r8\n jb 1b\n movhlps %%xmm9, %%xmm9\n movq %%xmm9, %[vector]\n"
        : [s] "+r"(s), [z] "+r"(z), [more] "+D"(more), [vector] "=r"(vector)
        : [memory] "r"(memory), [rounds] "r"(rounds), [k] "i"(K), [step] "i"(STEP), [size] "i"(PAGES * PAGE)
        : "rax", "rcx", "r8", "r9", "r10", "r11", "xmm6", "xmm8", "xmm9", "cc", "memory");
#endif
    sum = s, evens = z, added = more, vector_added = vector;
}

// What the assembly loop computes if nobody changes anything.
static uint64_t plain_loop(uint64_t rounds) {
    uint64_t s = 0, offset = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        s += word(offset / 8);
        s ^= i * K ^ i;
        s += i * 3;
        offset += STEP;
        if (offset >= PAGES * PAGE) offset -= PAGES * PAGE;
    }
    return s;
}

struct registers {
    unsigned long long *counter, *offset, *product, *mixed, *value, *added, *pc;
    uint64_t *vector, *vector_added;
    double *number;
};

#if defined __aarch64__
enum { Z = 1 << 30 };
#define FLAGS(context) ((context)->uc_mcontext.pstate)
static struct registers registers(ucontext_t *context) {
    unsigned long long *x = context->uc_mcontext.regs;
    struct fpsimd_context *fp = (void *)context->uc_mcontext.__reserved;
    if (fp->head.magic != FPSIMD_MAGIC) fail("no vector registers in the frame");
    return (struct registers){x + 9, x + 10, x + 11, x + 12, x + 13, x + 22, &context->uc_mcontext.pc,
        (uint64_t *)&fp->vregs[16], (uint64_t *)&fp->vregs[19], (double *)&fp->vregs[18]};
}
#else
enum { Z = 1 << 6 };
#define FLAGS(context) ((context)->uc_mcontext.gregs[REG_EFL])
static struct registers registers(ucontext_t *context) {
    unsigned long long *r = (void *)context->uc_mcontext.gregs;
    struct _libc_fpstate *fp = context->uc_mcontext.fpregs;
    return (struct registers){r + REG_R8, r + REG_R9, r + REG_R10, r + REG_R11, r + REG_RAX, r + REG_RDI, r + REG_RIP,
        (uint64_t *)&fp->_xmm[6], (uint64_t *)&fp->_xmm[9], (double *)&fp->_xmm[8]};
}
#endif

static void inspect(ucontext_t *context) {
    struct registers r = registers(context);
    if (*r.pc != (uintptr_t)access_begin) return;
    uint64_t i = *r.counter;
    checks++;
    if (*r.product != i * K || *r.mixed != (i * K ^ i)) fail("integer registers");
    if (r.vector[0] != i || r.vector[1] != i || *r.number != (double)i) fail("vector registers");
    if (!(FLAGS(context) & Z) != (i & 1)) fail("flags");
    if (faults % 5 == 0) {
        *r.added += 3, r.vector_added[1] += 5, adds++;
    }
    if (faults % 7 == 0) {
        FLAGS(context) ^= Z;
        flips += i & 1 ? 1 : -1;
    }
    if (faults % 11 == 0) {
        *r.value = word(*r.offset / 8);
        *r.pc = (uintptr_t)access_end;
        skips++;
    }
}

int main(int argc, char **argv) {
    long n = argc > 1 ? atol(argv[1]) : 1000;
    setvbuf(stdout, 0, _IOLBF, 0);
    memory = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0);
    compare("integers", integer_loop, n);
    compare("floats", float_loop, n);
    compare("vectors", vector_loop, n);
    mprotect(memory, PAGES * PAGE, PROT_READ | PROT_WRITE);
    fill();
    faults = 0, wanted = n + 1;
    close_pages(1);
    uint64_t rounds = n + n / 8;
    assembly_loop(rounds);
    if (faults < n || !adds || !flips || !skips) fail("too few faults");
    if (sum != plain_loop(rounds)) fail("the sum differs");
    if (added != 3 * adds || vector_added != 5 * adds) fail("a change of a register is lost");
    if (evens != (rounds + 1) / 2 + flips) fail("a change of the flags is lost");
    printf("assembly: %016llx, %ld checks, %ld changes, %ld skips\n", (unsigned long long)sum, checks, adds, skips);
    return 0;
}
