// Sends to the AF_UNIX socket that the argument names, by each call that can.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 2) return 1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
    int one = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct iovec text = {"by message", 10};
    struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &text, .msg_iovlen = 1};
    struct mmsghdr messages[2] = {{message, 0}, {message, 0}};
    printf("sendto %zd\n", sendto(one, "to", 2, 0, (struct sockaddr *)&address, sizeof address));
    printf("sendmsg %zd\n", sendmsg(one, &message, 0));
    printf("sendmmsg %d", sendmmsg(one, messages, 2, 0));
    printf(" %u %u\n", messages[0].msg_len, messages[1].msg_len);
    printf("connect %d", connect(one, (struct sockaddr *)&address, sizeof address));
    printf(" write %zd\n", write(one, "connected", 9));
    return 0;
}
