//@ static: -static
//@ pie: -static-pie
//@ dynamic:
// The heap: many sizes, realloc over the mmap threshold, alignment, trimming, exhaustion.
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 300 };
static unsigned char *blocks[BLOCKS];
static size_t sizes[BLOCKS];

static void verify(int i) {
    for (size_t k = 0; k < sizes[i]; k += 1 + sizes[i] / 64) {
        if (blocks[i][k] != (unsigned char)i) {
            printf("block %d lost byte %zu\n", i, k);
            exit(1);
        }
    }
}

int main(void) {
    uint32_t seed = 7;
    for (int step = 0; step < 20000; step++) {
        seed = seed * 1664525 + 1013904223;
        int i = (seed >> 10) % BLOCKS;
        size_t size = seed >> 31 ? (seed >> 4) % 200000 : (seed >> 4) % 300;
        if (blocks[i]) verify(i);
        if (seed & 0x100) {
            blocks[i] = realloc(blocks[i], size + 1);
            size_t kept = sizes[i] < size + 1 ? sizes[i] : size + 1;
            sizes[i] = kept;
            verify(i);
        } else {
            free(blocks[i]);
            blocks[i] = malloc(size + 1);
        }
        if (!blocks[i]) return 2;
        sizes[i] = size + 1;
        memset(blocks[i], i, size + 1);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i]) verify(i);
        free(blocks[i]);
    }
    unsigned char *big = calloc(1, 50 << 20);
    printf("calloc %d\n", big && !big[0] && !big[50 << 19]);
    big = realloc(big, 80 << 20); // moved with mremap
    big[(80 << 20) - 1] = 1;
    printf("realloc %d %d\n", !big[1000], big[(80 << 20) - 1]);
    free(big);
    void *aligned = 0;
    int error = posix_memalign(&aligned, 1 << 16, 100);
    printf("aligned %d %d\n", error, (int)((uintptr_t)aligned & 0xffff));
    free(aligned);
    malloc_trim(0);
    errno = 0;
    volatile size_t huge = SIZE_MAX / 4;
    int refused = malloc(huge) == 0;
    printf("huge %d %d\n", refused, errno == ENOMEM);
    return 0;
}
