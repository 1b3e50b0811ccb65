//@ static: -static -pthread
// Calls that wait, and what they wait for: System V and POSIX queues, semaphores and memory, asynchronous I/O, timers,
// clocks, events, futexes.
#define _GNU_SOURCE
#include "calls.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Older headers do not have these.
#undef SYS_futex_waitv
#undef SYS_futex_wake
#undef SYS_futex_wait
#undef SYS_futex_requeue
enum { SYS_futex_waitv = 449, SYS_futex_wake = 454, SYS_futex_wait, SYS_futex_requeue };

static void system_five(void) {
    struct shmid_ds memory = {0};
    int id = CALL(shmget, IPC_PRIVATE, 8192, IPC_CREAT | 0600);
    TRY(id >= 0);
    char *first = (void *)CALL(shmat, id, 0, 0), *second = (void *)CALL(shmat, id, 0, SHM_RDONLY);
    first[5000] = 'x';
    printf("%c\n", second[5000]);
    TRY(CALL(shmctl, id, IPC_STAT, &memory));
    printf("%ld %ld %o\n", (long)memory.shm_segsz, (long)memory.shm_nattch, memory.shm_perm.mode);
    TRY(CALL(shmctl, id, IPC_RMID, 0));
    TRY(CALL(shmdt, second));
    TRY(CALL(shmdt, second));
    first[6000] = 1;
    TRY(CALL(shmdt, first));
    TRY(CALL(shmat, id, 0, 0));
    TRY(CALL(shmget, IPC_PRIVATE, 0, IPC_CREAT));

    struct semid_ds semaphores = {0};
    unsigned short values[3] = {1, 2, 3};
    id = CALL(semget, IPC_PRIVATE, 3, IPC_CREAT | 0600);
    TRY(id >= 0);
    TRY(CALL(semctl, id, 0, SETALL, values));
    struct sembuf operations[2] = {{0, -1, IPC_NOWAIT}, {2, 4, SEM_UNDO}};
    TRY(CALL(semop, id, operations, 2));
    TRY(CALL(semop, id, operations, 1));
    struct timespec soon = {0, 2000000};
    operations[0].sem_flg = 0;
    TRY(CALL(semtimedop, id, operations, 1, &soon));
    TRY(CALL(semctl, id, 2, GETVAL, 0));
    TRY(CALL(semctl, id, 0, IPC_STAT, &semaphores));
    printf("%ld %d %d\n", (long)semaphores.sem_nsems, semaphores.sem_otime != 0, semaphores.sem_ctime != 0);
    TRY(CALL(semctl, id, 0, IPC_RMID, 0));
    TRY(CALL(semop, id, operations, 1));

    struct { long type; char text[32]; } message = {3, "third"}, got;
    struct msqid_ds queue = {0};
    id = CALL(msgget, IPC_PRIVATE, IPC_CREAT | 0600);
    TRY(id >= 0);
    TRY(CALL(msgsnd, id, &message, 6, 0));
    message.type = 5, strcpy(message.text, "fifth one");
    TRY(CALL(msgsnd, id, &message, 10, IPC_NOWAIT));
    TRY(CALL(msgctl, id, IPC_STAT, &queue));
    printf("%ld %ld\n", (long)queue.msg_qnum, (long)queue.__msg_cbytes);
    TRY(CALL(msgrcv, id, &got, 4, 5, 0));
    TRY(CALL(msgrcv, id, &got, 4, 5, MSG_NOERROR));
    printf("%ld %.4s\n", got.type, got.text);
    TRY(CALL(msgrcv, id, &got, 32, -4L, 0));
    printf("%ld %s\n", got.type, got.text);
    TRY(CALL(msgrcv, id, &got, 32, 0, IPC_NOWAIT));
    TRY(CALL(msgctl, id, IPC_RMID, 0));
    TRY(CALL(msgsnd, id, &message, 6, 0));
}

static void queues(void) {
    char name[64], text[64];
    snprintf(name, sizeof name, "philae-%d", getpid());
    struct mq_attr attributes = {.mq_maxmsg = 3, .mq_msgsize = 32}, old;
    int queue = CALL(mq_open, name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attributes);
    TRY(queue > 2);
    TRY(CALL(mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes));
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 9};
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigprocmask(SIG_BLOCK, &set, 0);
    TRY(CALL(mq_notify, queue, &event));
    TRY(CALL(mq_timedsend, queue, "low", 3, 1, 0));
    siginfo_t info;
    TRY(sigwaitinfo(&set, &info) == SIGUSR1);
    printf("%d %d\n", info.si_code == SI_MESGQ, info.si_value.sival_int);
    TRY(CALL(mq_timedsend, queue, "high", 4, 7, 0));
    TRY(CALL(mq_timedsend, queue, text, 33, 7, 0));
    unsigned priority = 0;
    struct timespec past = {1, 0};
    TRY(CALL(mq_timedreceive, queue, text, 32, &priority, 0));
    printf("%.4s %u\n", text, priority);
    TRY(CALL(mq_timedreceive, queue, text, 5, &priority, 0));
    attributes.mq_flags = 0;
    TRY(CALL(mq_getsetattr, queue, &attributes, &old));
    printf("%ld %ld %d\n", old.mq_maxmsg, old.mq_curmsgs, (old.mq_flags & O_NONBLOCK) != 0);
    TRY(CALL(mq_timedreceive, queue, text, 32, &priority, 0));
    TRY(CALL(mq_timedreceive, queue, text, 32, &priority, &past));
    TRY(CALL(mq_unlink, name));
    TRY(CALL(mq_unlink, name));
    close(queue);
}

static void asynchronous(void) {
    aio_context_t context = 0;
    TRY(CALL(io_setup, 4, &context));
    int file = memfd_create("aio", 0);
    char text[16] = "";
    struct iocb write = {.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = file, .aio_buf = (uintptr_t)"some bytes", .aio_nbytes = 10, .aio_data = 1};
    struct iocb read = {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = file, .aio_buf = (uintptr_t)text, .aio_nbytes = 4, .aio_offset = 5, .aio_data = 2};
    struct iocb *list[2] = {&write, &read}, wrong = {.aio_lio_opcode = 77}, *bad = &wrong;
    struct io_event events[4];
    TRY(CALL(io_submit, context, 1, list));
    TRY(CALL(io_getevents, context, 1, 4, events, 0));
    printf("%d %lld\n", (int)events[0].data, (long long)events[0].res);
    TRY(CALL(io_submit, context, 1, list + 1));
    TRY(CALL(io_pgetevents, context, 1, 4, events, 0, 0));
    printf("%d %lld %s\n", (int)events[0].data, (long long)events[0].res, text);
    TRY(CALL(io_submit, context, 1, &bad));
    TRY(CALL(io_cancel, context, &read, events));
    struct timespec none = {0, 0};
    TRY(CALL(io_getevents, context, 1, 1, events, &none));
    TRY(CALL(io_destroy, context));
    TRY(CALL(io_destroy, context));
    close(file);
}

static void readiness(void) {
    int ends[2], event = CALL(eventfd2, 3, O_NONBLOCK);
    uint64_t number = 0;
    pipe(ends);
    TRY(read(event, &number, 8));
    printf("%d\n", (int)number);
    TRY(read(event, &number, 8));
    int set = epoll_create1(0);
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef}, got[4] = {0};
    TRY(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &wanted));
    wanted.data.u64 = 5;
    TRY(epoll_ctl(set, EPOLL_CTL_ADD, event, &wanted));
    write(ends[1], "x", 1);
    TRY(CALL(epoll_pwait, set, got, 4, -1, 0, 8));
    printf("%x %llx\n", got[0].events, (unsigned long long)got[0].data.u64);
    number = 1, write(event, &number, 8);
    struct timespec none = {0, 0};
    TRY(CALL(epoll_pwait2, set, got, 4, &none, 0, 8));
    printf("%llx\n", (unsigned long long)(got[0].data.u64 ^ got[1].data.u64));
    TRY(CALL(epoll_pwait, set, got, 0, 0, 0, 8));
    fd_set reading;
    FD_ZERO(&reading);
    FD_SET(ends[0], &reading);
    TRY(CALL(pselect6, ends[0] + 1, &reading, 0, 0, &none, 0));
    printf("%d\n", FD_ISSET(ends[0], &reading));
    TRY(CALL(pselect6, -1, &reading, 0, 0, &none, 0));
}

static volatile int expired, thread_told;

static void handler(int signal, siginfo_t *info, void *context) { expired++, thread_told = gettid(); }

static void times(void) {
    struct itimerval interval = {{0, 0}, {100, 0}}, left;
    TRY(CALL(setitimer, ITIMER_REAL, &interval, 0));
    TRY(CALL(getitimer, ITIMER_REAL, &left));
    printf("%d\n", left.it_value.tv_sec >= 90);
    interval.it_value.tv_sec = 0;
    setitimer(ITIMER_REAL, &interval, 0);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR2, &action, 0);
    // SIGEV_THREAD_ID: to this thread.
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2};
    event._sigev_un._tid = gettid();
    int timer;
    TRY(CALL(timer_create, CLOCK_MONOTONIC, &event, &timer));
    struct itimerspec soon = {{0, 0}, {0, 1000000}}, rest;
    TRY(CALL(timer_settime, timer, 0, &soon, 0));
    while (!expired) usleep(1000);
    printf("told %d\n", thread_told == gettid());
    TRY(CALL(timer_gettime, timer, &rest));
    printf("%ld\n", rest.it_value.tv_nsec);
    TRY(CALL(timer_getoverrun, timer));
    TRY(CALL(timer_delete, timer));
    TRY(CALL(timer_gettime, timer, &rest));
    event._sigev_un._tid = 1;
    TRY(CALL(timer_create, CLOCK_MONOTONIC, &event, &timer));
    int file = CALL(timerfd_create, CLOCK_MONOTONIC, O_NONBLOCK);
    soon.it_value.tv_sec = 100;
    TRY(CALL(timerfd_settime, file, 0, &soon, 0));
    TRY(CALL(timerfd_gettime, file, &rest));
    printf("%d\n", rest.it_value.tv_sec >= 90);
    TRY(CALL(timerfd_gettime, 0, &rest));
    struct timex clock = {.modes = 0};
    TRY(CALL(adjtimex, &clock) >= 0);
    TRY(clock.tick > 0);
    memset(&clock, 0, sizeof clock);
    TRY(CALL(clock_adjtime, CLOCK_REALTIME, &clock) >= 0);
    TRY(CALL(clock_adjtime, 77, &clock));
    struct timespec wrong = {0, -1};
    TRY(CALL(clock_settime, CLOCK_MONOTONIC, &wrong));
    TRY(CALL(clock_settime, CLOCK_REALTIME, &wrong));
    struct timeval bad = {0, -1};
    TRY(CALL(settimeofday, &bad, 0));
}

static uint32_t first, second;

static void *sleeper(void *unused) {
    // FUTEX2_SIZE_U32 | FUTEX2_PRIVATE
    while (CALL(futex_wait, &first, 0L, 0xfffffffful, 2 | 128, 0, 0) == -1 && errno == EINTR) {}
    return unused;
}

static void futexes(void) {
    struct timespec past = {1, 0};
    errno = 0;
    if (CALL(futex_wait, &first, 1L, 0xfffffffful, 2 | 128, 0, 0) == -1 && errno == ENOSYS) return (void)puts("no new futexes");
    TRY(CALL(futex_wait, &first, 1L, 0xfffffffful, 2 | 128, 0, 0));
    TRY(CALL(futex_wait, &first, 0L, 0xfffffffful, 2 | 128, &past, CLOCK_MONOTONIC));
    TRY(CALL(futex_wake, &first, 0xfffffffful, 1, 2 | 128));
    TRY(CALL(futex_wake, &first, 0xfffffffful, 1, 77));
    pthread_t thread;
    pthread_create(&thread, 0, sleeper, 0);
    struct { uint64_t value, address; uint32_t flags, reserved; } pair[2] = {
        {0, (uintptr_t)&first, 2 | 128}, {0, (uintptr_t)&second, 2 | 128}};
    while (CALL(futex_requeue, pair, 0, 0, 1) == 0) usleep(1000);
    TRY(CALL(futex_wake, &first, 0xfffffffful, 1, 2 | 128));
    TRY(CALL(futex_wake, &second, 0xfffffffful, 1, 2 | 128));
    pthread_join(thread, 0);
    pair[1].value = 1;
    TRY(CALL(futex_waitv, pair, 2, 0, 0, 0));
    pair[1].value = 0;
    TRY(CALL(futex_waitv, pair, 2, 0, &past, CLOCK_MONOTONIC));
}

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    system_five();
    queues();
    asynchronous();
    readiness();
    times();
    futexes();
    return 0;
}
