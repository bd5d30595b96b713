/* The HTTP daemon: see daemon.h. Runs in the server's event loop; libmicrohttpd parses what clients send. */
#include "server/daemon.h"

#include "base/config.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { SWEEP_MS = 1000, SWEEP_EVENTS = 64 };

/* --- In the loop --- */

static void timed_out(uv_timer_t *timer) {
    daemon_run(timer->data);
}

static void run_more(uv_idle_t *idle) {
    daemon_run(idle->data);
}

/* Not by the library's own count: when it is asked, it frees connections that have ended, and from inside of a request it
 * goes on with one of these afterwards. */
size_t daemon_connections(const struct daemon *daemon) {
    return daemon->visitors.count;
}

void daemon_run(struct daemon *daemon) {
    MHD_UNSIGNED_LONG_LONG ms;
    size_t before;
    /* At its limit of connections or descriptors the library takes the listening socket out of its epoll
     * set, and puts it back only when it is run after one of them has ended. */
    do {
        before = daemon_connections(daemon);
        MHD_run(daemon->library);
    } while (daemon_connections(daemon) < before);
    uv_timer_stop(&daemon->timeout);
    uv_idle_stop(&daemon->more);
    if (MHD_get_timeout(daemon->library, &ms) != MHD_YES)
        return;
    if (ms > 0)
        uv_timer_start(&daemon->timeout, timed_out, ms, 0);
    else
        daemon_run_soon(daemon);
}

static void events_ready(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    daemon_run(poll->data);
}

__attribute__((format(printf, 2, 0))) static void log_library(void *context, const char *format, va_list args) {
    char line[256];
    (void)context;
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    log_debug("%s", line);
}

/* --- Clients that come, and those that have gone --- */

static void visit(struct daemon *daemon, struct MHD_Connection *connection, void **visitor) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct epoll_event event = {.events = EPOLLRDHUP, .data.fd = info->connect_fd};
    *visitor = visitors_enter(&daemon->visitors, info->connect_fd);
    /* Without it the connection merely lasts until it is idle for too long. It ends with its descriptor. */
    (void)epoll_ctl(daemon->left, EPOLL_CTL_ADD, info->connect_fd, &event);
}

static void come_or_gone(void *context, struct MHD_Connection *connection, void **visitor,
                         enum MHD_ConnectionNotificationCode code) {
    struct daemon *daemon = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        visit(daemon, connection, visitor);
    else
        visitors_leave(&daemon->visitors, *visitor);
}

struct visitor *daemon_visitor(struct MHD_Connection *connection) {
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* The library's epoll set tells of changes only, and a read that gets less than it asked for is the last one until the next
 * change. Where the end of a connection comes right behind half a request, that read has taken it along (tcp(7)): there is
 * no other change, and whoever sends such halves would have all connections until they are idle for too long. To shut down
 * the direction that has ended wakes the library, takes no byte from it, and it reads the end. */
static void sweep(uv_timer_t *timer) {
    struct daemon *daemon = timer->data;
    struct epoll_event events[SWEEP_EVENTS];
    size_t all = daemon_connections(daemon);
    int n = SWEEP_EVENTS;
    visitors_make_place(&daemon->visitors);
    /* Those that are told once are told again, behind the others. */
    for (size_t seen = 0; n == SWEEP_EVENTS && seen < all; seen += SWEEP_EVENTS) {
        n = epoll_wait(daemon->left, events, SWEEP_EVENTS, 0);
        for (int i = 0; i < n; i++)
            shutdown(events[i].data.fd, SHUT_RD);
    }
}

/* --- Its beginning and its end --- */

/* A path is compared as a string: what is behind a %00 must not be lost on the way, or any path would do. */
static size_t unescape(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strstr(text, "%00") != NULL ? strlen(text) : MHD_http_unescape(text);
}

int daemon_start(struct daemon *daemon, uv_loop_t *loop, int take_listen, unsigned connections, unsigned idle_s,
                 MHD_AccessHandlerCallback handle, MHD_RequestCompletedCallback forget, void *context) {
    /* The library has a place more: who comes there has somebody else lose his. */
    *daemon = (struct daemon){.most = connections + 1, .closing = -1, .next = -1, .left = epoll_create1(EPOLL_CLOEXEC)};
    visitors_init(&daemon->visitors, connections);
    daemon->library = daemon->left < 0 ? NULL : MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, context,
        MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_LISTEN_SOCKET, take_listen,
        MHD_OPTION_NOTIFY_COMPLETED, forget, context, MHD_OPTION_NOTIFY_CONNECTION, come_or_gone, daemon,
        MHD_OPTION_CONNECTION_LIMIT, daemon->most, MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONFIG_CONNECTION_KB << 10, MHD_OPTION_END);
    if (daemon->library == NULL) {
        fd_close(take_listen);
        return errno != 0 ? -errno : -EIO;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon->library, MHD_DAEMON_INFO_EPOLL_FD);
    daemon->events.data = daemon->timeout.data = daemon->sweep.data = daemon->more.data = daemon;
    int r = uv_timer_init(loop, &daemon->timeout);
    if (r == 0)
        r = uv_idle_init(loop, &daemon->more);
    if (r == 0)
        r = uv_timer_init(loop, &daemon->sweep);
    if (r == 0)
        r = uv_timer_start(&daemon->sweep, sweep, SWEEP_MS, SWEEP_MS);
    if (r == 0)
        r = uv_poll_init(loop, &daemon->events, info->epoll_fd);
    return r < 0 ? r : uv_poll_start(&daemon->events, UV_READABLE, events_ready);
}

/* Not by a timer of no time: libuv 1.44 (Debian 12) runs one that starts itself again without looking at anything else, so
 * clients who send as fast as they are read would have the loop for themselves. */
void daemon_run_soon(struct daemon *daemon) {
    uv_idle_start(&daemon->more, run_more);
}

/* 1 where there was one, 0 where nobody waits, or -EBUSY where somebody does and there is no room. Whether somebody does is
 * not known before it is accepted. */
static int take_in(struct daemon *daemon) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (daemon->next < 0)
        daemon->next = accept4(daemon->closing, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (daemon->next < 0)
        return errno == EMFILE || errno == ENFILE ? -EBUSY : errno == ECONNABORTED || errno == EINTR ? 1 : 0;
    if (daemon_connections(daemon) >= daemon->most)
        return -EBUSY;
    if (getpeername(daemon->next, (struct sockaddr *)&address, &length) < 0)
        daemon->next = fd_close(daemon->next); /* it has gone */
    else /* takes it, or closes it */
        MHD_add_connection(daemon->library, fd_steal(&daemon->next), (struct sockaddr *)&address, length);
    return 1;
}

bool daemon_close_door(struct daemon *daemon, bool at_once) {
    if (daemon->library == NULL || daemon->door_closed)
        return true;
    if (daemon->closing < 0)
        daemon->closing = MHD_quiesce_daemon(daemon->library);
    int r = 0;
    while (!at_once && (r = take_in(daemon)) > 0)
        daemon_run(daemon);
    if (r < 0)
        return false;
    daemon->closing = fd_close(daemon->closing);
    daemon->door_closed = true;
    return true;
}
