// The batch guest of tests/random.rs: executes many short pieces of A64 code, each from a state of its own.
//
// In, on standard input, again and again until it ends: a `head`, the bytes of the code area, and for each instance a
// `start`. Out, for each instance, a `state`. Code is entered by `br x30` with X30 in TPIDR_EL0, so that each piece
// begins with `mrs x30, tpidr_el0`; it leaves by a branch to the start of the exits, or by one to 0x400 above it.
// A signal ends a piece, too. tests/random/wire.rs has the same layout.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <unistd.h>

#define CODE 0x20000000ul
#define EXITS 0x20010000ul
#define STATES 0x20020000ul
#define WINDOW 0x10000000ul
enum { SIZE = 0x10000, COMPARED_FROM = 0x7800, COMPARED = 0x1000 };

typedef struct {
    uint64_t x[31], sp, nzcv, fpcr, fpsr, exit, fault, memory;
    unsigned __int128 v[32];
} state;
typedef struct { uint64_t pc, memory; state in; } start;
typedef struct { uint64_t instances, unused; } head;

// At STATES: the state before, the state after, and what the program has of its own.
#define IN ((state *)STATES)
#define OUT ((state *)(STATES + 0x1000))

void run(uint64_t pc);
extern const char exits[], exits_end[], finish[];

__asm__(
    ".arch armv8.2-a\n"
    ".text\n.globl run\nrun:\n"
    "  sub sp, sp, #176\n"
    "  stp x19, x20, [sp]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n  stp x25, x26, [sp, #48]\n"
    "  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
    "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
    "  mov x30, #0x20020000\n"
    "  add x29, x30, #0x2000\n"
    "  mov x28, sp\n  mrs x27, tpidr_el0\n  stp x28, x27, [x29]\n"
    "  str x0, [x29, #16]\n"
    "  add x29, x30, #304\n"
    "  ldp q0, q1, [x29]\n  ldp q2, q3, [x29, #32]\n  ldp q4, q5, [x29, #64]\n  ldp q6, q7, [x29, #96]\n"
    "  ldp q8, q9, [x29, #128]\n  ldp q10, q11, [x29, #160]\n  ldp q12, q13, [x29, #192]\n  ldp q14, q15, [x29, #224]\n"
    "  ldp q16, q17, [x29, #256]\n  ldp q18, q19, [x29, #288]\n  ldp q20, q21, [x29, #320]\n  ldp q22, q23, [x29, #352]\n"
    "  ldp q24, q25, [x29, #384]\n  ldp q26, q27, [x29, #416]\n  ldp q28, q29, [x29, #448]\n  ldp q30, q31, [x29, #480]\n"
    "  ldr x0, [x30, #256]\n  msr nzcv, x0\n"
    "  ldr x0, [x30, #264]\n  msr fpcr, x0\n"
    "  ldr x0, [x30, #272]\n  msr fpsr, x0\n"
    "  ldr x0, [x30, #248]\n  mov sp, x0\n"
    "  ldr x0, [x30, #240]\n  msr tpidr_el0, x0\n"
    "  ldp x0, x1, [x30]\n  ldp x2, x3, [x30, #16]\n  ldp x4, x5, [x30, #32]\n  ldp x6, x7, [x30, #48]\n"
    "  ldp x8, x9, [x30, #64]\n  ldp x10, x11, [x30, #80]\n  ldp x12, x13, [x30, #96]\n  ldp x14, x15, [x30, #112]\n"
    "  ldp x16, x17, [x30, #128]\n  ldp x18, x19, [x30, #144]\n  ldp x20, x21, [x30, #160]\n  ldp x22, x23, [x30, #176]\n"
    "  ldp x24, x25, [x30, #192]\n  ldp x26, x27, [x30, #208]\n  ldp x28, x29, [x30, #224]\n"
    "  clrex\n"
    "  mov x30, #0x20020000\n  add x30, x30, #0x2000\n  ldr x30, [x30, #16]\n"
    "  br x30\n"
    // Copied to EXITS: position independent.
    ".globl exits\nexits:\n"
    ".macro leave number\n"
    "  msr tpidr_el0, x30\n  mov x30, #0x20020000\n  add x30, x30, #0x1000\n"
    "  stp x0, x1, [x30]\n  stp x2, x3, [x30, #16]\n  stp x4, x5, [x30, #32]\n  stp x6, x7, [x30, #48]\n"
    "  stp x8, x9, [x30, #64]\n  stp x10, x11, [x30, #80]\n  stp x12, x13, [x30, #96]\n  stp x14, x15, [x30, #112]\n"
    "  stp x16, x17, [x30, #128]\n  stp x18, x19, [x30, #144]\n  stp x20, x21, [x30, #160]\n  stp x22, x23, [x30, #176]\n"
    "  stp x24, x25, [x30, #192]\n  stp x26, x27, [x30, #208]\n  stp x28, x29, [x30, #224]\n"
    "  mrs x0, tpidr_el0\n  mov x1, sp\n  stp x0, x1, [x30, #240]\n"
    "  mrs x0, nzcv\n  mrs x1, fpcr\n  stp x0, x1, [x30, #256]\n"
    "  mrs x0, fpsr\n  mov x1, #\\number\n  stp x0, x1, [x30, #272]\n  str xzr, [x30, #288]\n"
    "  add x29, x30, #304\n"
    "  stp q0, q1, [x29]\n  stp q2, q3, [x29, #32]\n  stp q4, q5, [x29, #64]\n  stp q6, q7, [x29, #96]\n"
    "  stp q8, q9, [x29, #128]\n  stp q10, q11, [x29, #160]\n  stp q12, q13, [x29, #192]\n  stp q14, q15, [x29, #224]\n"
    "  stp q16, q17, [x29, #256]\n  stp q18, q19, [x29, #288]\n  stp q20, q21, [x29, #320]\n  stp q22, q23, [x29, #352]\n"
    "  stp q24, q25, [x29, #384]\n  stp q26, q27, [x29, #416]\n  stp q28, q29, [x29, #448]\n  stp q30, q31, [x29, #480]\n"
    "  add x30, x30, #0x1000\n  ldr x0, [x30, #24]\n  br x0\n"
    ".endm\n"
    "  leave 0\n  .org exits + 0x400\n  leave 1\n"
    ".globl exits_end\nexits_end:\n"
    ".globl finish\nfinish:\n"
    "  msr fpcr, xzr\n"
    "  mov x30, #0x20020000\n  add x30, x30, #0x2000\n"
    "  ldp x28, x27, [x30]\n  msr tpidr_el0, x27\n  mov sp, x28\n"
    "  ldp x19, x20, [sp]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n  ldp x25, x26, [sp, #48]\n"
    "  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
    "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
    "  add sp, sp, #176\n  ret\n");

// Runs with the piece's TPIDR_EL0, so it must not touch what is thread-local.
static void handler(int signal, siginfo_t *info, void *pointer) {
    (void)info;
    ucontext_t *context = pointer;
    struct _aarch64_ctx *record = (void *)context->uc_mcontext.__reserved;
    while (record->magic != FPSIMD_MAGIC) record = (void *)((char *)record + record->size);
    struct fpsimd_context *vectors = (void *)record;
    for (int i = 0; i < 31; i++) OUT->x[i] = context->uc_mcontext.regs[i];
    OUT->sp = context->uc_mcontext.sp;
    OUT->nzcv = context->uc_mcontext.pstate & 0xf0000000;
    OUT->fpcr = vectors->fpcr, OUT->fpsr = vectors->fpsr;
    OUT->exit = 0, OUT->fault = (uint64_t)signal;
    for (int i = 0; i < 32; i++) OUT->v[i] = vectors->vregs[i];
    context->uc_mcontext.pc = (uint64_t)finish;
}

static void read_all(void *to, size_t size) {
    for (char *at = to; size;) {
        ssize_t done = read(0, at, size);
        if (done <= 0) _exit(done < 0);
        at += done, size -= (size_t)done;
    }
}

static void write_all(const void *from, size_t size) {
    for (const char *at = from; size;) {
        ssize_t done = write(1, at, size);
        if (done <= 0) _exit(2);
        at += done, size -= (size_t)done;
    }
}

static void fill_memory(void) {
    unsigned char *window = (unsigned char *)WINDOW + COMPARED_FROM;
    static unsigned char pattern[COMPARED];
    if (!pattern[1]) {
        for (unsigned i = 0; i < SIZE; i++) ((unsigned char *)WINDOW)[i] = (unsigned char)(i * 157 ^ i >> 7);
        memcpy(pattern, window, COMPARED);
    }
    memcpy(window, pattern, COMPARED);
}

static uint64_t hash_memory(void) {
    uint64_t hash = 0, word;
    for (unsigned i = 0; i < COMPARED; i += 8) {
        memcpy(&word, (char *)WINDOW + COMPARED_FROM + i, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 29;
    }
    return hash;
}

int main(void) {
    static char stack[256 << 10];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, 0);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static const int signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS};
    for (unsigned i = 0; i < 5; i++) sigaction(signals[i], &action, 0);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, all = PROT_READ | PROT_WRITE | PROT_EXEC;
    if (mmap((void *)WINDOW, SIZE, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) return 3;
    if (mmap((void *)CODE, 0x30000, all, flags, -1, 0) == MAP_FAILED) return 3;
    memcpy((void *)EXITS, exits, (size_t)(exits_end - exits));
    *(uint64_t *)(STATES + 0x2018) = (uint64_t)finish;
    for (;;) {
        head head;
        read_all(&head, sizeof head);
        read_all((void *)CODE, SIZE);
        __builtin___clear_cache((char *)CODE, (char *)EXITS + 0x1000);
        static start starts[1 << 15];
        static state ends[1 << 15];
        read_all(starts, head.instances * sizeof *starts);
        for (uint64_t i = 0; i < head.instances; i++) {
            *IN = starts[i].in;
            if (starts[i].memory) fill_memory();
            run(starts[i].pc);
            OUT->memory = starts[i].memory ? hash_memory() : 0;
            ends[i] = *OUT;
        }
        write_all(ends, head.instances * sizeof *ends);
    }
}
