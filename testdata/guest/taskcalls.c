//@ static: -static -pthread
// Calls about processes and threads that the C library seldom makes: identities, scheduling, other processes' memory and
// descriptors, signals with values, keys, restrictions, memory policies.
#define _GNU_SOURCE
#include "calls.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

// Older headers do not have these.
#undef SYS_set_mempolicy_home_node
#undef SYS_lsm_get_self_attr
#undef SYS_lsm_set_self_attr
#undef SYS_lsm_list_modules
#undef SYS_mseal
#undef SYS_process_mrelease
#undef SYS_quotactl_fd
enum { SYS_quotactl_fd = 443, SYS_process_mrelease = 448, SYS_set_mempolicy_home_node = 450 };
enum { SYS_lsm_get_self_attr = 459, SYS_lsm_set_self_attr, SYS_lsm_list_modules, SYS_mseal };

// Runs a part in a process of its own, which may give up what it has.
static void apart(void (*part)(void)) {
    pid_t child = fork();
    if (!child) part(), _exit(0);
    int status;
    waitpid(child, &status, 0);
    printf("part %x\n", status);
}

static void identities(void) {
    uid_t ids[3];
    gid_t groups[4] = {7, 8, 9};
    TRY(CALL(setgroups, 3, groups));
    TRY(CALL(getgroups, 0, 0));
    TRY(CALL(getgroups, 2, groups));
    TRY(CALL(setresgid, 5, 6, 7));
    TRY(CALL(getresgid, &ids[0], &ids[1], &ids[2]));
    printf("%u %u %u\n", ids[0], ids[1], ids[2]);
    TRY(CALL(setregid, -1, 5));
    TRY(CALL(setgid, 4));
    TRY(CALL(setfsgid, 3));
    TRY(CALL(setfsgid, -1));
    TRY(CALL(setresuid, 5, 6, 0));
    TRY(CALL(getresuid, &ids[0], &ids[1], &ids[2]));
    printf("%u %u %u\n", ids[0], ids[1], ids[2]);
    TRY(CALL(setreuid, -1, 0));
    TRY(CALL(setfsuid, 9));
    TRY(CALL(setfsuid, -1));
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    TRY(CALL(capget, &head, sets));
    printf("%x %x\n", sets[0].effective & 0xff, sets[0].inheritable);
    sets[0].effective = 1 << CAP_CHOWN | 1 << CAP_SETUID;
    TRY(CALL(capset, &head, sets));
    head.version = 5;
    TRY(CALL(capget, &head, sets));
    printf("%x\n", head.version);
    TRY(CALL(setuid, 12));
    TRY(CALL(setuid, 0));
    TRY(CALL(setpgid, 0, 0));
    TRY(CALL(getpgid, 0) == getpid());
    TRY(CALL(getpgid, 0x7fffffff));
    TRY(CALL(getsid, 0) > 0);
    TRY(CALL(sethostname, "name", 4));
    TRY(CALL(settimeofday, 0, 0));
}

static void names(void) {
    char name[65];
    TRY(unshare(CLONE_NEWUTS));
    TRY(CALL(sethostname, "another", 7));
    TRY(gethostname(name, sizeof name));
    puts(name);
    TRY(CALL(setdomainname, "domain", 6));
    TRY(getdomainname(name, sizeof name));
    puts(name);
    TRY(CALL(sethostname, "another", 65));
}

struct attr { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t runtime, deadline, period; uint32_t low, high; };

static void scheduling(void) {
    struct sched_param parameter = {3};
    struct timespec interval;
    TRY(CALL(sched_get_priority_max, SCHED_FIFO));
    TRY(CALL(sched_get_priority_min, SCHED_RR));
    TRY(CALL(sched_get_priority_min, 77));
    TRY(CALL(sched_setscheduler, 0, SCHED_FIFO, &parameter));
    TRY(CALL(sched_getscheduler, 0));
    parameter.sched_priority = 2;
    TRY(CALL(sched_setparam, 0, &parameter));
    parameter.sched_priority = 9;
    TRY(CALL(sched_getparam, 0, &parameter));
    printf("%d\n", parameter.sched_priority);
    TRY(CALL(sched_rr_get_interval, 0, &interval));
    parameter.sched_priority = 0;
    TRY(CALL(sched_setscheduler, 0, SCHED_BATCH, &parameter));
    struct attr attr = {sizeof attr, SCHED_OTHER, 0, 4};
    TRY(CALL(sched_setattr, 0, &attr, 0));
    memset(&attr, 0, sizeof attr);
    TRY(CALL(sched_getattr, 0, &attr, sizeof attr, 0));
    printf("%u %d\n", attr.policy, attr.nice);
    TRY(CALL(setpriority, PRIO_PROCESS, 0, 7));
    TRY(CALL(getpriority, PRIO_PROCESS, 0));
    TRY(CALL(setpriority, 9, 0, 7));
    TRY(CALL(ioprio_set, 1, 0, 2 << 13 | 5));
    TRY(CALL(ioprio_get, 1, 0));
    TRY(CALL(ioprio_set, 1, 0, 7 << 13));
    struct rlimit limit, old;
    TRY(CALL(prlimit64, 0, RLIMIT_NOFILE, 0, &old));
    limit = (struct rlimit){50, old.rlim_max};
    TRY(CALL(prlimit64, getpid(), RLIMIT_NOFILE, &limit, 0));
    TRY(CALL(prlimit64, getppid(), RLIMIT_NOFILE, 0, &limit) == 0 && limit.rlim_cur == old.rlim_cur);
    TRY(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 50);
    TRY(CALL(prlimit64, 0, 99, 0, &limit));
}

static int shared_number = 5;

// A child that waits, and what its parent does with its memory and descriptors.
static void others(void) {
    int ready[2], number = 0, written = 42;
    pipe(ready);
    static char page[8192] __attribute__((aligned(4096)));
    page[0] = 'p';
    pid_t child = fork();
    if (!child) {
        shared_number = 17;
        write(ready[1], "x", 1);
        for (;;) pause();
    }
    char byte;
    read(ready[0], &byte, 1);
    struct iovec here = {&number, sizeof number}, there = {&shared_number, sizeof number};
    TRY(CALL(process_vm_readv, child, &here, 1, &there, 1, 0));
    printf("%d\n", number);
    here.iov_base = &written;
    TRY(CALL(process_vm_writev, child, &here, 1, &there, 1, 0));
    here.iov_base = &number;
    TRY(CALL(process_vm_readv, child, &here, 1, &there, 1, 0));
    printf("%d\n", number);
    there.iov_base = (void *)8;
    TRY(CALL(process_vm_readv, child, &here, 1, &there, 1, 0));
    TRY(CALL(process_vm_readv, child, &here, 1, &there, 1, 1));
    TRY(CALL(process_vm_readv, 0x7fffffff, &here, 1, &there, 1, 0));
    int process = CALL(pidfd_open, child, 0);
    TRY(process > 2);
    TRY(CALL(pidfd_open, child, 7));
    int copy = CALL(pidfd_getfd, process, ready[1], 0);
    TRY(write(copy, "y", 1));
    TRY(CALL(pidfd_getfd, process, 999, 0));
    struct iovec all = {page, 4096};
    TRY(CALL(process_madvise, process, &all, 1, MADV_COLD, 0));
    TRY(CALL(process_madvise, process, &all, 1, MADV_DONTNEED, 0));
    TRY(CALL(process_mrelease, process, 0));
    // KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND.
    TRY(CALL(kcmp, getpid(), child, 0, ready[0], ready[0]));
    TRY(CALL(kcmp, getpid(), child, 0, ready[0], ready[1]) != 0);
    TRY(CALL(kcmp, getpid(), getpid(), 0, ready[1], copy));
    for (int kind = 1; kind < 5; kind++) TRY(CALL(kcmp, getpid(), child, kind, 0, 0) != 0);
    for (int kind = 1; kind < 5; kind++) TRY(CALL(kcmp, getpid(), getpid(), kind, 0, 0));
    TRY(CALL(kcmp, getpid(), child, 99, 0, 0));
    TRY(CALL(kcmp, getpid(), 0x7fffffff, 1, 0, 0));
    TRY(CALL(pidfd_send_signal, process, 0, 0, 0));
    TRY(CALL(pidfd_send_signal, process, SIGTERM, 0, 0));
    struct pollfd ended = {process, POLLIN};
    TRY(poll(&ended, 1, -1));
    siginfo_t info;
    TRY(waitid(3 /* P_PIDFD */, process, &info, WEXITED));
    printf("%d %d\n", info.si_code, info.si_status);
    TRY(CALL(pidfd_send_signal, process, SIGTERM, 0, 0));
}

static volatile int got, value, code;

static void handler(int signal, siginfo_t *info, void *context) {
    got = signal, value = info->si_value.sival_int, code = info->si_code;
}

static void signals(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigset_t set, none;
    siginfo_t info = {.si_signo = SIGRTMIN + 3, .si_code = SI_QUEUE};
    sigemptyset(&set), sigemptyset(&none);
    sigaction(SIGUSR1, &action, 0), sigaction(SIGRTMIN + 3, &action, 0);
    TRY(CALL(tkill, gettid(), SIGUSR1));
    printf("%d %d\n", got == SIGUSR1, code == SI_TKILL);
    TRY(CALL(tgkill, getpid(), gettid(), SIGUSR1));
    TRY(CALL(tgkill, getpid() + 1, gettid(), SIGUSR1));
    TRY(CALL(tkill, -1, SIGUSR1));
    info.si_value.sival_int = 77;
    TRY(CALL(rt_sigqueueinfo, getpid(), SIGRTMIN + 3, &info));
    printf("%d %d\n", value, code == SI_QUEUE);
    info.si_value.sival_int = 78;
    TRY(CALL(rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN + 3, &info));
    printf("%d\n", value);
    sigaddset(&set, SIGUSR1), sigaddset(&set, SIGRTMIN + 3);
    TRY(CALL(rt_sigprocmask, SIG_BLOCK, &set, 0, 8));
    TRY(CALL(rt_sigprocmask, SIG_BLOCK, &set, 0, 7));
    kill(getpid(), SIGUSR1);
    sigset_t pending;
    TRY(CALL(rt_sigpending, &pending, 8));
    printf("pending %d %d\n", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2));
    struct timespec soon = {0, 1000000};
    TRY(CALL(rt_sigtimedwait, &set, &info, &soon, 8) == SIGUSR1);
    TRY(CALL(rt_sigtimedwait, &set, &info, &soon, 8));
    int file = CALL(signalfd4, -1, &set, 8, SFD_NONBLOCK);
    struct signalfd_siginfo told;
    TRY(read(file, &told, sizeof told));
    kill(getpid(), SIGUSR1);
    TRY(read(file, &told, sizeof told));
    printf("%d %d\n", told.ssi_signo == SIGUSR1, told.ssi_pid == getpid());
    kill(getpid(), SIGUSR1);
    TRY(CALL(rt_sigsuspend, &none, 8));
    printf("%d\n", got == SIGUSR1);
    struct { uint64_t handler, flags, restorer, mask; } old;
    TRY(CALL(rt_sigaction, SIGUSR1, 0, &old, 8));
    TRY(CALL(rt_sigaction, SIGKILL, &old, 0, 8));
    TRY(CALL(rt_sigaction, 65, 0, &old, 8));
    uint64_t list = 0, size = 0;
    TRY(CALL(get_robust_list, 0, &list, &size) == 0 && list != 0 && size == 24);
    TRY(CALL(set_robust_list, list, 23));
    TRY(CALL(set_robust_list, list, 24));
    TRY(CALL(set_tid_address, &got) == gettid());
}

static void restrictions(void) {
    uint64_t handled[3] = {1 << 2 /* WRITE_FILE... READ_FILE */};
    TRY(CALL(landlock_create_ruleset, 0, 0, 1) > 0 || errno == EOPNOTSUPP || errno == ENOSYS);
    TRY(CALL(landlock_create_ruleset, handled, 8, 8));
    int rules = CALL(landlock_create_ruleset, handled, 8, 0);
    struct { uint64_t access; int32_t fd; } __attribute__((packed)) below = {1 << 2, open("/proc", O_PATH)};
    if (rules >= 0) {
        TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        printf("rule %ld\n", CALL(landlock_add_rule, rules, 1, &below, 0));
        printf("restrict %ld\n", CALL(landlock_restrict_self, rules, 0));
        TRY(open("/dev/null", O_RDONLY));
        TRY(open("/proc/self/status", O_RDONLY) > 0);
    }
    uint32_t size = 4096;
    char buffer[4096];
    printf("lsm %s", CALL(lsm_list_modules, buffer, &size, 0) >= 0 ? "listed" : strerrorname_np(errno));
    size = 4096;
    printf(" %s", CALL(lsm_get_self_attr, 100, buffer, &size, 0) >= 0 ? "read" : strerrorname_np(errno));
    printf(" %s\n", CALL(lsm_set_self_attr, 100, buffer, 3, 0) >= 0 ? "set" : strerrorname_np(errno));
    long key = CALL(add_key, "user", "name", "payload", 7, -2 /* the process's ring */);
    printf("key %s\n", key >= 0 ? "added" : strerrorname_np(errno));
    long read = CALL(keyctl, 11 /* read */, key, buffer, 100);
    printf("keyctl %ld %.7s\n", read, read == 7 ? buffer : "");
    printf("found %d\n", CALL(request_key, "user", "name", 0, 0) == key);
    TRY(CALL(keyctl, 99));
    // MEMBARRIER_CMD_QUERY, PRIVATE_EXPEDITED, its registration.
    TRY(CALL(membarrier, 0, 0, 0) > 0);
    TRY(CALL(membarrier, 8, 0, 0));
    TRY(CALL(membarrier, 16, 0, 0));
    TRY(CALL(membarrier, 8, 0, 0));
    TRY(CALL(membarrier, 1 << 30, 0, 0));
    TRY(CALL(quotactl_fd, 0, 0, 0, 0) == -1);
}

static void policies(void) {
    char *pages = mmap(0, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned long nodes = 1;
    int mode = -1, status = -77;
    void *page = pages;
    pages[0] = 1;
    TRY(CALL(mbind, pages, 4 * 4096, 2, &nodes, 64, 0));
    TRY(CALL(get_mempolicy, &mode, 0, 0, pages, 2));
    printf("%d\n", mode);
    TRY(CALL(set_mempolicy_home_node, pages, 4096, 0, 0));
    TRY(CALL(set_mempolicy, 1, &nodes, 64));
    TRY(CALL(get_mempolicy, &mode, 0, 0, 0, 0));
    printf("%d\n", mode);
    TRY(CALL(set_mempolicy, 99, 0, 0));
    TRY(CALL(move_pages, 0, 1, &page, 0, &status, 0));
    printf("node %d\n", status);
    TRY(CALL(migrate_pages, 0, 64, &nodes, &nodes));
    TRY(CALL(mlock2, pages, 4096, 1));
    TRY(CALL(mlock2, pages, 4096, 9));
    TRY(CALL(pkey_mprotect, pages, 4096, PROT_READ, -1));
    TRY(CALL(mseal, pages + 4096, 4096, 0));
    TRY(munmap(pages + 4096, 4096));
    TRY(mprotect(pages + 4096, 4096, PROT_NONE));
    TRY(CALL(mseal, pages, 4096, 1));
    struct { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls; } clone = {.exit_signal = SIGCHLD};
    long child = CALL(clone3, &clone, sizeof clone);
    if (!child) _exit(33);
    int ended;
    TRY(waitpid(child, &ended, 0) == child);
    printf("%d\n", WEXITSTATUS(ended));
    clone.exit_signal = 99;
    TRY(CALL(clone3, &clone, sizeof clone));
    clone.exit_signal = SIGCHLD, clone.flags = CLONE_PARENT;
    TRY(CALL(clone3, &clone, sizeof clone));
    clone.flags = SIGCHLD, clone.exit_signal = 0;
    TRY(CALL(clone3, &clone, sizeof clone));
    // CLONE_NEWTIME, whose bit is a signal's in clone.
    clone.flags = 0x80, clone.exit_signal = SIGCHLD;
    child = CALL(clone3, &clone, sizeof clone);
    if (!child) _exit(34);
    printf("new time %s\n", child > 0 ? "made" : strerrorname_np(errno));
    TRY(child < 0 || waitpid(child, &ended, 0) == child && WEXITSTATUS(ended) == 34);
    clone.flags = 0;
    TRY(CALL(clone3, &clone, 8));
}

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    apart(identities);
    apart(names);
    apart(scheduling);
    apart(others);
    apart(signals);
    apart(restrictions);
    apart(policies);
    return 0;
}
