/* HTTP: see http.h. Runs in the server's event loop; libmicrohttpd parses what clients send.
 *
 * An exchange reads its body, submits its job, and suspends its connection until the job is finished. One that
 * streams is answered at once, and suspends its connection whenever there is nothing to send.
 */
#include "server/http.h"

#include "base/log.h"
#include "server/framing.h"
#include "server/headers.h"
#include "server/stream.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A body that is too large is read on up to so many times its limit, since a client that is still
 * sending does not see an answer; beyond that the connection is cut. */
enum { DISCARD_FACTOR = 4 };

/* A body that is read and dropped for the sake of its connection, from one who may not send it. */
enum { SMALL_BODY = 64 << 10 };

/* Read of a stream at once, in bytes, at most. */
enum { STREAM_BLOCK = 32 << 10 };

struct exchange {
    struct http *http;
    struct MHD_Connection *connection;
    struct visitor *visitor;
    struct call call;
    struct buf body;
    uint64_t received;
    bool too_large;
    bool too_much; /* the service holds too many bytes already */
    bool ready;
    bool gone;    /* the client is, nobody sees the response */
    bool small;  /* the body is, for sure */
    bool closes; /* what follows on its connection is not to be read */
    struct job *job;
    bool suspended;
    struct response response;
    struct stream stream; /* with a job that streams, in the response's place */
};

static struct metrics *metrics_of(const struct exchange *exchange) {
    return &exchange->http->api.runs->metrics;
}

/* --- The bytes it holds --- */

static void hold(struct exchange *exchange, size_t bytes) {
    exchange->http->held += bytes - exchange->visitor->held;
    exchange->visitor->held = bytes;
}

/* A body that has not come whole is refused when its client is through with it; an answer that is not read is cut off. */
static void give_way(struct http *http, struct visitor *visitor) {
    struct exchange *exchange = visitor->holder;
    if (exchange->body.data != NULL) {
        exchange->too_much = true;
        buf_done(&exchange->body);
    } else {
        visitors_cut_for_bytes(&http->daemon.visitors, visitor);
    }
    hold(exchange, 0);
}

/* What stands between a crowd of slow clients and the end of memory. */
static bool may_hold(struct exchange *exchange, size_t more) {
    struct http *http = exchange->http;
    while (http->held + more > CONFIG_HELD * (http->api.config->body_kb << 10)) {
        struct visitor *largest = visitors_largest(&http->daemon.visitors, exchange->visitor->held + more);
        if (largest == NULL)
            return false;
        give_way(http, largest);
    }
    return true;
}

/* --- Answering --- */

static void add_header(void *response, const char *name, const char *value) {
    MHD_add_response_header(response, name, value);
}

/* Where there is somebody to see it. */
static void count_response(struct exchange *exchange, unsigned status, size_t size) {
    struct access *access = &exchange->call.access;
    if (exchange->gone)
        return;
    access->status = status;
    access->sent = strcmp(access->method, "HEAD") == 0 || status == 304 ? 0 : size; /* only the headers are sent */
    metrics_count_response(metrics_of(exchange), status, access->sent);
}

static enum MHD_Result send_response(struct exchange *exchange) {
    struct response *made = &exchange->response;
    struct MHD_Response *response =
        made->form != NULL ? MHD_create_response_from_buffer(made->size, (void *)made->form->data, MHD_RESPMEM_PERSISTENT)
                           : MHD_create_response_from_buffer(made->size, made->body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        return MHD_NO;
    made->body = NULL; /* the library's now, for as long as the exchange lasts */
    headers_of_answer((struct headers){add_header, response}, &exchange->call, made,
                      exchange->http->draining || exchange->closes);
    count_response(exchange, made->status, made->size);
    enum MHD_Result r = MHD_queue_response(exchange->connection, made->status, response);
    MHD_destroy_response(response);
    return r;
}

static void set_ready(struct exchange *exchange) {
    buf_done(&exchange->body);
    hold(exchange, exchange->response.form != NULL ? 0 : exchange->response.size); /* what is built in is there anyway */
    exchange->ready = true;
}

static void suspend(struct exchange *exchange) {
    exchange->suspended = true;
    MHD_suspend_connection(exchange->connection);
}

static void resume(struct exchange *exchange) {
    if (!exchange->suspended)
        return;
    exchange->suspended = false;
    MHD_resume_connection(exchange->connection);
}

/* --- Streaming --- */

static void hold_stream(struct exchange *exchange) {
    hold(exchange, stream_held(&exchange->stream) + (exchange->job != NULL ? job_held(exchange->job) : 0));
}

/* The daemon is run when the loop comes round: not from in here, since it may end the exchange and cancel the job. */
static void stream_ready(void *context) {
    struct exchange *exchange = context;
    hold_stream(exchange);
    if (!exchange->suspended)
        return;
    resume(exchange);
    daemon_run_soon(&exchange->http->daemon);
}

static ssize_t read_stream(void *context, uint64_t position, char *to, size_t max) {
    struct exchange *exchange = context;
    (void)position;
    ssize_t n = stream_read(&exchange->stream, to, max);
    hold_stream(exchange);
    if (n == 0)
        suspend(exchange);
    if (n > 0) {
        metrics_of(exchange)->sent_bytes += (uint64_t)n;
        exchange->call.access.sent += (uint64_t)n;
    }
    return n == -ENODATA ? MHD_CONTENT_READER_END_OF_STREAM : n < 0 ? MHD_CONTENT_READER_END_WITH_ERROR : n;
}

static enum MHD_Result send_stream(struct exchange *exchange) {
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, exchange, NULL);
    if (response == NULL)
        return MHD_NO;
    headers_of_stream((struct headers){add_header, response}, &exchange->call, exchange->http->draining);
    exchange->call.access.status = 200;
    enum MHD_Result r = MHD_queue_response(exchange->connection, 200, response);
    MHD_destroy_response(response);
    metrics_count_response(metrics_of(exchange), 200, 0);
    return r;
}

static bool wants_stream(const struct exchange *exchange) {
    return stream_accepted(MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "Accept"));
}

/* --- The end of a job --- */

static void job_finished(struct job *job) {
    struct exchange *exchange = job->owner;
    struct http *http = exchange->http;
    access_note_job(&exchange->call.access, job);
    if (api_finish(&http->api, &exchange->call, job, &exchange->response) < 0) {
        log_error("no memory for a response, it is an empty 500");
        exchange->response = (struct response){.status = 500};
    }
    if (job_streams(job)) {
        stream_finish(&exchange->stream, exchange->response.body, exchange->response.size);
        exchange->response.body = NULL;
        hold(exchange, stream_held(&exchange->stream));
    } else {
        set_ready(exchange);
    }
    exchange->gone = job->cancelled;
    visitors_wait(&http->daemon.visitors, exchange->visitor);
    job_unref(job);
    exchange->job = NULL;
    resume(exchange);
    daemon_run(&http->daemon);
}

/* Its exchange is over already. */
static void job_abandoned(struct job *job) {
    job_unref(job);
}

/* --- Reading --- */

static enum MHD_Result add_to_framing(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
    (void)kind;
    framing_add(context, name, value);
    return MHD_YES;
}

/* Nobody knows where the next request begins, so there is none: answered before the body, which closes the connection. */
static enum MHD_Result refuse_framing(struct exchange *exchange) {
    exchange->closes = true;
    if (api_refuse_framing(&exchange->call, &exchange->response) < 0)
        return MHD_NO;
    set_ready(exchange);
    return send_response(exchange);
}

static const char *header_of(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static void begin_access(struct exchange *exchange, const char *method, const char *path) {
    struct MHD_Connection *connection = exchange->connection;
    struct access *access = &exchange->call.access;
    access_begin(access, &exchange->http->ids, method, path, header_of(connection, "X-Request-Id"),
                 header_of(connection, "traceparent"), header_of(connection, "X-Cloud-Trace-Context"));
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info != NULL && info->client_addr != NULL)
        access_set_client(access, info->client_addr);
}

static enum MHD_Result begin(struct http *http, struct MHD_Connection *connection, const char *method, const char *path,
                             const char *version, void **state) {
    struct framing framing = {0};
    struct exchange *exchange = daemon_visitor(connection) != NULL ? calloc(1, sizeof *exchange) : NULL;
    const char *length = header_of(connection, "Content-Length");
    bool waits = header_of(connection, "Expect") != NULL;
    size_t max = http->api.config->body_kb << 10;
    if (exchange == NULL)
        return MHD_NO;
    exchange->http = http;
    exchange->connection = connection;
    exchange->visitor = daemon_visitor(connection);
    exchange->visitor->holder = exchange;
    exchange->call.route = api_find_route(path);
    begin_access(exchange, method, path);
    buf_init(&exchange->body, max);
    http->exchanges++;
    http->begun++;
    *state = exchange;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, add_to_framing, &framing);
    if (!framing_is_clear(&framing, version))
        return refuse_framing(exchange);
    uint64_t announced = length != NULL ? strtoull(length, NULL, 10) : 0;
    exchange->small = framing.encodings == 0 && announced <= SMALL_BODY && !waits;
    if (announced <= max)
        return MHD_YES;
    exchange->too_large = true;
    if (announced <= DISCARD_FACTOR * max && !waits)
        return MHD_YES;
    /* It waits for our word, or has more to send than we are ready to read. */
    if (api_refuse_body(&http->api, &exchange->call, &exchange->response) < 0)
        return MHD_NO;
    set_ready(exchange);
    return send_response(exchange);
}

static enum MHD_Result read_body(struct exchange *exchange, const char *data, size_t *size) {
    exchange->received += *size;
    metrics_of(exchange)->received_bytes += *size;
    if (!exchange->too_large && !exchange->too_much && exchange->response.status == 0) {
        if (!may_hold(exchange, *size))
            exchange->too_much = true;
        else if (buf_add(&exchange->body, data, *size) < 0)
            exchange->too_large = true;
        if (exchange->too_large || exchange->too_much)
            buf_done(&exchange->body);
        hold(exchange, exchange->body.capacity);
    }
    *size = 0;
    return exchange->received <= DISCARD_FACTOR * exchange->body.max && !exchange->visitor->ended ? MHD_YES : MHD_NO;
}

static enum MHD_Result execute(struct exchange *exchange) {
    struct http *http = exchange->http;
    const char *body = exchange->body.data != NULL ? exchange->body.data : "";
    exchange->call.streams = wants_stream(exchange);
    int r = api_submit(&http->api, &exchange->call, body, exchange->body.len, job_finished, exchange,
                       &exchange->job, &exchange->response);
    if (r < 0)
        return MHD_NO;
    buf_done(&exchange->body);
    hold(exchange, 0);
    if (r > 0) {
        set_ready(exchange);
        return send_response(exchange);
    }
    visitors_serve(&http->daemon.visitors, exchange->visitor);
    /* What it waits with in the queue, or for a worker to read it; let go of when the job is finished. */
    hold(exchange, job_held(exchange->job));
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL)
        runs_watch_client(exchange->job, info->connect_fd);
    if (job_streams(exchange->job)) {
        stream_begin(&exchange->stream, exchange->job, stream_ready, exchange);
        return send_stream(exchange);
    }
    suspend(exchange);
    return MHD_YES;
}

static enum MHD_Result complete(struct exchange *exchange) {
    struct api *api = &exchange->http->api;
    int r = 0;
    if (exchange->response.status != 0) {
        /* by its route */
    } else if (exchange->too_large) {
        r = api_refuse_body(api, &exchange->call, &exchange->response);
    } else if (exchange->too_much) {
        r = api_refuse_bytes(api, &exchange->call, &exchange->response);
    } else {
        return execute(exchange);
    }
    if (r < 0)
        return MHD_NO;
    set_ready(exchange);
    return send_response(exchange);
}

/* What metrics cannot count by themselves. */
static void note_state(struct http *http) {
    struct metrics *metrics = &http->api.runs->metrics;
    metrics->connections = daemon_connections(&http->daemon);
    metrics->exchanges = http->exchanges;
    metrics->held_bytes = http->held;
    metrics->cut_place = http->daemon.visitors.cut_place;
    metrics->cut_bytes = http->daemon.visitors.cut_bytes;
    metrics->log_lost = http->journal->lost_ever;
    metrics->log_left_out = http->journal->left_out_ever;
}

static int route(struct exchange *exchange, const char *method, const char *path) {
    struct MHD_Connection *connection = exchange->connection;
    struct api *api = &exchange->http->api;
    struct call *call = &exchange->call;
    struct response *response = &exchange->response;
    int r;
    note_state(exchange->http);
    if ((r = api_check_headers(api, call, header_of(connection, "Origin"),
                               header_of(connection, "MCP-Protocol-Version"), response)) != 0 ||
        (r = api_check_key(api, call, method, path, header_of(connection, "Authorization"), response)) != 0 ||
        (r = api_route(api, method, path, header_of(connection, "Accept"), response)) != 0) {
        response_negotiate(response, header_of(connection, "Accept-Encoding"), header_of(connection, "If-None-Match"));
        return r;
    }
    return api_check_pace(api, call, response);
}

/* What its route refuses is answered behind its body, which is read and dropped; but whoever may not send one does not
 * make us take it. */
static enum MHD_Result direct(struct exchange *exchange, const char *method, const char *path) {
    if (route(exchange, method, path) < 0)
        return MHD_NO;
    if (!exchange->call.turned_away || exchange->small)
        return MHD_YES;
    exchange->closes = true;
    set_ready(exchange);
    return send_response(exchange);
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload_data,
                              size_t *upload_data_size, void **state) {
    struct http *http = context;
    struct exchange *exchange = *state;
    if (exchange == NULL) {
        enum MHD_Result r = begin(http, connection, method, url, version, state);
        exchange = *state;
        return r == MHD_YES && !exchange->ready ? direct(exchange, method, url) : r;
    }
    if (exchange->ready) /* the job is finished */
        return send_response(exchange);
    if (*upload_data_size > 0)
        return read_body(exchange, upload_data, upload_data_size);
    return complete(exchange);
}

static void log_exchange(struct exchange *exchange, enum MHD_RequestTerminationCode why) {
    struct access *access = &exchange->call.access;
    if (exchange->job != NULL)
        access_note_job(access, exchange->job);
    access->received = exchange->received;
    access->aborted = exchange->gone || why != MHD_REQUEST_TERMINATED_COMPLETED_OK;
    journal_add(exchange->http->journal, access);
    access_done(access);
}

static void forget(void *context, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode why) {
    struct exchange *exchange = *state;
    struct http *http = context;
    (void)connection;
    if (exchange == NULL)
        return;
    *state = NULL;
    log_exchange(exchange, why);
    hold(exchange, 0);
    exchange->visitor->holder = NULL;
    visitors_wait(&http->daemon.visitors, exchange->visitor);
    stream_done(&exchange->stream);
    /* The library has given up a connection that a job still streams to. */
    if (exchange->job != NULL) {
        exchange->job->finished = job_abandoned;
        runs_cancel(exchange->job);
    }
    buf_done(&exchange->body);
    free(exchange->response.body);
    api_forget(&exchange->call);
    free(exchange);
    http->exchanges--;
}

/* --- Doors --- */

int http_start(struct http *http, uv_loop_t *loop, const struct api *api, struct journal *journal, int take_listen) {
    unsigned most = (unsigned)lines_leave(api->config);
    *http = (struct http){.api = *api, .journal = journal};
    api->runs->metrics.connections_most = most;
    return daemon_start(&http->daemon, loop, take_listen, most, (unsigned)api->config->idle_s, handle, forget, http);
}
