/* libmicrohttpd's daemon in libuv's event loop: when it is run, and with what bounds. What its requests mean is http.h's. */
#ifndef PX_SERVER_DAEMON_H
#define PX_SERVER_DAEMON_H

#include "server/visitors.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <uv.h>

struct daemon {
    struct MHD_Daemon *library; /* NULL where it was never started */
    unsigned most;              /* connections */
    int closing;                /* the listening socket when the library does not have it any more; -1 */
    int next;                   /* accepted from it, until there is room; -1 */
    bool door_closed;
    uv_poll_t events; /* of its epoll descriptor */
    uv_timer_t timeout;
    uv_idle_t more; /* it is to be run again when the loop has come round */
    int left; /* an epoll descriptor of our own: connections whose client has sent its last byte */
    uv_timer_t sweep;
    struct visitors visitors;
};

/* Listens on the socket, which is taken, for so many connections at once; each is closed when nothing has come for
 * idle_s, or when another needs its place: visitors.h. Requests come to `handle` and their ends to `forget`, both with the
 * context. 0 or a negative errno. */
int daemon_start(struct daemon *daemon, uv_loop_t *loop, int take_listen, unsigned connections, unsigned idle_s,
                 MHD_AccessHandlerCallback handle, MHD_RequestCompletedCallback forget, void *context);

/* Goes on with connections that were resumed: now, or when the loop comes round. */
void daemon_run(struct daemon *daemon);
void daemon_run_soon(struct daemon *daemon);

/* Takes in who has already connected, as far as there is room, and closes the listening socket when there is nobody left
 * before it; true when that is done. At once: who waits is left to whoever else holds the socket. */
bool daemon_close_door(struct daemon *daemon, bool at_once);

/* Of this connection; NULL where there was no memory for one. */
struct visitor *daemon_visitor(struct MHD_Connection *connection);

/* Connections that are open. */
size_t daemon_connections(const struct daemon *daemon);

#endif
