/* The queue: see queue.h. */
#include "server/queue.h"

#include <assert.h>
#include <errno.h>

void turn_init(struct turn *turn) {
    *turn = (struct turn){0};
    for (size_t i = 0; i < JOB_LINES; i++)
        TAILQ_INIT(&turn->lines[i]);
}

void queue_init(struct queue *queue, size_t max) {
    *queue = (struct queue){.max = max};
    TAILQ_INIT(&queue->turns);
    TAILQ_INIT(&queue->displaced);
    turn_init(&queue->nobody);
}

static struct turn *turn_of(struct queue *queue, const struct job *job) {
    return job->turn != NULL ? job->turn : &queue->nobody;
}

/* Counts one more in; the first of a caller's comes behind all who wait, or before them. */
static void count_in(struct queue *queue, struct job *job, bool is_next) {
    struct turn *turn = turn_of(queue, job);
    job->waits = true;
    queue->length++;
    if (turn->length++ > 0) {
        if (!is_next)
            return;
        TAILQ_REMOVE(&queue->turns, turn, others);
    }
    if (is_next)
        TAILQ_INSERT_HEAD(&queue->turns, turn, others);
    else
        TAILQ_INSERT_TAIL(&queue->turns, turn, others);
}

static void take_out(struct queue *queue, struct job *job) {
    struct turn *turn = turn_of(queue, job);
    job->waits = false;
    if (job->line == LINE_DISPLACED) {
        TAILQ_REMOVE(&queue->displaced, job, place);
        return;
    }
    TAILQ_REMOVE(&turn->lines[job->line], job, place);
    queue->length--;
    if (--turn->length == 0)
        TAILQ_REMOVE(&queue->turns, turn, others);
}

static struct turn *find_longest(const struct queue *queue) {
    struct turn *longest = NULL;
    struct turn *turn;
    TAILQ_FOREACH(turn, &queue->turns, others)
        if (longest == NULL || turn->length > longest->length)
            longest = turn;
    return longest;
}

static void displace_newest(struct queue *queue, struct turn *turn) {
    struct job *newest = NULL;
    for (size_t i = 0; i < JOB_LINES; i++) {
        struct job *job = TAILQ_LAST(&turn->lines[i], queue_line);
        if (job != NULL && (newest == NULL || job->number > newest->number))
            newest = job;
    }
    assert(newest != NULL); /* whoever has the longest line has something in it */
    take_out(queue, newest);
    newest->line = LINE_DISPLACED;
    newest->waits = true;
    TAILQ_INSERT_TAIL(&queue->displaced, newest, place);
}

int queue_admit(struct queue *queue, struct job *job) {
    struct turn *turn = turn_of(queue, job);
    if (queue->length >= queue->max) {
        struct turn *longest = find_longest(queue);
        /* With one fewer they would only change places. */
        if (longest == NULL || longest->length < turn->length + 2)
            return -EBUSY;
        displace_newest(queue, longest);
    }
    job->line = job->is_long ? LINE_LONG : LINE_SHORT;
    TAILQ_INSERT_TAIL(&turn->lines[job->line], job, place);
    count_in(queue, job, false);
    return 0;
}

int queue_remove(struct queue *queue, struct job *job) {
    if (!job->waits)
        return -ENOENT;
    take_out(queue, job);
    return 0;
}

static struct job *oldest_of(const struct turn *turn, bool with_long) {
    struct job *oldest = TAILQ_FIRST(&turn->lines[LINE_SHORT]);
    for (size_t i = LINE_SHORT + 1; with_long && i < JOB_LINES; i++) {
        struct job *job = TAILQ_FIRST(&turn->lines[i]);
        if (job != NULL && (oldest == NULL || job->number < oldest->number))
            oldest = job;
    }
    return oldest;
}

struct job *queue_first(const struct queue *queue, bool with_long) {
    struct job *job = NULL;
    struct turn *turn;
    TAILQ_FOREACH(turn, &queue->turns, others)
        if ((job = oldest_of(turn, with_long)) != NULL)
            break;
    return job;
}

struct job *queue_oldest(const struct queue *queue) {
    struct job *oldest = NULL;
    struct turn *turn;
    TAILQ_FOREACH(turn, &queue->turns, others) {
        struct job *job = oldest_of(turn, true);
        if (oldest == NULL || job->number < oldest->number)
            oldest = job;
    }
    return oldest;
}

struct job *queue_displaced(const struct queue *queue) {
    return TAILQ_FIRST(&queue->displaced);
}

struct job *queue_next(struct queue *queue, bool with_long) {
    struct job *job = queue_first(queue, with_long);
    if (job == NULL)
        return NULL;
    struct turn *turn = turn_of(queue, job);
    take_out(queue, job);
    if (turn->length > 0) {
        TAILQ_REMOVE(&queue->turns, turn, others);
        TAILQ_INSERT_TAIL(&queue->turns, turn, others);
    }
    return job;
}

void queue_put_back(struct queue *queue, struct job *job) {
    TAILQ_INSERT_HEAD(&turn_of(queue, job)->lines[job->line], job, place);
    count_in(queue, job, true);
}

void queue_put_among_long(struct queue *queue, struct job *job) {
    /* A line of their own, behind which they come in order: those of LINE_LONG may be older or younger. */
    job->line = LINE_TURNED;
    TAILQ_INSERT_TAIL(&turn_of(queue, job)->lines[job->line], job, place);
    count_in(queue, job, true);
}
