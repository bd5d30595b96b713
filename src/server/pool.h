/* The zygotes this server has a channel to: for each flavour the one that takes new jobs, and older ones that
 * finish what they have.
 */
#ifndef PX_SERVER_POOL_H
#define PX_SERVER_POOL_H

#include "server/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Why a first zygote of a tree came. */
enum pool_start { START_FIRST, START_TAKEOVER /* of one that has run its number of jobs */, START_RESTART /* one was lost */, START_COUNT };

/* Of the zygote that takes the jobs of a flavour. */
struct pool_crew {
    bool ready;
    size_t busy; /* runs that zygotes have, also older ones that finish what they have */
    size_t idle, starting; /* as it last said */
};

struct pool {
    uv_loop_t *loop;
    uint64_t starts[START_COUNT];
    uint64_t forks;  /* of workers, as far as zygotes have said */
    uint64_t python; /* PY_VERSION_HEX, 0 until a zygote has said */
    struct link *current[FLAVOUR_MAX]; /* takes new jobs of that flavour; NULL while there is no zygote */
    unsigned reached;     /* so many flavours there have ever been */
    struct job *running;  /* those that a zygote has */
    /* Tells that the verdict is in (job->verdict); the job has left the pool. */
    void (*ended)(struct job *job);
    /* A zygote has become available. */
    void (*available)(void *context);
    void *context;
};

void pool_init(struct pool *pool, uv_loop_t *loop);

/* Takes the channel to a fresh zygote of these flavours; the ones before get no more jobs of theirs. */
int pool_add(struct pool *pool, int take_channel, struct flavours flavours);

/* Lets go of every zygote that has jobs, which end as if it had died: their verdict is in when this returns. */
void pool_lose_all(struct pool *pool);

/* Gives the job and its descriptors (not taken) to the zygote. -ENOTCONN while there is none of its flavour,
 * -EAGAIN where it does not read, or another negative errno; the job is untouched then. */
int pool_run(struct pool *pool, struct job *job, const int fds[MESSAGE_MAX_FDS]);

/* Says that the job's answer is whole: its worker is of no more use, and the verdict need not wait for
 * the end of it. */
void pool_answered(const struct job *job);

/* Counts the workers of each flavour. Where one zygote has several they are the first one's. */
void pool_count(const struct pool *pool, struct pool_crew ret_crews[FLAVOUR_MAX]);

/* Asks for the end of a job that runs; its verdict comes as any other. */
void pool_cancel(const struct job *job);

#endif
