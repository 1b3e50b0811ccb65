//@ static: -static
// Sockets and waiting for events: pairs, Unix and Internet streams and datagrams, poll, select, epoll, eventfd, timerfd.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "again.h"

static void need(int condition, const char *what) {
    if (condition) return;
    printf("%s: %s\n", what, strerror(errno));
    exit(2);
}

static void pairs(void) {
    int pair[2];
    char text[32] = "";
    need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
    need(write(pair[0], "to the other", 12) == 12 && read(pair[1], text, 31) == 12, "transfer");
    puts(text);
    // A descriptor and the sender's identity travel with a message.
    int ends[2], on = 1;
    need(!pipe2(ends, O_CLOEXEC), "pipe2");
    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    char control[128] = "", byte = 'm';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
    need(sendmsg(pair[0], &message, 0) == 1, "sendmsg");
    memset(control, 0, sizeof control);
    message.msg_controllen = sizeof control;
    need(recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC) == 1, "recvmsg");
    int passed = -1, pid = 0;
    for (header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_type == SCM_RIGHTS) memcpy(&passed, CMSG_DATA(header), sizeof(int));
        if (header->cmsg_type == SCM_CREDENTIALS) memcpy(&pid, CMSG_DATA(header), sizeof(int));
    }
    need(write(passed, "p", 1) == 1 && read(ends[0], &byte, 1) == 1, "passed descriptor");
    printf("passed %c from me %d\n", byte, pid == getpid());
    shutdown(pair[0], SHUT_WR);
    printf("end %zd\n", read(pair[1], text, 1));
    close(pair[1]);
    signal(SIGPIPE, SIG_IGN);
    ssize_t sent = send(pair[0], "x", 1, MSG_NOSIGNAL);
    printf("send %zd %s\n", sent, strerrorname_np(errno));
    close(pair[0]), close(ends[0]), close(ends[1]), close(passed);
}

static void internet(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, peer;
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, value = 0;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    need(!bind(listener, (void *)&address, sizeof address) && !listen(listener, 5), "listen");
    need(!getsockname(listener, (void *)&address, &length), "getsockname");
    pid_t child = fork();
    if (!child) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        char text[16] = "";
        if (connect(client, (void *)&address, sizeof address)) _exit(1);
        if (send(client, "ping", 4, 0) != 4 || recv(client, text, 4, MSG_WAITALL) != 4) _exit(2);
        _exit(memcmp(text, "pong", 4) ? 3 : 0);
    }
    length = sizeof peer;
    int connection = accept4(listener, (void *)&peer, &length, SOCK_NONBLOCK);
    char text[16] = "", name[32];
    struct pollfd ready = {connection, POLLIN, 0};
    printf("poll %d", poll(&ready, 1, 5000));
    ssize_t received = recv(connection, text, 4, 0);
    printf(" recv %zd %s from %s\n", received, text, inet_ntop(AF_INET, &peer.sin_addr, name, sizeof name));
    ssize_t none = recv(connection, text, 4, 0);
    printf("again %zd %s\n", none, strerrorname_np(errno));
    need(send(connection, "pong", 4, 0) == 4, "send");
    int status;
    waitpid(child, &status, 0);
    printf("client %d\n", status);
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    length = sizeof value;
    getsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &value, &length);
    printf("nodelay %d\n", value != 0);
    close(connection), close(listener);
    int refused = connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&address, sizeof address);
    printf("connect %d %s\n", refused, strerrorname_np(errno));

    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_port = 0;
    need(!bind(b, (void *)&address, sizeof address), "bind");
    length = sizeof address;
    getsockname(b, (void *)&address, &length);
    need(sendto(a, "one", 3, 0, (void *)&address, sizeof address) == 3, "sendto");
    need(sendto(a, "three", 5, 0, (void *)&address, sizeof address) == 5, "sendto");
    ssize_t first = recvfrom(b, text, sizeof text, 0, (void *)&peer, &length);
    ssize_t cut = recv(b, text, 2, MSG_TRUNC);
    printf("datagrams %zd %zd\n", first, cut);
    close(a), close(b);
}

static void local(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = ""};
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "philae-test-%d", (int)getpid());
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1));
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0), client = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    need(!bind(listener, (void *)&address, length) && !listen(listener, 1), "bind");
    need(!connect(client, (void *)&address, length), "connect");
    int server = accept(listener, 0, 0);
    need(send(client, "packet", 6, 0) == 6, "send");
    char text[16] = "";
    printf("packet %zd", recv(server, text, 3, 0));
    printf(" %s\n", text);
    close(client), close(server), close(listener);
}

static void events(void) {
    int pipes[2], counter = eventfd(3, EFD_NONBLOCK), timer = timerfd_create(CLOCK_MONOTONIC, 0), queue = epoll_create1(0);
    need(!pipe(pipes) && counter >= 0 && timer >= 0 && queue >= 0, "event descriptors");
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1122334455667788};
    need(!epoll_ctl(queue, EPOLL_CTL_ADD, pipes[0], &event), "epoll_ctl");
    struct epoll_event got[4];
    printf("epoll %d\n", epoll_wait(queue, got, 4, 10));
    need(write(pipes[1], "x", 1) == 1, "write");
    printf("epoll %d", epoll_wait(queue, got, 4, 1000));
    printf(" %x %llx\n", got[0].events, (unsigned long long)got[0].data.u64);
    event.events = EPOLLIN | EPOLLET, event.data.u64 = 2;
    need(!epoll_ctl(queue, EPOLL_CTL_ADD, counter, &event), "epoll_ctl");
    event.data.u64 = 3, event.events = EPOLLIN;
    need(!epoll_ctl(queue, EPOLL_CTL_ADD, timer, &event), "epoll_ctl");
    struct itimerspec soon = {{0, 0}, {0, 10000000}};
    timerfd_settime(timer, 0, &soon, 0);
    usleep(40000);
    int count = epoll_wait(queue, got, 4, 1000);
    unsigned long long ids = 0;
    for (int i = 0; i < count; i++) ids += got[i].data.u64;
    printf("epoll %d %llx\n", count, ids);
    printf("edge %d\n", epoll_wait(queue, got, 4, 0));
    int twice = epoll_ctl(queue, EPOLL_CTL_ADD, timer, &event);
    printf("twice %d %s\n", twice, strerrorname_np(errno));
    uint64_t value = 0;
    need(read(counter, &value, 8) == 8, "eventfd");
    ssize_t empty = read(counter, &value, 8);
    printf("eventfd %llu %zd %s\n", (unsigned long long)value, empty, strerrorname_np(errno));
    need(read(timer, &value, 8) == 8, "timerfd");
    printf("timerfd %llu\n", (unsigned long long)value);

    fd_set read_set, write_set;
    FD_ZERO(&read_set);
    FD_ZERO(&write_set);
    FD_SET(pipes[0], &read_set);
    FD_SET(pipes[1], &write_set);
    struct timeval limit = {1, 0};
    printf("select %d", select(pipes[1] + 1, &read_set, &write_set, 0, &limit));
    printf(" %d %d\n", !!FD_ISSET(pipes[0], &read_set), !!FD_ISSET(pipes[1], &write_set));
    struct pollfd many[3] = {{pipes[0], POLLIN, 0}, {-1, POLLIN, 0}, {999, POLLIN, 0}};
    printf("poll %d", poll(many, 3, 0));
    printf(" %x %x %x\n", many[0].revents, many[1].revents, many[2].revents);
    close(pipes[1]);
    char byte;
    need(read(pipes[0], &byte, 1) == 1, "read");
    printf("hang-up %d", poll(many, 1, 1000));
    printf(" %x\n", many[0].revents);
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, 0);
    int signals = signalfd(-1, &set, 0);
    raise(SIGUSR1);
    struct signalfd_siginfo info;
    printf("signalfd %zd", read(signals, &info, sizeof info));
    printf(" %d\n", info.ssi_signo == SIGUSR1);
    struct timespec no_time = {0, 0};
    sigset_t none;
    sigemptyset(&none);
    printf("ppoll %d\n", ppoll(many, 1, &no_time, &none));
    int watch = inotify_init1(IN_NONBLOCK);
    printf("inotify %d\n", inotify_add_watch(watch, "/tmp", IN_DELETE_SELF) > 0);
    close(watch);
}

static int body(int argc, char **argv) {
    (void)argc, (void)argv;
    setvbuf(stdout, 0, _IOLBF, 0);
    pairs();
    internet();
    local();
    events();
    return 0;
}
