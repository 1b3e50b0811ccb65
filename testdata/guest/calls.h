// For programs that make calls one by one and print what comes of each.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// The result of a call, and its error.
#define TRY(call)                                                                                           \
    do {                                                                                                    \
        errno = 0;                                                                                          \
        long result = (long)(call);                                                                         \
        printf("%s = %ld %s\n", #call, result, result == -1 ? strerrorname_np(errno) : "");                 \
    } while (0)

// Whether a call that makes a descriptor does, and which error there is.
#define MAKE(variable, call)                                                                                \
    do {                                                                                                    \
        variable = (call);                                                                                  \
        printf("%s %s\n", #call, variable >= 0 ? "made" : strerrorname_np(errno));                          \
    } while (0)

#define CALL(name, ...) syscall(SYS_##name, ##__VA_ARGS__)
