/* The queue: see queue.h. */
#include "server/queue.h"

#include <errno.h>

void queue_init(struct queue *queue, size_t max) {
    *queue = (struct queue){.max = max};
    queue->last = &queue->first;
}

int queue_admit(struct queue *queue, struct job *job) {
    if (queue->length >= queue->max)
        return -EBUSY;
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
    queue->length++;
    return 0;
}

int queue_remove(struct queue *queue, struct job *job) {
    for (struct job **at = &queue->first; *at != NULL; at = &(*at)->next) {
        if (*at != job)
            continue;
        *at = job->next;
        if (queue->last == &job->next)
            queue->last = at;
        job->next = NULL;
        queue->length--;
        return 0;
    }
    return -ENOENT;
}

struct job *queue_next(struct queue *queue) {
    struct job *job = queue->first;
    if (job != NULL)
        queue_remove(queue, job);
    return job;
}

void queue_put_back(struct queue *queue, struct job *job) {
    job->next = queue->first;
    if (queue->first == NULL)
        queue->last = &job->next;
    queue->first = job;
    queue->length++;
}
