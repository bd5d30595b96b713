/* The queue of jobs that wait for a worker: first come, first served, of bounded length.
 *
 * It may be asked to pass over those that are long, where they have all the places they may have. So it has several
 * lines, each in the order of the jobs' numbers, and looks at the first of each alone, however many wait.
 */
#ifndef PX_SERVER_QUEUE_H
#define PX_SERVER_QUEUE_H

#include "server/job.h"

#include <stdbool.h>
#include <stddef.h>

struct queue {
    struct queue_line {
        struct job *first;
        struct job **last;
    } lines[JOB_LINES];
    size_t length;
    size_t max;
};

void queue_init(struct queue *queue, size_t max);

/* Takes the job in, whose number is above that of all before it; references are the caller's business. -EBUSY when it is
 * full. */
int queue_admit(struct queue *queue, struct job *job);

/* The oldest job, or the oldest of those not known as long; it stays in. NULL where there is none. */
struct job *queue_first(const struct queue *queue, bool with_long);

/* Takes that job out. */
struct job *queue_next(struct queue *queue, bool with_long);

/* Puts a job that could not be started back to where it came from. */
void queue_put_back(struct queue *queue, struct job *job);

/* Puts a job back that came out as short and is long after all: from now on it is passed over as such. */
void queue_put_among_long(struct queue *queue, struct job *job);

/* Takes this job out. -ENOENT where it is not in. */
int queue_remove(struct queue *queue, struct job *job);

#endif
