/* What the log tells of one request: who asked for what, what came of it, and how long it took.
 *
 * Never the script, its input or what it printed. Everything here is bounded, and what a client chose is kept in a form
 * that is fit to print.
 */
#ifndef PX_SERVER_ACCESS_H
#define PX_SERVER_ACCESS_H

#include "server/job.h"
#include "server/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACCESS_ID = 128, ACCESS_METHOD = 16, ACCESS_PATH = 256, ACCESS_KEY = 64, ACCESS_CLIENT = 46 };

struct access {
    char id[ACCESS_ID + 1]; /* X-Request-Id: the client's, or one made here */
    struct trace trace;
    char method[ACCESS_METHOD + 1];
    char path[ACCESS_PATH + 1]; /* without what is behind a question mark */
    char client[ACCESS_CLIENT + 1]; /* its address; empty where there is none */
    char key[ACCESS_KEY + 1];   /* the name of the key it came with; empty for none */
    unsigned status;            /* 0 where nothing was sent */
    const char *outcome;        /* NULL where nothing ran */
    uint64_t received, sent;    /* bytes of the bodies */
    uint64_t begun_us;
    uint64_t queue_us, run_us; /* of a job */
    bool aborted;              /* the connection ended before the answer did */
};

/* Random bytes for request ids, asked of the kernel for many at once. Begins as zeros. */
struct access_ids {
    unsigned char bytes[1024];
    size_t left;
};

/* What the request's first line says, and its headers, NULL where they are missing: X-Request-Id, traceparent and
 * X-Cloud-Trace-Context. `path` has its escapes undone. */
void access_begin(struct access *ret_access, struct access_ids *ids, const char *method, const char *path,
                  const char *request_id, const char *traceparent, const char *cloud_context);

/* Whether a client's request id is taken as it is. */
bool access_id_is_sane(const char *id);

/* How the job went that the request was for, as far as it has gone. */
void access_note_job(struct access *access, const struct job *job);

/* The name of the key that it came with. */
void access_set_key(struct access *access, const char *name);

#endif
