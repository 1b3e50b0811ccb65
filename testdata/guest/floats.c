//@ static: -static -ffp-contract=off -lm
//@ vector: -static -ffp-contract=off -O3 -lm
// Floating point as C programs see it: printing, parsing, conversions, special values.
// Long doubles differ in width between the guests, so what is printed of them both can hold.
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double values[] = {
    0.0, -0.0, 1.0, -1.0, 0.1, 1.0 / 3, 2.5, -2.5, 3.5, 1e10, 123456789.125, 1e22, 1e23, 1e-5, 5e-324, 2.2250738585072014e-308,
    1.7976931348623157e308, INFINITY, -INFINITY, 4503599627370497.5, 9007199254740993.0, 0.49999999999999994, 65504, 1e-40,
};
enum { VALUES = sizeof values / sizeof values[0] };

static uint64_t bits(double x) {
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return x != x ? 0x7ff8000000000000 : b; // which NaN an operation makes differs between the guests
}

// The sign of a NaN that an operation makes differs too.
static double plain(double x) { return x != x ? fabs(x) : x; }

static void printing(void) {
    for (int i = 0; i < VALUES; i++) {
        double x = values[i];
        printf("%g %.17g %f %e %a %.3f %10.2f|%-12.4g|%+.0f %#.0f\n", x, x, x, x, x, x, x, x, x, x);
    }
    printf("%f %F %g %.0e\n", (double)NAN, (double)NAN, fabs(strtod("nan", 0)), 15.0);
    for (int i = 0; i < VALUES; i++) {
        long double x = (long double)values[i];
        printf("%Lg %.15Lf %.18Le\n", x, x * 0.5L, x);
    }
    long double sum = 0;
    for (int i = 1; i <= 40; i++) sum += 1.0L / (1ull << i);
    printf("%.15Lf %.12Lg %Lg\n", sum, sqrtl(2.0L), ldexpl(1.0L, 16000));
}

static void parsing(void) {
    static const char *texts[] = {"1", "-0", "1e400", "-1e-400", "0x1.8p3", "3.14159265358979323846", "inf", "1.7976931348623159e308",
                                  "2.4703282292062328e-324", "9007199254740993", ".5e1x", "0.1e-6", "123456789012345678901234567890"};
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *end;
        double x = strtod(texts[i], &end);
        float f = strtof(texts[i], 0);
        long double l = strtold(texts[i], 0);
        printf("%s -> %016" PRIx64 " %a %.15Lg rest '%s'\n", texts[i], bits(x), (double)f, l, end);
    }
}

static void conversions(void) {
    uint64_t digest = 0;
    for (int i = 0; i < VALUES; i++) {
        volatile double x = values[i];
        if (fabs(x) < 9e18) digest = digest * 31 + (uint64_t)(int64_t)x;
        if (x > -1 && x < 1.8e19) digest = digest * 31 + (uint64_t)x;
        if (fabs(x) < 2e9) digest = digest * 31 + (uint64_t)(int32_t)x + (uint64_t)(int64_t)(float)x;
        if (x > -1 && x < 4e9) digest = digest * 31 + (uint32_t)x;
    }
    static const uint64_t integers[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 53 | 1, (1ull << 63) + 1025, UINT64_MAX};
    for (unsigned i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        volatile uint64_t n = integers[i];
        digest = digest * 31 + bits((double)n) + bits((double)(int64_t)n) + bits((double)(float)n);
        digest = digest * 31 + bits((double)(int32_t)n) + bits((double)(uint32_t)n) + bits((double)(float)(int64_t)n);
    }
    printf("conversions %016" PRIx64 "\n", digest);
}

static void functions(void) {
    for (int i = 0; i < VALUES; i++) {
        volatile double x = values[i];
        printf("%.12g %.12g %.12g %.12g %.12g %.12g\n", floor(x), ceil(x), trunc(x), round(x), sqrt(fabs(x)), plain(fmod(x, 3)));
        if (fabs(x) < 700) printf("%.10g %.10g %.10g %.10g\n", sin(x), exp(x), log(fabs(x) + 1), pow(fabs(x), 1.5));
        int exponent;
        double fraction = frexp(x, &exponent);
        printf("%.17g %d %d %d\n", fraction, isfinite(x) ? exponent : 0, fpclassify(x) == FP_SUBNORMAL, !!signbit(x));
    }
    volatile double tiny = 0x1p-53, one = 1;
    printf("%a %a %a\n", fma(one + tiny * 2, one - tiny, -1), fma(0x1p1000, 0x1p1000, -INFINITY), fma(3, 5, 7));
    printf("%g %g %g %g\n", fmin(NAN, 1), fmax(2, NAN), fmin(-1, 1), fdim(5, 3));
    printf("%a %a %a\n", nextafter(1, 2), nextafter(0, -1), (double)nextafterf(1, 0));
}

static void comparisons(void) {
    uint64_t digest = 0;
    static const double special[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 5e-324};
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 8; j++) {
            volatile double x = special[i], y = special[j];
            volatile float f = (float)x, g = (float)y;
            digest = digest * 3 + (x < y) + 2 * (x <= y) + 4 * (x == y) + 8 * (x != y) + 16 * (x > y) + 32 * (x >= y);
            digest = digest * 3 + !!isunordered(x, y) + 2 * isless(f, g) + 4 * (f == g) + 8 * (f > g ? 1 : 0);
            digest += bits(x + y) ^ bits(x - y) * 3 ^ bits(x * y) * 5 ^ bits(x / y) * 7;
        }
    }
    printf("comparisons %016" PRIx64 "\n", digest);
}

int main(void) {
    printing();
    parsing();
    conversions();
    functions();
    comparisons();
    return 0;
}
