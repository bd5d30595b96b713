/* Making a request body: see compose.h. Runs in the server, which has a scanner for JSON and is confined. What the body
 * means is judged where every body is (request.c); here each part is kept from meaning anything else. */
#include "server/compose.h"

#include "server/json.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static int refuse(struct request_error *ret_error, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(ret_error->text, sizeof ret_error->text, format, args);
    va_end(args);
    ret_error->status = 400;
    return -EINVAL;
}

/* Whatever a buffer has to say: it is full, or there is no memory. */
static int bear(int r, struct request_error *ret_error) {
    if (r == -EMSGSIZE)
        refuse(ret_error, "All there is to hand over is more than %zu MiB.", CONSOLE_MAX >> 20);
    else if (r < 0)
        refuse(ret_error, "Out of memory.");
    return r;
}

static int add_base64(struct buf *buf, const char *data, size_t size) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int r = buf_reserve(buf, (size + 2) / 3 * 4);
    for (size_t at = 0; r == 0 && at < size; at += 3) {
        const unsigned char *in = (const unsigned char *)data + at;
        size_t left = size - at;
        uint32_t group = (uint32_t)in[0] << 16 | (left > 1 ? (uint32_t)in[1] << 8 : 0) | (left > 2 ? in[2] : 0);
        const char out[4] = {letters[group >> 18], letters[group >> 12 & 63], left > 1 ? letters[group >> 6 & 63] : '=',
                             left > 2 ? letters[group & 63] : '='};
        r = buf_add(buf, out, sizeof out);
    }
    return r;
}

/* Where data ceases to be UTF-8; size where it does not. */
static size_t find_other_than_utf8(const char *data, size_t size) {
    size_t at = 0;
    for (size_t n; at < size && (n = utf8_sequence(data + at, size - at)) > 0; at += n)
        continue;
    return at;
}

/* The member that every body has comes last: compose_finish(). */
static int add_key(struct compose *compose, const char *key) {
    return buf_add_format(&compose->body, "\"%s\": ", key);
}

static int add_script(struct compose *compose, const char *data, size_t size, struct request_error *ret_error) {
    static const char mark[] = "\xef\xbb\xbf"; /* what some editors begin UTF-8 with; Python skips it in a file */
    size_t skip = size >= 3 && memcmp(data, mark, 3) == 0 ? 3 : 0;
    size_t bad = find_other_than_utf8(data, size);
    int r;
    if (bad < size)
        return refuse(ret_error, "The script is not UTF-8, at byte %zu.", bad);
    if ((r = add_key(compose, "script")) < 0 || (r = utf8_add_json_string(&compose->body, data + skip, size - skip)) < 0)
        return r;
    return buf_add_text(&compose->body, ", ");
}

static int add_json(struct compose *compose, const char *key, const char *data, size_t size,
                    struct request_error *ret_error) {
    struct json_error error;
    int r = json_check(data, size, compose->config->json_depth, &error);
    if (r < 0)
        return refuse(ret_error, "--%s is not JSON: %s at byte %zu.", key, error.reason, error.offset);
    if ((r = add_key(compose, key)) < 0 || (r = buf_add(&compose->body, data, size)) < 0)
        return r;
    return buf_add_text(&compose->body, ", ");
}

static int add_file(struct compose *compose, const char *data, size_t size, struct request_error *ret_error) {
    const char *nul = memchr(data, '\0', size);
    struct buf *files = &compose->files;
    size_t name = nul != NULL ? (size_t)(nul - data) : size;
    int r = 0;
    if (nul == NULL)
        return refuse(ret_error, "--file: no content.");
    if (find_other_than_utf8(data, name) < name)
        return refuse(ret_error, "--file: a name is not UTF-8.");
    if (files->len > 0)
        r = buf_add_text(files, ", ");
    if (r < 0 || (r = utf8_add_json_string(files, data, name)) < 0 || (r = buf_add_text(files, ": {\"base64\": \"")) < 0 ||
        (r = add_base64(files, nul + 1, size - name - 1)) < 0)
        return r;
    return buf_add_text(files, "\"}");
}

static int add_output(struct compose *compose, const char *data, size_t size, struct request_error *ret_error) {
    int r = compose->outputs.len > 0 ? buf_add_text(&compose->outputs, ", ") : 0;
    if (find_other_than_utf8(data, size) < size)
        return refuse(ret_error, "--output is not UTF-8.");
    return r < 0 ? r : utf8_add_json_string(&compose->outputs, data, size);
}

void compose_init(struct compose *compose, const struct config *config) {
    *compose = (struct compose){.config = config};
    buf_init(&compose->body, CONSOLE_MAX);
    buf_init(&compose->files, CONSOLE_MAX);
    buf_init(&compose->outputs, CONSOLE_MAX);
}

void compose_done(struct compose *compose) {
    buf_done(&compose->body);
    buf_done(&compose->files);
    buf_done(&compose->outputs);
}

static int add(struct compose *compose, enum console_part part, const char *data, size_t size,
               struct request_error *ret_error) {
    int r = compose->body.len == 0 ? buf_add_text(&compose->body, "{") : 0;
    if (r < 0)
        return r;
    switch (part) {
    case CONSOLE_SCRIPT: return add_script(compose, data, size, ret_error);
    case CONSOLE_INPUT: return add_json(compose, "input", data, size, ret_error);
    case CONSOLE_ARGS: return add_json(compose, "args", data, size, ret_error);
    case CONSOLE_KWARGS: return add_json(compose, "kwargs", data, size, ret_error);
    case CONSOLE_SEED: return add_json(compose, "seed", data, size, ret_error);
    case CONSOLE_FILE: return add_file(compose, data, size, ret_error);
    case CONSOLE_OUTPUT: return add_output(compose, data, size, ret_error);
    case CONSOLE_CONVERT: return buf_add_text(&compose->body, "\"convert\": true, ");
    case CONSOLE_DOCUMENT: compose->document = true; return 0;
    default: return refuse(ret_error, "There is no part %d of a request.", (int)part);
    }
}

int compose_add(struct compose *compose, enum console_part part, const char *data, size_t size,
                struct request_error *ret_error) {
    int r = add(compose, part, data, size, ret_error);
    return r == -EINVAL ? r : bear(r, ret_error);
}

/* What has grown beside the body, if anything has. */
static int add_grown(struct buf *body, const char *begin, const struct buf *grown, const char *end) {
    int r;
    if (grown->len == 0)
        return 0;
    if ((r = buf_add_text(body, begin)) < 0 || (r = buf_add(body, grown->data, grown->len)) < 0)
        return r;
    return buf_add_text(body, end);
}

static int finish(struct compose *compose) {
    struct buf *body = &compose->body;
    int r = body->len == 0 ? buf_add_text(body, "{") : 0;
    if (r < 0 || (r = add_grown(body, "\"files\": {", &compose->files, "}, ")) < 0 ||
        (r = add_grown(body, "\"outputs\": [", &compose->outputs, "], ")) < 0)
        return r;
    return buf_add_text(body, "\"details\": true}");
}

int compose_finish(struct compose *compose, struct request_error *ret_error) {
    int r = bear(finish(compose), ret_error);
    buf_done(&compose->files);
    buf_done(&compose->outputs);
    return r;
}
