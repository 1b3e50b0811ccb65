//@ static: -static
// Code that changes the instructions right behind its stores: an x86 processor sees that at once. In straight code, by
// a string instruction, in a loop that does so in every round, and in one that has run long before it does.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

// Returns its argument's low byte, by way of the next instruction's operand.
__asm__(".globl next, next_end\n"
        "next: movb %dil, 1f+1(%rip)\n"
        "1: movl $0, %eax\n"
        "ret\n"
        "next_end:\n");
// Copies six bytes of code from its argument over the next instruction, and returns what that makes.
__asm__(".globl copy, copy_end\n"
        "copy: movq %rdi, %rsi\n"
        "leaq 1f(%rip), %rdi\n"
        "movl $5, %ecx\n"
        "rep movsb\n"
        "1: movl $0, %eax\n"
        "ret\n"
        "copy_end:\n");
// Adds up the low bytes of what it counts down from its argument.
__asm__(".globl every, every_end\n"
        "every: xorl %eax, %eax\n"
        "1: movb %dil, 2f+1(%rip)\n"
        "2: .byte 0x05, 0, 0, 0, 0\n" // add eax, 0
        "decl %edi\n"
        "jnz 1b\n"
        "ret\n"
        "every_end:\n");
// As `every`, but changes what is added in one round of 16384 only.
__asm__(".globl seldom, seldom_end\n"
        "seldom: xorl %eax, %eax\n"
        "1: testl $16383, %edi\n"
        "jnz 2f\n"
        "movl %edi, %edx\n"
        "shrl $14, %edx\n"
        "movb %dl, 2f+1(%rip)\n"
        "2: .byte 0x05, 0, 0, 0, 0\n" // add eax, 0
        "decl %edi\n"
        "jnz 1b\n"
        "ret\n"
        "seldom_end:\n");
extern char next[], next_end[], copy[], copy_end[], every[], every_end[], seldom[], seldom_end[];

static char *place(char *at, const char *code, const char *end) {
    memcpy(at, code, (size_t)(end - code));
    return at;
}

int main(void) {
    char *page = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return 2;
    uint32_t (*function)(uint64_t) = (void *)place(page, next, next_end);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 3000; i++) sum = sum * 31 + function(i);
    printf("the next instruction %x\n", sum);

    function = (void *)place(page + 512, copy, copy_end);
    for (uint32_t i = 0; i < 3000; i++) {
        unsigned char code[5] = {0xb8, (unsigned char)i, (unsigned char)(i >> 8), 0, 0}; // mov eax, i
        sum = sum * 31 + function((uint64_t)(uintptr_t)code);
    }
    printf("by a string instruction %x\n", sum);

    function = (void *)place(page + 1024, every, every_end);
    printf("in every round %x\n", function(3000));

    // Its page is not that of the others.
    function = (void *)place(page + 4096, seldom, seldom_end);
    for (int i = 0; i < 3; i++) printf("after many rounds %x\n", function(300000));
    return 0;
}
