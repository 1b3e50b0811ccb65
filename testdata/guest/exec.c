//@ static: -static
// execve: its errors, its limits, scripts.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "execute.h"

// Executes in a child: the error, or the program's status.
static int attempt(const char *path, char **argv, char **envp) {
    pid_t child = fork();
    if (!child) {
        execve(path, argv, envp);
        _exit(errno == 0 ? 255 : errno);
    }
    return ended(child);
}

static void put(const char *path, const char *text, int mode) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    write(file, text, strlen(text));
    fchmod(file, mode);
    close(file);
}

static void copy(const char *from, const char *to) {
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    char bytes[65536];
    for (ssize_t size; (size = read(in, bytes, sizeof bytes)) > 0;) write(out, bytes, size);
    close(in), close(out);
}

static void errors(void) {
    char *argv[] = {"name", "status", "7", 0};
    printf("plain %d\n", attempt(program, argv, none));
    printf("no such file %d\n", attempt("missing", argv, none) == ENOENT);
    printf("empty name %d\n", attempt("", argv, none) == ENOENT);
    mkdir("directory", 0700);
    printf("directory %d\n", attempt("directory", argv, none) == EACCES);
    put("text", "no program", 0700);
    printf("text %d\n", attempt("text", argv, none) == ENOEXEC);
    put("nobody", "#!/bin/sh\n", 0600);
    printf("not executable %d\n", attempt("nobody", argv, none) == EACCES);
    printf("below a file %d\n", attempt("text/below", argv, none) == ENOTDIR);
    symlink("loop", "loop");
    printf("loop %d\n", attempt("loop", argv, none) == ELOOP);
    put("badscript", "#!./missing\n", 0700);
    printf("script without interpreter %d\n", attempt("badscript", argv, none) == ENOENT);
    char name[5000];
    memset(name, 'x', sizeof name);
    name[4999] = 0;
    printf("long name %d\n", attempt(name, argv, none) == ENAMETOOLONG);
    printf("bad pointer %d\n", attempt((char *)8, argv, none) == EFAULT);
    printf("bad arguments %d\n", attempt(program, (char **)8, none) == EFAULT);
    copy(program, "busy");
    printf("copy %d\n", attempt("busy", argv, none));
    int file = open("busy", O_WRONLY | O_CLOEXEC);
    printf("open for writing %d\n", attempt("busy", argv, none) == ETXTBSY);
    close(file);
    printf("closed %d\n", attempt("busy", argv, none));
    file = open("busy", O_RDONLY | O_CLOEXEC);
    printf("open for reading %d\n", attempt("busy", argv, none));
    printf("by descriptor %d\n", syscall(SYS_execveat, file, "", 0, 0, 0) == -1 ? errno : 0);
    pid_t child = fork();
    if (!child) fexecve(file, argv, none), _exit(errno);
    printf("fexecve %d\n", ended(child));
    close(file);
    printf("write to what runs %d\n", open(program, O_WRONLY) == -1 ? errno : 0);
    printf("update it %d\n", open(program, O_RDWR | O_CLOEXEC) == -1 ? errno : 0);
    printf("empty it %d\n", open(program, O_RDONLY | O_TRUNC) == -1 ? errno : 0);
    printf("cut it %d\n", truncate(program, 0) ? errno : 0);
    printf("by its link %d\n", open("/proc/self/exe", O_WRONLY) == -1 ? errno : 0);
    printf("read it %d\n", close(open(program, O_RDONLY)));
    child = fork();
    if (!child) _exit(open(program, O_WRONLY) == -1 ? errno : 0);
    printf("from a child %d\n", ended(child));
    printf("what ran %d\n", close(open("busy", O_RDWR)));
}

static void scripts(void) {
    char text[5000], name[16] = "script0", *argv[] = {"argv0", "one", 0};
    snprintf(text, sizeof text, "#!%s show an argument\n", program);
    put(name, text, 0700);
    printf("script %d\n", attempt(name, argv, none));
    for (int depth = 1; depth < 7; depth++) {
        snprintf(text, sizeof text, "#!./script%d  x\t\n", depth - 1);
        snprintf(name, sizeof name, "script%d", depth);
        put(name, text, 0700);
        int result = attempt(name, argv, none);
        printf("nested %d: %s\n", depth, result == ELOOP ? "ELOOP" : result == 3 ? "ran" : "else");
    }
}

// The most bytes of one more argument string's repetitions that fit.
static void room(rlim_t stack) {
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    limit.rlim_cur = stack;
    setrlimit(RLIMIT_STACK, &limit);
    enum { MOST = 7 << 20, PIECE = 1000 };
    static char *argv[MOST / PIECE + 10];
    char *piece = malloc(PIECE);
    memset(piece, 'p', PIECE - 1);
    piece[PIECE - 1] = 0;
    argv[0] = "name", argv[1] = "status", argv[2] = "9";
    int low = 0, high = MOST / PIECE;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        for (int i = 0; i < middle; i++) argv[3 + i] = piece;
        argv[3 + middle] = 0;
        int result = attempt("p", argv, none);
        if (result == 9) low = middle;
        else if (result == E2BIG) high = middle;
        else return (void)printf("unexpected %d\n", result);
    }
    printf("stack %ld KiB: %d strings of 1000 fit\n", (long)stack >> 10, low);
    char *longest = malloc(200000);
    memset(longest, 'l', 200000);
    for (int size = 131070; size < 131074; size++) {
        char *long_argv[] = {"name", "status", "9", longest, 0};
        longest[size] = 0;
        printf("%d bytes: %d\n", size, attempt("p", long_argv, none) == E2BIG);
        longest[size] = 'l';
    }
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "status")) return atoi(argv[2]);
    if (argc > 2 && !strcmp(argv[1], "chain")) {
        // Programs that become each other, each in a child.
        char rest[] = {argv[2][0] - 1, 0};
        if (argv[2][0] == '0') return 5;
        pid_t child = fork();
        if (!child) execl(argv[0], argv[0], "chain", rest, (char *)0), _exit(errno);
        return ended(child);
    }
    if (argc > 1 && !strncmp(argv[1], "show", 4)) {
        if (argc == 4 && strlen(argv[2]) < 10)
            for (int i = 1; i < argc; i++) printf("'%s' ", argv[i]);
        puts("");
        fflush(stdout);
        return 3;
    }
    realpath(argv[0], program);
    char dir[] = "/tmp/exec-XXXXXX", command[100];
    chdir(mkdtemp(dir));
    setvbuf(stdout, 0, _IONBF, 0);
    symlink(program, "p");
    errors();
    scripts();
    room(8 << 20);
    room(1 << 20);
    room(256 << 10);
    snprintf(command, sizeof command, "%s", dir);
    chdir("/");
    char *names[] = {"busy", "text", "nobody", "loop", "badscript", "p", "script0", "script1", "script2", "script3", "script4", "script5", "script6"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) snprintf(command, sizeof command, "%s/%s", dir, names[i]), unlink(command);
    snprintf(command, sizeof command, "%s/directory", dir);
    rmdir(command);
    printf("removed %d\n", rmdir(dir));
    return 0;
}
