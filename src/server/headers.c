/* The headers of an answer: see headers.h. Runs in the server. */
#include "server/headers.h"

#include <stdio.h>

static void add_header(struct headers headers, const char *name, const char *value) {
    if (value != NULL && *value != '\0')
        headers.add(headers.to, name, value);
}

static void add_common(struct headers headers, const struct call *call, bool closes) {
    add_header(headers, "X-Content-Type-Options", "nosniff");
    add_header(headers, "X-Request-Id", call->access.id);
    if (closes)
        add_header(headers, "Connection", "close");
}

void headers_of_answer(struct headers headers, const struct call *call, const struct response *response, bool closes) {
    char seconds[16];
    if (response->size > 0)
        add_header(headers, "Content-Type", response->content_type != NULL ? response->content_type : "application/json");
    add_header(headers, "Execution-Outcome", response->outcome);
    add_header(headers, "Server-Timing", response->timing);
    add_header(headers, "Allow", response->allow);
    add_header(headers, "WWW-Authenticate", response->challenge);
    snprintf(seconds, sizeof seconds, "%u", response->retry_after);
    add_header(headers, "Retry-After", response->retry_after > 0 ? seconds : NULL);
    add_common(headers, call, closes);
}

void headers_of_stream(struct headers headers, const struct call *call, bool closes) {
    add_header(headers, "Content-Type", "text/event-stream");
    add_header(headers, "Cache-Control", "no-store");
    add_header(headers, "X-Accel-Buffering", "no"); /* a proxy must not collect it first */
    add_common(headers, call, closes);
}
