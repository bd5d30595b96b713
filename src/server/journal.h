/* The server's way to the log: bounded in lines for each second, in bytes that wait, and never waited for.
 *
 * Lines are collected while the loop is at work and written together before it sleeps. Where the log's reader is behind
 * they wait, 64 KiB at most, of which requests may have three quarters: what the server has to say of itself still fits
 * when they do not. What does not fit is counted, and the number told when there is room again.
 */
#ifndef PX_SERVER_JOURNAL_H
#define PX_SERVER_JOURNAL_H

#include "base/buf.h"
#include "base/config.h"
#include "base/log.h"
#include "server/access.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct journal {
    const struct config *config; /* borrowed */
    bool access;                 /* requests have lines */
    struct buf waiting;
    size_t written; /* of it */
    bool stuck;     /* the reader is behind: not before the timer comes */
    uint64_t lost;  /* lines for which there was no room */
    uint64_t window_us, in_window, left_out; /* requests of the second that began then */
    uint64_t lost_ever, left_out_ever;
    uv_prepare_t before_sleep;
    uv_timer_t timer;
};

/* From now on what this process logs goes this way. 0 or a negative errno. */
int journal_start(struct journal *journal, uv_loop_t *loop, const struct config *config);

/* A request is over. */
void journal_add(struct journal *journal, const struct access *access);

/* Writes what can be written: before the process ends. */
void journal_flush(struct journal *journal);

#endif
