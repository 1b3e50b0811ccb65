// integer -O2 n=80
// Integer matrix product with 64-bit sums: address arithmetic and multiply-add.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 160 };
static int32_t a[SIZE][SIZE], b[SIZE][SIZE];
static int64_t product[SIZE][SIZE];

static void multiply(void) {
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++) {
            int64_t sum = 0;
            for (int k = 0; k < SIZE; k++) sum += (int64_t)a[i][k] * b[k][j];
            product[i][j] = sum;
        }
    }
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0;
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++) {
            a[i][j] = i * 3 - j;
            b[i][j] = i ^ j * 5;
        }
    }
    int64_t sum = 0;
    for (int round = 0; round < n; round++) {
        multiply();
        for (int i = 0; i < SIZE; i++) {
            sum += product[i][(i + round) % SIZE];
            a[i][i] = (int32_t)product[i][i] & 0xffff;
        }
    }
    printf("matrix %lld\n", (long long)sum);
    return 0;
}
