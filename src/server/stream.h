/* A streamed answer: what a script prints, and then how its run ended, as server-sent events (HTML, section 9.2).
 *
 * Makes the text of the events and keeps it until it is read; knows no HTTP. A reader that is slow makes the
 * script wait: beyond a bound nothing more is read of what it prints.
 */
#ifndef PX_SERVER_STREAM_H
#define PX_SERVER_STREAM_H

#include "base/buf.h"
#include "server/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The first bytes of a character whose rest has not come yet. */
struct stream_cut {
    char bytes[4];
    size_t size;
};

struct stream {
    struct job *job;   /* borrowed while it is not finished, NULL otherwise */
    struct buf events; /* what was printed, until it is read */
    size_t read;       /* of it, in bytes */
    struct buf last;   /* the result's event, which comes behind that */
    struct stream_cut out, err;
    bool held;     /* the script is made to wait */
    bool finished; /* the last event is there */
    bool failed;   /* there was no memory for an event, and nothing can follow it */
    void (*ready)(void *owner);
    void *owner;
};

/* Whether an Accept header, which may be NULL, asks for events: it names text/event-stream, and not with q=0. */
bool stream_accepted(const char *accept);

/* From now on all that the job prints comes here; `ready` is called with `owner` whenever there is something to read,
 * and must not wait. The job, which is about to run or to wait, must live until stream_finish() or stream_done(). */
void stream_begin(struct stream *stream, struct job *job, void (*ready)(void *owner), void *owner);

/* The job is finished, and this is the JSON object of its result's event. NULL where there was no memory to make it:
 * the stream then ends without one, as an error. */
void stream_finish(struct stream *stream, char *take_json, size_t size);

/* Forgets the job, which may still run, and all text. A stream of zeros counts as one that is done. */
void stream_done(struct stream *stream);

/* The next bytes of it, `max` at most. 0 where there is nothing yet, -ENODATA at its end, or -ENOMEM. */
ssize_t stream_read(struct stream *stream, char *to, size_t max);

/* Bytes of memory that it holds. */
size_t stream_held(const struct stream *stream);

#endif
