// Runs one program and says what it used: measure ROOT DIRECTORY PROGRAM [ARGUMENT...]
//
// Changes its root to ROOT (- stays) and goes to DIRECTORY there. The program's output is this one's. To descriptor 2,
// as the last line: CPU seconds, user and system, of the program and all it waited for; its largest resident set in
// KiB; wall seconds; its wait status. A program that is started from here owes nothing to whoever measures it: the
// kernel counts the memory of the process that calls execve.
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    if (strcmp(argv[1], "-") && chroot(argv[1])) return perror(argv[1]), 2;
    if (chdir(argv[2])) return perror(argv[2]), 2;
    double start = now();
    pid_t child = vfork();
    if (!child) {
        alarm(900); // survives execve: a program that hangs is ended
        execv(argv[3], argv + 3);
        perror(argv[3]);
        _exit(127);
    }
    int status;
    struct rusage used;
    if (wait4(child, &status, 0, &used) != child) return perror("wait4"), 2;
    double seconds = used.ru_utime.tv_sec + used.ru_stime.tv_sec;
    double micros = used.ru_utime.tv_usec + used.ru_stime.tv_usec;
    fprintf(stderr, "\n%.6f %ld %.6f %d\n", seconds + micros / 1e6, used.ru_maxrss, now() - start, status);
    return 0;
}
