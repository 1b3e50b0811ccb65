// integer -O2 n=50
// An open-addressing hash table: multiplications, shifts, unpredictable loads, probes.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1 << 16, KEYS = 40000 };
static uint64_t keys[SLOTS];
static uint32_t counts[SLOTS];

static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 29;
    x *= 0xc4ceb9fe1a85ec53ull;
    return x ^ x >> 32;
}

static uint32_t add(uint64_t key) {
    uint64_t slot = mix(key) & (SLOTS - 1);
    while (keys[slot] && keys[slot] != key) slot = (slot + 1) & (SLOTS - 1);
    keys[slot] = key;
    return ++counts[slot];
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0;
    uint64_t sum = 0;
    for (int round = 0; round < n; round++) {
        memset(keys, 0, sizeof keys);
        memset(counts, 0, sizeof counts);
        uint64_t seed = round + 1;
        for (int i = 0; i < 10 * KEYS; i++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            sum += add((seed >> 33) % KEYS + 1);
        }
    }
    printf("hash %llu\n", (unsigned long long)sum);
    return 0;
}
