/* What `run` prints of a finished job for people to read. */
#ifndef PX_SERVER_REPORT_H
#define PX_SERVER_REPORT_H

#include "base/buf.h"
#include "server/job.h"

#include <stddef.h>

/* Appends text of any bytes as it can be shown on a terminal: what would move its cursor, colour it, have it answer, or
 * turn text around becomes an escape such as \x1b. Line ends and tabs stay. As buf_add(). */
int report_add_visible(struct buf *to, const char *data, size_t size);

/* Appends to `out` the result as one line of JSON, unless it is null, and to `err` why there is none, and what of the
 * printed output was dropped. As buf_add(). */
int report_job(const struct config *config, const struct job *job, struct buf *out, struct buf *err);

#endif
