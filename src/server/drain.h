/* The end of a server that has been told to stop: nobody who is still served loses an answer by it.
 *
 *   drain_begin()  GET /readyz says no; all else goes on, so that whoever spreads the load can notice
 *   drain_shut()   nobody new is let in but those who stand before the door already; connections that stand are
 *                  served, each for one more answer, as long as something runs or comes
 *   --drain-ms     what still runs is ended, and everybody is told so
 */
#ifndef PX_SERVER_DRAIN_H
#define PX_SERVER_DRAIN_H

#include "server/http.h"
#include "server/run.h"

#include <stdint.h>
#include <uv.h>

struct drain {
    struct http *http;
    struct runs *runs;
    uv_timer_t look;  /* whether it is over */
    uv_timer_t grace;
    uint64_t grace_ms;
    uint64_t shut_us; /* 0: the door is open */
    uint64_t quiet_us; /* since then nothing has happened */
    uint64_t begun;    /* exchanges, until then */
};

/* 0 or a negative errno. */
int drain_init(struct drain *drain, uv_loop_t *loop, struct http *http, struct runs *runs, const struct config *config);

void drain_begin(struct drain *drain);

/* Stops the loop when it is over, in grace_ms and a little more at most. */
void drain_shut(struct drain *drain);

#endif
