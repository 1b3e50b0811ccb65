// integer -O2 n=45
// The C library's qsort with a comparison through a pointer, then a heap sort of our own.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 40000 };
static uint32_t values[SIZE];

static void fill(uint32_t seed) {
    for (int i = 0; i < SIZE; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = seed;
    }
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void sift(int root, int size) {
    uint32_t value = values[root];
    for (;;) {
        int child = 2 * root + 1;
        if (child >= size) break;
        if (child + 1 < size && values[child + 1] > values[child]) child++;
        if (values[child] <= value) break;
        values[root] = values[child];
        root = child;
    }
    values[root] = value;
}

static void heap_sort(void) {
    for (int i = SIZE / 2; i-- > 0;) sift(i, SIZE);
    for (int size = SIZE - 1; size > 0; size--) {
        uint32_t last = values[size];
        values[size] = values[0];
        values[0] = last;
        sift(0, size);
    }
}

static uint64_t digest(void) {
    uint64_t sum = 0;
    for (int i = 0; i < SIZE; i++) sum = sum * 31 + values[i];
    return sum;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0;
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) {
        fill(2 * i + 1);
        qsort(values, SIZE, sizeof values[0], compare);
        sum += digest();
        fill(2 * i + 2);
        heap_sort();
        sum += digest();
    }
    printf("sort %llu\n", (unsigned long long)sum);
    return 0;
}
