/* Which trace a request belongs to, as its headers say: traceparent (W3C Trace Context, levels 1 and 2) or else
 * X-Cloud-Trace-Context (Google). What is malformed is as good as missing. */
#ifndef PX_SERVER_TRACE_H
#define PX_SERVER_TRACE_H

#include <stdbool.h>

enum { TRACE_ID = 32, TRACE_SPAN = 16 };

/* Lower-case hexadecimal digits, empty where there is none. */
struct trace {
    char id[TRACE_ID + 1];
    char span[TRACE_SPAN + 1]; /* the caller's; empty also where X-Cloud-Trace-Context names none */
    bool sampled;
};

/* Headers are NULL where they are missing; traceparent counts where both are there and sound. */
void trace_read(struct trace *ret_trace, const char *traceparent, const char *cloud_context);

#endif
