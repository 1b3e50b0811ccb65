// Clocks, sleeps, timers and the limits and counters of the process. Prints only what is the same every time.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "again.h"

static volatile sig_atomic_t rings;
static void ring(int signal) { rings += signal != 0; }

static double now(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time)) exit(2);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int body(int argc, char **argv) {
    (void)argc, (void)argv;
    double monotonic = now(CLOCK_MONOTONIC), real = now(CLOCK_REALTIME);
    struct timeval day;
    gettimeofday(&day, 0);
    printf("agree %d %d\n", real - (double)day.tv_sec < 2, time(0) - day.tv_sec < 2);
    struct timespec pause = {0, 30000000}, resolution;
    nanosleep(&pause, 0);
    double slept = now(CLOCK_MONOTONIC) - monotonic;
    printf("slept %d\n", slept >= 0.03 && slept < 10);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 20000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    printf("absolute %d\n", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0));
    clock_getres(CLOCK_REALTIME, &resolution);
    printf("resolution %d\n", resolution.tv_sec == 0 && resolution.tv_nsec > 0);
    double last = 0;
    int backward = 0;
    for (int i = 0; i < 10000; i++) {
        double next = now(CLOCK_MONOTONIC);
        backward += next < last;
        last = next;
    }
    printf("backward %d\n", backward);
    double cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    for (volatile int i = 0; i < 3000000; i++) {}
    printf("cpu time %d %d\n", now(CLOCK_PROCESS_CPUTIME_ID) > cpu, clock() > 0);
    struct timespec bad = {0, 1000000000};
    int slept_badly = nanosleep(&bad, 0);
    printf("bad sleep %d %s\n", slept_badly, strerrorname_np(errno));
    signal(SIGALRM, ring);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec often = {{0, 5000000}, {0, 5000000}};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &often, 0)) return 3;
    while (rings < 5) {}
    timer_delete(timer);
    printf("timer %d\n", rings >= 5);
    time_t fixed = 1700000000;
    struct tm parts;
    char text[64];
    setenv("TZ", "UTC0", 1);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %A", localtime_r(&fixed, &parts));
    puts(text);
    struct rlimit limit;
    printf("limits %d", getrlimit(RLIMIT_NOFILE, &limit));
    printf(" %d\n", limit.rlim_cur > 0);
    limit.rlim_cur = 64;
    printf("set %d", setrlimit(RLIMIT_NOFILE, &limit));
    printf(" %ld\n", sysconf(_SC_OPEN_MAX));
    struct rusage usage;
    printf("usage %d", getrusage(RUSAGE_SELF, &usage));
    printf(" %d\n", usage.ru_maxrss > 0);
    struct tms counters;
    printf("times %d\n", times(&counters) != -1);
    struct sysinfo info;
    printf("sysinfo %d", sysinfo(&info));
    printf(" %d\n", info.totalram > 0);
    struct utsname names;
    uname(&names);
    printf("%s page %ld nice %d\n", names.sysname, sysconf(_SC_PAGESIZE), getpriority(PRIO_PROCESS, 0));
    return 0;
}
