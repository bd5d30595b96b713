/* What is counted, for GET /metrics: plain numbers, each increased where it happens.
 *
 * They live as long as the server. What stands elsewhere already, as the length of the queue does, is not kept here a
 * second time; exposition.c reads it there. Nothing that a client or a worker sends is ever a name in here.
 */
#ifndef PX_SERVER_METRICS_H
#define PX_SERVER_METRICS_H

#include "server/job.h"

#include <stddef.h>
#include <stdint.h>

/* Why a request for a run never became one. */
enum rejection {
    REJECTED_INVALID,        /* the body is not as the contract says */
    REJECTED_TOO_LARGE,      /* body or script */
    REJECTED_QUEUE_FULL,
    REJECTED_QUEUE_TIMEOUT,  /* it waited for --queue-ms */
    REJECTED_DISPLACED,      /* it left a full queue for another caller's */
    REJECTED_TOO_MANY_BYTES, /* of large requests at once */
    REJECTED_DRAINING,
    REJECTED_NO_MEMORY,
    REJECTED_COUNT,
};

/* Upper bounds of histograms; one more bucket has the rest. */
enum { METRICS_BOUNDS = 15 };
extern const uint64_t metrics_bounds_us[METRICS_BOUNDS];

struct histogram {
    uint64_t buckets[METRICS_BOUNDS + 1]; /* each by itself, not added up */
    uint64_t sum_us;
};

enum { METRICS_STATUS_FIRST = 100, METRICS_STATUS_END = 600 };

struct metrics {
    uint64_t started_us; /* of this process, since 1970 */

    uint64_t runs[OUTCOME_COUNT];
    uint64_t kills[ENDING_COUNT]; /* of those endings that are some: metrics_kill_reason() */
    uint64_t rejected[REJECTED_COUNT];
    struct histogram queue; /* of each run */
    struct histogram run;
    struct histogram total;

    uint64_t responses[METRICS_STATUS_END - METRICS_STATUS_FIRST];
    uint64_t received_bytes; /* of bodies of requests */
    uint64_t sent_bytes;     /* of bodies of responses */
    size_t connections;      /* open now */
    size_t connections_most; /* at once */
    uint64_t cut_place;      /* connections that were cut, for somebody else to have their places */
    uint64_t cut_bytes;      /* or their bytes */
    size_t exchanges;        /* begun and not completely answered */
    size_t held_bytes;       /* of bodies in memory */
    uint64_t log_lost;       /* lines: nobody read them in time */
    uint64_t log_left_out;   /* lines of requests: there were too many in a second */
};

void metrics_init(struct metrics *ret_metrics);

/* A finished job that was not rejected. */
void metrics_count_run(struct metrics *metrics, const struct job *job);

void metrics_count_response(struct metrics *metrics, unsigned status, uint64_t body_bytes);

void metrics_observe(struct histogram *histogram, uint64_t us);

/* The values of labels. */
const char *metrics_rejection_name(enum rejection rejection);
const char *metrics_kill_reason(unsigned ending); /* NULL for an ending that is no kill */

#endif
