// Integer arithmetic at its edges: widths, signs, shifts, products, quotients, overflow, bit counts.
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const uint64_t edges[] = {
    0, 1, 2, 3, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
    0x100000000, 0x123456789abcdef0, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffffffe, 0xffffffffffffffff,
};
enum { EDGES = sizeof edges / sizeof edges[0] };
static uint64_t digest;

static void note(uint64_t value) { digest = (digest ^ value) * 0x100000001b3 + (digest >> 47); }

static void report(const char *name) {
    printf("%-12s %016" PRIx64 "\n", name, digest);
    digest = 0xcbf29ce484222325;
}

#define FOR_PAIRS(a, b)                   \
    for (int ia = 0; ia < EDGES; ia++)    \
        for (int ib = 0; ib < EDGES; ib++) \
            for (volatile uint64_t a = edges[ia], b = edges[ib], once = 1; once; once = 0)

#define ARITHMETIC(type)                                                    \
    FOR_PAIRS(p, q) {                                                       \
        type a = (type)p, b = (type)q;                                      \
        note((uint64_t)(type)(a + b)), note((uint64_t)(type)(a - b));       \
        note((uint64_t)(type)((uint64_t)a * (uint64_t)b));                  \
        note((uint64_t)(type)(a & b)), note((uint64_t)(type)(a | ~b));      \
        note((uint64_t)(type)(a ^ b)), note((uint64_t)(type)-(uint64_t)a);  \
        note(a < b), note(a <= b), note(a == b), note(a > b);               \
    }                                                                       \
    report(#type)

static void divisions(void) {
    FOR_PAIRS(p, q) {
        if (!q) continue;
        note(p / q), note(p % q);
        if ((uint32_t)q) note((uint32_t)p / (uint32_t)q), note((uint32_t)p % (uint32_t)q);
        if ((uint16_t)q) note((uint16_t)p / (uint16_t)q), note((uint16_t)p % (uint16_t)q);
        if ((int8_t)q) note((uint64_t)((int8_t)p / (int8_t)q)), note((uint64_t)((int8_t)p % (int8_t)q));
        if (!(p == (uint64_t)INT64_MIN && q == UINT64_MAX)) {
            note((uint64_t)((int64_t)p / (int64_t)q)), note((uint64_t)((int64_t)p % (int64_t)q));
        }
        unsigned __int128 wide = (unsigned __int128)p << 64 | ~p;
        note((uint64_t)(wide / q)), note((uint64_t)(wide % q)), note((uint64_t)(wide / q >> 64));
        __int128 signed_wide = (__int128)(int64_t)p * 3 - 1;
        note((uint64_t)(signed_wide / (int64_t)q)), note((uint64_t)(signed_wide % (int64_t)q));
    }
    report("divisions");
    volatile int64_t x = -1000003;
    note((uint64_t)(x / 7)), note((uint64_t)(x % 7)), note((uint64_t)(x / -8)), note((uint64_t)(x % 1024));
    report("by constants");
}

static void products(void) {
    FOR_PAIRS(p, q) {
        unsigned __int128 product = (unsigned __int128)p * q;
        note((uint64_t)product), note((uint64_t)(product >> 64));
        __int128 signed_product = (__int128)(int64_t)p * (int64_t)q;
        note((uint64_t)(signed_product >> 64));
        note((uint64_t)((int64_t)(int32_t)p * (int32_t)q));
        note((uint64_t)(uint32_t)p * (uint32_t)q + p);
        unsigned __int128 sum = product + ((unsigned __int128)q << 64 | p);
        note((uint64_t)(sum >> 64)), note(sum < product);
        note((uint64_t)((product << (q & 127)) >> 64)), note((uint64_t)(signed_product >> (p & 127)));
    }
    report("products");
}

static void shifts(void) {
    for (int i = 0; i < EDGES; i++) {
        for (volatile unsigned n = 0; n < 64; n++) {
            uint64_t a = edges[i];
            note(a << n), note(a >> n), note((uint64_t)((int64_t)a >> n));
            note(a << n | a >> (-n & 63));
            unsigned m = n & 31;
            uint32_t w = (uint32_t)(a >> 3);
            note(w << m), note(w >> m), note((uint64_t)((int32_t)w >> m)), note(w >> m | w << (-m & 31));
            note((uint16_t)(w << (m & 15))), note((uint8_t)(w >> (m & 7)));
        }
    }
    report("shifts");
}

static void bits(void) {
    for (int i = 0; i < EDGES; i++) {
        volatile uint64_t a = edges[i] ^ 0x10;
        note((uint64_t)__builtin_popcountll(a)), note(__builtin_bswap64(a)), note(__builtin_bswap32((uint32_t)a));
        note(__builtin_bswap16((uint16_t)a)), note((uint64_t)__builtin_parityll(a));
        if (a) note((uint64_t)__builtin_clzll(a)), note((uint64_t)__builtin_ctzll(a));
        if ((uint32_t)a) note((uint64_t)__builtin_clz((uint32_t)a)), note((uint64_t)__builtin_ctz((uint32_t)a));
        note((uint64_t)__builtin_ffsll((long long)a)), note((uint64_t)__builtin_clrsbll((long long)a));
        struct { uint64_t low : 5, middle : 23, high : 36; } fields;
        memcpy(&fields, (const void *)&a, sizeof fields);
        note(fields.low), note(fields.middle), note(fields.high);
        fields.middle = (unsigned)(a >> 40);
        uint64_t back;
        memcpy(&back, &fields, sizeof back);
        note(back);
    }
    report("bits");
}

static void overflow(void) {
    FOR_PAIRS(p, q) {
        int64_t s;
        int32_t w;
        uint64_t u;
        int16_t h;
        note(__builtin_add_overflow((int64_t)p, (int64_t)q, &s)), note((uint64_t)s);
        note(__builtin_sub_overflow((int64_t)p, (int64_t)q, &s)), note((uint64_t)s);
        note(__builtin_mul_overflow((int64_t)p, (int64_t)q, &s)), note((uint64_t)s);
        note(__builtin_add_overflow((int32_t)p, (int32_t)q, &w)), note((uint64_t)w);
        note(__builtin_mul_overflow((int32_t)p, (int32_t)q, &w)), note((uint64_t)w);
        note(__builtin_add_overflow(p, q, &u)), note(u);
        note(__builtin_mul_overflow(p, q, &u)), note(u);
        note(__builtin_sub_overflow((int16_t)p, (int16_t)q, &h)), note((uint64_t)h);
    }
    report("overflow");
}

int main(void) {
    report("start");
    ARITHMETIC(int8_t);
    ARITHMETIC(uint8_t);
    ARITHMETIC(int16_t);
    ARITHMETIC(uint16_t);
    ARITHMETIC(int32_t);
    ARITHMETIC(uint32_t);
    ARITHMETIC(int64_t);
    ARITHMETIC(uint64_t);
    divisions();
    products();
    shifts();
    bits();
    overflow();
    return 0;
}
