/* The record of a request: see access.h. Runs in the server, on hostile input. */
#include "server/access.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* --- Request ids --- */

/* What is in use: UUIDs, base64, and what proxies put together with colons. */
bool access_id_is_sane(const char *id) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:=+/@";
    size_t size = strspn(id, allowed);
    return size > 0 && size <= ACCESS_ID && id[size] == '\0';
}

/* 128 random bits. The kernel cannot be without them this long after its start (getrandom(2)). */
static void make_id(struct access_ids *ids, char ret_id[ACCESS_ID + 1]) {
    enum { BYTES = 16 };
    static const char digits[] = "0123456789abcdef";
    if (ids->left < BYTES) {
        ssize_t n = getrandom(ids->bytes, sizeof ids->bytes, 0);
        ids->left = n < 0 ? 0 : (size_t)n;
    }
    for (size_t i = 0; i < BYTES && ids->left > 0; i++) {
        unsigned char byte = ids->bytes[--ids->left];
        *ret_id++ = digits[byte >> 4];
        *ret_id++ = digits[byte & 15];
    }
    *ret_id = '\0';
}

/* --- What a client chose --- */

/* As a URL has it: what is not printable ASCII, or ends a word or a string, is escaped. What is too long ends in dots. */
static void copy_escaped(char *to, size_t max, const char *from) {
    static const char digits[] = "0123456789ABCDEF";
    char *end = to + max - 3; /* room for the dots */
    for (; *from != '\0'; from++) {
        unsigned char c = (unsigned char)*from;
        bool plain = c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '%';
        if (to + (plain ? 1 : 3) > end) {
            to = mempcpy(to, "...", 3);
            break;
        }
        if (plain) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    *to = '\0';
}

void access_begin(struct access *ret_access, struct access_ids *ids, const char *method, const char *path,
                  const char *request_id, const char *traceparent, const char *cloud_context) {
    *ret_access = (struct access){.begun_us = clock_us()};
    if (request_id != NULL && access_id_is_sane(request_id))
        snprintf(ret_access->id, sizeof ret_access->id, "%s", request_id);
    else
        make_id(ids, ret_access->id);
    trace_read(&ret_access->trace, traceparent, cloud_context);
    copy_escaped(ret_access->method, ACCESS_METHOD, method);
    copy_escaped(ret_access->path, ACCESS_PATH, path);
}

void access_set_client(struct access *access, const struct sockaddr *address) {
    const void *bytes = NULL;
    if (address->sa_family == AF_INET)
        bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    else if (address->sa_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (bytes != NULL)
        inet_ntop(address->sa_family, bytes, access->client, sizeof access->client);
}

void access_set_key(struct access *access, const char *name) {
    copy_escaped(access->key, ACCESS_KEY, name);
}

/* --- What came of it --- */

void access_note_job(struct access *access, const struct job *job) {
    uint64_t now = clock_us();
    uint64_t started = job->started_us != 0 ? job->started_us : now;
    access->ran = true;
    access->queue_us = started - job->admitted_us;
    access->run_us = job->stage == JOB_FINISHED ? job->verdict.wall_us : now - started; /* as Server-Timing has it */
    access->outcome = outcome_name(job->stage == JOB_FINISHED ? job->outcome : OUTCOME_CANCELLED);
    if (job->expired)
        access->outcome = NULL; /* it never ran, and the answer does not say it did */
}

void access_keep_script(struct access *access, struct json_span script) {
    size_t size = script.size < ACCESS_SCRIPT ? script.size : ACCESS_SCRIPT;
    access->script = malloc(size + 1);
    if (access->script != NULL)
        memcpy(access->script, script.data, size);
    access->script_size = size;
}

void access_done(struct access *access) {
    free(access->script);
    access->script = NULL;
}

/* --- Its line --- */

/* Nobody is told of a request whose client is gone; proxies log it by this number. */
enum { STATUS_NONE_SENT = 499 };

static unsigned status_of(const struct access *access) {
    return access->status != 0 ? access->status : STATUS_NONE_SENT;
}

enum log_level access_level(const struct access *access) {
    unsigned status = status_of(access);
    bool lost = access->outcome != NULL && strcmp(access->outcome, outcome_name(OUTCOME_LOST)) == 0;
    if (lost || (status == 500 && access->outcome == NULL))
        return LOG_LEVEL_ERROR;
    return status == 503 || status == 429 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
}

/* Microseconds as milliseconds. */
#define MS "%" PRIu64 ".%03" PRIu64
#define MS_OF(us) (us) / 1000, (us) % 1000

static void add_json(struct line *line, const struct access *access, uint64_t total_us, const char *project) {
    const struct trace *trace = &access->trace;
    line_add(line, "request_id", access->id);
    line_open(line, "httpRequest");
    line_add(line, "requestMethod", access->method);
    line_add(line, "requestUrl", access->path);
    line_add_value(line, "status", "%u", status_of(access));
    line_add_value(line, "requestSize", "\"%" PRIu64 "\"", access->received);
    line_add_value(line, "responseSize", "\"%" PRIu64 "\"", access->sent);
    line_add_value(line, "latency", "\"%" PRIu64 ".%06" PRIu64 "s\"", total_us / 1000000, total_us % 1000000);
    if (*access->client != '\0')
        line_add(line, "remoteIp", access->client);
    line_close(line);
    if (access->outcome != NULL)
        line_add(line, "outcome", access->outcome);
    if (access->ran) {
        line_add_value(line, "queue_ms", MS, MS_OF(access->queue_us));
        line_add_value(line, "run_ms", MS, MS_OF(access->run_us));
    }
    line_add_value(line, "total_ms", MS, MS_OF(total_us));
    if (access->aborted)
        line_add_value(line, "aborted", "true");
    if (*access->key != '\0')
        line_add(line, "key", access->key);
    if (*trace->id != '\0') {
        char name[CONFIG_TEXT + TRACE_ID + 32];
        snprintf(name, sizeof name, "%s%s%s%s", *project != '\0' ? "projects/" : "", project, *project != '\0' ? "/traces/" : "", trace->id);
        line_add(line, "logging.googleapis.com/trace", name);
        if (*trace->span != '\0')
            line_add(line, "logging.googleapis.com/spanId", trace->span);
        line_add_value(line, "logging.googleapis.com/trace_sampled", trace->sampled ? "true" : "false");
    }
    if (access->script != NULL)
        line_add_bytes(line, "script", access->script, access->script_size);
}

static void add_text(struct line *line, const struct access *access) {
    if (access->ran)
        line_add_format(line, " (queue " MS ", run " MS ")", MS_OF(access->queue_us), MS_OF(access->run_us));
    line_add_format(line, ", %" PRIu64 " B in, %" PRIu64 " B out", access->received, access->sent);
    if (*access->client != '\0')
        line_add_format(line, ", from %s", access->client);
    line_add_format(line, ", id %s", access->id);
    if (*access->key != '\0')
        line_add_format(line, ", key %s", access->key);
    if (*access->trace.id != '\0')
        line_add_format(line, ", trace %s", access->trace.id);
    if (access->aborted)
        line_add_format(line, ", aborted");
    if (access->script != NULL) {
        line_add_format(line, ", script \"");
        line_add_escaped(line, access->script, access->script_size);
        line_add_format(line, "\"");
    }
}

void access_make_line(const struct access *access, const char *project, struct line *ret_line) {
    uint64_t total_us = clock_us() - access->begun_us;
    char words[ACCESS_METHOD + ACCESS_PATH + 128];
    char time[LOG_TIME] = "";
    if (!log_is_json())
        log_time(time);
    snprintf(words, sizeof words, "%s%s%s %s %u%s%s " MS " ms", time, *time != '\0' ? " " : "", access->method, access->path,
             status_of(access), access->outcome != NULL ? " " : "", access->outcome != NULL ? access->outcome : "", MS_OF(total_us));
    log_begin(ret_line, access_level(access), words);
    if (log_is_json())
        add_json(ret_line, access, total_us, project);
    else
        add_text(ret_line, access);
    log_end(ret_line);
}
