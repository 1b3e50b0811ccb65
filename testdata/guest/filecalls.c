//@ static: -static
// Calls on files that the C library seldom makes: attributes, handles, mounts as objects, pipes without copies, watches.
#define _GNU_SOURCE
#include "calls.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

// Older headers do not have these.
#undef SYS_memfd_secret
#undef SYS_cachestat
#undef SYS_fchmodat2
#undef SYS_setxattrat
#undef SYS_getxattrat
#undef SYS_listxattrat
#undef SYS_removexattrat
#undef SYS_file_getattr
#undef SYS_file_setattr
enum { SYS_memfd_secret = 447, SYS_cachestat = 451, SYS_fchmodat2 };
enum { SYS_setxattrat = 463, SYS_getxattrat, SYS_listxattrat, SYS_removexattrat, SYS_file_getattr = 468, SYS_file_setattr };

static char text[4096];

static void attributes(int file) {
    TRY(CALL(setxattr, "file", "user.first", "one", 3, 0));
    TRY(CALL(setxattr, "file", "user.first", "one", 3, 1));
    TRY(CALL(lsetxattr, "file", "user.second", "two", 3, 0));
    TRY(CALL(fsetxattr, file, "user.third", "three", 5, 0));
    TRY(CALL(getxattr, "file", "user.first", text, sizeof text));
    TRY(CALL(lgetxattr, "file", "user.second", text, 1));
    TRY(CALL(fgetxattr, file, "user.third", text, sizeof text));
    TRY(CALL(getxattr, "file", "user.none", text, sizeof text));
    TRY(CALL(listxattr, "file", text, sizeof text) > 20);
    TRY(CALL(llistxattr, "soft", text, sizeof text) >= 0);
    TRY(CALL(flistxattr, file, 0, 0) > 20);
    TRY(CALL(removexattr, "file", "user.first"));
    TRY(CALL(lremovexattr, "file", "user.second"));
    TRY(CALL(fremovexattr, file, "user.third"));
    TRY(CALL(removexattr, "file", "user.third"));
    struct { uint64_t value; uint32_t size, flags; } value = {(uintptr_t)"four", 4, 0};
    TRY(CALL(setxattrat, AT_FDCWD, "file", 0, "user.fourth", &value, sizeof value));
    value.value = (uintptr_t)text, value.size = sizeof text;
    TRY(CALL(getxattrat, AT_FDCWD, "file", 0, "user.fourth", &value, sizeof value));
    TRY(CALL(listxattrat, AT_FDCWD, "file", 0, text, sizeof text) > 10);
    TRY(CALL(removexattrat, AT_FDCWD, "file", 0, "user.fourth"));
    struct { uint64_t xflags; uint32_t extent, extents, project, cow; } attributes = {0};
    TRY(CALL(file_getattr, AT_FDCWD, "file", &attributes, sizeof attributes, 0));
    TRY(CALL(file_setattr, AT_FDCWD, "file", &attributes, sizeof attributes, 0));
    TRY(CALL(file_getattr, AT_FDCWD, "none", &attributes, sizeof attributes, 0));
}

static void names(int file, int here) {
    struct stat status;
    struct statfs system, again;
    TRY(CALL(fstat, file, &status));
    printf("%o %ld %ld\n", status.st_mode, (long)status.st_size, (long)status.st_nlink);
    TRY(CALL(newfstatat, here, "soft", &status, AT_SYMLINK_NOFOLLOW));
    printf("%o %ld\n", status.st_mode & S_IFMT, (long)status.st_size);
    TRY(CALL(statfs, ".", &system));
    TRY(CALL(fstatfs, file, &again));
    printf("the same system %d %d\n", system.f_type == again.f_type, system.f_bsize == again.f_bsize);
    TRY(CALL(fchown, file, -1, -1));
    TRY(CALL(fchownat, here, "file", -1, -1, 0));
    TRY(CALL(fchownat, here, "none", 0, 0, 0));
    TRY(CALL(mknodat, here, "pipe", S_IFIFO | 0600, 0));
    TRY(CALL(linkat, here, "file", here, "hard", 0));
    TRY(CALL(linkat, here, "none", here, "hard2", 0));
    TRY(CALL(symlinkat, "file", here, "soft2"));
    TRY(CALL(renameat, here, "hard", here, "renamed"));
    TRY(CALL(unlinkat, here, "renamed", 0));
    TRY(CALL(fchmodat, here, "file", 0640));
    TRY(CALL(fchmodat2, here, "file", 0644, 0));
    TRY(CALL(fchmodat2, here, "soft", 0600, AT_SYMLINK_NOFOLLOW));
    TRY(CALL(faccessat2, here, "soft", R_OK, AT_SYMLINK_NOFOLLOW | AT_EACCESS));
    TRY(CALL(faccessat2, here, "none", R_OK, 0));
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    int made;
    MAKE(made, CALL(openat2, here, "file", &how, sizeof how));
    MAKE(made, CALL(openat2, here, "soft", &how, sizeof how));
    how.resolve = RESOLVE_BENEATH;
    MAKE(made, CALL(openat2, here, "../x", &how, sizeof how));
    how.flags = O_DIRECTORY | O_NOFOLLOW, how.resolve = 0;
    MAKE(made, CALL(openat2, here, ".", &how, sizeof how));
    printf("flags %d\n", (fcntl(made, F_GETFL) & O_DIRECTORY) != 0);
    char entries[2048];
    TRY(CALL(getdents64, made, entries, sizeof entries) > 100);
    TRY(CALL(getdents64, made, entries, sizeof entries));
    TRY(CALL(getdents64, file, entries, sizeof entries));
    close(made);
    struct { struct file_handle head; char bytes[128]; } handle = {{128, 0}};
    int mount;
    TRY(CALL(name_to_handle_at, here, "file", &handle, &mount, 0));
    MAKE(made, CALL(open_by_handle_at, here, &handle, O_RDONLY));
    close(made);
}

static void contents(int file) {
    struct iovec parts[2] = {{text, 3}, {text + 10, 4}};
    TRY(CALL(pwrite64, file, "0123456789", 10, 2));
    TRY(CALL(pread64, file, text, 4, 3));
    printf("%.4s\n", text);
    TRY(CALL(preadv2, file, parts, 2, 2L, 0L, 0));
    printf("%.3s %.4s\n", text, text + 10);
    TRY(CALL(pwritev2, file, parts, 2, 20L, 0L, 2));
    TRY(CALL(pwritev2, file, parts, 2, -1L, -1L, 0x10));
    TRY(CALL(preadv2, file, parts, 2, 0L, 0L, 0x8000000));
    TRY(CALL(fdatasync, file));
    TRY(CALL(syncfs, file));
    TRY(CALL(readahead, file, (off_t)0, 4096));
    TRY(CALL(fadvise64, file, (off_t)0, (off_t)0, POSIX_FADV_WILLNEED));
    TRY(CALL(fadvise64, file, (off_t)0, (off_t)0, 77));
    TRY(CALL(sync_file_range, file, (off_t)0, (off_t)4096, 2));
    TRY(CALL(sync_file_range, file, (off_t)0, (off_t)4096, 99));
    uint64_t range[2] = {0, 4096}, counted[5];
    TRY(CALL(cachestat, file, range, counted, 0) == 0 || errno == EOPNOTSUPP);
    TRY(CALL(cachestat, file, range, counted, 1));
    int first[2], second[2];
    pipe(first), pipe(second);
    struct iovec given = {"given to a pipe", 15};
    TRY(CALL(vmsplice, first[1], &given, 1, 0));
    TRY(CALL(tee, first[0], second[1], 5, 0));
    loff_t offset = 40;
    TRY(CALL(splice, first[0], 0, file, &offset, 15, 0));
    printf("at %ld\n", (long)offset);
    TRY(CALL(splice, file, &offset, second[1], 0, 4, 0));
    TRY(read(second[0], text, 20));
    printf("%.5s\n", text);
    TRY(CALL(splice, file, 0, file, 0, 1, 0));
    TRY(CALL(getrandom, text, 20, 1));
    TRY(CALL(getrandom, text, 20, 64));
    int secret;
    MAKE(secret, CALL(memfd_secret, 77));
    secret = CALL(memfd_secret, 0);
    if (secret >= 0) TRY(ftruncate(secret, 4096));
    else puts("ftruncate(secret, 4096) = 0 ");
    close(secret);
}

static void watches(void) {
    int watch, number;
    MAKE(watch, CALL(inotify_init1, IN_NONBLOCK));
    number = CALL(inotify_add_watch, watch, ".", IN_CREATE | IN_DELETE | IN_MOVED_TO);
    printf("watch %d\n", number);
    close(open("new", O_CREAT | O_WRONLY, 0600)), rename("new", "newer"), unlink("newer");
    char events[1024];
    long size = read(watch, events, sizeof events);
    for (long at = 0; at < size;) {
        struct inotify_event *event = (void *)(events + at);
        printf("%x %s\n", event->mask, event->name);
        at += sizeof *event + event->len;
    }
    TRY(CALL(inotify_rm_watch, watch, number));
    TRY(CALL(inotify_rm_watch, watch, number));
    close(watch);
    MAKE(watch, CALL(fanotify_init, FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY | O_LARGEFILE));
    TRY(CALL(fanotify_mark, watch, FAN_MARK_ADD, (uint64_t)(FAN_OPEN | FAN_CLOSE), AT_FDCWD, "file"));
    close(open("file", O_RDONLY));
    size = read(watch, events, sizeof events);
    for (struct fanotify_event_metadata *event = (void *)events; FAN_EVENT_OK(event, size); event = FAN_EVENT_NEXT(event, size)) {
        struct stat status, wanted;
        fstat(event->fd, &status), stat("file", &wanted);
        printf("event %llx pid %d file %d\n", (unsigned long long)event->mask, event->pid == getpid(), status.st_ino == wanted.st_ino);
        close(event->fd);
    }
    TRY(CALL(fanotify_mark, watch, FAN_MARK_REMOVE, (uint64_t)(FAN_OPEN | FAN_CLOSE), AT_FDCWD, "file"));
    TRY(CALL(fanotify_mark, watch, FAN_MARK_ADD, (uint64_t)FAN_OPEN, AT_FDCWD, "none"));
    close(watch);
}

int main(void) {
    char directory[] = "/tmp/filecalls-XXXXXX";
    setvbuf(stdout, 0, _IONBF, 0);
    if (!mkdtemp(directory) || chdir(directory)) return 2;
    int file = open("file", O_RDWR | O_CREAT, 0644), here = open(".", O_RDONLY | O_DIRECTORY);
    symlink("file", "soft");
    attributes(file);
    names(file, here);
    contents(file);
    watches();
    for (const char *const *name = (const char *const[]){"file", "soft", "soft2", "pipe", 0}; *name; name++) unlink(*name);
    return rmdir(directory);
}
