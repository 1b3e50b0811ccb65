// integer -O2 n=100
// Allocation: binary trees built and freed, and blocks of many sizes freed out of order.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node { struct node *left, *right; };

static struct node *build(int depth) {
    struct node *node = malloc(sizeof *node);
    node->left = depth ? build(depth - 1) : 0;
    node->right = depth ? build(depth - 1) : 0;
    return node;
}

static unsigned destroy(struct node *node) {
    if (!node) return 0;
    unsigned count = 1 + destroy(node->left) + destroy(node->right);
    free(node);
    return count;
}

int main(int argc, char **argv) {
    enum { BLOCKS = 512 };
    static char *blocks[BLOCKS];
    int n = argc > 1 ? atoi(argv[1]) : 0;
    unsigned long sum = 0;
    uint32_t seed = 1;
    for (int i = 0; i < n; i++) {
        for (int tree = 0; tree < 8; tree++) sum += destroy(build(12));
        for (int j = 0; j < 40000; j++) {
            seed = seed * 1664525u + 1013904223u;
            unsigned slot = (seed >> 8) % BLOCKS, size = 16 + (seed >> 20) % 1500;
            if (blocks[slot]) sum += (unsigned char)*blocks[slot];
            free(blocks[slot]);
            blocks[slot] = malloc(size);
            memset(blocks[slot], (int)slot, 16);
        }
    }
    printf("malloc %lu\n", sum);
    return 0;
}
