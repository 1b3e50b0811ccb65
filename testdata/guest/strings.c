// The C library's memory and string functions against plain loops, at every alignment and at page ends.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <wchar.h>

enum { PAGE = 4096 };
static char *window; // two pages, followed by one that faults

static void fail(const char *name, int a, int b) {
    printf("%s is wrong at %d, %d\n", name, a, b);
    exit(1);
}

static int sign(int x) { return (x > 0) - (x < 0); }

static void lengths(void) {
    for (int length = 0; length < 300; length++) {
        char *text = window + 2 * PAGE - length - 1; // ends where the mapping ends
        memset(text, 'a', (size_t)length);
        text[length] = 0;
        if (strlen(text) != (size_t)length) fail("strlen", length, 0);
        if (strnlen(text, 100) != (size_t)(length < 100 ? length : 100)) fail("strnlen", length, 0);
        if (strchr(text, 'b')) fail("strchr", length, 0);
        if (strchrnul(text, 'b') != text + length) fail("strchrnul", length, 0);
        if (memchr(text, 0, (size_t)length + 1) != text + length) fail("memchr", length, 0);
        if (length && strrchr(text, 'a') != text + length - 1) fail("strrchr", length, 0);
        if (rawmemchr(text, 0) != text + length) fail("rawmemchr", length, 0);
    }
}

static void copies(void) {
    for (int from = 0; from < 20; from++) {
        for (int length = 0; length < 200; length += 1 + length / 16) {
            for (int i = 0; i < 512; i++) window[i] = (char)(i * 7);
            char *to = window + 1024 + (from * 5 & 31);
            memset(to - 8, 'x', (size_t)length + 16);
            memcpy(to, window + from, (size_t)length);
            for (int i = 0; i < length; i++) if (to[i] != (char)((i + from) * 7)) fail("memcpy", from, length);
            if (to[-1] != 'x' || to[length] != 'x') fail("memcpy's bounds", from, length);
            memmove(window + from + 3, window + from, (size_t)length);
            for (int i = 0; i < length; i++) if (window[from + 3 + i] != (char)((i + from) * 7)) fail("memmove up", from, length);
            memmove(window + from, window + from + 3, (size_t)length);
            for (int i = 0; i < length; i++) if (window[from + i] != (char)((i + from) * 7)) fail("memmove down", from, length);
            memset(to, length, (size_t)length);
            for (int i = 0; i < length; i++) if (to[i] != (char)length) fail("memset", from, length);
            if (to[length] != 'x') fail("memset's bounds", from, length);
        }
    }
}

static void comparisons(void) {
    for (int length = 1; length < 130; length++) {
        for (int at = 0; at < length; at += 1 + at / 5) {
            char *a = window + 2 * PAGE - length - 1, *b = window + 100 + length % 17;
            memset(a, 'm', (size_t)length), memset(b, 'm', (size_t)length);
            a[length] = b[length] = 0;
            if (memcmp(a, b, (size_t)length) || strcmp(a, b)) fail("equality", length, at);
            for (int other = 'a'; other <= 'z'; other += 3) {
                b[at] = (char)other;
                int wanted = sign('m' - other);
                if (sign(memcmp(a, b, (size_t)length)) != wanted) fail("memcmp", length, at);
                if (sign(strcmp(a, b)) != wanted) fail("strcmp", length, at);
                if (sign(strncmp(a, b, (size_t)at)) != 0) fail("strncmp", length, at);
                if (sign(strcasecmp(a, b)) != wanted) fail("strcasecmp", length, at);
            }
            b[at] = (char)0xc3; // compared as unsigned
            if (strcmp(a, b) >= 0 || memcmp(a, b, (size_t)length) >= 0) fail("unsigned comparison", length, at);
        }
    }
}

static void searches(void) {
    static const char text[] = "the quick brown fox jumps over the lazy dog, the lazy dog sleeps";
    printf("%td %td %s\n", strstr(text, "lazy") - text, strrchr(text, 'q') - text, strstr(text, "cat") ? "cat" : "no cat");
    printf("%zu %zu %s\n", strspn(text, "het "), strcspn(text, "xyz"), strpbrk(text, "jkl"));
    printf("%td\n", (char *)memmem(text, sizeof text, "dog s", 5) - text);
    char copy[sizeof text], *save = 0;
    strcpy(copy, text);
    int words = 0;
    for (char *word = strtok_r(copy, " ,", &save); word; word = strtok_r(0, " ,", &save)) words++;
    printf("%d words\n", words);
    char joined[40] = "a";
    strcat(joined, "bc"), strncat(joined, text, 3);
    char *end = stpcpy(joined + 10, "end");
    printf("%s %s\n", joined, end - 3);
    strncpy(joined, "zz", 8);
    printf("%s %d\n", joined, joined[7]);
    wchar_t wide[20];
    wcscpy(wide, L"wide text");
    printf("%zu %d\n", wcslen(wide), wmemcmp(wide, L"wide", 4));
}

int main(void) {
    window = mmap(0, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (window == MAP_FAILED || mprotect(window + 2 * PAGE, PAGE, PROT_NONE)) return 2;
    lengths();
    copies();
    comparisons();
    searches();
    puts("strings done");
    return 0;
}
