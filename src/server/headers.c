/* The headers of an answer: see headers.h. Runs in the server. */
#include "server/headers.h"

#include <stdio.h>

static void add_header(struct headers headers, const char *name, const char *value) {
    if (value != NULL && *value != '\0')
        headers.add(headers.to, name, value);
}

/* For browsers, which ask by OPTIONS before they send what needs a key. There are no cookies here, so no credentials are
 * allowed: the page has the key itself. */
static void add_sharing(struct headers headers, const struct call *call, const char *allowed_methods) {
    if (call->varies)
        add_header(headers, "Vary", "Origin");
    if (call->shared_with == NULL)
        return;
    add_header(headers, "Access-Control-Allow-Origin", call->shared_with);
    add_header(headers, "Access-Control-Expose-Headers",
               "Execution-Outcome, Server-Timing, X-Request-Id, Retry-After, WWW-Authenticate");
    if (allowed_methods == NULL)
        return;
    add_header(headers, "Access-Control-Allow-Methods", allowed_methods);
    add_header(headers, "Access-Control-Allow-Headers",
               "Authorization, Content-Type, Accept, MCP-Protocol-Version, X-Request-Id, traceparent");
    add_header(headers, "Access-Control-Max-Age", "600");
}

static void add_common(struct headers headers, const struct call *call, bool closes) {
    add_header(headers, "X-Content-Type-Options", "nosniff");
    add_header(headers, "X-Request-Id", call->access.id);
    if (closes)
        add_header(headers, "Connection", "close");
}

/* Browsers ask each time whether what they have is still the same, so that a page is never of two versions. */
static void add_asset(struct headers headers, const struct response *response) {
    if (response->form == &response->asset->packed)
        add_header(headers, "Content-Encoding", "gzip");
    add_header(headers, "Vary", asset_varies_by(response->asset));
    add_header(headers, "ETag", response->form->tag);
    add_header(headers, "Cache-Control", "no-cache");
    add_header(headers, "Content-Security-Policy", asset_policy(response->asset));
    add_header(headers, "Referrer-Policy", "no-referrer");
    add_header(headers, "Cross-Origin-Opener-Policy", "same-origin");
    add_header(headers, "Cross-Origin-Resource-Policy", "same-origin");
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
    if (response->asset != NULL)
        add_asset(headers, response);
    add_sharing(headers, call, response->status == 204 ? response->allow : NULL);
    add_common(headers, call, closes);
}

void headers_of_stream(struct headers headers, const struct call *call, bool closes) {
    add_header(headers, "Content-Type", "text/event-stream");
    add_header(headers, "Cache-Control", "no-store");
    add_header(headers, "X-Accel-Buffering", "no"); /* a proxy must not collect it first */
    add_sharing(headers, call, NULL);
    add_common(headers, call, closes);
}
