// fp -O3 -ffp-contract=off n=150
// The Mandelbrot set, eight points of a row at a time in single precision, which gcc -O3 vectorises.
#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 256, HEIGHT = 128, LIMIT = 64, LANES = 8 };

static void points(const float *cx, float cy, int *counts) {
    float x[LANES] = {0}, y[LANES] = {0};
    for (int lane = 0; lane < LANES; lane++) counts[lane] = 0;
    for (int step = 0; step < LIMIT; step++) {
        for (int lane = 0; lane < LANES; lane++) {
            float xx = x[lane] * x[lane], yy = y[lane] * y[lane], xy = x[lane] * y[lane];
            int inside = xx + yy <= 4.0f;
            counts[lane] += inside;
            x[lane] = inside ? xx - yy + cx[lane] : x[lane];
            y[lane] = inside ? xy + xy + cy : y[lane];
        }
    }
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0;
    unsigned long sum = 0;
    for (int i = 0; i < n; i++) {
        for (int row = 0; row < HEIGHT; row++) {
            float cy = (float)(row - HEIGHT / 2) * (2.5f / HEIGHT);
            for (int column = 0; column < WIDTH; column += LANES) {
                float cx[LANES];
                int counts[LANES];
                for (int lane = 0; lane < LANES; lane++) {
                    cx[lane] = (float)(column + lane) * (3.0f / WIDTH) - 2.0f + (float)i * 0.001f;
                }
                points(cx, cy, counts);
                for (int lane = 0; lane < LANES; lane++) sum = sum * 3 + (unsigned)counts[lane];
            }
        }
    }
    printf("mandelbrot %lu\n", sum);
    return 0;
}
