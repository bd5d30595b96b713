/* The routes: see api.h. */
#include "server/api.h"

#include "base/clock.h"
#include "server/asset.h"
#include "server/document.h"
#include "server/exposition.h"
#include "server/health.h"
#include "server/origin.h"
#include "server/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int answer(struct response *ret_response, unsigned status, const char *text) {
    int r = response_error(ret_response, status, text);
    return r < 0 ? r : 1;
}

static int refuse_method(const char *allow, const char *words, struct response *ret_response) {
    int r = answer(ret_response, 405, words);
    ret_response->allow = allow;
    return r;
}

static int allow_methods(const char *allow, struct response *ret_response) {
    *ret_response = (struct response){.status = 204, .allow = allow};
    return 1;
}

enum route api_find_route(const char *path) {
    return strcmp(path, "/mcp") == 0 ? ROUTE_MCP : ROUTE_EXECUTE;
}

int api_check_headers(const struct api *api, struct call *call, const char *origin, const char *protocol_version,
                      struct response *ret_response) {
    call->shared_with = origin != NULL ? origin_shared_with(origin, api->config->origins) : NULL;
    call->varies = *api->config->origins != '\0';
    return call->route == ROUTE_MCP ? mcp_check_headers(api->config, origin, protocol_version, ret_response) : 0;
}

/* In the words of the route: a request that was not run. 0 or -ENOMEM. */
static int refuse(const struct call *call, unsigned status, const char *text, struct response *ret_response) {
    if (call->route == ROUTE_MCP)
        return mcp_error(ret_response, status, call->id, status == 500 ? MCP_INTERNAL_ERROR : MCP_REFUSED, text);
    return response_error(ret_response, status, text);
}

/* --- Who may --- */

/* None where the page is switched off. */
static const struct asset *find_asset(const struct api *api, const char *path, const char *accept) {
    return config_is_on(api->config->page) ? asset_find(path, accept) : NULL;
}

/* What says nothing of what runs here, to whoever looks whether it does; and the page, for which a browser cannot be given a key. */
static bool is_open(const struct api *api, const char *path) {
    static const char *const open[] = {"/healthz", "/readyz", "/openapi.json"};
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        if (strcmp(path, open[i]) == 0)
            return true;
    return find_asset(api, path, NULL) != NULL;
}

static int turn_away(struct call *call, unsigned status, const char *text, struct response *ret_response) {
    int r = refuse(call, status, text, ret_response);
    call->turned_away = true;
    return r < 0 ? r : 1;
}

static int ask_for_key(struct call *call, bool wrong, struct response *ret_response) {
    int r = turn_away(call, 401, wrong ? "This key is not known." : "A key is needed: Authorization: Bearer KEY.",
                      ret_response);
    ret_response->challenge = wrong ? "Bearer realm=\"python-executor\", error=\"invalid_token\""
                                    : "Bearer realm=\"python-executor\"";
    return r;
}

int api_check_key(struct api *api, struct call *call, const char *method, const char *path, const char *authorization,
                  struct response *ret_response) {
    /* A browser asks what it may send (OPTIONS) without the key that it would send. */
    if (api->callers->state == CALLERS_ANYBODY || is_open(api, path) || strcmp(method, "OPTIONS") == 0)
        return 0;
    if (api->callers->state == CALLERS_UNKNOWN) {
        int r = turn_away(call, 503, "Not ready, it is not known yet who may call.", ret_response);
        ret_response->retry_after = 1;
        return r;
    }
    switch (callers_find(api->callers, authorization, &call->caller)) {
    case CALLERS_WITHOUT: return ask_for_key(call, false, ret_response);
    case CALLERS_WRONG: return ask_for_key(call, true, ret_response);
    case CALLERS_FOUND: break;
    }
    access_set_key(&call->access, call->caller->key.name);
    return 0;
}

/* While none of them has begun, everything before them has its time as well. */
static int refuse_run(const struct api *api, struct call *call, struct response *ret_response) {
    struct caller *caller = call->caller;
    caller->too_many++;
    int r = turn_away(call, 429, "Too many runs of this key at once.", ret_response);
    unsigned own = caller_retry_after(caller), all = caller->turn.length == caller->runs ? runs_retry_after(api->runs) : 0;
    ret_response->retry_after = own > all ? own : all;
    return r;
}

int api_check_pace(const struct api *api, struct call *call, struct response *ret_response) {
    struct caller *caller = call->caller;
    if (caller == NULL)
        return 0;
    if (caller->key.concurrent == 0) {
        int r = turn_away(call, 403, "This key may read, and run nothing.", ret_response);
        ret_response->challenge = "Bearer realm=\"python-executor\", error=\"insufficient_scope\"";
        return r;
    }
    if (!caller_may_run(caller))
        return refuse_run(api, call, ret_response);
    unsigned seconds = caller_take_request(caller, clock_us());
    if (seconds > 0) {
        int r = turn_away(call, 429, "Too many requests with this key in this time.", ret_response);
        ret_response->retry_after = seconds;
        return r;
    }
    return 0;
}

void api_forget(struct call *call) {
    caller_unref(call->caller);
    call->caller = NULL;
}

/* --- Routes --- */

/* What is sent there: 0 to go on, 1 where the method says it all. */
static int route_sending(const char *method, struct response *ret_response) {
    static const char allow[] = "POST, OPTIONS";
    if (strcmp(method, "POST") == 0)
        return 0;
    if (strcmp(method, "OPTIONS") == 0)
        return allow_methods(allow, ret_response);
    return refuse_method(allow, "Method not allowed, use POST.", ret_response);
}

/* What is there to be read: 0 to go on, 1 where the method says it all. */
static int route_reading(const char *method, struct response *ret_response) {
    static const char allow[] = "GET, HEAD, OPTIONS";
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        return 0;
    if (strcmp(method, "OPTIONS") == 0)
        return allow_methods(allow, ret_response);
    return refuse_method(allow, "Method not allowed, use GET.", ret_response);
}

/* The facts of the workers that are running; python-executor doctor also tests them. */
static int read_isolation(const struct api *api, struct response *ret_response) {
    uint32_t floor = 0;
    layer_parse(api->config->require, &floor, NULL);
    return response_isolation(ret_response, &api->isolation, &api->own, floor);
}

static int read_document(const struct api *api, struct response *ret_response) {
    (void)api;
    return response_document(ret_response, embedded_documents[DOCUMENT_OPENAPI].text);
}

static int read_alive(const struct api *api, struct response *ret_response) {
    (void)api;
    return health_alive(ret_response);
}

static int read_ready(const struct api *api, struct response *ret_response) {
    return health_ready(ret_response, api->runs);
}

static int read_metrics(const struct api *api, struct response *ret_response) {
    return exposition_respond(ret_response, api->runs, api->callers, &api->isolation);
}

typedef int read_path(const struct api *api, struct response *ret_response);

/* NULL where there is nothing to read. */
static read_path *find_reading(const char *path) {
    if (strcmp(path, "/isolation") == 0)
        return read_isolation;
    if (strcmp(path, "/openapi.json") == 0)
        return read_document;
    if (strcmp(path, "/healthz") == 0)
        return read_alive;
    if (strcmp(path, "/readyz") == 0)
        return read_ready;
    return strcmp(path, "/metrics") == 0 ? read_metrics : NULL;
}

int api_route(const struct api *api, const char *method, const char *path, const char *accept, struct response *ret_response) {
    if (strcmp(path, "/execute") == 0 || api_find_route(path) == ROUTE_MCP)
        return route_sending(method, ret_response);
    read_path *reading = find_reading(path);
    const struct asset *asset = find_asset(api, path, accept);
    if (reading == NULL && asset == NULL)
        return answer(ret_response, 404, "Not found, the service is at POST /execute.");
    int r = route_reading(method, ret_response);
    if (r == 0 && asset != NULL) {
        response_asset(ret_response, asset);
        return 1;
    }
    if (r == 0)
        r = reading(api, ret_response) < 0 ? -ENOMEM : 1;
    return r;
}

static void count_rejection(struct api *api, enum rejection why) {
    api->runs->metrics.rejected[why]++;
}

int api_refuse_body(struct api *api, const struct call *call, struct response *ret_response) {
    char text[96];
    count_rejection(api, REJECTED_TOO_LARGE);
    snprintf(text, sizeof text, "Body is too large, the limit is %llu bytes.",
             (unsigned long long)(api->config->body_kb << 10));
    return refuse(call, 413, text, ret_response);
}

int api_refuse_framing(const struct call *call, struct response *ret_response) {
    return refuse(call, 400, "The length of the body is not clear: a request has one Content-Length, or else "
                             "Transfer-Encoding: chunked.", ret_response);
}

static int refuse_busy(const struct api *api, const struct call *call, const char *why, struct response *ret_response) {
    int r = refuse(call, 503, why, ret_response);
    ret_response->retry_after = runs_retry_after(api->runs);
    return r;
}

int api_refuse_bytes(struct api *api, const struct call *call, struct response *ret_response) {
    count_rejection(api, REJECTED_TOO_MANY_BYTES);
    return refuse_busy(api, call, "Too busy, too many large requests at once.", ret_response);
}

/* What is wrong with the script or its keys is for a model to put right, so it is no error of the protocol. */
static int refuse_request(struct api *api, const struct call *call, const struct request_error *error,
                          struct response *ret_response) {
    count_rejection(api, error->status == 413 ? REJECTED_TOO_LARGE : error->status == 500 ? REJECTED_NO_MEMORY : REJECTED_INVALID);
    int r = call->route == ROUTE_MCP && error->status != 500 ? mcp_tool_error(ret_response, call->id, error->text)
                                                             : refuse(call, error->status, error->text, ret_response);
    return r < 0 ? r : 1;
}

/* 0, 1 where the response is made, or -ENOMEM. */
static int make_job(struct api *api, struct call *call, const char *body, size_t size, struct job **ret_job,
                    struct response *ret_response) {
    struct request_error error;
    struct json_span arguments;
    int r = 0;
    if (call->route == ROUTE_EXECUTE)
        r = request_parse(api->config, body, size, call->streams, ret_job, &error);
    else if ((r = mcp_receive(api->config, body, size, call->id, &arguments, ret_response)) != 0)
        return r;
    else
        r = request_parse_detailed(api->config, arguments.data, arguments.size, ret_job, &error);
    return r < 0 ? refuse_request(api, call, &error, ret_response) : 0;
}

int api_submit(struct api *api, struct call *call, const char *body, size_t size, void (*finished)(struct job *job),
               void *owner, struct job **ret_job, struct response *ret_response) {
    struct job *job = NULL;
    int r = make_job(api, call, body, size, &job, ret_response);
    if (r != 0)
        return r;
    if (config_is_on(api->config->log_scripts))
        access_keep_script(&call->access, job_script(job)); /* before it is on its way */
    job->finished = finished;
    job->owner = owner;
    r = runs_submit(api->runs, job, call->caller);
    if (r == 0) {
        *ret_job = job;
        return 0;
    }
    job_unref(job);
    if (r == -EDQUOT)
        return refuse_run(api, call, ret_response);
    count_rejection(api, r == -ESHUTDOWN ? REJECTED_DRAINING : REJECTED_QUEUE_FULL);
    r = refuse_busy(api, call, r == -ESHUTDOWN ? "Shutting down." : "Too busy, the queue is full.", ret_response);
    return r < 0 ? r : 1;
}

int api_finish(struct api *api, const struct call *call, const struct job *job, struct response *ret_response) {
    if (job_streams(job))
        return response_event(ret_response, job);
    if (job->expired)
        return refuse_busy(api, call, job->displaced ? RESPONSE_DISPLACED : api->runs->over ? "Shutting down." : RESPONSE_EXPIRED,
                           ret_response);
    return call->route == ROUTE_MCP ? mcp_result(ret_response, call->id, job) : response_from_job(ret_response, job);
}
