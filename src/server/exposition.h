/* Metrics as text: what GET /metrics answers, in the format of Prometheus, version 0.0.4.
 *
 * docs/METRICS.md says of each what it means; a test holds it to this.
 */
#ifndef PX_SERVER_EXPOSITION_H
#define PX_SERVER_EXPOSITION_H

#include "base/buf.h"
#include "base/layer.h"
#include "server/response.h"
#include "server/run.h"

#include <stdint.h>

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Written to one line after the other; the first error stays, and the rest is nothing. */
struct exposition {
    struct buf text;
    const char *name; /* of the metric that samples are of */
    int error;
};

/* The lines that say what a metric is; samples of it follow. */
void exposition_metric(struct exposition *to, const char *name, const char *type, const char *help);

/* One sample. Labels are written as they stand between braces, `outcome="ok"`; empty for none. */
__attribute__((format(printf, 3, 4))) void exposition_sample(struct exposition *to, uint64_t value, const char *labels, ...);

/* A sample in seconds. */
void exposition_seconds(struct exposition *to, uint64_t us);

/* Everything there is. 0 or -ENOMEM. */
int exposition_respond(struct response *ret_response, const struct runs *runs, const struct callers *callers,
                       const struct isolation *workers);

#endif
