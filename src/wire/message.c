/* Messages over SOCK_SEQPACKET: see message.h. */
#include "wire/message.h"

#include "base/fd.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

void message_close_fds(int fds[MESSAGE_MAX_FDS]) {
    for (size_t i = 0; i < MESSAGE_MAX_FDS; i++)
        fds[i] = fd_close(fds[i]);
}

size_t message_count_fds(const int fds[MESSAGE_MAX_FDS]) {
    size_t count = 0;
    while (count < MESSAGE_MAX_FDS && fds[count] >= 0)
        count++;
    return count;
}

int message_pair(int ret_ends[2]) {
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends) < 0 ? -errno : 0;
}

int message_send(int fd, const struct message *message, const int *fds, size_t fd_count) {
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * MESSAGE_MAX_FDS)];
    } control;
    struct iovec part = {.iov_base = (void *)message, .iov_len = sizeof *message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count > MESSAGE_MAX_FDS)
        return -EINVAL;
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        header.msg_control = control.space;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *item = CMSG_FIRSTHDR(&header);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(item), fds, sizeof(int) * fd_count);
    }
    for (;;) {
        /* A worker behind its filter may send, but not pass descriptors: no sendmsg(2) for it. */
        ssize_t n = fd_count > 0 ? sendmsg(fd, &header, MSG_NOSIGNAL)
                                 : send(fd, message, sizeof *message, MSG_NOSIGNAL);
        if (n >= 0)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

/* Takes every descriptor that came along, also of a packet that is refused, so that none leaks. */
static size_t take_fds(struct msghdr *header, int ret_fds[MESSAGE_MAX_FDS]) {
    size_t count = 0;
    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item != NULL; item = CMSG_NXTHDR(header, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(item) + i * sizeof(int), sizeof fd);
            if (count < MESSAGE_MAX_FDS)
                ret_fds[count++] = fd;
            else
                fd_close(fd);
        }
    }
    return count;
}

int message_send_layers(int fd, const struct isolation *isolation) {
    struct message message = {.kind = MESSAGE_LAYER};
    int r = 0;
    for (uint32_t i = 0; i < LAYER_COUNT && r == 0; i++) {
        message.layer = (struct layer_report){.layer = i, .state = isolation->layers[i]};
        r = message_send(fd, &message, NULL, 0);
    }
    return r;
}

int message_receive(int fd, struct message *ret_message, int ret_fds[MESSAGE_MAX_FDS]) {
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * MESSAGE_MAX_FDS)];
    } control;
    struct message message;
    struct iovec part = {.iov_base = &message, .iov_len = sizeof message};
    /* Not sizeof control.space: padding may hold one more descriptor, and the kernel would use it
     * instead of saying that there were too many. */
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.space,
                            .msg_controllen = CMSG_LEN(sizeof(int) * MESSAGE_MAX_FDS)};
    ssize_t n;
    bool reset = false;
    for (size_t i = 0; i < MESSAGE_MAX_FDS; i++)
        ret_fds[i] = -1;
    /* Linux says once, before all else, that the other end has closed with something unread: its last words, perhaps
     * why, are still to be had. */
    do
        n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
    while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !reset && (reset = true))));
    /* Where there is no memory to take it the message stays where it is. */
    if (n < 0)
        return errno == ENOMEM ? -EAGAIN : -errno;
    size_t count = take_fds(&header, ret_fds);
    if (n == 0 && count == 0)
        return 0;
    if ((size_t)n != sizeof message || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        for (size_t i = 0; i < count; i++)
            ret_fds[i] = fd_close(ret_fds[i]);
        return -EBADMSG;
    }
    *ret_message = message;
    return 1;
}
