//@ static: -static -ffp-contract=off -frounding-math -lm
// The four rounding modes: arithmetic, conversions and printing follow them.
#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
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

int main(void) {
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (int m = 0; m < 4; m++) {
        fesetround(modes[m]);
        uint64_t digest = 0;
        for (int i = 0; i < VALUES; i++) {
            volatile double x = values[i];
            volatile float f = (float)x;
            digest = digest * 31 + bits(rint(x)) + bits(nearbyint(x * 1.5)) * 3 + bits(x / 3) + bits(x + 0.1) + bits(f);
            digest = digest * 31 + bits(sqrt(fabs(x))) + bits(x * x) + bits((double)(float)(f * 1.1f));
            if (fabs(x) < 1e18) digest = digest * 31 + (uint64_t)llrint(x);
        }
        printf("mode %d %016" PRIx64 " %.3f\n", m, digest, 2.0 / 3);
    }
    fesetround(FE_TONEAREST);
    return 0;
}
