# AddressSanitizer, with its shadow at fixed addresses, and UndefinedBehaviorSanitizer, on a program with threads.
cat > a.c <<'X'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
int shared;
void *t(void *a) { for (int i = 0; i < 1000; i++) __atomic_fetch_add(&shared, 1, 5); char *p = malloc(100); p[(long)a] = 1; free(p); return 0; }
int main(int c, char **v) {
    pthread_t p[4]; for (long i = 0; i < 4; i++) pthread_create(p + i, 0, t, (void *)i);
    for (int i = 0; i < 4; i++) pthread_join(p[i], 0);
    printf("%d\n", shared); fflush(stdout);
    char *q = malloc(10); if (c > 1) q[10] = 'x'; free(q);
    int n = 0x7fffffff; if (c > 1) n += c; printf("%d\n", n);
    return 3;
}
X
for s in address undefined; do
gcc -g -fsanitize=$s -pthread a.c -o a.$s; echo gcc $?
ASAN_OPTIONS=detect_leaks=0 ./a.$s; echo $s $?
ASAN_OPTIONS=detect_leaks=0 ./a.$s x 2>err; echo $s $?; grep -E "ERROR|WARN|runtime error" err | sed 's/0x[0-9a-f]*//g; s/==[0-9]*==//'
done
