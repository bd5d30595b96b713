/* The routes: see api.h. */
#include "server/api.h"

#include "server/document.h"
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

static int route_execute(const char *method, struct response *ret_response) {
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
static int route_isolation(const struct api *api, const char *method, struct response *ret_response) {
    uint32_t floor = 0;
    int r = route_reading(method, ret_response);
    if (r != 0)
        return r;
    layer_parse(api->config->require, &floor, NULL);
    r = response_isolation(ret_response, &api->isolation, &api->own, floor);
    return r < 0 ? r : 1;
}

static int route_document(const char *method, struct response *ret_response) {
    int r = route_reading(method, ret_response);
    if (r != 0)
        return r;
    r = response_document(ret_response, embedded_documents[0].text);
    return r < 0 ? r : 1;
}

int api_route(const struct api *api, const char *method, const char *path, struct response *ret_response) {
    if (strcmp(path, "/execute") == 0)
        return route_execute(method, ret_response);
    if (strcmp(path, "/isolation") == 0)
        return route_isolation(api, method, ret_response);
    if (strcmp(path, "/openapi.json") == 0)
        return route_document(method, ret_response);
    return answer(ret_response, 404, "Not found, the service is at POST /execute.");
}

int api_refuse_body(struct api *api, struct response *ret_response) {
    char text[96];
    snprintf(text, sizeof text, "Body is too large, the limit is %llu bytes.",
             (unsigned long long)(api->config->body_kb << 10));
    return response_error(ret_response, 413, text);
}

int api_refuse_busy(struct api *api, const char *why, struct response *ret_response) {
    int r = response_error(ret_response, 503, why);
    ret_response->retry_after = runs_retry_after(api->runs);
    return r;
}

int api_execute(struct api *api, const char *body, size_t size, bool streams, void (*finished)(struct job *job),
                void *owner, struct job **ret_job, struct response *ret_response) {
    struct request_error error;
    struct job *job = NULL;
    int r = request_parse(api->config, body, size, streams, &job, &error);
    if (r < 0)
        return answer(ret_response, error.status, error.text);
    job->finished = finished;
    job->owner = owner;
    r = runs_submit(api->runs, job);
    if (r == 0) {
        *ret_job = job;
        return 0;
    }
    job_unref(job);
    r = api_refuse_busy(api, r == -ESHUTDOWN ? "Shutting down." : "Too busy, the queue is full.", ret_response);
    return r < 0 ? r : 1;
}

int api_finish(struct api *api, const struct job *job, struct response *ret_response) {
    if (job_streams(job))
        return response_event(ret_response, job);
    if (job->expired)
        return api_refuse_busy(api, RESPONSE_EXPIRED, ret_response);
    return response_from_job(ret_response, job);
}
