// Sends to the AF_UNIX socket that the argument names, by each call that can, and is told of it by each call that can.
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
    // An abstract name of the kernel's choice, so that it can be answered.
    sa_family_t family = AF_UNIX;
    if (bind(one, (struct sockaddr *)&family, sizeof family)) return 2;
    struct iovec text = {"by message", 10};
    struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &text, .msg_iovlen = 1};
    struct mmsghdr messages[2] = {{message, 0}, {message, 0}};
    printf("sendto %zd\n", sendto(one, "to", 2, 0, (struct sockaddr *)&address, sizeof address));
    printf("sendmsg %zd\n", sendmsg(one, &message, 0));
    printf("sendmmsg %d", sendmmsg(one, messages, 2, 0));
    printf(" %u %u\n", messages[0].msg_len, messages[1].msg_len);
    printf("connect %d", connect(one, (struct sockaddr *)&address, sizeof address));
    printf(" write %zd\n", write(one, "connected", 9));
    struct sockaddr_un peer = {0};
    socklen_t length = sizeof peer;
    int done = getpeername(one, (struct sockaddr *)&peer, &length);
    printf("getpeername %d %s %u\n", done, peer.sun_path, length);
    char word[16] = "", few[5] = "";
    length = sizeof peer, memset(&peer, 0, sizeof peer);
    done = recvfrom(one, word, sizeof word, 0, (struct sockaddr *)&peer, &length);
    printf("recvfrom %d %s from %s %u\n", done, word, peer.sun_path, length);
    length = sizeof few;
    done = getpeername(one, (struct sockaddr *)few, &length);
    printf("cut short %d %.3s %u\n", done, few + 2, length);
    text = (struct iovec){word, sizeof word}, memset(&peer, 0, sizeof peer);
    message = (struct msghdr){.msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = &text, .msg_iovlen = 1};
    done = recvmsg(one, &message, 0);
    printf("recvmsg %d %s from %s %u %d\n", done, word, peer.sun_path, message.msg_namelen, message.msg_name == &peer);
    memset(&peer, 0, sizeof peer), messages[0].msg_hdr = message, messages[0].msg_hdr.msg_namelen = sizeof peer;
    done = recvmmsg(one, messages, 1, 0, 0);
    printf("recvmmsg %d %u from %s %u\n", done, messages[0].msg_len, peer.sun_path, messages[0].msg_hdr.msg_namelen);
    return 0;
}
