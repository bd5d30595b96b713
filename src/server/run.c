/* Runs: see run.h. Runs in the server's event loop. */
#include "server/run.h"

#include "base/clock.h"
#include "base/fd.h"
#include "server/judge.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a start has lacked, a descriptor or a place in a socket, comes back without a word. */
enum { RETRY_MS = 50 };

static void start_waiting(struct runs *runs);

/* --- Watching descriptors --- */

static void unwatched(uv_handle_t *handle) {
    struct job *job = handle->data;
    job_unref(job);
}

static void unwatch(struct job *job, enum job_watch which) {
    if (!job->watched[which])
        return;
    job->watched[which] = false;
    uv_close((uv_handle_t *)&job->watches[which], unwatched);
}

static int watch(struct job *job, enum job_watch which, int fd, int events, uv_poll_cb callback) {
    uv_poll_t *poll = &job->watches[which];
    int r = uv_poll_init(job->runs->loop, poll, fd);
    if (r < 0)
        return r;
    poll->data = job_ref(job);
    job->watched[which] = true;
    return uv_poll_start(poll, events, callback);
}

/* --- While it runs --- */

static void print_ready(uv_poll_t *poll, int status, int events) {
    struct job *job = poll->data;
    enum job_watch which = poll == &job->watches[WATCH_STDOUT] ? WATCH_STDOUT : WATCH_STDERR;
    struct capture *capture = which == WATCH_STDOUT ? &job->out : &job->err;
    (void)events;
    /* At its end, which a script can bring about by closing it, there is nothing to wait for. */
    if (status < 0 || capture_read(capture, job->fds[which]) <= 0)
        unwatch(job, which);
}

/* 1 while there is more to send. A worker that does not read any more is the verdict's business. */
static int send_order(struct job *job) {
    while (job->order_sent < job->order.len) {
        ssize_t n = send(job->fds[WATCH_CHANNEL], job->order.data + job->order_sent,
                         job->order.len - job->order_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 1 : -errno;
        job->order_sent += (size_t)n;
    }
    return 0;
}

/* The script may be large. Only when the job cannot be taken back is it not needed again. */
static void forget_order(struct job *job) {
    if (job->order_sent == job->order.len)
        buf_done(&job->order);
}

static void read_answer(struct job *job) {
    if (job->answer_state == 0)
        job->answer_state = frame_read(&job->answer, job->fds[WATCH_CHANNEL]);
}

static void channel_ready(uv_poll_t *poll, int status, int events) {
    struct job *job = poll->data;
    int sending = 0;
    if ((events & UV_WRITABLE) != 0)
        sending = send_order(job);
    forget_order(job);
    if (status < 0 || (events & UV_READABLE) != 0)
        read_answer(job);
    /* A preloaded process takes longer to end than most scripts to run, and the client need not wait
     * for that, unless it wants the exact figures, which only the end brings. */
    if (job->answer_state == 1 && !job->wants_details)
        pool_answered(job);
    /* The first frame counts. What follows is not read, so a worker that writes on blocks, and the
     * deadline is its end. */
    if (status < 0 || job->answer_state != 0)
        unwatch(job, WATCH_CHANNEL);
    else if ((events & UV_WRITABLE) != 0 && sending <= 0)
        uv_poll_start(poll, UV_READABLE, channel_ready);
}

/* 1 while there is more to write. */
static int write_stdin(struct job *job) {
    /* A script that reads as fast as we write must not keep us here. */
    for (int i = 0; i < 4 && job->stdin_sent < job->stdin_text.len; i++) {
        ssize_t n = write(job->fds[WATCH_STDIN], job->stdin_text.data + job->stdin_sent,
                          job->stdin_text.len - job->stdin_sent);
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN ? 1 : -errno;
        job->stdin_sent += n < 0 ? 0 : (size_t)n;
    }
    return job->stdin_sent < job->stdin_text.len;
}

static void stdin_ready(uv_poll_t *poll, int status, int events) {
    struct job *job = poll->data;
    (void)events;
    if (status >= 0 && write_stdin(job) == 1)
        return;
    /* All of it is written, or the script has closed it. Closing our end is what it reads as the end. */
    unwatch(job, WATCH_STDIN);
    job->fds[WATCH_STDIN] = fd_close(job->fds[WATCH_STDIN]);
    buf_done(&job->stdin_text);
}

/* --- Starting --- */

static void close_ours(struct job *job) {
    for (size_t i = 0; i < WATCH_CLIENT; i++) {
        unwatch(job, (enum job_watch)i);
        job->fds[i] = fd_close(job->fds[i]);
    }
}

static int watch_all(struct job *job) {
    int r;
    if ((r = watch(job, WATCH_CHANNEL, job->fds[WATCH_CHANNEL], UV_READABLE | (job->order.len > 0 ? UV_WRITABLE : 0),
                   channel_ready)) < 0 ||
        (r = watch(job, WATCH_STDOUT, job->fds[WATCH_STDOUT], UV_READABLE, print_ready)) < 0)
        return r;
    if ((r = watch(job, WATCH_STDERR, job->fds[WATCH_STDERR], UV_READABLE, print_ready)) < 0 ||
        job->fds[WATCH_STDIN] < 0)
        return r;
    return watch(job, WATCH_STDIN, job->fds[WATCH_STDIN], UV_WRITABLE, stdin_ready);
}

/* Hands over a stdin that somebody else writes to, or makes one for the text that we write. */
static int make_stdin(struct job *job, int *ret_theirs) {
    if (job->stdin_fd >= 0)
        *ret_theirs = fd_steal(&job->stdin_fd);
    return job->stdin_text.len == 0 ? 0 : lines_pipe(1, &job->fds[WATCH_STDIN], ret_theirs);
}

/* Those that wait for it, or new ones. */
static int take_lines(struct runs *runs, struct job *job, int ret_theirs[MESSAGE_MAX_FDS]) {
    struct lines lines = runs->spare;
    lines_init(&runs->spare);
    int r = lines.ours[RUN_CHANNEL] >= 0 ? 0 : lines_open(&lines);
    memcpy(job->fds, lines.ours, sizeof lines.ours);
    memcpy(ret_theirs, lines.theirs, sizeof lines.theirs);
    return r;
}

/* When nobody waits for it. Without a descriptor the next run tries again. */
static void make_spare_lines(struct runs *runs) {
    if (runs->spare.ours[RUN_CHANNEL] < 0)
        (void)lines_open(&runs->spare);
}

/* On failure the job is as it was before. */
static int start(struct runs *runs, struct job *job) {
    int theirs[MESSAGE_MAX_FDS] = {-1, -1, -1, -1};
    int r;
    /* The order goes first, so that the worker finds it there. */
    if ((r = take_lines(runs, job, theirs)) >= 0 && (r = send_order(job)) >= 0 &&
        (r = make_stdin(job, &theirs[RUN_STDIN])) >= 0)
        r = pool_run(&runs->pool, job, theirs);
    /* What we have not made we cannot make again. */
    if (r < 0 && job->stdin_fd < 0 && job->fds[WATCH_STDIN] < 0)
        job->stdin_fd = fd_steal(&theirs[RUN_STDIN]);
    message_close_fds(theirs);
    if (r < 0) {
        close_ours(job);
        job->order_sent = 0;
        return r;
    }
    forget_order(job);
    runs->running++;
    job_ref(job);
    job->stage = JOB_RUNNING;
    job->started_us = clock_us();
    /* It cannot be taken back now; a job that cannot be watched ends like one nobody wants. */
    if (watch_all(job) < 0)
        pool_cancel(job);
    return 0;
}

/* Of a zygote that is not there yet pool.h tells when it is. */
static int try_to_start(struct runs *runs, struct job *job) {
    int r = start(runs, job);
    runs->retry_us = r < 0 && r != -ENOTCONN ? clock_us() + RETRY_MS * 1000ull : 0;
    return r;
}

/* --- Long ones --- */

static void mark_long(struct job *job) {
    job->is_long = true;
    job->runs->long_wall_ms += job->limits.wall_ms;
}

/* As far as is known by now, while it has not begun. One that may not run for so long is not long, whatever its script. */
static void look_up(struct job *job) {
    if (!job->is_long && job->limits.wall_ms > HISTORY_LONG_MS &&
        history_usual_ms(&job->runs->history, job->script_key) > HISTORY_LONG_MS)
        mark_long(job);
}

/* Whether there is a place for one more. What has turned out long by now is known for such from here on, and need not
 * end first. Those that run are few, and to turn long frees no place, so nobody waits for this: no timer. */
static bool has_long_place(struct runs *runs) {
    uint64_t now = clock_us();
    size_t count = 0;
    for (struct job *job = runs->pool.running; job != NULL; job = job->next) {
        uint64_t ms = (now - job->started_us) / 1000;
        if (!job->is_long && ms > HISTORY_LONG_MS) {
            mark_long(job);
            history_note_at_least(&runs->history, job->script_key, ms);
        }
        count += job->is_long;
    }
    return count < runs->long_places;
}

static void remember(struct job *job) {
    uint64_t ms = job->verdict.wall_us / 1000;
    switch (job->verdict.ending) {
    case ENDING_EXIT:
    case ENDING_SIGNAL:
    case ENDING_ANSWERED: history_note(&job->runs->history, job->script_key, ms); break;
    /* Ended by a limit, which the request may have lowered, or since its client went away: it is no shorter for that. */
    default: history_note_at_least(&job->runs->history, job->script_key, ms);
    }
}

/* --- Finishing --- */

static void take_time(struct job *job) {
    job->runs->wall_ms += job->limits.wall_ms;
    if (job->caller != NULL)
        caller_enter(job->caller, job->limits.wall_ms);
}

static void give_up_time(struct job *job) {
    if (job->caller != NULL)
        caller_leave(job->caller, job->limits.wall_ms);
    job->caller = NULL;
    job->turn = NULL;
    job->runs->wall_ms -= job->limits.wall_ms;
    if (job->is_long)
        job->runs->long_wall_ms -= job->limits.wall_ms;
}

static void finish(struct job *job, enum outcome outcome) {
    close_ours(job);
    unwatch(job, WATCH_CLIENT);
    job->stage = JOB_FINISHED;
    give_up_time(job);
    job->outcome = outcome;
    job->finished_us = clock_us();
    if (job->started_us == 0)
        job->started_us = job->finished_us;
    if (job->expired)
        job->runs->metrics.rejected[job->displaced ? REJECTED_DISPLACED : job->runs->over ? REJECTED_DRAINING : REJECTED_QUEUE_TIMEOUT]++;
    else
        metrics_count_run(&job->runs->metrics, job);
    job->finished(job);
    job_unref(job);
}

/* The verdict is in: the worker is gone, and what the buffers of the socket and of the pipes (64 KiB
 * each, pipe(7)) hold is all there is. */
static void job_ended(struct job *job) {
    struct runs *runs = job->runs;
    read_answer(job);
    capture_read(&job->out, job->fds[WATCH_STDOUT]);
    capture_read(&job->err, job->fds[WATCH_STDERR]);
    runs->running--;
    remember(job);
    enum outcome outcome = judge_outcome(job, runs->config->result_depth);
    finish(job, job->cancelled ? OUTCOME_CANCELLED : outcome);
    start_waiting(runs);
    make_spare_lines(runs);
}

/* --- Waiting --- */

/* It has waited in vain, or had to go. */
static void give_back(struct job *job) {
    queue_remove(&job->runs->queue, job);
    job->expired = true;
    job->displaced = job->line == LINE_DISPLACED;
    if (job->displaced && job->caller != NULL)
        job->caller->displaced++;
    finish(job, OUTCOME_LOST);
}

static uint64_t due_us(const struct runs *runs, const struct job *job) {
    return job->line == LINE_DISPLACED ? 0 : job->admitted_us + runs->config->queue_ms * 1000;
}

/* Of those that wait the first that is told not to. */
static struct job *next_due(const struct runs *runs) {
    struct job *displaced = queue_displaced(&runs->queue);
    return displaced != NULL ? displaced : queue_oldest(&runs->queue);
}

static void expire(uv_timer_t *timer) {
    struct runs *runs = timer->data;
    uint64_t now = clock_us();
    struct job *job;
    while ((job = next_due(runs)) != NULL && now >= due_us(runs, job))
        give_back(job);
    start_waiting(runs);
}

static void set_expiry(struct runs *runs) {
    const struct job *first = next_due(runs);
    if (first == NULL) {
        uv_timer_stop(&runs->expiry);
        return;
    }
    uint64_t due = due_us(runs, first);
    uint64_t now = clock_us();
    if (runs->retry_us != 0 && runs->retry_us < due)
        due = runs->retry_us;
    uv_timer_start(&runs->expiry, expire, due > now ? (due - now + 999) / 1000 : 0, 0);
}

/* Takes out the next job that may start. One that waits as short may be known by now, and is asked about when it is its
 * turn: each is put aside once at most. */
static struct job *take_next(struct runs *runs) {
    struct job *job;
    if (queue_first(&runs->queue, true) == NULL || runs->running >= runs->config->workers)
        return NULL;
    bool place = has_long_place(runs);
    while ((job = queue_next(&runs->queue, place)) != NULL) {
        look_up(job);
        if (place || !job->is_long)
            break;
        queue_put_among_long(&runs->queue, job);
    }
    return job;
}

static void start_waiting(struct runs *runs) {
    struct job *job;
    runs->retry_us = 0;
    while ((job = take_next(runs)) != NULL) {
        if (try_to_start(runs, job) < 0) {
            /* No zygote at the moment, or no descriptor: it waits on, and queue_ms bounds it. */
            queue_put_back(&runs->queue, job);
            break;
        }
        job_unref(job); /* the queue's */
    }
    set_expiry(runs);
}

static void zygote_available(void *context) {
    start_waiting(context);
}

/* --- Doors --- */

/* All but a quarter, which is kept for what is short. */
static size_t long_places(size_t workers) {
    size_t reserve = workers / 4 > 1 ? workers / 4 : 1;
    return workers > 1 ? workers - reserve : 1;
}

int runs_init(struct runs *runs, uv_loop_t *loop, const struct config *config) {
    int r;
    *runs = (struct runs){.loop = loop, .config = config};
    metrics_init(&runs->metrics);
    pool_init(&runs->pool, loop);
    runs->pool.ended = job_ended;
    runs->pool.available = zygote_available;
    runs->pool.context = runs;
    queue_init(&runs->queue, config->queue);
    lines_init(&runs->spare);
    make_spare_lines(runs);
    runs->long_places = long_places(config->workers);
    if ((r = history_init(&runs->history)) < 0)
        return r;
    runs->expiry.data = runs;
    return uv_timer_init(loop, &runs->expiry);
}

/* Where there is a place, and nobody waits who may have it. */
static bool starts_at_once(struct runs *runs, struct job *job) {
    bool place = has_long_place(runs);
    struct json_span script = job_script(job);
    job->script_key = history_key(&runs->history, script.data, script.size);
    look_up(job);
    return (place || !job->is_long) && queue_first(&runs->queue, place) == NULL &&
           runs->running < runs->config->workers && try_to_start(runs, job) == 0;
}

int runs_submit(struct runs *runs, struct job *job, struct caller *caller) {
    if (runs->over)
        return -ESHUTDOWN;
    if (caller != NULL && !caller_may_run(caller))
        return -EDQUOT;
    job->runs = runs;
    job->caller = caller;
    job->turn = caller != NULL ? &caller->turn : NULL;
    job->number = ++runs->last_number;
    job->admitted_us = clock_us();
    take_time(job);
    if (starts_at_once(runs, job))
        return 0;
    int r = queue_admit(&runs->queue, job);
    if (r < 0) {
        give_up_time(job);
        return r;
    }
    job_ref(job);
    job->stage = JOB_WAITING;
    set_expiry(runs);
    return 0;
}

static void client_gone(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    runs_cancel(poll->data);
}

void runs_watch_client(struct job *job, int socket) {
    /* UV_DISCONNECT is EPOLLRDHUP. Without it the job merely runs to its end. */
    (void)watch(job, WATCH_CLIENT, socket, UV_DISCONNECT, client_gone);
}

void runs_cancel(struct job *job) {
    unwatch(job, WATCH_CLIENT);
    job->cancelled = true;
    if (job->stage == JOB_WAITING) {
        queue_remove(&job->runs->queue, job);
        set_expiry(job->runs);
        finish(job, OUTCOME_CANCELLED);
    } else if (job->stage == JOB_RUNNING) {
        pool_cancel(job);
    }
}

void runs_hold_output(struct job *job, bool hold) {
    static const enum job_watch printed[] = {WATCH_STDOUT, WATCH_STDERR};
    job->out.held = job->err.held = hold;
    for (size_t i = 0; i < sizeof printed / sizeof printed[0]; i++) {
        if (!job->watched[printed[i]])
            continue;
        if (hold)
            uv_poll_stop(&job->watches[printed[i]]);
        else
            uv_poll_start(&job->watches[printed[i]], UV_READABLE, print_ready);
    }
}

void runs_drain(struct runs *runs) {
    runs->draining = true;
}

size_t runs_end(struct runs *runs) {
    struct job *job;
    size_t count = runs->queue.length + runs->running;
    runs->draining = runs->over = true;
    while ((job = next_due(runs)) != NULL)
        give_back(job);
    set_expiry(runs);
    pool_lose_all(&runs->pool);
    return count;
}

unsigned runs_retry_after(const struct runs *runs) {
    /* At worst everything before the caller runs into its deadline, and until then no place is idle. */
    uint64_t all_ms = runs->wall_ms / runs->config->workers, long_ms = runs->long_wall_ms / runs->long_places;
    uint64_t seconds = ((all_ms > long_ms ? all_ms : long_ms) + 999) / 1000;
    return seconds > 60 ? 60 : seconds < 1 ? 1 : (unsigned)seconds;
}
