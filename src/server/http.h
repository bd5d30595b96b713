/* HTTP: one exchange for each request that libmicrohttpd has read. */
#ifndef PX_SERVER_HTTP_H
#define PX_SERVER_HTTP_H

#include "server/api.h"
#include "server/daemon.h"
#include "server/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct http {
    struct api api;
    struct access_ids ids;
    struct journal *journal; /* borrowed */
    struct daemon daemon;
    size_t exchanges; /* begun and not yet completely answered */
    uint64_t begun;   /* of these, ever */
    size_t held;      /* bytes of bodies and responses in memory */
    bool draining;    /* each answer is the last on its connection */
};

/* Serves on the listening socket, which is taken, by what api says of its surroundings, and tells the journal of every
 * request. 0 or a negative errno. */
int http_start(struct http *http, uv_loop_t *loop, const struct api *api, struct journal *journal, int take_listen);

#endif
