# gcc and make: a program of many files built by several jobs, run, and built again.
mkdir parts
i=0
while [ $i -lt 24 ]; do
    cat > parts/p$i.c <<X
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
long part$i(long seed) {
    int numbers[200];
    for (int n = 0; n < 200; n++) numbers[n] = (seed = seed * 1103515245 + 12345 + $i) >> 16 & 0x7fff;
    qsort(numbers, 200, sizeof *numbers, compare);
    char text[64];
    snprintf(text, sizeof text, "%d %d %.3f", numbers[0], numbers[199], numbers[100] / 7.0);
    return seed ^ (long)strlen(text);
}
X
    i=$((i + 1))
done
{
    seq 0 23 | sed 's/.*/long part&(long);/'
    echo 'int printf(const char *, ...);'
    echo 'int main(void) { long seed = 1;'
    seq 0 23 | sed 's/.*/seed = part&(seed);/'
    printf '%s\n' 'printf("%ld\n", seed); return seed & 7; }'
} > main.c
cat > Makefile <<'X'
parts := $(patsubst %.c,%.o,$(wildcard parts/*.c)) main.o
program: $(parts)
	gcc -o $@ $^
%.o: %.c
	gcc -O2 -Wall -c -o $@ $<
X
make -s -j4 program
echo "make $?"
./program
echo "ended with $?"
touch parts/p3.c
make -j4 program
echo 'int f(void) { return undeclared; }' > bad.c
gcc -c bad.c 2>&1 | sed -n 2p
echo 'static _Thread_local int n; int main(void) { n = 3; return n + __builtin_popcount(255) - 11; }' | gcc -x c -static -flto -O3 -o small - && ./small
echo "ended with $?"
