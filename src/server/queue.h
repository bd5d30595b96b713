/* The queue of jobs that wait for a worker, of bounded length: first come, first served, and callers that are told apart
 * by their keys in turn.
 *
 * It may be asked to pass over those that are long, where they have all the places they may have. So each caller has
 * several lines in it, each in the order of the jobs' numbers, and the first of each alone is looked at, however many
 * wait. Whoever is served goes behind the others; jobs of nobody's are all of one caller, and so in the order they came.
 *
 * When it is full, whoever has the most in it loses what came last, for one who has at least two fewer.
 */
#ifndef PX_SERVER_QUEUE_H
#define PX_SERVER_QUEUE_H

#include "server/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

TAILQ_HEAD(queue_line, job);

/* A caller's place in it. */
struct turn {
    struct queue_line lines[JOB_LINES];
    size_t length;
    TAILQ_ENTRY(turn) others;
};

struct queue {
    TAILQ_HEAD(turns, turn) turns; /* of those who have jobs in it, the next first */
    struct turn nobody;
    struct queue_line displaced; /* not in the length */
    size_t length;
    size_t max;
};

/* The queue must stay where it is. */
void queue_init(struct queue *queue, size_t max);
void turn_init(struct turn *turn);

/* Takes the job in, in its job->turn (NULL is nobody's), with a number above that of all before it; references are the
 * caller's business. Where it is full another job may be displaced for it. -EBUSY when there is no place. */
int queue_admit(struct queue *queue, struct job *job);

/* The next job, or the next of those not known as long; it stays in. NULL where there is none. */
struct job *queue_first(const struct queue *queue, bool with_long);

/* Takes that job out; its caller's next turn comes behind the others'. */
struct job *queue_next(struct queue *queue, bool with_long);

/* The one that has waited for longest, whoever's turn it is; one that was displaced, which has nothing to wait for; NULL
 * where there is none. They stay in. */
struct job *queue_oldest(const struct queue *queue);
struct job *queue_displaced(const struct queue *queue);

/* Puts a job that could not be started back to where it came from, and it is its caller's turn again. */
void queue_put_back(struct queue *queue, struct job *job);

/* Puts a job back that came out as short and is long after all: from now on it is passed over as such. It is its
 * caller's turn again. */
void queue_put_among_long(struct queue *queue, struct job *job);

/* Takes this job out. -ENOENT where it is not in. */
int queue_remove(struct queue *queue, struct job *job);

#endif
