/* A job: everything the server holds for one run, owned in one place and freed in one place. */
#ifndef PX_SERVER_JOB_H
#define PX_SERVER_JOB_H

#include "base/buf.h"
#include "base/config.h"
#include "base/outcome.h"
#include "server/json.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

/* What was printed: up to the buffer's maximum kept, or handed on as it comes; counted beyond. */
struct capture {
    struct buf kept;
    uint64_t total;
    uint64_t passed; /* of the total, kept or handed on */
    /* Set by who wants it while the script runs; then nothing is kept. Must not wait. */
    void (*take)(struct capture *capture, const char *data, size_t size);
    void *owner;
    bool held; /* nothing is to be read for now: runs_hold_output() */
};

enum job_stage {
    JOB_NEW,
    JOB_WAITING,  /* in the queue */
    JOB_RUNNING,  /* the zygote has it */
    JOB_FINISHED, /* the outcome stands */
};

/* Where in the queue it waits: queue.h. */
enum job_line {
    LINE_SHORT,  /* as far as anybody knows */
    LINE_LONG,   /* known as long when it came */
    LINE_TURNED, /* known since */
    JOB_LINES,
    LINE_DISPLACED = JOB_LINES, /* out of it for somebody else */
};

/* The first ones as in enum run_fd. */
enum job_watch { WATCH_CHANNEL, WATCH_STDOUT, WATCH_STDERR, WATCH_STDIN, WATCH_CLIENT, WATCH_COUNT };

/* What a request asks for; all but the script is empty or 0 where it does not say. Spans are borrowed. */
struct job_request {
    struct json_span script; /* decoded */
    struct buf *take_stdin;  /* likewise; NULL for none */
    struct json_span input;  /* JSON as it was sent */
    struct json_span args;
    struct json_span kwargs;
    struct json_span files;
    struct json_span outputs; /* patterns */
    uint64_t limits[LIMIT_COUNT];
    bool seeded;
    uint64_t seed;
    bool wants_details;
    bool converts;
    bool wants_figures;
    bool streams;
};

struct job {
    uint64_t number;
    enum job_stage stage;
    bool wants_details;
    bool expired;   /* waited too long, or was displaced; it never ran */
    bool displaced; /* had to leave a full queue */
    bool cancelled; /* nobody waits for it */
    bool is_long;   /* its script usually is, or it has run for so long: history.h */
    unsigned flavour;

    /* in */
    struct buf order; /* the FRAME_JOB as it goes over the channel */
    size_t order_sent;
    struct buf stdin_text; /* what goes into the script's stdin, as it reads it */
    size_t stdin_sent;
    int stdin_fd; /* or what it reads instead, where somebody else writes; -1 for none */
    struct run_order limits;
    struct job_order worker_limits;

    /* out */
    struct frame_reader answer;
    int answer_state; /* of frame_read(): 0 so far, 1 whole, or a negative errno */
    struct capture out;
    struct capture err;
    struct verdict verdict;
    enum outcome outcome;

    uint64_t admitted_us, started_us, finished_us;

    /* who is told when it is finished; set by whoever submits it */
    void (*finished)(struct job *job);
    void *owner;

    /* the machinery; run.c alone touches these */
    struct runs *runs;
    struct job *next; /* among the running */
    struct caller *caller; /* whose it is, NULL for nobody's */
    struct turn *turn;     /* the caller's in the queue: queue.h */
    TAILQ_ENTRY(job) place;
    enum job_line line;
    bool waits; /* in the queue */
    uint64_t script_key; /* of history.h */
    void *link;       /* the zygote that has it */
    uv_poll_t watches[WATCH_COUNT];
    bool watched[WATCH_COUNT];
    int fds[WATCH_CLIENT]; /* our ends of channel, stdout, stderr, stdin */
    unsigned references;
};

/* A job with one reference, and all that it needs of the request copied, but stdin taken out of its buffer. NULL where
 * there is no memory. */
struct job *job_new(const struct config *config, const struct job_request *request);

/* What the request asks for, or what holds where it does not say. */
uint64_t job_limit(const struct config *config, const struct job_request *request, enum request_limit limit);
/* Gives it a stdin that somebody else feeds, before it is submitted; a text that it had is dropped. */
void job_use_stdin(struct job *job, int take_fd);

/* The script, borrowed, until it is submitted: it goes when the worker has taken it. */
struct json_span job_script(const struct job *job);

/* Bytes that it holds of the request, at most; they go when the worker has taken them. */
size_t job_held(const struct job *job);

struct job *job_ref(struct job *job);

/* Gives a reference back; the last one frees it. */
void job_unref(struct job *job);

/* Whether its answer is a stream of events: stream.h. */
static inline bool job_streams(const struct job *job) {
    return (job->worker_limits.flags & JOB_STREAM) != 0;
}

/* Reads what there is of printed output, not more than a few pipes hold, and what one holds where it is held. 1 when more
 * may come, 0 at the end, or a negative errno. */
int capture_read(struct capture *capture, int fd);

static inline bool capture_truncated(const struct capture *capture) {
    return capture->total > capture->passed;
}

#endif
