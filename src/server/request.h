/* The body of POST /execute: from hostile bytes to a job. */
#ifndef PX_SERVER_REQUEST_H
#define PX_SERVER_REQUEST_H

#include "base/config.h"
#include "server/job.h"

#include <stddef.h>

/* Why a body was refused, for the caller to read. */
struct request_error {
    unsigned status; /* 400 or 413, 500 where there is no memory */
    char text[192];
};

/* Makes a job, which is the caller's; it streams its answer as the body says, or as `streams` where that says nothing.
 * 0, or a negative errno with the error filled in. */
int request_parse(const struct config *config, const char *body, size_t size, bool streams, struct job **ret_job,
                  struct request_error *ret_error);

/* The same with details and without a stream, whatever it says of them. */
int request_parse_detailed(const struct config *config, const char *body, size_t size, struct job **ret_job,
                           struct request_error *ret_error);

#endif
