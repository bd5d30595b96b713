/* What is sent back: status, headers and body, made from a finished job or from an error. */
#ifndef PX_SERVER_RESPONSE_H
#define PX_SERVER_RESPONSE_H

#include "base/layer.h"
#include "server/job.h"

#include <stddef.h>

struct response {
    unsigned status;
    char *body; /* JSON, to be freed; NULL for none */
    size_t size;
    const char *outcome; /* Execution-Outcome, NULL where nothing ran */
    const char *allow;   /* of a 405, NULL otherwise */
    unsigned retry_after; /* seconds, 0 for none */
    char timing[128];    /* Server-Timing, empty where nothing ran */
};

/* {"error": text}. 0 or -ENOMEM. */
int response_error(struct response *ret_response, unsigned status, const char *text);

/* JSON that is there already; it is copied. 0 or -ENOMEM. */
int response_document(struct response *ret_response, const char *json);

/* What confines the workers, and this server. 0 or -ENOMEM. */
int response_isolation(struct response *ret_response, const struct isolation *workers, const struct isolation *server,
                       uint32_t floor);

/* What a run that came to no result is told; not owned, and the words of a hostile script perhaps. */
struct json_span response_error_text(const struct job *job);

/* The answer to a run. 0 or -ENOMEM. */
int response_from_job(struct response *ret_response, const struct job *job);

#endif
