/* Draining: see drain.h. Runs in the server's event loop.
 *
 * A connection that a client keeps open can be closed between two requests only at the risk that the next one is on its
 * way already. So it is closed with an answer (Connection: close), or by its client, and only what has been idle for
 * all that time is cut off in the end.
 */
#include "server/drain.h"

#include "base/clock.h"
#include "base/log.h"

/* SETTLE_MS: handshakes that were under way when the door was shut are through. QUIET_MS: without a new request for so long
 * those that keep a connection have none on its way, though whoever sends it may have had to wait for a processor. LAST_MS:
 * for what is told to those whose runs were ended. */
enum { LOOK_MS = 5, SETTLE_MS = 20, QUIET_MS = 1000, LAST_MS = 700 };

static bool is_over(struct drain *drain) {
    uint64_t now = clock_us();
    if (now < drain->shut_us + SETTLE_MS * 1000ull || !daemon_close_door(&drain->http->daemon, false))
        return false;
    if (drain->http->exchanges > 0 || drain->http->begun != drain->begun) {
        drain->begun = drain->http->begun;
        drain->quiet_us = now;
    }
    return drain->http->exchanges == 0 &&
           (daemon_connections(&drain->http->daemon) == 0 || now >= drain->quiet_us + QUIET_MS * 1000ull);
}

static void look(uv_timer_t *timer) {
    if (is_over(timer->data))
        uv_stop(timer->loop);
}

/* Whoever does not read or send by now has had time enough. */
static void end(uv_timer_t *timer) {
    const struct drain *drain = timer->data;
    if (drain->http->exchanges > 0)
        log_warning("%zu requests were cut off by the end of the grace period", drain->http->exchanges);
    uv_stop(timer->loop);
}

static void grace_over(uv_timer_t *timer) {
    const struct drain *drain = timer->data;
    size_t count = runs_end(drain->runs);
    if (count > 0)
        log_warning("%zu runs were ended by the end of the grace period", count);
    uv_timer_start(timer, end, LAST_MS, 0);
}

int drain_init(struct drain *drain, uv_loop_t *loop, struct http *http, struct runs *runs, const struct config *config) {
    *drain = (struct drain){.http = http, .runs = runs, .grace_ms = config->drain_ms};
    drain->look.data = drain->grace.data = drain;
    int r = uv_timer_init(loop, &drain->look);
    return r < 0 ? r : uv_timer_init(loop, &drain->grace);
}

void drain_begin(struct drain *drain) {
    drain->http->draining = true;
    runs_drain(drain->runs);
}

void drain_shut(struct drain *drain) {
    if (drain->shut_us != 0)
        return;
    drain_begin(drain);
    drain->shut_us = drain->quiet_us = clock_us();
    drain->begun = drain->http->begun;
    uv_timer_start(&drain->look, look, LOOK_MS, LOOK_MS);
    uv_timer_start(&drain->grace, grace_over, drain->grace_ms, 0);
}
