/* The queue of jobs that wait for a worker: first come, first served, of bounded length. */
#ifndef PX_SERVER_QUEUE_H
#define PX_SERVER_QUEUE_H

#include "server/job.h"

#include <stddef.h>

struct queue {
    struct job *first;
    struct job **last;
    size_t length;
    size_t max;
};

void queue_init(struct queue *queue, size_t max);

/* Takes the job in; references are the caller's business. -EBUSY when it is full. */
int queue_admit(struct queue *queue, struct job *job);

/* Takes the oldest job out, or NULL. */
struct job *queue_next(struct queue *queue);

/* Puts a job that could not be started back to the front, where it came from. */
void queue_put_back(struct queue *queue, struct job *job);

/* Takes this job out. -ENOENT where it is not in. */
int queue_remove(struct queue *queue, struct job *job);

#endif
