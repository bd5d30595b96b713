/* HTTP: libmicrohttpd in libuv's event loop, one exchange for each request. */
#ifndef PX_SERVER_HTTP_H
#define PX_SERVER_HTTP_H

#include "server/api.h"
#include "server/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct MHD_Daemon;

struct http {
    struct api api;
    struct access_ids ids;
    struct journal *journal; /* borrowed */
    struct MHD_Daemon *daemon;
    uv_loop_t *loop;
    uv_poll_t events; /* of the daemon's epoll descriptor */
    uv_timer_t timeout;
    size_t exchanges; /* begun and not yet completely answered */
    size_t held;      /* bytes of bodies and responses in memory */
    bool draining;
    void (*drained)(void *context); /* the last exchange is over; called while draining */
    void *context;
};

/* Serves on the listening socket, which is taken, and tells the journal of every request. 0 or a negative errno. */
int http_start(struct http *http, uv_loop_t *loop, struct runs *runs, const struct config *config,
               struct journal *journal, int take_listen);

/* Accepts no more connections; connections that stand are answered and closed. */
void http_drain(struct http *http);

#endif
