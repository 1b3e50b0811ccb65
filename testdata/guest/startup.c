//@ static: -static
//@ pie: -static-pie
//@ dynamic: -pie
//@ nopie: -no-pie
// What the kernel hands to a new program: arguments, environment, auxiliary vector, stack, /proc/self.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;
static int initialised;
static int data = 7, *pointer = &data;
static _Thread_local int local = 11;
__attribute__((constructor)) static void initialise(void) { initialised = 1; }
__attribute__((destructor)) static void finish(void) { puts("destructor"); }
static void at_exit(void) { puts("atexit"); }

static int count_headers(struct dl_phdr_info *info, size_t size, void *headers) {
    (void)size;
    if (info->dlpi_name[0] == 0) *(const ElfW(Phdr) **)headers = info->dlpi_phdr;
    return 0;
}

int main(int argc, char **argv) {
    atexit(at_exit);
    printf("%d arguments:", argc);
    for (int i = 1; i < argc; i++) printf(" '%s'", argv[i]);
    printf("\nend %d name %s\n", argv[argc] == 0, strrchr(argv[0], '/') ? "with a path" : argv[0]);
    for (char **entry = environ; *entry; entry++) if (!strncmp(*entry, "PHILAE_", 7)) puts(*entry);
    printf("after the environment %d\n", (char *)environ > (char *)argv && environ == argv + argc + 1);
    printf("initialised %d %d %d\n", initialised, *pointer, local);

    const ElfW(Phdr) *headers = 0;
    dl_iterate_phdr(count_headers, &headers);
    printf("AT_PHDR %d AT_PHNUM %d AT_PHENT %lu\n", (uintptr_t)headers == getauxval(AT_PHDR), getauxval(AT_PHNUM) > 3, getauxval(AT_PHENT));
    printf("AT_PAGESZ %lu AT_CLKTCK %lu AT_SECURE %lu\n", getauxval(AT_PAGESZ), getauxval(AT_CLKTCK), getauxval(AT_SECURE));
    printf("AT_UID %d %d %d %d\n", getauxval(AT_UID) == getuid(), getauxval(AT_EUID) == geteuid(), getauxval(AT_GID) == getgid(), getauxval(AT_EGID) == getegid());
    struct utsname names;
    uname(&names);
    const char *platform = (const char *)getauxval(AT_PLATFORM);
    printf("AT_PLATFORM %d AT_HWCAP %d\n", platform && !strcmp(platform, names.machine), getauxval(AT_HWCAP) != 0);
    const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
    int bits = 0;
    for (int i = 0; i < 16; i++) bits += __builtin_popcount(random[i]);
    printf("AT_RANDOM %d\n", bits > 20 && bits < 108);
    const char *name = (const char *)getauxval(AT_EXECFN);
    printf("AT_EXECFN %d\n", name && !strcmp(strrchr(name, '/'), strrchr(program_invocation_name, '/') ? strrchr(program_invocation_name, '/') : strrchr(name, '/')));
    uintptr_t entry = getauxval(AT_ENTRY), here = (uintptr_t)main;
    printf("AT_ENTRY %d\n", (entry > here ? entry - here : here - entry) < 1 << 20);
    errno = 0;
    getauxval(9999);
    printf("AT_9999 %d\n", errno == ENOENT);

    char path[4096] = "", exe[4096] = "";
    if (readlink("/proc/self/exe", path, sizeof path - 1) < 0 || !realpath(argv[0], exe)) strcpy(exe, path);
    printf("/proc/self/exe %d\n", !strcmp(path, exe) || !strcmp(strrchr(path, '/'), strrchr(exe, '/')));
    char line[4096];
    int file = open("/proc/self/cmdline", O_RDONLY);
    ssize_t length = read(file, line, sizeof line);
    printf("/proc/self/cmdline %d %s\n", length > 0 && !strcmp(line, argv[0]), argc > 1 ? line + strlen(line) + 1 : "");
    close(file);
    file = open("/proc/self/auxv", O_RDONLY);
    unsigned long vector[2] = {0}, page = 0;
    while (read(file, vector, sizeof vector) == sizeof vector && vector[0]) if (vector[0] == AT_PAGESZ) page = vector[1];
    printf("/proc/self/auxv %lu\n", page);
    close(file);
    char comm[32] = "";
    file = open("/proc/self/comm", O_RDONLY);
    length = read(file, comm, sizeof comm - 1);
    printf("/proc/self/comm %d %s", length > 0, comm);
    char here_local;
    printf("stack %d\n", &here_local < (char *)argv && (char *)argv - &here_local < 1 << 20);
    printf("personality %d\n", personality(0xffffffff) != -1);
    return 3;
}
