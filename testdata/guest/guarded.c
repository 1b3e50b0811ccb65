//@ static aarch64: -static -nostdlib -ffreestanding -fno-stack-protector -mbranch-protection=standard -Wl,-z,force-bti
//@ static x86_64: -static -nostdlib -ffreestanding -fno-stack-protector
// A program whose file says that its code has landing pads, so that the kernel guards it: calls through registers and
// through a linker's veneer arrive at them, again and again, and one at last at an instruction that is none.
#ifdef __aarch64__
static long call(long number, long a, long b, long c) {
    register long x8 asm("x8") = number, x0 asm("x0") = a, x1 asm("x1") = b, x2 asm("x2") = c;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
enum { WRITE = 64, EXIT = 93 };
asm("bare: nop\n ret");
asm("veneer: bti c\n adrp x16, pointer\n ldr x17, [x16, :lo12:pointer]\n add x16, x16, :lo12:pointer\n br x17");
#else
static long call(long number, long a, long b, long c) {
    asm volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return number;
}
enum { WRITE = 1, EXIT = 60 };
asm("bare: ud2");
asm("veneer: jmp *pointer(%rip)");
#endif

void bare(void);
int veneer(int);
__attribute__((noinline)) static int twice(int n) { return 2 * n + 1; }
int (*volatile pointer)(int) = twice;
void (*volatile nowhere)(void) = bare;

static void say(const char *text, int length) { call(WRITE, 1, (long)text, length); }

void _start(void) {
    unsigned sum = 0;
    for (int i = 0; i < 200000; i++) sum += pointer(i) + veneer(i);
    say(sum == 2690588672u ? "arrived\n" : "lost\n", sum == 2690588672u ? 8 : 5);
    nowhere();
    say("and back\n", 9);
    call(EXIT, 0, 0, 0);
}
