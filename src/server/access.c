/* The record of a request: see access.h. Runs in the server, on hostile input. */
#include "server/access.h"

#include "base/clock.h"

#include <stdio.h>
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

void access_set_key(struct access *access, const char *name) {
    copy_escaped(access->key, ACCESS_KEY, name);
}

/* --- What came of it --- */

void access_note_job(struct access *access, const struct job *job) {
    uint64_t now = clock_us();
    uint64_t started = job->started_us != 0 ? job->started_us : now;
    access->queue_us = started - job->admitted_us;
    access->run_us = (job->finished_us != 0 ? job->finished_us : now) - started;
    access->outcome = outcome_name(job->stage == JOB_FINISHED ? job->outcome : OUTCOME_CANCELLED);
}
