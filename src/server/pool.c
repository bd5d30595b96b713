/* The zygotes: see pool.h. Runs in the server. What comes over these channels is trusted: the zygote
 * is the more privileged side. */
#include "server/pool.h"

#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>

struct link {
    struct pool *pool;
    uv_poll_t poll;
    int fd;
    size_t jobs;
    unsigned first; /* flavour */
    struct crew_report crew;
    bool closing;
};

void pool_init(struct pool *pool, uv_loop_t *loop) {
    *pool = (struct pool){.loop = loop};
}

static void free_link(uv_handle_t *handle) {
    struct link *link = handle->data;
    fd_close(link->fd); /* behind uv_close, which still knows the number */
    free(link);
}

static bool is_current(const struct link *link) {
    for (unsigned i = 0; i < FLAVOUR_MAX; i++)
        if (link->pool->current[i] == link)
            return true;
    return false;
}

static void give_up_place(const struct link *link) {
    for (unsigned i = 0; i < FLAVOUR_MAX; i++)
        if (link->pool->current[i] == link)
            link->pool->current[i] = NULL;
}

static void close_link(struct link *link) {
    if (link->closing)
        return;
    link->closing = true;
    give_up_place(link);
    uv_close((uv_handle_t *)&link->poll, free_link);
}

/* A zygote that takes no new jobs ends when it has none left: closing its channel tells it so. */
static void close_if_done(struct link *link) {
    if (link->jobs == 0 && !is_current(link))
        close_link(link);
}

static struct job *take_running(struct pool *pool, const struct link *link, uint64_t number) {
    for (struct job **at = &pool->running; *at != NULL; at = &(*at)->next) {
        struct job *job = *at;
        if (job->link != link || (number != 0 && job->number != number))
            continue;
        *at = job->next;
        job->next = NULL;
        job->link = NULL;
        return job;
    }
    return NULL;
}

static void end_job(struct link *link, uint64_t number, const struct verdict *verdict) {
    struct job *job = take_running(link->pool, link, number);
    if (job == NULL)
        return;
    link->jobs--;
    job->verdict = *verdict;
    link->pool->ended(job);
}

static void lose(struct link *link) {
    const struct verdict lost = {.ending = ENDING_NO_WORKER};
    give_up_place(link);
    while (link->jobs > 0)
        end_job(link, 0, &lost);
    close_link(link);
}

/* What it counts goes on from zygote to zygote; a number that went back would be none of a crew's. */
static void take_report(struct link *link, const struct crew_report *crew) {
    if (crew->forks >= link->crew.forks)
        link->pool->forks += crew->forks - link->crew.forks;
    link->crew = *crew;
    link->pool->python = crew->python;
}

void pool_lose_all(struct pool *pool) {
    while (pool->running != NULL)
        lose(pool->running->link);
}

static void hear(uv_poll_t *poll, int status, int events) {
    struct link *link = poll->data;
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    (void)events;
    while (!link->closing) {
        int r = status < 0 ? 0 : message_receive(link->fd, &message, fds);
        if (r == -EAGAIN)
            return;
        if (r != 1) {
            lose(link);
            return;
        }
        if (message.kind == MESSAGE_CHANNEL && fds[0] >= 0 && pool_add(link->pool, fd_steal(&fds[0]), message.flavours) < 0)
            log_error("no memory for the channel to a zygote");
        message_close_fds(fds);
        if (message.kind == MESSAGE_CREW)
            take_report(link, &message.crew);
        if (message.kind == MESSAGE_VERDICT) {
            end_job(link, message.job, &message.verdict);
            close_if_done(link);
        }
    }
}

static void count_start(struct pool *pool) {
    bool is_first = true;
    for (size_t i = 0; i < START_COUNT; i++)
        is_first = is_first && pool->starts[i] == 0;
    pool->starts[pool->current[0] != NULL ? START_TAKEOVER : is_first ? START_FIRST : START_RESTART]++;
}

static void take_places(struct link *link, struct flavours flavours) {
    for (unsigned i = flavours.first; i <= flavours.last && i < FLAVOUR_MAX; i++) {
        struct link *before = link->pool->current[i];
        link->pool->current[i] = link;
        if (before != NULL)
            close_if_done(before);
    }
    if (link->pool->reached <= flavours.last)
        link->pool->reached = flavours.last + 1;
}

int pool_add(struct pool *pool, int take_channel, struct flavours flavours) {
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        fd_close(take_channel);
        return -ENOMEM;
    }
    *link = (struct link){.pool = pool, .fd = take_channel, .first = flavours.first};
    link->poll.data = link;
    int r = uv_poll_init(pool->loop, &link->poll, link->fd); /* makes it non-blocking */
    if (r < 0) {
        fd_close(link->fd);
        free(link);
        return r;
    }
    uv_poll_start(&link->poll, UV_READABLE | UV_DISCONNECT, hear);
    if (flavours.first == 0)
        count_start(pool);
    take_places(link, flavours);
    pool->available(pool->context);
    return 0;
}

int pool_run(struct pool *pool, struct job *job, const int fds[MESSAGE_MAX_FDS]) {
    struct message message = {.kind = MESSAGE_RUN, .job = job->number, .run = job->limits};
    struct link *link = pool->current[job->flavour];
    if (link == NULL)
        return -ENOTCONN;
    int r = message_send(link->fd, &message, fds, message_count_fds(fds));
    if (r < 0)
        return r;
    job->link = link;
    job->next = pool->running;
    pool->running = job;
    link->jobs++;
    return 0;
}

/* Where it cannot be sent the worker's own exit, or the deadline, ends the job instead. */
static void tell(const struct job *job, enum message_kind kind) {
    const struct link *link = job->link;
    struct message message = {.kind = kind, .job = job->number};
    if (link != NULL)
        message_send(link->fd, &message, NULL, 0);
}

void pool_answered(const struct job *job) {
    tell(job, MESSAGE_ANSWERED);
}

void pool_cancel(const struct job *job) {
    tell(job, MESSAGE_CANCEL);
}

void pool_count(const struct pool *pool, struct pool_crew ret_crews[FLAVOUR_MAX]) {
    for (unsigned i = 0; i < FLAVOUR_MAX; i++) {
        const struct link *link = pool->current[i];
        ret_crews[i] = (struct pool_crew){.ready = link != NULL};
        if (link == NULL || link->first != i)
            continue;
        ret_crews[i].idle = link->crew.idle;
        ret_crews[i].starting = link->crew.starting;
    }
    for (const struct job *job = pool->running; job != NULL; job = job->next) {
        const struct link *link = job->link;
        ret_crews[link->first].busy++;
    }
}
