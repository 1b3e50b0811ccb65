//@ static: -static -pthread
//@ dynamic: -pthread
// What /proc says of the program itself, of its threads and of its children.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[1 << 20];

static ssize_t slurp(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return printf("%s: %s\n", path, strerrorname_np(errno)), text[0] = 0, -1;
    ssize_t size = 0, got;
    while ((got = read(file, text + size, sizeof text - 1 - size)) > 0) size += got;
    close(file);
    text[size] = 0;
    return size;
}

// The value of a line "KEY:\tVALUE" of the text read last.
static const char *value(const char *key) {
    static char line[4096];
    for (char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : 0)
        if (!strncmp(at, key, strlen(key)) && strchr(":\t ", at[strlen(key)])) {
            char *start = strchr(at, ':') + 1;
            start += strspn(start, " \t");
            snprintf(line, sizeof line, "%.*s", (int)strcspn(start, "\n"), start);
            return line;
        }
    return "none";
}

static unsigned long long hex(const char *key) { return strtoull(value(key), 0, 16); }

// Field N of stat, counted from 1; the name is field 2.
static unsigned long long field(int n) {
    char *at = strrchr(text, ')') + 1;
    for (int i = 3; i < n; i++) at = strchr(at + 1, ' ');
    return strtoull(at + 1, 0, 10);
}

static void handler(int signal) { (void)signal; }

// The protection of the mapping that holds an address, and its name's last part.
static const char *mapping(const void *address) {
    static char found[256];
    slurp("/proc/self/maps");
    for (char *line = strtok(text, "\n"); line; line = strtok(0, "\n")) {
        unsigned long start, end;
        char protection[8], name[200] = "";
        sscanf(line, "%lx-%lx %7s %*s %*s %*s %199s", &start, &end, protection, name);
        if ((uintptr_t)address < start || (uintptr_t)address >= end) continue;
        char *slash = strrchr(name, '/');
        snprintf(found, sizeof found, "%s %s", protection, slash ? strncmp(slash, "/proc.", 6) ? "other" : "program" : name);
        return found;
    }
    return "none";
}

static int entries(const char *path) {
    DIR *dir = opendir(path);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void memory(void) {
    static int data = 1;
    int local = 0;
    puts(mapping(memory));
    puts(mapping(&data));
    puts(mapping(&local));
    char *pages = mmap(0, 5 * 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + 4096, 4096, PROT_NONE);
    mprotect(pages + 2 * 4096, 4096, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 4; i++) puts(mapping(pages + 4096 * i));
    memset(pages + 2 * 4096, 1, 4096);
    slurp("/proc/self/smaps");
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%lx-%lx rw-p", (long)pages + 2 * 4096, (long)pages + 3 * 4096);
    char *at = strstr(text, wanted);
    printf("smaps has it %d\n", at != 0);
    if (at) {
        memmove(text, strchr(at, '\n') + 1, strlen(strchr(at, '\n') + 1) + 1);
        printf("Size %s Rss %s Anonymous %s\n", value("Size"), value("Rss"), value("Anonymous"));
        printf("flags %.5s\n", value("VmFlags"));
    }
    printf("rollup %d\n", slurp("/proc/self/smaps_rollup") > 0 && strstr(text, "[rollup]") != 0);
    long total = 0, unit;
    slurp("/proc/self/statm");
    long pages_before = strtol(text, 0, 10);
    mmap(0, 1000 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    slurp("/proc/self/statm");
    printf("statm grew %ld\n", strtol(text, 0, 10) - pages_before);
    slurp("/proc/self/status");
    unit = strtol(value("VmSize"), 0, 10);
    slurp("/proc/self/maps");
    for (char *line = strtok(text, "\n"); line; line = strtok(0, "\n")) {
        unsigned long start, end;
        sscanf(line, "%lx-%lx", &start, &end);
        if (!strstr(line, "[v")) total += end - start;
    }
    printf("VmSize is maps' %d\n", labs(total / 1024 - unit) < 256);
}

static void words(char **argv) {
    slurp("/proc/self/cmdline");
    printf("cmdline %d %s\n", !strcmp(text, argv[0]), text + strlen(text) + 1);
    slurp("/proc/self/environ");
    printf("environ %d\n", !strncmp(text, getenv("PATH") - 5, strlen(getenv("PATH")) + 5) || strstr(text, "=") != 0);
    ssize_t size = slurp("/proc/self/auxv");
    unsigned long *auxv = (void *)text, random = 0, last = 1;
    for (size_t i = 0; i + 1 < size / sizeof *auxv; i += 2) {
        if (auxv[i] == AT_RANDOM) random = auxv[i + 1];
        if (auxv[i] == 0) { last = 0; break; }
    }
    printf("auxv %d %lu\n", random == getauxval(AT_RANDOM), last);
    char exe[4096] = "", real[4096] = "";
    readlink("/proc/self/exe", exe, sizeof exe);
    realpath(argv[0], real);
    printf("exe %d\n", !strcmp(exe, real));
    int proc = open("/proc/self", O_RDONLY | O_DIRECTORY);
    memset(real, 0, sizeof real);
    readlinkat(proc, "exe", real, sizeof real);
    printf("exe below a descriptor %d\n", !strcmp(exe, real));
    int maps = openat(proc, "maps", O_RDONLY);
    text[read(maps, text, 4000)] = 0;
    printf("maps below a descriptor %d\n", strstr(text, "/proc.") != 0);
    close(maps), close(proc);
    // A program may write a title over its arguments.
    argv[1][0] = 'A';
    slurp("/proc/self/cmdline");
    printf("cmdline %s\n", text + strlen(text) + 1);
}

static void machine(void) {
    struct utsname names;
    uname(&names);
    slurp("/proc/sys/kernel/arch");
    printf("machine %d %d\n", !strncmp(text, names.machine, strlen(names.machine)),
           !strcmp(names.machine, sizeof(long double) == 16 && (char)-1 > 0 ? "aarch64" : "x86_64"));
    slurp("/proc/cpuinfo");
    int count = 0;
    for (char *at = text; (at = strstr(at, "processor\t:")); at++) count++;
    printf("processors %d\n", count == sysconf(_SC_NPROCESSORS_ONLN));
#ifdef __aarch64__
    // A word for each bit of HWCAP and HWCAP2.
    const char *features = value("Features");
    int bits = __builtin_popcountl(getauxval(AT_HWCAP)) + __builtin_popcountl(getauxval(AT_HWCAP2)), found = 1;
    for (const char *at = features; *at; at++) found += *at == ' ';
    printf("features %d %d\n", found == bits, !strncmp(features, "fp asimd ", 9));
#else
    const char *names_of_flags[] = {" sse4_1 ", " avx ", " ssse3 ", " popcnt ", " avx2 ", " bmi2 "};
    int has[] = {__builtin_cpu_supports("sse4.1") != 0, __builtin_cpu_supports("avx") != 0, __builtin_cpu_supports("ssse3") != 0,
                 __builtin_cpu_supports("popcnt") != 0, __builtin_cpu_supports("avx2") != 0, __builtin_cpu_supports("bmi2") != 0};
    int agree = 1;
    char flags[8192];
    snprintf(flags, sizeof flags, " %s ", value("flags"));
    for (int i = 0; i < 6; i++) agree &= (strstr(flags, names_of_flags[i]) != 0) == has[i];
    printf("features %d %d\n", agree, strstr(flags, " fpu ") != 0);
#endif
}

static pthread_barrier_t barrier;

static void *sleeper(void *name) {
    pthread_setname_np(pthread_self(), name);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return 0;
}

static void threads(void) {
    pthread_t all[3];
    pthread_barrier_init(&barrier, 0, 4);
    for (int i = 0; i < 3; i++) pthread_create(&all[i], 0, sleeper, "sleeper");
    pthread_barrier_wait(&barrier);
    slurp("/proc/self/status");
    printf("Threads %s\n", value("Threads"));
    slurp("/proc/self/stat");
    printf("num_threads %llu\n", field(20));
    printf("task %d\n", entries("/proc/self/task"));
    DIR *dir = opendir("/proc/self/task");
    int named = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[300];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        slurp(path);
        named += !strcmp(text, "sleeper\n");
    }
    closedir(dir);
    printf("named %d\n", named);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 3; i++) pthread_join(all[i], 0);
}

static void state(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGSEGV);
    sigaddset(&set, 40);
    sigprocmask(SIG_BLOCK, &set, 0);
    signal(SIGUSR2, handler);
    signal(SIGFPE, handler);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTRAP, SIG_IGN);
    raise(SIGUSR1);
    raise(SIGSEGV);
    slurp("/proc/self/status");
    printf("pid %d %d\n", atoi(value("Pid")) == getpid(), atoi(value("PPid")) == getppid());
    printf("blocked %016llx ignored %llx caught %llx pending %llx\n", hex("SigBlk"), hex("SigIgn") & 0x11, hex("SigCgt"), hex("SigPnd") | hex("ShdPnd"));
    char name[300];
    slurp("/proc/thread-self/stat");
    printf("stat pid %d ppid %d\n", atoi(text) == getpid(), field(4) == getppid());
    printf("stat blocked %llx caught %llx\n", field(32), field(34));
    int local;
    printf("code %d stack %d\n", field(26) <= (uintptr_t)state && (uintptr_t)state < field(27), field(28) > (uintptr_t)&local);
    printf("arguments %d\n", field(48) < field(49) && field(49) <= field(50) && field(50) < field(51));
    printf("heap %d\n", field(47) <= (uintptr_t)sbrk(0));
    sigpending(&set);
    signal(SIGUSR1, SIG_IGN), signal(SIGSEGV, SIG_IGN);
    sigprocmask(SIG_SETMASK, &(sigset_t){0}, 0);
    signal(SIGSEGV, SIG_DFL);
    prctl(PR_SET_NAME, "a name) with");
    slurp("/proc/self/comm");
    printf("comm %s", text);
    slurp("/proc/self/stat");
    printf("stat name %.16s\n", strchr(text, '('));
    int file = open("/proc/self/comm", O_WRONLY);
    printf("rename %zd\n", write(file, "renamed", 7));
    close(file);
    prctl(PR_GET_NAME, name);
    puts(name);
}

static void descriptors(void) {
    int before = entries("/proc/self/fd");
    int file = open("/dev/null", O_RDONLY);
    // Standard ones may be others natively; what is opened shows, and nothing else.
    printf("fds %d\n", entries("/proc/self/fd") - before);
    int above = 0;
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(dir));) above += atoi(entry->d_name) > file + 60;
    closedir(dir);
    printf("far above %d\n", above);
    close(file);
    printf("written %d\n", (file = open("/proc/self/maps", O_RDONLY)) >= 0 && write(file, "x", 1) == -1);
    close(file);
}

// The bytes that are mapped by /proc/PID/maps, but for what is the kernel's own.
static unsigned long mapped(pid_t pid) {
    char path[64];
    unsigned long total = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    slurp(path);
    for (char *line = strtok(text, "\n"); line; line = strtok(0, "\n")) {
        unsigned long start, end;
        sscanf(line, "%lx-%lx", &start, &end);
        if (!strstr(line, "[v")) total += end - start;
    }
    return total;
}

static int is_near(unsigned long a, unsigned long b) { return a < b + (256 << 10) && b < a + (256 << 10); }

// What a process that waits, or a thread of it, looks like from outside.
static void condition(pid_t pid, pid_t thread) {
    char path[64], place[40];
    unsigned long size = mapped(pid);
    snprintf(place, sizeof place, thread ? "/proc/%d/task/%d" : "/proc/%d", pid, thread);
    snprintf(path, sizeof path, "%s/status", place);
    slurp(path);
    printf("name %s", value("Name"));
    printf(" parent %d", atoi(value("PPid")) == getpid());
    printf(" threads %s\n", value("Threads"));
    printf("blocked %016llx ignored %llx caught %llx\n", hex("SigBlk"), hex("SigIgn") & 0x11, hex("SigCgt"));
    unsigned long all = strtoul(value("VmSize"), 0, 10) << 10, data = strtoul(value("VmData"), 0, 10) << 10;
    printf("size %d peak %d data %d\n", is_near(all, size), strtoul(value("VmPeak"), 0, 10) << 10 >= all, data < all && data > 1 << 12);
    snprintf(path, sizeof path, "%s/stat", place);
    slurp(path);
    printf("stat %.10s parent %d threads %llu\n", strchr(text, '('), field(4) == getpid(), field(20));
    printf("signals %llx %llx %llx size %d\n", field(32), field(33) & 0x11, field(34), is_near(field(23), size));
    printf("heap %d\n", field(47) >= field(46) && field(47) < field(28));
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    slurp(path);
    printf("statm %d\n", is_near(strtoul(text, 0, 10) * 4096, size));
    snprintf(path, sizeof path, "%s/fd", place);
    printf("descriptors %d", entries(path));
    snprintf(path, sizeof path, "%s/fdinfo", place);
    printf(" %d", entries(path));
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    printf(" tasks %d\n", entries(path));
}

// The child: has handlers, ignores and blocks something, and computes long enough to be compiled.
static int waits(char **words) {
    char byte;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, 40);
    sigprocmask(SIG_BLOCK, &set, 0);
    signal(SIGUSR2, handler), signal(SIGFPE, handler), signal(SIGHUP, SIG_IGN), signal(SIGTRAP, SIG_IGN);
    for (volatile int n = 0; n < 1000000; n++);
    write(atoi(words[2]), "x", 1);
    return read(atoi(words[3]), &byte, 1) ? 1 : 7;
}

static void child(char **argv) {
    int ready[2], done[2];
    pipe(ready), pipe(done);
    pid_t pid = fork();
    if (!pid) {
        char a[16], b[16];
        snprintf(a, 16, "%d", ready[1]), snprintf(b, 16, "%d", done[0]);
        close(ready[0]), close(done[1]);
        execl(argv[0], "child", "waits", a, b, (char *)0);
        _exit(9);
    }
    close(ready[1]), close(done[0]);
    char byte, path[64], exe[4096] = "", own[4096] = "";
    read(ready[0], &byte, 1);
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    slurp(path);
    printf("child's cmdline %s %s\n", text, text + strlen(text) + 1);
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    slurp(path);
    printf("child's comm %s", text);
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    slurp(path);
    printf("child's environ %d\n", strstr(text, "=") != 0);
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    readlink(path, exe, sizeof exe);
    readlink("/proc/self/exe", own, sizeof own);
    printf("child's exe %d\n", !strcmp(exe, own));
    int file = open(path, O_RDONLY);
    unsigned char head[20] = "", wanted[20];
    read(file, head, 20);
    int self = open("/proc/self/exe", O_RDONLY);
    read(self, wanted, 20);
    printf("child's program %d\n", !memcmp(head, wanted, 20));
    const char *files[] = {"maps", "smaps"};
    for (int n = 0; n < 2; n++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, files[n]);
        slurp(path);
        int code = 0, strange = 0, stack = 0, counted = 0;
        for (char *line = strtok(text, "\n"); line; line = strtok(0, "\n")) {
            char *file = strchr(line, '/');
            code += file && !strcmp(file, own) && strstr(line, " r-xp ");
            strange += file && strcmp(file, own) && !strstr(file, ".so") || strstr(line, " rwxp ");
            stack += strstr(line, "[stack]") != 0;
            counted += !strncmp(line, "Rss:", 4);
        }
        printf("child's %s %d %d %d %d\n", files[n], code, strange, stack, counted > 5);
    }
    condition(pid, 0);
    condition(pid, pid);
    close(done[1]);
    int status;
    waitpid(pid, &status, 0);
    printf("child %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "waits")) return waits(argv);
    close_range(3, ~0u, 0);
    words(argv);
    machine();
    memory();
    threads();
    state();
    descriptors();
    child(argv);
    return 0;
}
