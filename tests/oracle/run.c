// The oracle of the instruction tests: executes lines of .insn files on the processor that it runs on.
//
// In: lines "[bytes] text | before" (tests/insn.rs describes the format). Out: the same lines with " | after", in
// which every register, flag and byte of the window that the instruction changed is named. What the format does not
// compare is masked here: cumulative floating-point flags, flags of the program status beyond the arithmetic ones.
//
// A line's state is put in place by returning from a signal handler, and read back by the next one: the code page is
// full of breakpoints, so whatever the instruction does, its end is a signal whose context holds the whole state.
// Built for x86_64 it is the hardware's word; built for aarch64 and run by an emulator, the emulator's.
#define _GNU_SOURCE
#include <ctype.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <unistd.h>

#define CODE 0x20000000ul
#define WINDOW 0x10000000ul
enum { SIZE = 0x10000 };

typedef unsigned __int128 u128;
typedef struct { const char *name; int width; u128 value, before, mask; } Item; // width in bits

static volatile int fault, started;
static sigjmp_buf buffer;
static unsigned char memory_before[SIZE];

#if defined __aarch64__
enum { X = 0, SP = 31, FLAGS = 32, V = 36, FPCR = 68, FPSR, PC, ITEMS };
static const char *const flag_names[] = {"n", "z", "c", "v"};
static const unsigned char breakpoint[] = {0, 0, 0x20, 0xd4};

static struct fpsimd_context *vectors(ucontext_t *context) {
    struct _aarch64_ctx *record = (void *)context->uc_mcontext.__reserved;
    while (record->magic != FPSIMD_MAGIC) record = (void *)((char *)record + record->size);
    return (void *)record;
}

static void put(ucontext_t *context, const Item *items) {
    for (int i = 0; i < 31; i++) context->uc_mcontext.regs[i] = (uint64_t)items[X + i].value;
    context->uc_mcontext.sp = (uint64_t)items[SP].value;
    context->uc_mcontext.pc = (uint64_t)items[PC].value;
    uint64_t flags = 0;
    for (int i = 0; i < 4; i++) flags |= (uint64_t)items[FLAGS + i].value << (31 - i);
    context->uc_mcontext.pstate = (context->uc_mcontext.pstate & ~(0xful << 28)) | flags;
    struct fpsimd_context *fp = vectors(context);
    for (int i = 0; i < 32; i++) fp->vregs[i] = items[V + i].value;
    fp->fpcr = (uint32_t)items[FPCR].value, fp->fpsr = (uint32_t)items[FPSR].value;
}

static void take(ucontext_t *context, Item *items) {
    for (int i = 0; i < 31; i++) items[X + i].value = context->uc_mcontext.regs[i];
    items[SP].value = context->uc_mcontext.sp;
    items[PC].value = context->uc_mcontext.pc;
    for (int i = 0; i < 4; i++) items[FLAGS + i].value = context->uc_mcontext.pstate >> (31 - i) & 1;
    struct fpsimd_context *fp = vectors(context);
    for (int i = 0; i < 32; i++) items[V + i].value = fp->vregs[i];
    items[FPCR].value = fp->fpcr, items[FPSR].value = fp->fpsr;
}

static void name_items(Item *items) {
    static char names[ITEMS][4];
    for (int i = 0; i < 31; i++) sprintf(names[X + i], "x%d", i), items[X + i] = (Item){names[X + i], 64};
    items[SP] = (Item){"sp", 64}, items[PC] = (Item){"pc", 64};
    for (int i = 0; i < 4; i++) items[FLAGS + i] = (Item){flag_names[i], 1};
    for (int i = 0; i < 32; i++) sprintf(names[V + i], "v%d", i), items[V + i] = (Item){names[V + i], 128};
    items[FPCR] = (Item){"fpcr", 32}, items[FPSR] = (Item){"fpsr", 32, .mask = 1u << 27};
}
#else
enum { GPR = 0, STACK = 4, FLAGS = 16, XMM = 23, MXCSR = 39, ST = 40, X87_CONTROL = 48, X87_STATUS, X87_TAGS, PC, ITEMS };
static const char *const flag_names[] = {"cf", "pf", "af", "zf", "sf", "of", "df"};
static const int flag_bits[] = {0, 2, 4, 6, 7, 11, 10};
static const unsigned char breakpoint[] = {0xcc};
static const int context_registers[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                        REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void put(ucontext_t *context, const Item *items) {
    greg_t *registers = context->uc_mcontext.gregs;
    for (int i = 0; i < 16; i++) registers[context_registers[i]] = (greg_t)items[GPR + i].value;
    registers[REG_RIP] = (greg_t)items[PC].value;
    for (int i = 0; i < 7; i++) {
        registers[REG_EFL] &= ~(1l << flag_bits[i]);
        registers[REG_EFL] |= (greg_t)items[FLAGS + i].value << flag_bits[i];
    }
    struct _libc_fpstate *fp = context->uc_mcontext.fpregs;
    for (int i = 0; i < 16; i++) memcpy(&fp->_xmm[i], &items[XMM + i].value, 16);
    fp->mxcsr = (uint32_t)items[MXCSR].value;
    fp->cwd = (uint16_t)items[X87_CONTROL].value, fp->swd = (uint16_t)items[X87_STATUS].value;
    memcpy(&fp->ftw, &items[X87_TAGS].value, 2);
    for (int i = 0; i < 8; i++) memcpy(&fp->_st[i], &items[ST + ((i + (fp->swd >> 11)) & 7)].value, 10);
    // The x87 and SSE components are in use, or the kernel would load their initial state.
    uint64_t *header = (uint64_t *)((char *)fp + 512);
    if (fp->__glibc_reserved1[12] == 0x46505853) *header |= 3;
}

static void take(ucontext_t *context, Item *items) {
    greg_t *registers = context->uc_mcontext.gregs;
    for (int i = 0; i < 16; i++) items[GPR + i].value = (uint64_t)registers[context_registers[i]];
    items[PC].value = (uint64_t)registers[REG_RIP] - (fault == SIGTRAP);
    for (int i = 0; i < 7; i++) items[FLAGS + i].value = registers[REG_EFL] >> flag_bits[i] & 1;
    struct _libc_fpstate *fp = context->uc_mcontext.fpregs;
    for (int i = 0; i < 16; i++) memcpy(&items[XMM + i].value, &fp->_xmm[i], 16);
    items[MXCSR].value = fp->mxcsr;
    items[X87_CONTROL].value = fp->cwd, items[X87_STATUS].value = fp->swd, items[X87_TAGS].value = fp->ftw & 0xff;
    for (int i = 0; i < 8; i++) {
        u128 *value = &items[ST + ((i + (fp->swd >> 11)) & 7)].value;
        *value = 0;
        memcpy(value, &fp->_st[i], 10);
    }
}

static void name_items(Item *items) {
    static const char *const gpr[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
    static char names[ITEMS][8];
    for (int i = 0; i < 16; i++) items[GPR + i] = (Item){gpr[i], 64};
    for (int i = 0; i < 7; i++) items[FLAGS + i] = (Item){flag_names[i], 1};
    for (int i = 0; i < 16; i++) sprintf(names[XMM + i], "xmm%d", i), items[XMM + i] = (Item){names[XMM + i], 128};
    for (int i = 0; i < 8; i++) sprintf(names[ST + i], "st_%d", i), items[ST + i] = (Item){names[ST + i], 80};
    items[MXCSR] = (Item){"mxcsr", 32, .mask = 0xffc0}, items[X87_CONTROL] = (Item){"x87_control", 16};
    items[X87_STATUS] = (Item){"x87_status", 16, .mask = 0x7d00}, items[X87_TAGS] = (Item){"x87_tags", 8};
    items[PC] = (Item){"rip", 64};
}
#endif

static Item items[ITEMS];

// What a line does not mention: the same words in every runner, all different.
static void defaults(void) {
    uint64_t word = 0;
    for (int i = 0; i < ITEMS; i++) {
        u128 low = (word += 0x9e3779b97f4a7c15), high = 0;
        if (items[i].width == 128) high = (word += 0x9e3779b97f4a7c15);
        items[i].value = items[i].width < 64 || items[i].width == 80 ? 0 : low | high << 64;
    }
#if defined __aarch64__
    items[SP].value = WINDOW + 0xf000;
#else
    items[STACK].value = WINDOW + 0xf000;
    items[MXCSR].value = 0x1f80, items[X87_CONTROL].value = 0x37f;
#endif
    items[PC].value = CODE;
    unsigned char *window = (unsigned char *)WINDOW;
    for (unsigned i = 0; i < SIZE; i++) window[i] = (unsigned char)(i * 157 ^ i >> 7);
}

static void handler(int signal, siginfo_t *info, void *context) {
    (void)info;
    if (!started) {
        started = 1;
        put(context, items);
        return;
    }
    fault = signal;
    take(context, items);
    siglongjmp(buffer, 1);
}

static int digit(int c) { return isdigit(c) ? c - '0' : tolower(c) - 'a' + 10; }

static void parse_before(const char *line, char *text) {
    for (char *word = strtok(text, " "); word; word = strtok(0, " ")) {
        char *value = strchr(word, '=');
        if (!value) goto bad;
        *value++ = 0;
        if (*word == '[') {
            unsigned char *to = (unsigned char *)strtoul(word + 1, 0, 16);
            for (; isxdigit(value[0]) && isxdigit(value[1]); value += 2) *to++ = (unsigned char)(digit(value[0]) << 4 | digit(value[1]));
            continue;
        }
        Item *item = items;
        while (item < items + ITEMS && strcmp(item->name, word)) item++;
        if (item == items + ITEMS) goto bad;
        item->value = 0;
        for (; isxdigit(*value); value++) item->value = item->value << 4 | (unsigned)digit(*value);
    }
    return;
bad:
    fprintf(stderr, "not understood: %s\n", line);
    exit(2);
}

static size_t parse_code(const char *line) {
    unsigned char *code = (unsigned char *)CODE;
    size_t length = 0;
    for (const char *p = strchr(line, '[') + 1; *p && *p != ']';) {
        if (*p == ' ') { p++; continue; }
        code[length++] = (unsigned char)(digit(p[0]) << 4 | digit(p[1]));
        p += 2;
    }
    __builtin___clear_cache((char *)code, (char *)code + length);
    return length;
}

static void print_value(u128 value) {
    if (value >> 64) printf("%llx%016llx", (unsigned long long)(value >> 64), (unsigned long long)value);
    else printf("%llx", (unsigned long long)value);
}

static void print_after(size_t length) {
    static const struct { int signal; const char *name; } faults[] = {
        {SIGSEGV, "sigsegv"}, {SIGILL, "sigill"}, {SIGFPE, "sigfpe"}, {SIGBUS, "sigbus"}};
    for (unsigned i = 0; i < 4; i++) if (fault == faults[i].signal) printf(" fault=%s", faults[i].name);
    for (int i = 0; i < ITEMS; i++) {
        u128 mask = items[i].mask ? items[i].mask : ~(u128)0;
        if (i == PC && items[i].value == CODE + length && fault == SIGTRAP) continue;
        if (i == PC && items[i].value == CODE && fault != SIGTRAP) continue;
        if (((items[i].value ^ items[i].before) & mask) == 0) continue;
        printf(" %s=", items[i].name);
        print_value(items[i].value & mask);
    }
    const unsigned char *window = (const unsigned char *)WINDOW;
    for (unsigned i = 0; i < SIZE; i++) {
        if (window[i] == memory_before[i]) continue;
        printf(" [%lx]=", WINDOW + i);
        unsigned last = i; // changed bytes that lie close together make one item
        for (unsigned j = i; j < SIZE && j < last + 8; j++) if (window[j] != memory_before[j]) last = j;
        for (; i <= last; i++) printf("%02x", window[i]);
    }
}

static void execute(char *line) {
    char *bar = strchr(line, '|');
    if (!bar) {
        fprintf(stderr, "no bar: %s\n", line);
        exit(2);
    }
    char *end = strchr(bar + 1, '|'), before[8192];
    if (end) *end = 0;
    strcpy(before, bar + 1);
    memset((void *)CODE, 0, 64);
    for (unsigned i = 0; i < 64; i++) ((unsigned char *)CODE)[i] = breakpoint[i % sizeof breakpoint];
    size_t length = parse_code(line);
    defaults();
    parse_before(line, before);
    for (int i = 0; i < ITEMS; i++) items[i].before = items[i].value;
    memcpy(memory_before, (void *)WINDOW, SIZE);
    started = fault = 0;
    if (!sigsetjmp(buffer, 1)) raise(SIGUSR1);
    while (*line && line[strlen(line) - 1] == ' ') line[strlen(line) - 1] = 0;
    printf("%s |", line);
    print_after(length);
    putchar('\n');
}

int main(void) {
    static char stack[256 << 10], line[16384];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, 0);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static const int signals[] = {SIGUSR1, SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS};
    for (unsigned i = 0; i < 6; i++) sigaction(signals[i], &action, 0);
    void *window = mmap((void *)WINDOW, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    void *code = mmap((void *)CODE, SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (window == MAP_FAILED || code == MAP_FAILED) return 3;
    for (unsigned i = 0; i < SIZE; i++) ((unsigned char *)CODE)[i] = breakpoint[i % sizeof breakpoint];
    name_items(items);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (*line == '[') execute(line);
        else puts(line);
    }
    return 0;
}
