/* Streamed answers: see stream.h. Runs in the server, on what a hostile worker prints. */
#include "server/stream.h"

#include "server/run.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Above the one the script waits, below the other it goes on. What is on its way then comes on top: one piece as
 * large as a pipe, and the two pipes at the job's end, of which each byte may become six. */
enum { STREAM_HIGH = 64 << 10, STREAM_LOW = 16 << 10, STREAM_MAX = 2 << 20 };

/* --- Asking for it --- */

static bool is_unwanted(const char *parameters, size_t size) {
    const char *end = parameters + size;
    for (const char *at = parameters; (at = memchr(at, ';', (size_t)(end - at))) != NULL;) {
        at++;
        at += strspn(at, " \t");
        if (at < end && strncasecmp(at, "q=", 2) == 0)
            return strtod(at + 2, NULL) <= 0;
    }
    return false;
}

bool stream_accepted(const char *accept) {
    static const char wanted[] = "text/event-stream";
    for (const char *at = accept; at != NULL && *at != '\0';) {
        at += strspn(at, ", \t");
        size_t size = strcspn(at, ",");
        size_t type = strcspn(at, ",; \t");
        if (type == sizeof wanted - 1 && strncasecmp(at, wanted, type) == 0)
            return !is_unwanted(at + type, size - type);
        at += size;
    }
    return false;
}

/* --- Events --- */

static size_t unread(const struct stream *stream) {
    return stream->events.len - stream->read;
}

static void fail(struct stream *stream) {
    stream->failed = true;
    buf_done(&stream->events);
    buf_done(&stream->last);
    stream->read = 0;
}

static int add_event(struct stream *stream, const char *head, const char *text, size_t size) {
    struct buf *events = &stream->events;
    int r;
    if (stream->read > 0) {
        memmove(events->data, events->data + stream->read, unread(stream));
        events->len -= stream->read;
        stream->read = 0;
    }
    if ((r = buf_add_text(events, head)) < 0 || (r = utf8_add_json_string(events, text, size)) < 0)
        return r;
    return buf_add_text(events, "}\n\n");
}

static const char *head_of(const struct stream *stream, const struct stream_cut *cut) {
    return cut == &stream->out ? "event: stdout\ndata: {\"text\": " : "event: stderr\ndata: {\"text\": ";
}

/* What is there of characters becomes an event, the beginning of another one waits for its rest. */
static int add_printed(struct stream *stream, struct stream_cut *cut, const char *data, size_t size) {
    size_t tail = utf8_cut_tail(data, size);
    int r = size > tail ? add_event(stream, head_of(stream, cut), data, size - tail) : 0;
    memcpy(cut->bytes, data + size - tail, tail);
    cut->size = tail;
    return r;
}

static int add_joined(struct stream *stream, struct stream_cut *cut, const char *data, size_t size) {
    struct buf joined;
    buf_init(&joined, cut->size + size);
    int r = buf_add(&joined, cut->bytes, cut->size);
    if (r == 0)
        r = buf_add(&joined, data, size);
    if (r == 0)
        r = add_printed(stream, cut, joined.data, joined.len);
    buf_done(&joined);
    return r;
}

static void take(struct capture *capture, const char *data, size_t size) {
    struct stream *stream = capture->owner;
    struct stream_cut *cut = capture == &stream->job->out ? &stream->out : &stream->err;
    if (stream->failed)
        return;
    int r = cut->size == 0 ? add_printed(stream, cut, data, size) : add_joined(stream, cut, data, size);
    if (r < 0)
        fail(stream);
    if (!stream->held && unread(stream) >= STREAM_HIGH) {
        stream->held = true;
        runs_hold_output(stream->job, true);
    }
    stream->ready(stream->owner);
}

/* Nobody reads it any more, and it must not be kept instead. */
static void drop(struct capture *capture, const char *data, size_t size) {
    (void)capture;
    (void)data;
    (void)size;
}

/* --- From its beginning to its end --- */

void stream_begin(struct stream *stream, struct job *job, void (*ready)(void *owner), void *owner) {
    *stream = (struct stream){.job = job, .ready = ready, .owner = owner};
    buf_init(&stream->events, STREAM_MAX);
    job->out.take = job->err.take = take;
    job->out.owner = job->err.owner = stream;
}

static int flush(struct stream *stream, struct stream_cut *cut, const struct capture *capture) {
    /* Where the limit cut through a character, its first bytes are not worth a U+FFFD. */
    if (cut->size == 0 || capture_truncated(capture))
        return 0;
    return add_event(stream, head_of(stream, cut), cut->bytes, cut->size);
}

static int add_last(struct stream *stream, char *take_json, size_t size) {
    struct buf *last = &stream->last;
    *last = (struct buf){.data = take_json, .len = size, .capacity = size, .max = size + 2};
    /* JSON that was passed on byte for byte may have line ends, between its tokens only: inside a string they are
     * escaped. An event's data ends with its line, and so no worker can write an event of its own. */
    for (size_t i = 0; i < size; i++)
        if (take_json[i] == '\n' || take_json[i] == '\r')
            take_json[i] = ' ';
    int r = buf_add_text(&stream->events, "event: result\ndata: ");
    return r < 0 ? r : buf_add_text(last, "\n\n");
}

static void forget_job(struct stream *stream) {
    stream->job->out.take = stream->job->err.take = drop;
    stream->job = NULL;
}

void stream_finish(struct stream *stream, char *take_json, size_t size) {
    if (stream->failed || take_json == NULL || flush(stream, &stream->out, &stream->job->out) < 0 ||
        flush(stream, &stream->err, &stream->job->err) < 0) {
        free(take_json);
        fail(stream);
    } else if (add_last(stream, take_json, size) < 0) {
        fail(stream);
    }
    stream->finished = true;
    forget_job(stream);
}

void stream_done(struct stream *stream) {
    if (stream->job != NULL)
        forget_job(stream);
    buf_done(&stream->events);
    buf_done(&stream->last);
}

/* --- Reading --- */

static void go_on(struct stream *stream) {
    if (!stream->held || unread(stream) > STREAM_LOW)
        return;
    stream->held = false;
    if (stream->job != NULL)
        runs_hold_output(stream->job, false);
}

/* What was printed is read; what took more room than usual gives it back. */
static void start_again(struct stream *stream) {
    stream->read = 0;
    stream->events.len = 0;
    if (stream->finished) {
        buf_done(&stream->events);
        stream->events = stream->last;
        stream->last = (struct buf){0};
    } else if (stream->events.capacity > STREAM_HIGH) {
        buf_done(&stream->events);
    }
}

ssize_t stream_read(struct stream *stream, char *to, size_t max) {
    size_t done = 0;
    if (stream->failed)
        return -ENOMEM;
    if (unread(stream) == 0)
        return stream->finished ? -ENODATA : 0;
    while (done < max && unread(stream) > 0) {
        size_t size = unread(stream) < max - done ? unread(stream) : max - done;
        memcpy(to + done, stream->events.data + stream->read, size);
        done += size;
        stream->read += size;
        if (unread(stream) == 0)
            start_again(stream);
    }
    go_on(stream);
    return (ssize_t)done;
}

size_t stream_held(const struct stream *stream) {
    return stream->events.capacity + stream->last.capacity;
}
