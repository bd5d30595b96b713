/* The listening socket: see listener.h. Runs in the manager. */
#include "cli/listener.h"

#include "base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int explain(int error, const char *host, uint64_t port, struct failure *ret_failure) {
    switch (error) {
    case EADDRINUSE:
        return failure_set(ret_failure, error, "--port",
                           "%llu is in use by another program; stop it or choose another port with --port or PORT",
                           (unsigned long long)port);
    case EACCES:
        return failure_set(ret_failure, error, "--port", "%llu needs root; choose one above 1023",
                           (unsigned long long)port);
    case EADDRNOTAVAIL:
        return failure_set(ret_failure, error, "--host", "%.60s is no address of this machine", host);
    default:
        return failure_set(ret_failure, error, "--port", "cannot listen on %.60s port %llu: %s", host,
                           (unsigned long long)port, strerror(error));
    }
}

/* What people and tests are told is what there is: 0 or a negative errno. */
static int describe(int fd, char *ret_url, size_t size) {
    char host[64] = "";
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, &address.any, &length) < 0)
        return -errno;
    if (address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof host);
        snprintf(ret_url, size, "http://[%s]:%u", host, (unsigned)ntohs(address.v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof host);
        snprintf(ret_url, size, "http://%s:%u", host, (unsigned)ntohs(address.v4.sin_port));
    }
    return 0;
}

int listener_open(const char *host, uint64_t port, char *ret_url, size_t url_size, struct failure *ret_failure) {
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char service[8];
    const int on = 1;
    snprintf(service, sizeof service, "%llu", (unsigned long long)port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return failure_set(ret_failure, EINVAL, "--host", "%.60s is not a numeric address", host);
    cleanup_fd int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* A restart must not wait for the last connections to be forgotten. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
        int error = errno;
        freeaddrinfo(found);
        return explain(error, host, port, ret_failure);
    }
    freeaddrinfo(found);
    int r = describe(fd, ret_url, url_size);
    return r < 0 ? explain(-r, host, port, ret_failure) : fd_steal(&fd);
}

/* To close a listening socket resets the connections in its backlog, on which requests may have been sent already: between
 * the last accept() and close() there would always be somebody. So the kernel is told first to drop whatever begins a
 * connection, which is the packet with SYN and without ACK (socket(7), SO_ATTACH_FILTER; a filter of a TCP socket sees
 * the TCP header first). */
void listener_shut(int fd) {
    enum { FLAGS = 13, SYN = 0x02, ACK = 0x10 };
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog filter = {.len = sizeof rules / sizeof rules[0], .filter = rules};
    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

/* --- Handed over --- */

enum { LISTEN_FDS_START = 3 }; /* sd_listen_fds(3) */

static int option_of(int fd, int option) {
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

static bool listens_on_tcp(int fd) {
    int domain = option_of(fd, SO_DOMAIN);
    return (domain == AF_INET || domain == AF_INET6) && option_of(fd, SO_TYPE) == SOCK_STREAM &&
           option_of(fd, SO_ACCEPTCONN) == 1;
}

/* How many there are for this process; they may have been meant for one that we were started by. */
static long take_count(void) {
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    bool ours = pid != NULL && count != NULL && strtol(pid, NULL, 10) == (long)getpid();
    long found = ours ? strtol(count, NULL, 10) : 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return found;
}

int listener_inherit(char *ret_url, size_t url_size, struct failure *ret_failure) {
    long count = take_count();
    if (count <= 0)
        return -ENOENT;
    if (count > 1)
        return failure_set(ret_failure, EINVAL, "socket", "%ld sockets were handed over, and one can be served: give the "
                           "socket unit one ListenStream=", count);
    if (!listens_on_tcp(LISTEN_FDS_START))
        return failure_set(ret_failure, EINVAL, "socket", "what was handed over is no listening TCP socket: the socket unit "
                           "takes ListenStream=ADDRESS:PORT and Accept=no");
    if (fcntl(LISTEN_FDS_START, F_SETFD, FD_CLOEXEC) < 0 || fcntl(LISTEN_FDS_START, F_SETFL, O_NONBLOCK) < 0)
        return failure_set(ret_failure, errno, "socket", "fcntl(): %s", strerror(errno));
    int r = describe(LISTEN_FDS_START, ret_url, url_size);
    return r < 0 ? failure_set(ret_failure, -r, "socket", "getsockname(): %s", strerror(-r)) : LISTEN_FDS_START;
}
