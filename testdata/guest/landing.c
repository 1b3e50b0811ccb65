// Guarded pages of aarch64: which branches arrive at which instructions, in which order of protections, and what a
// handler sees of those that do not. The other machine prints what the manual says (Arm ARM D8.4.7).
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/auxv.h>
#include <ucontext.h>
#include <unistd.h>

enum { BR_X0, BR_X16, BR_X17, BLR_X0, BLR_X17, RET_X0, DIRECT, BRAAZ_X0, BLRAAZ_X0, BRANCHES };
static const char *const branches[] = {"br x0", "br x16", "br x17", "blr x0", "blr x17", "ret x0", "b", "braaz x0", "blraaz x0"};
enum { NOP, BTI, BTI_C, BTI_J, BTI_JC, PACIASP, PACIBSP, PACIA1716, PADS };
static const char *const pads[] = {"nop", "bti", "bti c", "bti j", "bti jc", "paciasp", "pacibsp", "pacia1716"};
#define PROT_BTI 0x10

// BTYPE behind a branch.
static int kind(int branch, int from_guarded) {
    switch (branch) {
    case BLR_X0: case BLR_X17: case BLRAAZ_X0: return 2;
    case BR_X0: case BRAAZ_X0: return from_guarded ? 3 : 1;
    case BR_X16: case BR_X17: return 1;
    default: return 0;
    }
}

#ifdef __aarch64__
static const uint32_t words[] = {0xd503201f, 0xd503241f, 0xd503245f, 0xd503249f, 0xd50324df, 0xd503233f, 0xd503237f, 0xd503211f};
static volatile int caught, caught_kind, caught_code, caught_place;
static uint32_t *target_page, *source_page;

static void on_ill(int number, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    caught = number, caught_code = info->si_code;
    caught_kind = uc->uc_mcontext.pstate >> 10 & 3;
    caught_place = (uint32_t *)info->si_addr - target_page;
    if ((uint64_t)info->si_addr != uc->uc_mcontext.pc) caught_place = -1;
    uc->uc_mcontext.pstate &= ~(3ul << 10);
}

// A function at `place` of a page that takes its argument's successor: a pad first.
static void put_target(int pad, int place) {
    uint32_t *code = target_page + place;
    *code++ = words[pad];
    *code++ = 0x91000420;  // add x0, x1, #1
    // What was signed is authenticated.
    *code++ = pad == PACIASP ? 0xd50323bf : pad == PACIBSP ? 0xd50323ff : 0xd503201f;
    *code++ = 0xd65f03c0;  // ret
}

// A function that goes to x0 with its argument in x1, by one kind of branch.
static uint32_t *put_source(int branch, int place, int target) {
    uint32_t *start = source_page + place, *code = start;
    *code++ = 0xd503245f;  // bti c
    *code++ = 0xa9bf7bfd;  // stp x29, x30, [sp, #-16]!
    *code++ = 0xaa0003f0;  // mov x16, x0
    *code++ = 0xaa0003f1;  // mov x17, x0
    *code++ = 0x1000005e;  // adr x30, behind the branch
    switch (branch) {
    case BR_X0: *code++ = 0xd61f0000; break;
    case BR_X16: *code++ = 0xd61f0200; break;
    case BR_X17: *code++ = 0xd61f0220; break;
    case BLR_X0: *code++ = 0xd63f0000; break;
    case BLR_X17: *code++ = 0xd63f0220; break;
    case RET_X0: *code++ = 0xd65f0000; break;
    case BRAAZ_X0: *code++ = 0xd61f081f; break;
    case BLRAAZ_X0: *code++ = 0xd63f081f; break;
    case DIRECT: *code = 0x14000000 | (target_page + target - code & 0x3ffffff); code++; break;
    }
    *code++ = 0xa8c17bfd;  // ldp x29, x30, [sp], #16
    *code++ = 0xd65f03c0;  // ret
    return start;
}

static uint64_t signed_for(int branch, uint32_t *target) {
    register uint64_t x = (uint64_t)target;
    if (branch == BRAAZ_X0 || branch == BLRAAZ_X0) asm(".arch armv8.3-a\n paciza %0" : "+r"(x));
    return x;
}

static void protect(uint32_t *page, int guarded) {
    if (mprotect(page, 4096, PROT_READ | PROT_EXEC | (guarded ? PROT_BTI : 0))) perror("mprotect");
}

static void try(int branch, int pad, int from_guarded, int to_guarded, int times) {
    mprotect(target_page, 4096, PROT_READ | PROT_WRITE), mprotect(source_page, 4096, PROT_READ | PROT_WRITE);
    put_target(pad, 16);
    uint32_t *source = put_source(branch, 32, 16);
    __builtin___clear_cache((char *)target_page, (char *)target_page + 4096);
    __builtin___clear_cache((char *)source_page, (char *)source_page + 4096);
    protect(source_page, from_guarded), protect(target_page, to_guarded);
    uint64_t (*f)(uint64_t, uint64_t) = (void *)source, x = signed_for(branch, target_page + 16), sum = 0;
    int count = 0;
    for (int i = 0; i < times; i++) {
        caught = 0;
        sum += f(x, 41 + i);
        count += caught != 0;
    }
    if (count) printf(" %d of %d: signal %d code %d kind %d at %d", count, times, caught, caught_code, caught_kind, caught_place);
    printf(" %lu\n", sum);
}

static void handler_at(int pad) {
    mprotect(target_page, 4096, PROT_READ | PROT_WRITE);
    put_target(pad, 0);
    __builtin___clear_cache((char *)target_page, (char *)target_page + 4096);
    protect(target_page, 1);
    struct sigaction action = {.sa_handler = (void *)target_page};
    sigaction(SIGUSR1, &action, 0);
    caught = 0;
    raise(SIGUSR1);
    if (caught) printf(" signal %d code %d kind %d at %d", caught, caught_code, caught_kind, caught_place);
    printf("\n");
}
#else
static int takes(int pad, int kind) {
    switch (pad) {
    case BTI_C: case PACIASP: case PACIBSP: return kind != 3;
    case BTI_J: return kind != 2;
    case BTI_JC: return 1;
    default: return kind == 0;
    }
}

static void try(int branch, int pad, int from_guarded, int to_guarded, int times) {
    int k = kind(branch, from_guarded);
    long sum = 0;
    for (int i = 0; i < times; i++) sum += 42 + i;
    if (to_guarded && !takes(pad, k)) printf(" %d of %d: signal 4 code 1 kind %d at 16", times, times, k);
    printf(" %lu\n", sum);
}

static void handler_at(int pad) {
    if (!takes(pad, 2)) printf(" signal 4 code 1 kind 2 at 0");
    printf("\n");
}
#endif

int main(void) {
#ifdef __aarch64__
    struct sigaction action = {.sa_sigaction = on_ill, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &action, 0);
    char *pages = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    target_page = (uint32_t *)pages, source_page = (uint32_t *)(pages + 4096);
    printf("hwcap %ld\n", getauxval(AT_HWCAP2) >> 17 & 1);
#else
    printf("hwcap 1\n");
#endif
    for (int guards = 0; guards < 4; guards++)
        for (int branch = 0; branch < BRANCHES; branch++)
            for (int pad = 0; pad < PADS; pad++) {
                printf("%s %s, %s -> %s:", branches[branch], pads[pad], guards & 1 ? "guarded" : "free", guards & 2 ? "guarded" : "free");
                try(branch, pad, guards & 1, guards >> 1, 3);
            }
    printf("hot good:"), try(BLR_X0, BTI_C, 1, 1, 300000);
    printf("hot bad:"), try(BLR_X0, BTI_J, 1, 1, 20000);
    printf("hot free:"), try(BR_X0, NOP, 1, 0, 300000);
    printf("hot return:"), try(RET_X0, NOP, 1, 1, 300000);
    for (int pad = 0; pad < PADS; pad++) printf("handler %s:", pads[pad]), handler_at(pad);
    return 0;
}
