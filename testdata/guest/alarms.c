//@ static: -static -pthread
// Signals that wait their turn: timers for a thread, queues and their order, descriptors, alternate stacks, faults
// that another thread repairs.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "again.h"

static volatile sig_atomic_t rung;
static volatile pid_t rung_in;
static volatile int rung_value, rung_code;

static void ring(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    rung_in = gettid(), rung_value = info->si_value.sival_int, rung_code = info->si_code;
    rung++;
}

static void install(int signal, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigaction(signal, &action, 0);
}

static timer_t timer_for(pid_t thread, int signal) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal, .sigev_value.sival_int = 77};
    event._sigev_un._tid = thread;
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer)) perror("timer_create");
    return timer;
}

static volatile pid_t other_thread;
static volatile int stop;

// Only counts: a signal must reach it there.
static void *spin(void *unused) {
    (void)unused;
    other_thread = gettid();
    while (!stop) __asm__ volatile("");
    return 0;
}

static void timers(void) {
    pthread_t thread;
    install(SIGRTMIN + 3, ring, 0);
    pthread_create(&thread, 0, spin, 0);
    while (!other_thread) usleep(1000);
    timer_t timer = timer_for(other_thread, SIGRTMIN + 3);
    struct itimerspec when = {{0, 2000000}, {0, 2000000}};
    timer_settime(timer, 0, &when, 0);
    while (rung < 5) usleep(1000);
    printf("in the thread %d value %d code %d\n", rung_in == other_thread, rung_value, rung_code == SI_TIMER);
    timer_delete(timer);
    stop = 1;
    pthread_join(thread, 0);
    // A blocked timer counts what it missed.
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &set, 0);
    timer = timer_for(gettid(), SIGRTMIN + 3);
    timer_settime(timer, 0, &when, 0);
    usleep(50000);
    siginfo_t info;
    printf("waited %d", sigwaitinfo(&set, &info) == SIGRTMIN + 3);
    printf(" overruns %d\n", info.si_overrun > 3);
    timer_delete(timer);
    printf("nobody %s\n", timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_THREAD_ID, ._sigev_un._tid = 1, .sigev_signo = 34}, &timer) ? strerrorname_np(errno) : "made");
    while (sigtimedwait(&set, &info, &(struct timespec){0, 0}) > 0) {}
    sigprocmask(SIG_UNBLOCK, &set, 0);
}

static char order[200];

static void note(int signal, siginfo_t *info, void *context) {
    (void)context;
    sprintf(order + strlen(order), "%d:%d ", signal >= SIGRTMIN ? signal - SIGRTMIN + 100 : signal, info->si_value.sival_int);
}

static void queues(void) {
    sigset_t all, none;
    sigfillset(&all), sigemptyset(&none);
    int signals[] = {SIGRTMIN + 5, SIGUSR1, SIGRTMIN + 1, SIGRTMIN + 5, SIGUSR1, SIGRTMAX, SIGUSR2, SIGRTMIN + 1};
    sigprocmask(SIG_BLOCK, &all, 0);
    for (int i = 0; i < 8; i++) {
        struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
        sigfillset(&action.sa_mask);
        sigaction(signals[i], &action, 0);
        sigqueue(getpid(), signals[i], (union sigval){.sival_int = i});
    }
    sigprocmask(SIG_SETMASK, &none, 0);
    printf("order %s\n", order);
    struct rlimit limit = {3, 100};
    sigprocmask(SIG_BLOCK, &all, 0);
    setrlimit(RLIMIT_SIGPENDING, &limit);
    int sent = 0;
    while (sent < 50 && sigqueue(getpid(), SIGRTMIN + 5, (union sigval){0}) == 0) sent++;
    printf("queue is full %d %s\n", sent < 50, strerrorname_np(errno));
    setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){100, 100});
    order[0] = 0;
    sigprocmask(SIG_SETMASK, &none, 0);
}

static void descriptors(void) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGSEGV), sigaddset(&set, SIGRTMIN + 2);
    sigprocmask(SIG_BLOCK, &set, 0);
    int file = signalfd(-1, &set, SFD_NONBLOCK);
    struct signalfd_siginfo info;
    printf("nothing %zd", read(file, &info, sizeof info));
    printf(" %s\n", strerrorname_np(errno));
    sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 9});
    struct pollfd entry = {file, POLLIN, 0};
    printf("ready %d\n", poll(&entry, 1, 1000));
    printf("read %zd", read(file, &info, sizeof info));
    printf(" signal %d value %d code %d mine %d\n", (int)info.ssi_signo == SIGRTMIN + 2, info.ssi_int, info.ssi_code, (int)info.ssi_pid == getpid());
    // A fault signal that was sent, not caused.
    kill(getpid(), SIGSEGV);
    sigset_t pending;
    sigpending(&pending);
    printf("SIGSEGV is pending %d\n", sigismember(&pending, SIGSEGV));
    close(file);
    signal(SIGSEGV, SIG_IGN);
    sigprocmask(SIG_UNBLOCK, &set, 0);
    signal(SIGSEGV, SIG_DFL);
}

static sigjmp_buf buffer;
static char *alternate;
static volatile int on_alternate, disarmed;

static void overflow(int signal, siginfo_t *info, void *context) {
    (void)info, (void)context;
    char here;
    stack_t now;
    sigaltstack(0, &now);
    on_alternate = &here > alternate && &here < alternate + 65536;
    disarmed = now.ss_flags;
    siglongjmp(buffer, signal);
}

static int deep(int depth) {
    volatile char frame[4096];
    frame[0] = depth;
    return depth == 0 ? 0 : deep(depth + 1) + frame[0];
}

static void stacks(void) {
    alternate = malloc(65536);
    install(SIGSEGV, overflow, SA_ONSTACK);
    setrlimit(RLIMIT_STACK, &(struct rlimit){8 << 20, RLIM_INFINITY});
    for (int autodisarm = 0; autodisarm < 2; autodisarm++) {
        stack_t stack = {.ss_sp = alternate, .ss_size = 65536, .ss_flags = autodisarm ? 1 << 31 : 0};
        sigaltstack(&stack, 0);
        int got = sigsetjmp(buffer, 1);
        if (!got) deep(1);
        printf("overflow %d on the stack %d flags %x\n", got, on_alternate, disarmed);
        sigaltstack(0, &stack);
        printf("after %x %d\n", stack.ss_flags, stack.ss_sp == alternate);
    }
    stack_t none = {.ss_flags = SS_DISABLE}, small = {.ss_sp = alternate, .ss_size = 100};
    printf("disable %d", sigaltstack(&none, 0));
    printf(" small %d", sigaltstack(&small, 0));
    printf(" %s\n", strerrorname_np(errno));
    signal(SIGSEGV, SIG_DFL);
}

static int faults;
static char *served;

static void *serve(void *unused) {
    (void)unused;
    static char page[4096] __attribute__((aligned(4096)));
    struct uffd_msg message;
    while (read(faults, &message, sizeof message) == sizeof message) {
        unsigned long at = message.arg.pagefault.address & ~4095ul;
        memset(page, 'a' + (at - (unsigned long)served) / 4096, sizeof page);
        struct uffdio_copy copy = {.dst = at, .src = (unsigned long)page, .len = 4096};
        ioctl(faults, UFFDIO_COPY, &copy);
    }
    return 0;
}

static void served_faults(void) {
    faults = syscall(SYS_userfaultfd, O_CLOEXEC);
    if (faults < 0) return (void)printf("userfaultfd %s\n", strerrorname_np(errno));
    struct uffdio_api api = {.api = UFFD_API};
    printf("api %d\n", ioctl(faults, UFFDIO_API, &api));
    served = mmap(0, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register area = {.range = {(unsigned long)served, 4 * 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    printf("register %d\n", ioctl(faults, UFFDIO_REGISTER, &area));
    pthread_t thread;
    pthread_create(&thread, 0, serve, 0);
    printf("%c%c", served[0], served[2 * 4096 + 5]);
    int ends[2];
    pipe(ends);
    // The kernel's own access waits for the thread as well.
    printf(" %zd", write(ends[1], served + 4096, 1));
    char byte;
    read(ends[0], &byte, 1);
    printf(" %c\n", byte);
    pthread_cancel(thread);
    pthread_join(thread, 0);
    close(faults);
}

static int body(int argc, char **argv) {
    (void)argc, (void)argv;
    setvbuf(stdout, 0, _IONBF, 0);
    rung = stop = other_thread = 0, order[0] = 0;
    timers();
    queues();
    descriptors();
    stacks();
    served_faults();
    return 0;
}
