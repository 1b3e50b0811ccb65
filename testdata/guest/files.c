//@ static: -static
//@ dynamic:
// Files and directories: contents, offsets, names, links, modes, times, directories, descriptors, locks.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// Prints a call's result; the error's name if it failed.
#define TRY(call)                                                    \
    do {                                                             \
        errno = 0;                                                   \
        long result = (long)(call);                                  \
        printf("%s = %ld%s%s\n", #call, result, errno ? " " : "", errno ? strerrorname_np(errno) : ""); \
    } while (0)

static int visited;

static int visit(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status;
    visited += type == FTW_F || type == FTW_D || type == FTW_SL;
    if (where->level) return 0;
    return path[0] != '.';
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status, (void)type, (void)where;
    return remove(path);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void contents(void) {
    char text[64] = "";
    int file = open("file", O_RDWR | O_CREAT | O_EXCL, 0640);
    TRY(write(file, "hello, world\n", 13));
    TRY(lseek(file, 7, SEEK_SET));
    TRY(read(file, text, 5));
    puts(text);
    TRY(pwrite(file, "HELLO", 5, 0));
    TRY(pread(file, text, 12, 0));
    puts(text);
    TRY(lseek(file, 0, SEEK_CUR));
    TRY(lseek(file, 1 << 20, SEEK_END));
    TRY(write(file, "!", 1));
    TRY(lseek(file, -1, SEEK_SET));
    TRY(ftruncate(file, 100));
    TRY(lseek(file, 0, SEEK_END));
    char a[4], b[30];
    struct iovec parts[2] = {{a, 4}, {b, 9}}, write_parts[3] = {{"x", 1}, {"", 0}, {"yz", 2}};
    TRY(preadv(file, parts, 2, 0));
    printf("%.4s|%.9s", a, b);
    TRY(writev(file, write_parts, 3));
    TRY(pwritev(file, write_parts, 3, 50));
    TRY(fallocate(file, 0, 0, 8192));
    TRY(fsync(file));
    TRY(open("file", O_RDWR | O_CREAT | O_EXCL, 0640));
    TRY(open("missing", O_RDONLY));
    TRY(open("file/x", O_RDONLY));
    TRY(open(".", O_WRONLY));
    TRY(open((const char *)8, O_RDONLY));
    TRY(read(file, (void *)8, 10));
    TRY(read(99, text, 1));
    TRY(open("file", O_RDONLY | O_DIRECTORY));
    TRY(open("file", O_APPEND | O_WRONLY | O_NOFOLLOW | O_CLOEXEC) > 2);
    int copy = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600);
    off_t offset = 0;
    TRY(sendfile(copy, file, &offset, 13));
    TRY(copy_file_range(file, &(loff_t){0}, copy, 0, 5, 0));
    TRY(lseek(copy, 0, SEEK_END));
    close(copy), close(file);
}

static void descriptors(void) {
    int file = open("file", O_RDONLY);
    TRY(dup2(file, 20));
    TRY(dup3(file, 21, O_CLOEXEC));
    TRY(dup3(file, file, 0));
    TRY(fcntl(21, F_GETFD));
    TRY(fcntl(20, F_GETFD));
    TRY(fcntl(file, F_DUPFD, 30));
    TRY(fcntl(file, F_GETFL) & O_ACCMODE);
    TRY(fcntl(file, F_SETFL, O_NONBLOCK));
    TRY((fcntl(file, F_GETFL) & O_NONBLOCK) != 0);
    TRY(close(21));
    TRY(close(21));
    TRY(close_range(20, 30, 0));
    TRY(fcntl(30, F_GETFD));
    TRY(flock(file, LOCK_EX | LOCK_NB));
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 10};
    TRY(fcntl(file, F_SETLK, &lock));
    lock.l_type = F_WRLCK;
    TRY(fcntl(file, F_SETLK, &lock));
    TRY(fcntl(file, F_GETLK, &lock));
    int available = -1;
    TRY(ioctl(file, FIONREAD, &available) + available);
    struct winsize size;
    TRY(ioctl(file, TIOCGWINSZ, &size));
    TRY(isatty(file));
    char link[64], target[256] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    TRY(readlink(link, target, sizeof target) > 0);
    printf("%s\n", strrchr(target, '/'));
    close(file);
    umask(027);
    TRY(umask(022));
}

static void names(void) {
    char text[64] = "";
    struct stat status;
    TRY(link("file", "hard"));
    TRY(symlink("file", "soft"));
    TRY(symlink("nowhere", "dangling"));
    TRY(readlink("soft", text, 3));
    puts(text);
    TRY(stat("soft", &status));
    printf("%o %ld %ld %d\n", status.st_mode, (long)status.st_nlink, (long)status.st_size, (int)status.st_blksize);
    TRY(lstat("soft", &status));
    printf("%o %ld\n", status.st_mode, (long)status.st_size);
    TRY(stat("dangling", &status));
    TRY(stat("/dev/null", &status));
    printf("%d %d %d\n", S_ISCHR(status.st_mode), major(status.st_rdev), minor(status.st_rdev));
    TRY(fstatat(AT_FDCWD, "soft", &status, AT_SYMLINK_NOFOLLOW));
    struct statx extended;
    TRY(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &extended));
    printf("%llu %o\n", (unsigned long long)extended.stx_size, extended.stx_mode);
    TRY(rename("hard", "renamed"));
    TRY(renameat2(AT_FDCWD, "renamed", AT_FDCWD, "file", RENAME_NOREPLACE));
    TRY(unlink("renamed"));
    TRY(unlink("renamed"));
    TRY(access("file", R_OK | W_OK));
    TRY(access("file", X_OK));
    TRY(faccessat(AT_FDCWD, "missing", F_OK, 0));
    TRY(chmod("file", 04755));
    TRY(stat("file", &status));
    printf("%o\n", status.st_mode);
    TRY(truncate("file", 5));
    struct timespec times[2] = {{1000000000, 5}, {1234567890, 987654321}};
    TRY(utimensat(AT_FDCWD, "file", times, 0));
    TRY(stat("file", &status));
    printf("%ld.%09ld %ld\n", (long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec, (long)status.st_atim.tv_sec);
    TRY(mknod("fifo", S_IFIFO | 0600, 0));
    TRY(stat("fifo", &status));
    printf("%d\n", S_ISFIFO(status.st_mode));
    struct statvfs system;
    TRY(statvfs(".", &system));
    TRY(system.f_bsize > 0 && system.f_namemax >= 255);
}

static void directories(void) {
    char here[4096], there[4096];
    TRY(mkdir("sub", 0755));
    TRY(mkdir("sub", 0755));
    TRY(mkdir("sub/deep", 0700));
    TRY(getcwd(here, sizeof here) != 0);
    TRY(chdir("sub/deep"));
    TRY(getcwd(there, sizeof there) != 0);
    puts(there + strlen(here));
    TRY(getcwd(there, 3) != 0);
    TRY(chdir("../.."));
    TRY(rmdir("sub"));
    int directory = open("sub", O_RDONLY | O_DIRECTORY);
    TRY(mkdirat(directory, "at", 0755));
    TRY(openat(directory, "at/file", O_CREAT | O_WRONLY, 0600) > 2);
    TRY(unlinkat(directory, "deep", AT_REMOVEDIR));
    TRY(unlinkat(directory, "at", 0));
    TRY(fchdir(directory));
    TRY(access("at/file", F_OK));
    TRY(chdir(".."));
    struct dirent **entries;
    int count = scandir(".", &entries, 0, by_name);
    for (int i = 0; i < count; i++) printf("%s/%d ", entries[i]->d_name, entries[i]->d_type);
    printf("\n");
    for (int i = 0; i < 300; i++) {
        char name[40];
        snprintf(name, sizeof name, "sub/entry-number-%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    DIR *many = opendir("sub");
    int seen = 0;
    long position = 0;
    for (struct dirent *entry; (entry = readdir(many));) if (++seen == 100) position = telldir(many);
    seekdir(many, position);
    int rest = 0;
    while (readdir(many)) rest++;
    printf("entries %d, after the hundredth %d\n", seen, rest);
    closedir(many);
    TRY(nftw(".", visit, 10, FTW_PHYS));
    printf("visited %d\n", visited);
}

int main(void) {
    char directory[] = "/tmp/philae-files-XXXXXX";
    setvbuf(stdout, 0, _IOLBF, 0);
    umask(022);
    if (!mkdtemp(directory) || chdir(directory)) return 2;
    contents();
    descriptors();
    names();
    directories();
    if (chdir("/")) return 3;
    return nftw(directory, remove_entry, 10, FTW_DEPTH | FTW_PHYS);
}
