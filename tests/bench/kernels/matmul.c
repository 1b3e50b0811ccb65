// fp -O2 n=120
// Double-precision matrix product and a Gaussian elimination: scalar multiply-add over rows.
// Printed to eight digits: aarch64 contracts to fused multiply-add, x86_64 does not.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 160 };
static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static void fill(int round) {
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++) {
            a[i][j] = (i * 7 + j * 3 + round) % 11 - 5;
            b[i][j] = i == j ? 20 : 1.0 / (1 + abs(i - j));
        }
    }
}

static void multiply(void) {
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++) {
            double sum = 0;
            for (int k = 0; k < SIZE; k++) sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    }
}

static double log_determinant(void) {
    double sum = 0;
    for (int k = 0; k < SIZE; k++) {
        sum += log(fabs(b[k][k]));
        for (int i = k + 1; i < SIZE; i++) {
            double factor = b[i][k] / b[k][k];
            for (int j = k; j < SIZE; j++) b[i][j] -= factor * b[k][j];
        }
    }
    return sum;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        fill(i);
        multiply();
        for (int j = 0; j < SIZE; j++) sum += c[j][(j * 3 + i) % SIZE];
        sum += log_determinant();
    }
    printf("matmul %.8g\n", sum);
    return 0;
}
