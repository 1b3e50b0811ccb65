// integer -O2 n=70
// An interpreter for a small stack machine: a switch in a loop, so an indirect branch per operation.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { PUSH, ADD, MUL, DUP, SWAP, XOR, DEC, JNZ, STORE, LOAD, SHIFT, HALT };

// memory[1] = i; for (memory[0] = count; memory[0] != 0; memory[0]--) memory[1] = step(memory[1])
static const uint8_t program[] = {
    LOAD,  1, PUSH, 17, MUL, PUSH, 3, ADD, DUP, SHIFT, XOR, STORE, 1,
    LOAD,  0, DEC,  DUP, STORE, 0, JNZ, 0, HALT,
};

static uint64_t execute(uint64_t count, uint64_t start) {
    uint64_t memory[2] = {count, start}, stack[16];
    int top = 0;
    for (const uint8_t *pc = program;;) {
        switch (*pc++) {
        case PUSH: stack[top++] = *pc++; break;
        case ADD: top--; stack[top - 1] += stack[top]; break;
        case MUL: top--; stack[top - 1] *= stack[top]; break;
        case DUP: stack[top] = stack[top - 1]; top++; break;
        case SWAP: {
            uint64_t upper = stack[top - 1];
            stack[top - 1] = stack[top - 2];
            stack[top - 2] = upper;
            break;
        }
        case XOR: top--; stack[top - 1] ^= stack[top]; break;
        case DEC: stack[top - 1]--; break;
        case JNZ: pc = stack[--top] ? program + *pc : pc + 1; break;
        case STORE: memory[*pc++] = stack[--top]; break;
        case LOAD: stack[top++] = memory[*pc++]; break;
        case SHIFT: stack[top - 1] >>= 11; break;
        case HALT: return memory[1];
        }
    }
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0;
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) sum += execute(200000, i);
    printf("dispatch %llu\n", (unsigned long long)sum);
    return 0;
}
