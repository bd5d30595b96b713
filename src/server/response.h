/* What is sent back: status, headers and body, made from a finished job or from an error. */
#ifndef PX_SERVER_RESPONSE_H
#define PX_SERVER_RESPONSE_H

#include "base/layer.h"
#include "server/asset.h"
#include "server/job.h"
#include "server/judge.h"

#include <stddef.h>

struct response {
    unsigned status;
    char *body; /* to be freed; NULL for none */
    const char *content_type; /* NULL for JSON */
    size_t size;
    const struct asset *asset; /* NULL for none */
    const struct asset_form *form; /* of it, the body in place of `body` */
    const char *outcome; /* Execution-Outcome, NULL where nothing ran */
    const char *allow;   /* of a 405, NULL otherwise */
    const char *challenge; /* WWW-Authenticate, of a 401 or 403 for a key, NULL otherwise */
    unsigned retry_after; /* seconds, 0 for none */
    char timing[128];    /* Server-Timing, empty where nothing ran */
};

/* {"error": text}. 0 or -ENOMEM. */
int response_error(struct response *ret_response, unsigned status, const char *text);

/* JSON that is there already; it is copied. 0 or -ENOMEM. */
int response_document(struct response *ret_response, const char *json);

/* One of those that are built in, as it is. */
void response_asset(struct response *ret_response, const struct asset *asset);

/* As these headers of its request want it, NULL where they are missing; without effect on what is no asset. */
void response_negotiate(struct response *response, const char *accept_encoding, const char *if_none_match);

/* What confines the workers, and this server. 0 or -ENOMEM. */
int response_isolation(struct response *ret_response, const struct isolation *workers, const struct isolation *server,
                       uint32_t floor);

/* The answer to a run. 0 or -ENOMEM. */
int response_from_job(struct response *ret_response, const struct job *job);

/* --- Its parts, for answers that say it in another frame --- */

/* Large enough for every limit there is: the largest result, and output of which each byte becomes six. */
enum { RESPONSE_MAX = 1 << 30 };

/* The status, Execution-Outcome and Server-Timing. */
void response_set_run(struct response *ret_response, unsigned status, const struct job *job);

/* How it is written that a worker's outputs are these, an array. */
typedef int response_write(struct buf *body, struct json_span outputs);

/* Appends the body; write is NULL for outputs as they are. 0, or as buf_add(). */
int response_add_job(struct buf *body, const struct job *job, response_write *write);

/* Takes the bytes, or frees them where r is an error, which is then -ENOMEM. */
int response_take(struct response *ret_response, struct buf *take_body, int r);

/* 200, 400 or 500. */
unsigned response_status(const struct job *job);

/* What is wrong, of a job that is not ok; it may be any bytes. */
struct json_span response_error_of(const struct job *job);

/* What of a stream is worth showing; it may be any bytes. */
struct json_span response_printed(const struct capture *capture);

/* Where there are outputs. */
struct judge_parts response_outputs(const struct job *job);
/* The same as the object of a stream's last event: with the status that the answer would have had, without what was
 * printed. Also of a job that has waited too long. 0 or -ENOMEM. */
int response_event(struct response *ret_response, const struct job *job);

#define RESPONSE_DISPLACED "Too busy, the queue is full, and most of it was of this key."
#define RESPONSE_EXPIRED "Too busy, no worker was free in time."

#endif
