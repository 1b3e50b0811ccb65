// fp -O3 -fno-math-errno -fno-trapping-math -fno-signed-zeros -fassociative-math -ffp-contract=off n=100000
// Single-precision vectors: scaled addition, a dot product and a clamp, which gcc -O3 vectorises.
// The values are small multiples of a power of two, so that every order of addition gives the same sum.
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 4096 };
static float x[SIZE], y[SIZE], z[SIZE];

__attribute__((noinline)) static void saxpy(float k) {
    for (int i = 0; i < SIZE; i++) y[i] += k * x[i];
}

__attribute__((noinline)) static float dot(void) {
    float sum = 0;
    for (int i = 0; i < SIZE; i++) sum += x[i] * y[i];
    return sum;
}

__attribute__((noinline)) static void clamp(float low, float high) {
    for (int i = 0; i < SIZE; i++) {
        float value = y[i] * 0.5f - x[i];
        value = value < low ? low : value;
        z[i] = value > high ? high : value;
    }
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0;
    for (int i = 0; i < SIZE; i++) {
        x[i] = (float)(i % 5) * 0.25f;
        y[i] = (float)(i % 7) * 0.5f;
    }
    double sum = 0;
    for (int i = 0; i < n; i++) {
        saxpy(i & 1 ? -0.5f : 0.5f);
        sum += dot();
        clamp(-0.5f, 0.75f);
        sum += z[i % SIZE];
    }
    printf("saxpy %.3f\n", sum);
    return 0;
}
