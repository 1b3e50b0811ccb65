//@ static: -static
// io_uring: files by path, with flags that differ between machines, epoll events, sockets with addresses, links, a
// duplicated and a registered ring, entries that are submitted twice. Without io_uring on this kernel, one line.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "again.h"

struct ring {
    int fd;
    unsigned *head, *tail, *mask, *array, *done_head, *done_tail, *done_mask;
    struct io_uring_sqe *entries;
    struct io_uring_cqe *results;
};

static void need(int condition, const char *what) {
    if (condition) return;
    printf("%s: %s\n", what, strerror(errno));
    exit(2);
}

static struct ring open_ring(unsigned entries) {
    struct io_uring_params params = {0};
    struct ring ring = {.fd = syscall(__NR_io_uring_setup, entries, &params)};
    if (ring.fd < 0) {
        printf("io_uring_setup: %s\n", strerror(errno));
        exit(0);
    }
    size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    char *base = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQ_RING);
    ring.entries = mmap(0, params.sq_entries * sizeof *ring.entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
                        IORING_OFF_SQES);
    need(base != MAP_FAILED && ring.entries != MAP_FAILED, "mmap of rings");
    ring.head = (unsigned *)(base + params.sq_off.head);
    ring.tail = (unsigned *)(base + params.sq_off.tail);
    ring.mask = (unsigned *)(base + params.sq_off.ring_mask);
    ring.array = (unsigned *)(base + params.sq_off.array);
    ring.done_head = (unsigned *)(base + params.cq_off.head);
    ring.done_tail = (unsigned *)(base + params.cq_off.tail);
    ring.done_mask = (unsigned *)(base + params.cq_off.ring_mask);
    ring.results = (struct io_uring_cqe *)(base + params.cq_off.cqes);
    return ring;
}

// Puts an entry into the next place of the array.
static struct io_uring_sqe *push(struct ring *ring, unsigned index) {
    unsigned tail = *ring->tail;
    ring->array[tail & *ring->mask] = index;
    __atomic_store_n(ring->tail, tail + 1, __ATOMIC_RELEASE);
    return &ring->entries[index];
}

static struct io_uring_sqe *entry(struct ring *ring, int op, int fd, const void *address, unsigned length) {
    struct io_uring_sqe *entry = push(ring, *ring->tail & *ring->mask);
    *entry = (struct io_uring_sqe){.opcode = op, .fd = fd, .addr = (uintptr_t)address, .len = length};
    entry->user_data = op;
    return entry;
}

static int submit(int fd, unsigned count, unsigned wait, unsigned flags) {
    return syscall(__NR_io_uring_enter, fd, count, wait, IORING_ENTER_GETEVENTS | flags, 0, 0);
}

static int next(struct ring *ring) {
    while (*ring->done_head == __atomic_load_n(ring->done_tail, __ATOMIC_ACQUIRE))
        need(submit(ring->fd, 0, 1, 0) >= 0, "wait");
    int result = ring->results[*ring->done_head & *ring->done_mask].res;
    __atomic_store_n(ring->done_head, *ring->done_head + 1, __ATOMIC_RELEASE);
    return result;
}

// Submits what was put in last, alone.
static int run(struct ring *ring) {
    need(submit(ring->fd, 1, 1, 0) == 1, "submit");
    return next(ring);
}

static void show(const char *what, int result) {
    printf("%s: %s\n", what, result < 0 ? strerror(-result) : "ok");
}

static void files(struct ring *ring) {
    char place[] = "/tmp/philae-uring-XXXXXX", file[64], other[64], text[16] = "";
    need(mkdtemp(place) != 0, "mkdtemp");
    snprintf(file, sizeof file, "%s/file", place);
    snprintf(other, sizeof other, "%s/other", place);
    struct io_uring_sqe *open_entry = entry(ring, IORING_OP_OPENAT, AT_FDCWD, file, 0600);
    open_entry->open_flags = O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC;
    struct io_uring_sqe copy = *open_entry;
    int fd = run(ring);
    need(fd >= 0, "open");
    printf("the entry is as it was: %d\n", !memcmp(open_entry, &copy, sizeof copy));
    entry(ring, IORING_OP_WRITE, fd, "sixteen bytes", 13);
    printf("write %d\n", run(ring));
    entry(ring, IORING_OP_READ, fd, text, 7)->off = 0;
    printf("read %d %s\n", run(ring), text);
    struct statx about = {0};
    entry(ring, IORING_OP_STATX, AT_FDCWD, file, STATX_SIZE)->off = (uintptr_t)&about;
    show("statx", run(ring));
    printf("size %d\n", (int)about.stx_size);
    entry(ring, IORING_OP_SYMLINKAT, AT_FDCWD, file, 0)->off = (uintptr_t)other;
    show("symlink", run(ring));
    entry(ring, IORING_OP_OPENAT, AT_FDCWD, other, 0)->open_flags = O_RDONLY | O_NOFOLLOW;
    show("open of a link itself", run(ring));
    entry(ring, IORING_OP_OPENAT, AT_FDCWD, file, 0)->open_flags = O_RDONLY | O_DIRECTORY;
    show("open of a file as a directory", run(ring));
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY};
    entry(ring, IORING_OP_OPENAT2, AT_FDCWD, place, sizeof how)->off = (uintptr_t)&how;
    int directory = run(ring);
    printf("openat2 of a directory %d, flags as given %d\n", directory >= 0, how.flags == (O_RDONLY | O_DIRECTORY));
    entry(ring, IORING_OP_RENAMEAT, directory, "other", AT_FDCWD)->off = (uintptr_t) "/tmp/philae-uring-renamed";
    struct io_uring_sqe *rename_entry = &ring->entries[(*ring->tail - 1) & *ring->mask];
    char renamed[80];
    snprintf(renamed, sizeof renamed, "%s/renamed", place);
    rename_entry->off = (uintptr_t)renamed;
    show("rename", run(ring));
    char made[80];
    snprintf(made, sizeof made, "%s/made", place);
    entry(ring, IORING_OP_MKDIRAT, directory, "made", 0700);
    show("mkdir", run(ring));
    show("made", access(made, F_OK) ? -errno : 0);
    entry(ring, IORING_OP_UNLINKAT, AT_FDCWD, made, 0)->unlink_flags = AT_REMOVEDIR;
    show("rmdir", run(ring));
    entry(ring, IORING_OP_OPENAT, AT_FDCWD, "/nowhere/at all", 0);
    show("open of nothing", run(ring));
    entry(ring, IORING_OP_OPENAT, AT_FDCWD, (void *)16, 0);
    show("open of a bad address", run(ring));
    entry(ring, IORING_OP_CLOSE, fd, 0, 0);
    show("close", run(ring));
    entry(ring, IORING_OP_CLOSE, 1023, 0, 0);
    show("close of none", run(ring));
    unlink(renamed), unlink(file), rmdir(place);
}

static void events(struct ring *ring) {
    int epoll = epoll_create1(0), ends[2];
    need(epoll >= 0 && !pipe(ends), "epoll");
    struct epoll_event event = {EPOLLIN, {.u64 = 0x123456789abcdef0}}, seen = {0};
    entry(ring, IORING_OP_EPOLL_CTL, epoll, &event, EPOLL_CTL_ADD)->off = ends[0];
    show("epoll_ctl", run(ring));
    need(write(ends[1], "x", 1) == 1, "write");
    int count = epoll_wait(epoll, &seen, 1, 1000);
    printf("epoll: %d event, %#llx\n", count, (unsigned long long)seen.data.u64);
    entry(ring, IORING_OP_EPOLL_CTL, epoll, 0, EPOLL_CTL_DEL)->off = ends[0];
    show("epoll_ctl", run(ring));
    close(epoll), close(ends[0]), close(ends[1]);
}

static void sockets(struct ring *ring) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "/tmp/philae-uring-%d", getpid());
    socklen_t length = sizeof name;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    need(!bind(listener, (struct sockaddr *)&name, length) && !listen(listener, 1), "bind");
    entry(ring, IORING_OP_CONNECT, client, &name, 0)->off = length;
    show("connect", run(ring));
    entry(ring, IORING_OP_ACCEPT, listener, 0, 0);
    int server = run(ring);
    struct iovec part = {"over the ring", 13};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    entry(ring, IORING_OP_SENDMSG, client, &message, 1);
    printf("sendmsg %d\n", run(ring));
    char text[16] = "";
    entry(ring, IORING_OP_RECV, server, text, 15);
    printf("recv %d %s\n", run(ring), text);
    close(listener), close(client), close(server), unlink(name.sun_path);
}

// Two entries in one go, the second to be made when the first is done; then both again as they are.
static void again(struct ring *ring) {
    char *path = "/tmp";
    for (int round = 0; round < 2; round++) {
        unsigned first = 2, second = 5;
        struct io_uring_sqe *open_entry = push(ring, first), *stat_entry = push(ring, second);
        static struct statx about;
        if (!round) {
            *open_entry = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .flags = IOSQE_IO_LINK};
            open_entry->addr = (uintptr_t)path, open_entry->open_flags = O_RDONLY | O_DIRECTORY;
            *stat_entry = (struct io_uring_sqe){.opcode = IORING_OP_STATX, .fd = AT_FDCWD, .len = STATX_MODE};
            stat_entry->addr = (uintptr_t)path, stat_entry->off = (uintptr_t)&about;
        }
        need(submit(ring->fd, 2, 2, 0) == 2, "submit two");
        int fd = next(ring), stat_result = next(ring);
        printf("linked: %d %d, a directory %d\n", fd >= 0, stat_result, S_ISDIR(about.stx_mode));
        close(fd);
    }
}

static int open_directory(struct ring *ring, int fd, unsigned flags) {
    entry(ring, IORING_OP_OPENAT, AT_FDCWD, "/tmp", 0)->open_flags = O_RDONLY | O_DIRECTORY;
    if (submit(fd, 1, 1, flags) != 1) return -errno;
    return next(ring);
}

static void descriptors(struct ring *ring) {
    int twin = dup(ring->fd);
    show("by a duplicate", open_directory(ring, twin, 0));
    close(twin);
    struct io_uring_rsrc_update update = {.offset = -1U, .data = ring->fd};
    long registered = syscall(__NR_io_uring_register, ring->fd, IORING_REGISTER_RING_FDS, &update, 1);
    printf("registered %ld\n", registered);
    show("by its index", open_directory(ring, update.offset, IORING_ENTER_REGISTERED_RING));
    update.data = 0;
    registered = syscall(__NR_io_uring_register, ring->fd, IORING_UNREGISTER_RING_FDS, &update, 1);
    printf("unregistered %ld\n", registered);
    struct ring second = open_ring(4);
    show("another ring", open_directory(&second, second.fd, 0));
    int status = -1, child = fork();
    if (!child) _exit(open_directory(ring, ring->fd, 0) >= 0 ? 7 : 8);
    waitpid(child, &status, 0);
    printf("in a child %d\n", WEXITSTATUS(status));
    show("no ring", submit(0, 1, 0, 0) < 0 ? -errno : 0);
    show("no descriptor", submit(-1, 1, 0, 0) < 0 ? -errno : 0);
}

static void *worker(void *argument) {
    (void)argument;
    struct ring ring = open_ring(8);
    long good = 0;
    for (int i = 0; i < 200; i++) {
        int fd = open_directory(&ring, ring.fd, 0);
        good += fd >= 0;
        close(fd);
    }
    munmap(ring.entries, 8 * sizeof *ring.entries);
    close(ring.fd);
    return (void *)good;
}

static int body(int argc, char **argv) {
    (void)argc, (void)argv;
    struct ring ring = open_ring(8);
    files(&ring);
    events(&ring);
    sockets(&ring);
    again(&ring);
    descriptors(&ring);
    pthread_t threads[4];
    long good = 0;
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, worker, 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        good += (long)result;
    }
    printf("threads %ld\n", good);
    return 0;
}
