// integer -O2 n=800
// Strings: byte loops as programs write them, and the C library's copies, searches and comparisons.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1 << 16 };
static char text[SIZE + 1], copy[SIZE + 1];

static size_t count_words(const char *p) {
    size_t words = 0;
    int inside = 0;
    for (; *p; p++) {
        int letter = *p != ' ';
        words += letter & !inside;
        inside = letter;
    }
    return words;
}

static void upper(char *to, const char *from) {
    do *to++ = *from >= 'a' && *from <= 'z' ? *from - 32 : *from;
    while (*from++);
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0;
    unsigned seed = 1;
    for (int i = 0; i < SIZE; i++) {
        seed = seed * 1103515245 + 12345;
        text[i] = (seed >> 16) % 6 ? 'a' + (seed >> 20) % 26 : ' ';
    }
    unsigned long sum = 0;
    for (int i = 0; i < n; i++) {
        sum += count_words(text);
        upper(copy, text);
        sum += strlen(copy) + (memcmp(text, copy, SIZE) > 0);
        memcpy(copy + 1, text, SIZE - 1);
        memmove(copy, copy + 3, SIZE - 3);
        for (char *p = copy; (p = memchr(p, 'q', copy + SIZE - p)); p++) sum += p - copy;
        for (char *p = copy; (p = strstr(p, "ab")); p++) sum++;
        for (char *p = copy; *p; p += strcspn(p, " ") + 1) sum += *p;
        text[i % SIZE] ^= 1;
    }
    printf("strings %lu\n", sum);
    return 0;
}
