/* The console: see console.h. Runs in the server's event loop, confined as it is. */
#include "server/console.h"

#include "base/fd.h"
#include "base/log.h"
#include "server/report.h"
#include "server/response.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- What goes out --- */

static void tell_end(struct console *console) {
    const struct message message = {.kind = MESSAGE_OUTCOME, .end = console->end};
    /* Its end is behind all that was printed. */
    console->printed_fd = fd_close(console->printed_fd);
    if (message_send(console->control, &message, NULL, 0) < 0)
        log_error("the manager was not told how the run ended");
}

/* 1 while there is more to write. A reader that is gone is the manager's business: it ends us. */
static int write_pending(struct console *console) {
    while (console->sent < console->pending.len) {
        ssize_t n = write(console->printed_fd, console->pending.data + console->sent, console->pending.len - console->sent);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 1;
        console->sent = n < 0 ? console->pending.len : console->sent + (size_t)n;
    }
    console->pending.len = console->sent = 0;
    return 0;
}

static void printed_ready(uv_poll_t *poll, int status, int events);

/* While the reader is waited for nothing is read from the script: no more is kept than what was read already. */
static void flush(struct console *console) {
    bool waits = write_pending(console) == 1;
    if (waits)
        uv_poll_start(&console->printed, UV_WRITABLE, printed_ready);
    else
        uv_poll_stop(&console->printed);
    if (console->job != NULL)
        runs_hold_output(console->job, waits);
    else if (console->ended && !waits && console->printed_fd >= 0)
        tell_end(console);
}

static void printed_ready(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    flush(poll->data);
}

static void print(const struct console_source *source, const char *data, size_t size) {
    struct buf *pending = &source->console->pending;
    const struct frame_header header = {.kind = source->kind, .length = (uint32_t)size};
    if (size == 0)
        return;
    if (buf_reserve(pending, sizeof header + size) < 0) {
        log_error("no memory for what the script has printed");
        return;
    }
    (void)buf_add(pending, &header, sizeof header);
    (void)buf_add(pending, data, size);
}

static void take(struct capture *capture, const char *data, size_t size) {
    const struct console_source *source = capture->owner;
    print(source, data, size);
    flush(source->console);
}

/* --- The end --- */

static void finish(struct console *console, uint32_t refused, enum outcome outcome) {
    console->end = (struct console_end){.refused = refused, .outcome = outcome};
    console->ended = true;
    flush(console);
}

static void refuse(struct console *console, const struct request_error *error) {
    struct buf words;
    buf_init(&words, CONSOLE_MAX);
    if (buf_add_text(&words, "python-executor: ") < 0 || report_add_visible(&words, error->text, strlen(error->text)) < 0 ||
        buf_add_text(&words, "\n") < 0)
        log_error("no memory to say what is wrong");
    print(&console->err, words.data, words.len);
    buf_done(&words);
    finish(console, 1, OUTCOME_LOST);
}

static int add_document(struct buf *out, const struct job *job) {
    struct response response;
    int r = response_from_job(&response, job);
    if (r < 0 || buf_add(out, response.body, response.size) < 0 || buf_add_text(out, "\n") < 0)
        r = -ENOMEM;
    free(response.body);
    return r;
}

static void job_finished(struct job *job) {
    struct console *console = job->owner;
    struct buf out, err;
    buf_init(&out, CONSOLE_MAX);
    buf_init(&err, CONSOLE_MAX);
    int r = console->compose.document ? add_document(&out, job) : report_job(console->config, job, &out, &err);
    enum outcome outcome = r < 0 ? OUTCOME_LOST : job->outcome;
    if (r < 0)
        log_error("no memory to say how it ended");
    print(&console->out, out.data, out.len);
    print(&console->err, err.data, err.len);
    buf_done(&out);
    buf_done(&err);
    console->job = NULL;
    finish(console, 0, outcome);
    job_unref(job);
}

/* --- What comes in --- */

static int submit(struct console *console, struct request_error *ret_error) {
    struct buf *body = &console->compose.body;
    struct job *job;
    int r = compose_finish(&console->compose, ret_error);
    if (r == 0)
        r = request_parse(console->config, body->data, body->len, !console->compose.document, &job, ret_error);
    buf_done(body);
    if (r != 0)
        return r;
    job_use_stdin(job, fd_steal(&console->stdin_fd));
    job->finished = job_finished;
    job->owner = console;
    if (!console->compose.document) {
        job->out.take = job->err.take = take;
        job->out.owner = &console->out;
        job->err.owner = &console->err;
    }
    console->job = job;
    r = runs_submit(console->runs, job, NULL);
    if (r < 0) {
        console->job = NULL;
        job_unref(job);
        *ret_error = (struct request_error){.text = "There is no place for it."};
    }
    return r;
}

/* 1 where the request is whole, 0 where more must come, or a negative errno. */
static int read_parts(struct console *console, struct request_error *ret_error) {
    struct frame_reader *part = &console->part;
    int r;
    while ((r = frame_read(part, console->request_fd)) == 1) {
        uint32_t kind = part->header.kind;
        if (kind == CONSOLE_END)
            return 1;
        r = compose_add(&console->compose, (enum console_part)kind, part->payload.data != NULL ? part->payload.data : "",
                        part->payload.len, ret_error);
        frame_reader_done(part);
        frame_reader_init(part, CONSOLE_MAX);
        if (r < 0)
            return r;
    }
    if (r < 0)
        *ret_error = (struct request_error){.text = "The request did not come to its end, or is too large."};
    return r;
}

static void request_ready(uv_poll_t *poll, int status, int events) {
    struct console *console = poll->data;
    struct request_error error = {0};
    (void)events;
    int r = status < 0 ? status : read_parts(console, &error);
    if (r == 0)
        return;
    uv_poll_stop(poll);
    console->request_fd = fd_close(console->request_fd);
    if (r > 0)
        r = submit(console, &error);
    if (r < 0)
        refuse(console, &error);
}

int console_start(struct console *console, uv_loop_t *loop, struct runs *runs, const struct config *config, int control,
                  int take_fds[MESSAGE_MAX_FDS]) {
    int r;
    *console = (struct console){.config = config, .runs = runs, .control = control};
    console->request_fd = fd_steal(&take_fds[CONSOLE_REQUEST]);
    console->stdin_fd = fd_steal(&take_fds[CONSOLE_STDIN]);
    console->request.data = console;
    frame_reader_init(&console->part, CONSOLE_MAX);
    compose_init(&console->compose, config);
    console->printed_fd = fd_steal(&take_fds[CONSOLE_PRINTED]);
    console->out = (struct console_source){console, CONSOLE_STDOUT};
    console->err = (struct console_source){console, CONSOLE_STDERR};
    console->printed.data = console;
    buf_init(&console->pending, CONSOLE_MAX);
    /* uv_poll_init() makes it non-blocking, which is the pipe's end here only. */
    if ((r = uv_poll_init(loop, &console->printed, console->printed_fd)) < 0 ||
        (r = uv_poll_init(loop, &console->request, console->request_fd)) < 0)
        return r;
    return uv_poll_start(&console->request, UV_READABLE, request_ready);
}
