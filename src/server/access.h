/* What the log tells of one request: who asked for what, what came of it, and how long it took.
 *
 * Never its script, which has to be asked for (--log-scripts), and by no means its input or what it printed. Everything
 * here is bounded, and what a client chose is kept in a form that is fit to print.
 */
#ifndef PX_SERVER_ACCESS_H
#define PX_SERVER_ACCESS_H

#include "base/line.h"
#include "base/log.h"
#include "server/job.h"
#include "server/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ACCESS_ID = 128, ACCESS_METHOD = 16, ACCESS_PATH = 256, ACCESS_KEY = 64, ACCESS_CLIENT = 46,
       ACCESS_SCRIPT = 1024 };

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
    bool ran;                  /* it was a job, which may have waited in vain */
    uint64_t queue_us, run_us; /* its times */
    bool aborted;              /* the connection ended before the answer did */
    char *script;              /* its beginning, where that is logged; NULL otherwise */
    size_t script_size;
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

/* Where it came from; of a UNIX socket nothing is kept. */
void access_set_client(struct access *access, const struct sockaddr *address);

/* Whether a client's request id is taken as it is. */
bool access_id_is_sane(const char *id);

/* How the job went that the request was for, as far as it has gone. */
void access_note_job(struct access *access, const struct job *job);

/* The name of the key that it came with. */
void access_set_key(struct access *access, const char *name);

/* Keeps the beginning of its script, for --log-scripts. */
void access_keep_script(struct access *access, struct json_span script);

/* ERROR where the service itself failed, WARNING where it had too much to do, INFO otherwise, whatever the script did. */
enum log_level access_level(const struct access *access);

/* The request's line, in the log's format, at its end. `project` is that of Google Cloud, or empty. */
void access_make_line(const struct access *access, const char *project, struct line *ret_line);

/* Frees what it keeps. */
void access_done(struct access *access);

#endif
