// integer -O2 n=90
// CRC-32 with a table, a byte at a time: a chain of dependent loads.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 1 << 20 };
static uint32_t table[256];
static unsigned char data[SIZE];

static uint32_t crc32(uint32_t crc, const unsigned char *bytes, size_t size) {
    crc = ~crc;
    for (size_t i = 0; i < size; i++) crc = table[(crc ^ bytes[i]) & 255] ^ crc >> 8;
    return ~crc;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320u ^ value >> 1 : value >> 1;
        table[i] = value;
    }
    for (int i = 0; i < SIZE; i++) data[i] = (unsigned char)(i * 7 + (i >> 8));
    uint32_t crc = 0;
    for (int i = 0; i < n; i++) crc = crc32(crc, data, SIZE);
    printf("crc %08x\n", crc);
    return 0;
}
