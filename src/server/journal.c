/* The server's log: see journal.h. Runs in the server's event loop. */
#include "server/journal.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WAITING_MAX = 64 << 10, REQUESTS_MAX = 48 << 10, SECOND_US = 1000000, RETRY_MS = 50 };

static void timer_ended(uv_timer_t *timer);

/* --- Writing --- */

/* Whole lines, as many as a pipe takes in one piece; the first of them may be the rest of one. */
static size_t next_piece(const struct journal *journal) {
    const char *from = journal->waiting.data + journal->written;
    size_t size = journal->waiting.len - journal->written;
    if (size <= LINE_BYTES)
        return size;
    const char *end = memrchr(from, '\n', LINE_BYTES);
    return end != NULL ? (size_t)(end - from) + 1 : LINE_BYTES;
}

static void write_waiting(struct journal *journal) {
    while (journal->written < journal->waiting.len) {
        size_t size = next_piece(journal);
        ssize_t n = log_write(journal->waiting.data + journal->written, size);
        if (n == -EINTR)
            continue;
        if (n == -EAGAIN)
            break;
        /* Where there is nobody to read it any more, it is as good as read. */
        journal->written += n < 0 ? size : (size_t)n;
    }
    journal->waiting.len -= journal->written;
    if (journal->waiting.len > 0)
        memmove(journal->waiting.data, journal->waiting.data + journal->written, journal->waiting.len);
    journal->written = 0;
}

static void keep(struct journal *journal, const struct line *line, size_t max) {
    if (journal->waiting.len + line->len <= max && buf_add(&journal->waiting, line->data, line->len) == 0)
        return;
    journal->lost++;
    journal->lost_ever++;
}

static void tell_lost(struct journal *journal) {
    struct line line;
    char words[96];
    snprintf(words, sizeof words, LOG_LOST, journal->lost);
    journal->lost = 0;
    log_begin(&line, LOG_LEVEL_WARNING, words);
    log_end(&line);
    keep(journal, &line, WAITING_MAX);
}

static void flush(struct journal *journal) {
    if (journal->stuck)
        return;
    write_waiting(journal);
    if (journal->waiting.len == 0 && journal->lost > 0) {
        tell_lost(journal);
        write_waiting(journal);
    }
    if (journal->waiting.len == 0)
        return;
    journal->stuck = true;
    uv_timer_start(&journal->timer, timer_ended, RETRY_MS, 0);
}

/* --- Requests --- */

/* The second is over: says how many of its requests had no line. */
static void end_window(struct journal *journal) {
    uint64_t left_out = journal->left_out;
    journal->left_out = 0;
    if (left_out > 0)
        log_warning("%" PRIu64 " requests have no line, there were more than %" PRIu64 " in a second (--log-rate)", left_out,
                    journal->config->log_rate);
}

void journal_add(struct journal *journal, const struct access *access) {
    uint64_t now = clock_us();
    struct line line;
    if (!journal->access || !log_wants(access_level(access)))
        return;
    if (now - journal->window_us >= SECOND_US) {
        end_window(journal);
        journal->window_us = now;
        journal->in_window = 0;
    }
    if (journal->in_window >= journal->config->log_rate) {
        journal->left_out_ever++;
        /* Where nobody asks for more they are told of when the second is over. */
        if (journal->left_out++ == 0 && !journal->stuck)
            uv_timer_start(&journal->timer, timer_ended, (journal->window_us + SECOND_US - now) / 1000 + 1, 0);
        return;
    }
    journal->in_window++;
    access_make_line(access, journal->config->log_project, &line);
    keep(journal, &line, REQUESTS_MAX);
}

/* --- In the loop --- */

static void take_line(void *context, enum log_level level, const struct line *line) {
    struct journal *journal = context;
    keep(journal, line, WAITING_MAX);
    if (level <= LOG_LEVEL_WARNING) /* it may be the last thing that this process does */
        flush(journal);
}

static void about_to_sleep(uv_prepare_t *handle) {
    flush(handle->data);
}

static void timer_ended(uv_timer_t *timer) {
    struct journal *journal = timer->data;
    uint64_t over_us = journal->window_us + SECOND_US, now = clock_us();
    journal->stuck = false;
    if (journal->left_out > 0 && now >= over_us)
        end_window(journal);
    flush(journal);
    if (journal->left_out > 0 && !journal->stuck)
        uv_timer_start(timer, timer_ended, (over_us - now) / 1000 + 1, 0);
}

int journal_start(struct journal *journal, uv_loop_t *loop, const struct config *config) {
    int r;
    *journal = (struct journal){.config = config, .access = config_is_on(config->access_log)};
    buf_init(&journal->waiting, WAITING_MAX);
    journal->timer.data = journal->before_sleep.data = journal;
    if ((r = uv_timer_init(loop, &journal->timer)) < 0 || (r = uv_prepare_init(loop, &journal->before_sleep)) < 0 ||
        (r = uv_prepare_start(&journal->before_sleep, about_to_sleep)) < 0)
        return r;
    uv_unref((uv_handle_t *)&journal->before_sleep);
    log_divert(take_line, journal);
    return 0;
}

void journal_flush(struct journal *journal) {
    journal->stuck = false;
    flush(journal);
}
