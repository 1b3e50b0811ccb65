//@ static: -static
// What an aarch64 processor says that it can do, and what it does: every instruction set of HWCAP is executed if and only
// if it is announced, there and in /proc/cpuinfo; the identification registers; random numbers, DIT and SSBS. Elsewhere
// the program says what must come out.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <ucontext.h>

#if defined __aarch64__
static sigjmp_buf jump;
static uint32_t memory[16];

static void undefined(int number) { siglongjmp(jump, number); }

#define TRY(code) { __asm__ volatile("mov x0, #0\nmov x1, %0\n.inst " code :: "r"(memory) \
    : "x0", "x1", "v0", "cc", "memory"); }
#define EACH(X) \
    X(0, 3, aes, "0x4e284800") X(0, 4, pmull, "0x0ee0e000") X(0, 5, sha1, "0x5e280800") X(0, 6, sha2, "0x5e282800") \
    X(0, 7, crc32, "0x1ac04000") X(0, 8, atomics, "0xb8208020") X(0, 9, fphp, "0x1ee02800") \
    X(0, 10, asimdhp, "0x0e401400") X(0, 12, asimdrdm, "0x2e808400") X(0, 13, jscvt, "0x1e7e0000") \
    X(0, 14, fcma, "0x2e80c400") X(0, 15, lrcpc, "0xb8bfc020") X(0, 16, dcpop, "0xd50b7c21") \
    X(0, 17, sha3, "0xce000000") X(0, 18, sm3, "0xce60c000") X(0, 19, sm4, "0xcec08400") \
    X(0, 20, asimddp, "0x0e809400") X(0, 21, sha512, "0xcec08000") X(0, 23, asimdfhm, "0x0e20ec00") \
    X(0, 24, dit, "0xd53b42a0") X(0, 26, ilrcpc, "0x99400020") X(0, 27, flagm, "0xd500401f") \
    X(0, 28, ssbs, "0xd53b42c0") X(0, 29, sb, "0xd50330ff") X(0, 30, paca, "0xdac10020") \
    X(0, 31, pacg, "0x9ac03000") X(1, 0, dcpodp, "0xd50b7d21") X(1, 7, flagm2, "0xd500405f") \
    X(1, 8, frint, "0x1e284000") X(1, 13, i8mm, "0x0e809c00") X(1, 14, bf16, "0x1e634000") \
    X(1, 16, rng, "0xd53b2400") X(1, 19, ecv, "0xd53be0c0")

#define FUNCTION(word, bit, name, code) static void do_##name(void) TRY(code)
EACH(FUNCTION)
#define ROW(word, bit, name, code) {word, bit, #name, do_##name},
static const struct { int word, bit; const char *name; void (*execute)(void); } rows[] = {EACH(ROW)};

static unsigned long caps[2];

static int has(const char *name) {
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, name)) return caps[rows[i].word] >> rows[i].bit & 1;
    return 0;
}

static int is_shown(const char *name) {
    static char line[4096], wanted[32];
    snprintf(wanted, sizeof wanted, " %s ", name);
    FILE *file = fopen("/proc/cpuinfo", "r");
    int found = 0;
    while (!found && fgets(line, sizeof line, file)) {
        if (strncmp(line, "Features", 8)) continue;
        line[strcspn(line, "\n")] = ' ';
        found = !!strstr(line, wanted);
        break;
    }
    fclose(file);
    return found;
}

static void sets(void) {
    signal(SIGILL, undefined);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        volatile int executed = 0;
        int announced = caps[rows[i].word] >> rows[i].bit & 1;
        if (!sigsetjmp(jump, 1)) rows[i].execute(), executed = 1;
        if (executed != announced || announced != is_shown(rows[i].name))
            printf("%s: announced %d, executed %d, shown %d\n", rows[i].name, announced, executed, is_shown(rows[i].name));
    }
    // What is a hint where it is nothing else.
    __asm__ volatile("mov x0, x30\nhint #25\nhint #29\nmov x30, x0\nhint #34\nhint #6" ::: "x0", "x30");
}

static void registers(void) {
    uint64_t isar0, isar1, pfr0, midr, mmfr2;
    __asm__("mrs %0, id_aa64isar0_el1\nmrs %1, id_aa64isar1_el1\nmrs %2, id_aa64pfr0_el1\nmrs %3, midr_el1\n"
        "mrs %4, s3_0_c0_c7_2" : "=r"(isar0), "=r"(isar1), "=r"(pfr0), "=r"(midr), "=r"(mmfr2));
    int wrong = (isar0 >> 4 & 15) != (uint64_t)(has("pmull") ? 2 : has("aes"));
    wrong |= ((isar0 >> 12 & 15) != (uint64_t)(has("sha512") ? 2 : has("sha2"))) << 1;
    wrong |= ((isar0 >> 20 & 15) != (uint64_t)(has("atomics") ? 2 : 0)) << 2;
    wrong |= ((isar0 >> 60) != (uint64_t)has("rng")) << 3;
    wrong |= ((isar1 >> 20 & 15) != (uint64_t)(has("ilrcpc") ? 2 : has("lrcpc"))) << 4;
    wrong |= ((pfr0 >> 16 & 15) != (uint64_t)has("fphp")) << 5;
    wrong |= ((pfr0 >> 48 & 15) != (uint64_t)has("dit")) << 6;
    wrong |= ((midr >> 16 & 15) != 15) << 7;
    printf("registers %x\n", wrong);
}

static uint64_t in_handler;
static void look(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    in_handler = ((ucontext_t *)context)->uc_mcontext.pstate;
    ((ucontext_t *)context)->uc_mcontext.pstate ^= 1 << 24;
}

static void state(void) {
    uint64_t first = 0, second = 0, flags = 15, set = 0, clear = 1, ssbs = 0, got = 0, count = 0, later = 0;
    if (has("rng")) {
        int failures = 0;
        for (int i = 0; i < 100; i++) {
            __asm__ volatile("cmp xzr, xzr\nmrs %0, s3_3_c2_c4_0\nmrs %2, nzcv\nmrs %1, s3_3_c2_c4_1\nmrs xzr, s3_3_c2_c4_0"
                : "=&r"(first), "=&r"(second), "=&r"(flags) :: "cc");
            failures += flags != 0 || first == second;
        }
        printf("random %d\n", failures);
    } else puts("random 0");
    if (has("dit")) {
        __asm__ volatile("mov x9, #-1\nmsr s3_3_c4_c2_5, x9\nmrs %0, s3_3_c4_c2_5" : "=r"(set) :: "x9");
        struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
        sigaction(SIGUSR1, &action, 0);
        raise(SIGUSR1);
        __asm__ volatile("mrs %0, s3_3_c4_c2_5" : "=r"(got));
        __asm__ volatile(".inst 0xd503415f\n.inst 0xd503405f\nmrs %0, s3_3_c4_c2_5" : "=r"(clear));
    } else set = in_handler = 1 << 24, clear = 0;
    printf("dit %llx %llx, in the handler %llx, after it %llx\n", (unsigned long long)set, (unsigned long long)clear,
        (unsigned long long)in_handler >> 24 & 1, (unsigned long long)got);
    if (has("ssbs")) __asm__ volatile(".inst 0xd503403f\n.inst 0xd503413f\nmrs %0, s3_3_c4_c2_6" : "=r"(ssbs));
    else ssbs = 1 << 12;
    printf("ssbs %llx\n", (unsigned long long)ssbs);
    if (has("ecv")) __asm__ volatile("mrs %0, s3_3_c14_c0_6\nmrs %1, s3_3_c14_c0_6" : "=r"(count), "=r"(later));
    printf("counts %d\n", later >= count);
}

int main(void) {
    caps[0] = getauxval(AT_HWCAP), caps[1] = getauxval(AT_HWCAP2);
    sets();
    registers();
    state();
    return 0;
}
#else
int main(void) {
    puts("registers 0\nrandom 0\ndit 1000000 0, in the handler 1, after it 0\nssbs 1000\ncounts 1");
    return 0;
}
#endif
