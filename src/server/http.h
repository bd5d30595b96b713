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
    uint64_t begun;   /* of these, ever */
    size_t held;      /* bytes of bodies and responses in memory */
    bool draining;    /* each answer is the last on its connection */
    int closing;      /* the listening socket when the library does not have it any more; -1 */
    bool door_closed;
};

/* Serves on the listening socket, which is taken, and tells the journal of every request. 0 or a negative errno. */
int http_start(struct http *http, uv_loop_t *loop, struct runs *runs, const struct config *config,
               struct journal *journal, int take_listen);

/* Takes in who has already connected, as far as there is room, and closes the listening socket when there is nobody left
 * before it; true when that is done. */
bool http_close_door(struct http *http);

/* That are open. */
size_t http_connections(const struct http *http);

#endif
