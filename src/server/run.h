/* Runs: from a submitted job to a finished one.
 *
 * Decides when a job starts, makes its channel and pipes, collects what comes out, and finishes it on
 * the zygote's verdict, never on end-of-file: a worker says nothing about its own end.
 */
#ifndef PX_SERVER_RUN_H
#define PX_SERVER_RUN_H

#include "server/callers.h"
#include "server/history.h"
#include "server/lines.h"
#include "server/metrics.h"
#include "server/pool.h"
#include "server/queue.h"

#include <stdbool.h>

struct runs {
    uv_loop_t *loop;
    const struct config *config;
    struct pool pool;
    struct queue queue;
    struct metrics metrics;
    uv_timer_t expiry; /* of the oldest waiting job, or of one that was displaced; or when it is tried again */
    uint64_t retry_us; /* when, where the last start has failed; else 0 */
    size_t running;
    size_t long_places; /* so many of the workers may run what is long */
    struct history history;
    struct lines spare; /* for the next run */
    uint64_t wall_ms;      /* that all of what runs and waits may take together */
    uint64_t long_wall_ms; /* that those of them that are long may */
    uint64_t last_number;
    bool draining; /* whoever spreads the load should go elsewhere */
    bool over;     /* runs_end() */
};

/* The config is borrowed for the life of runs. */
int runs_init(struct runs *runs, uv_loop_t *loop, const struct config *config);

/* Starts the job or queues it, for one of those who are told apart by their keys, or NULL; job->finished is called later,
 * never from in here, and the reference of whoever submits it stays theirs. -EBUSY where the queue is full, -EDQUOT where
 * the caller may not have more runs, -ESHUTDOWN behind runs_end(). */
int runs_submit(struct runs *runs, struct job *job, struct caller *caller);

/* Cancels the job when the peer of this socket goes away. The socket stays the caller's, and must
 * stay open until the job is finished. */
void runs_watch_client(struct job *job, int socket);

/* Nobody waits for this job any more: out of the queue, or killed. It still finishes. */
void runs_cancel(struct job *job);

/* Stops or goes on reading what the script prints: whoever takes it as it comes has enough for now, and the
 * script waits when its pipes are full. Its deadline does not. */
void runs_hold_output(struct job *job, bool hold);

/* Is not ready any more for anybody new; jobs that come all the same are taken. */
void runs_drain(struct runs *runs);

/* Takes no more jobs, and ends those that wait or run: they finish as expired or lost. Returns how many there were. */
size_t runs_end(struct runs *runs);

/* Seconds until a place in the queue may be free; what a 503 tells its caller. */
unsigned runs_retry_after(const struct runs *runs);

#endif
