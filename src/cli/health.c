/* python-executor health: see health.h. Runs as whoever calls it; a short process that reads one answer, of which it
 * believes the number in the first line. */
#include "cli/health.h"

#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* For all of it, whatever the other side does. */
enum { PATIENCE_MS = 3000, ANSWER_MAX = 16 << 10 };

/* --- Where to --- */

static int take(char *to, size_t room, const char *from, size_t size) {
    if (size == 0 || size >= room)
        return -EINVAL;
    memcpy(to, from, size);
    to[size] = '\0';
    return 0;
}

/* Nothing that would end the line of a request, or be shown as something else. */
static bool is_plain(const char *text) {
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}

int health_parse_url(const char *url, const char *default_path, struct health_target *ret_target) {
    struct health_target target = {.port = "80"};
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, strlen(scheme)) != 0 || !is_plain(url))
        return -EINVAL;
    const char *host = url + strlen(scheme);
    const char *path = host + strcspn(host, "/?#");
    bool bracketed = *host == '[';
    const char *end = bracketed ? strchr(host, ']') : host + strcspn(host, ":/?#");
    if (end == NULL || end > path || take(target.host, sizeof target.host, host + bracketed, (size_t)(end - host) - bracketed) < 0)
        return -EINVAL;
    end += bracketed;
    if (*end == ':' && (take(target.port, sizeof target.port, end + 1, (size_t)(path - end) - 1) < 0 ||
                        target.port[strspn(target.port, "0123456789")] != '\0'))
        return -EINVAL;
    if ((*end != ':' && end != path) || (*path != '\0' && *path != '/'))
        return -EINVAL;
    const char *asked = path[0] == '\0' || path[1] == '\0' ? default_path : path;
    if (take(target.path, sizeof target.path, asked, strlen(asked)) < 0)
        return -EINVAL;
    *ret_target = target;
    return 0;
}

void health_default_target(const struct config *config, const char *path, struct health_target *ret_target) {
    const char *host = config->host;
    /* What listens everywhere is reached by the loopback. */
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    *ret_target = (struct health_target){0};
    snprintf(ret_target->host, sizeof ret_target->host, "%s", host);
    snprintf(ret_target->port, sizeof ret_target->port, "%u", (unsigned)config->port & 0xffff);
    snprintf(ret_target->path, sizeof ret_target->path, "%s", path);
}

/* --- There and back --- */

static int wait_for(int fd, short events, uint64_t until_us) {
    struct pollfd ready = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now = clock_us();
        int r = now >= until_us ? 0 : poll(&ready, 1, (int)((until_us - now + 999) / 1000));
        if (r > 0)
            return 0;
        if (r == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

/* A connected socket, or a negative errno. */
static int connect_to(const struct addrinfo *address, uint64_t until_us) {
    int error = 0;
    socklen_t size = sizeof error;
    cleanup_fd int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        if (errno != EINPROGRESS)
            return -errno;
        int r = wait_for(fd, POLLOUT, until_us);
        if (r < 0)
            return r;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0)
            return error != 0 ? -error : -errno;
    }
    return fd_steal(&fd);
}

static int connect_to_any(const struct addrinfo *addresses, uint64_t until_us) {
    int r = -EADDRNOTAVAIL;
    for (const struct addrinfo *address = addresses; address != NULL && r < 0; address = address->ai_next)
        r = connect_to(address, until_us);
    return r;
}

/* Sends it whole: it is smaller than any socket's buffer. Then reads to the end, or as much as is wanted. */
static int talk(int fd, const char *request, char *ret_answer, size_t room, uint64_t until_us) {
    size_t length = 0;
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        return errno != 0 ? -errno : -EIO;
    while (length + 1 < room) {
        int r = wait_for(fd, POLLIN, until_us);
        if (r < 0)
            return r;
        ssize_t n = recv(fd, ret_answer + length, room - 1 - length, 0);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        length += n > 0 ? (size_t)n : 0;
    }
    ret_answer[length] = '\0';
    return 0;
}

static int ask(const struct health_target *target, const struct addrinfo *addresses, char *ret_answer, size_t room) {
    char request[1024];
    uint64_t until_us = clock_us() + PATIENCE_MS * 1000ull;
    bool bracketed = strchr(target->host, ':') != NULL;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: python-executor/" PX_VERSION
             "\r\nConnection: close\r\n\r\n", target->path, bracketed ? "[" : "", target->host, bracketed ? "]" : "", target->port);
    cleanup_fd int fd = connect_to_any(addresses, until_us);
    return fd < 0 ? fd : talk(fd, request, ret_answer, room, until_us);
}

/* The number in the first line; 0 where it is none of HTTP. */
static unsigned status_of(const char *answer) {
    unsigned status;
    return sscanf(answer, "HTTP/1.%*1[01] %4u", &status) == 1 ? status : 0;
}

/* For people: the body, without what a terminal would obey. */
static void print_body(FILE *to, const char *answer) {
    const char *end = strstr(answer, "\r\n\r\n");
    const char *body = end != NULL ? end + 4 : "";
    for (size_t i = 0; i < 512 && body[i] != '\0'; i++)
        fputc(body[i] >= ' ' && body[i] < 0x7f ? body[i] : '?', to);
    fputc('\n', to);
}

int health_ask(const struct health_target *target) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    char answer[ANSWER_MAX];
    int found = getaddrinfo(target->host, target->port, &hints, &addresses);
    if (found != 0) {
        fprintf(stderr, "python-executor: health: %s: %s\n", target->host, gai_strerror(found));
        return EXIT_FAILURE;
    }
    int r = ask(target, addresses, answer, sizeof answer);
    freeaddrinfo(addresses);
    if (r < 0) {
        fprintf(stderr, "python-executor: health: %s port %s: %s\n", target->host, target->port, strerror(-r));
        return EXIT_FAILURE;
    }
    unsigned status = status_of(answer);
    if (status == 200) {
        print_body(stdout, answer);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "python-executor: health: %s answers %u: ", target->path, status);
    print_body(stderr, answer);
    return EXIT_FAILURE;
}
