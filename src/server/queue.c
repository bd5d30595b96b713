/* The queue: see queue.h. */
#include "server/queue.h"

#include <errno.h>

void queue_init(struct queue *queue, size_t max) {
    *queue = (struct queue){.max = max};
    for (size_t i = 0; i < JOB_LINES; i++)
        queue->lines[i].last = &queue->lines[i].first;
}

static void append(struct queue *queue, struct job *job, enum job_line which) {
    struct queue_line *line = &queue->lines[which];
    job->line = which;
    job->next = NULL;
    *line->last = job;
    line->last = &job->next;
    queue->length++;
}

int queue_admit(struct queue *queue, struct job *job) {
    if (queue->length >= queue->max)
        return -EBUSY;
    append(queue, job, job->is_long ? LINE_LONG : LINE_SHORT);
    return 0;
}

int queue_remove(struct queue *queue, struct job *job) {
    struct queue_line *line = &queue->lines[job->line];
    for (struct job **at = &line->first; *at != NULL; at = &(*at)->next) {
        if (*at != job)
            continue;
        *at = job->next;
        if (line->last == &job->next)
            line->last = at;
        job->next = NULL;
        queue->length--;
        return 0;
    }
    return -ENOENT;
}

struct job *queue_first(const struct queue *queue, bool with_long) {
    struct job *oldest = queue->lines[LINE_SHORT].first;
    for (size_t i = LINE_SHORT + 1; with_long && i < JOB_LINES; i++) {
        struct job *job = queue->lines[i].first;
        if (job != NULL && (oldest == NULL || job->number < oldest->number))
            oldest = job;
    }
    return oldest;
}

struct job *queue_next(struct queue *queue, bool with_long) {
    struct job *job = queue_first(queue, with_long);
    if (job != NULL)
        queue_remove(queue, job);
    return job;
}

void queue_put_back(struct queue *queue, struct job *job) {
    struct queue_line *line = &queue->lines[job->line];
    job->next = line->first;
    if (line->first == NULL)
        line->last = &job->next;
    line->first = job;
    queue->length++;
}

void queue_put_among_long(struct queue *queue, struct job *job) {
    /* A line of their own, behind which they come in order: those of LINE_LONG may be older or younger. */
    append(queue, job, LINE_TURNED);
}
