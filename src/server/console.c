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
    /* The end of both streams, behind all that was printed. */
    console->out.fd = fd_close(console->out.fd);
    console->err.fd = fd_close(console->err.fd);
    if (message_send(console->control, &message, NULL, 0) < 0)
        log_error("the manager was not told how the run ended");
}

static bool is_empty(const struct console_stream *stream) {
    return stream->sent == stream->pending.len;
}

/* 1 while there is more to write. A reader that is gone is the manager's business: it ends us. */
static int write_pending(struct console_stream *stream) {
    while (!is_empty(stream)) {
        ssize_t n = write(stream->fd, stream->pending.data + stream->sent, stream->pending.len - stream->sent);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 1;
        stream->sent = n < 0 ? stream->pending.len : stream->sent + (size_t)n;
    }
    stream->pending.len = stream->sent = 0;
    return 0;
}

static void stream_ready(uv_poll_t *poll, int status, int events);

/* While one of them waits for its reader neither is read from the script: nothing is kept but what was read already. */
static void flush(struct console *console) {
    struct console_stream *const streams[] = {&console->out, &console->err};
    bool waits = false;
    for (size_t i = 0; i < 2; i++) {
        if (write_pending(streams[i]) == 1) {
            uv_poll_start(&streams[i]->poll, UV_WRITABLE, stream_ready);
            waits = true;
        } else {
            uv_poll_stop(&streams[i]->poll);
        }
    }
    if (console->job != NULL)
        runs_hold_output(console->job, waits);
    else if (console->ended && !waits && console->out.fd >= 0)
        tell_end(console);
}

static void stream_ready(uv_poll_t *poll, int status, int events) {
    struct console_stream *stream = poll->data;
    (void)status;
    (void)events;
    flush(stream->console);
}

static void take(struct capture *capture, const char *data, size_t size) {
    struct console_stream *stream = capture->owner;
    if (buf_add(&stream->pending, data, size) < 0)
        log_error("no memory for what the script has printed");
    flush(stream->console);
}

static int open_stream(struct console *console, struct console_stream *stream, uv_loop_t *loop, int take_fd) {
    stream->console = console;
    stream->fd = take_fd;
    stream->poll.data = stream;
    buf_init(&stream->pending, CONSOLE_MAX);
    return uv_poll_init(loop, &stream->poll, take_fd); /* makes it non-blocking, which is the pipe's end here only */
}

/* --- The end --- */

static void finish(struct console *console, uint32_t refused, enum outcome outcome) {
    console->end = (struct console_end){.refused = refused, .outcome = outcome};
    console->ended = true;
    flush(console);
}

static void refuse(struct console *console, const struct request_error *error) {
    struct buf *err = &console->err.pending;
    if (buf_add_text(err, "python-executor: ") < 0 || report_add_visible(err, error->text, strlen(error->text)) < 0 ||
        buf_add_text(err, "\n") < 0)
        log_error("no memory to say what is wrong");
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
    int r = console->compose.document ? add_document(&console->out.pending, job)
                                      : report_job(console->config, job, &console->out.pending, &console->err.pending);
    enum outcome outcome = r < 0 ? OUTCOME_LOST : job->outcome;
    if (r < 0)
        log_error("no memory to say how it ended");
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
        r = request_parse(console->config, body->data, body->len, false, &job, ret_error);
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
    if ((r = open_stream(console, &console->out, loop, fd_steal(&take_fds[CONSOLE_STDOUT]))) < 0 ||
        (r = open_stream(console, &console->err, loop, fd_steal(&take_fds[CONSOLE_STDERR]))) < 0 ||
        (r = uv_poll_init(loop, &console->request, console->request_fd)) < 0)
        return r;
    return uv_poll_start(&console->request, UV_READABLE, request_ready);
}
