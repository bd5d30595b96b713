/* Request bodies: see request.h. Runs in the server, on hostile input.
 *
 * The body is scanned once (server/json.h), which bounds its nesting and makes no tree of what nobody
 * asked for; only the few values that mean something are decoded, by jansson.
 */
#include "server/request.h"

#include "server/json.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct fields {
    struct json_span script;
    struct json_span details;
    struct json_span convert;
};

/* The string or literal that a span holds; NULL where jansson refuses it: half a surrogate pair has no
 * UTF-8, and Python could not compile it. */
void request_prepare(void) {
    json_object_seed(0);
}

static json_t *decode(struct json_span span) {
    return json_loadb(span.data, span.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static bool key_is(struct json_span key, const char *name) {
    size_t length = strlen(name);
    if (memchr(key.data, '\\', key.size) == NULL)
        return key.size == length + 2 && memcmp(key.data + 1, name, length) == 0;
    json_t *text = decode(key);
    bool same = text != NULL && json_string_length(text) == length &&
                memcmp(json_string_value(text), name, length) == 0;
    json_decref(text);
    return same;
}

/* The last of duplicate keys wins; keys nobody knows are ignored. */
static int take_field(struct json_span key, struct json_span value, void *context) {
    struct fields *fields = context;
    if (key_is(key, "script"))
        fields->script = value;
    else if (key_is(key, "details"))
        fields->details = value;
    else if (key_is(key, "convert"))
        fields->convert = value;
    return 0;
}

__attribute__((format(printf, 3, 4))) static int refuse(struct request_error *ret_error, unsigned status,
                                                        const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(ret_error->text, sizeof ret_error->text, format, args);
    va_end(args);
    ret_error->status = status;
    return status == 413 ? -EMSGSIZE : status == 500 ? -ENOMEM : -EINVAL;
}

static int read_fields(const struct config *config, const char *body, size_t size, struct fields *ret_fields,
                       struct request_error *ret_error) {
    struct json_error error;
    *ret_fields = (struct fields){0};
    int r = json_members(body, size, config->json_depth, take_field, ret_fields, &error);
    if (r == 0)
        return 0;
    if (strcmp(error.reason, "not an object") == 0)
        return refuse(ret_error, 400, "Invalid input: the body must be a JSON object with a string 'script'.");
    return refuse(ret_error, 400, "Invalid input: the body is not JSON (%s at byte %zu).", error.reason,
                  error.offset);
}

/* Adds the flag where the key is there and true. */
static int read_flag(struct json_span span, const char *name, enum job_flags flag, uint64_t *flags,
                     struct request_error *ret_error) {
    if (span.data == NULL)
        return 0;
    if (span.size == 4 && memcmp(span.data, "true", 4) == 0)
        *flags |= flag;
    else if (span.size != 5 || memcmp(span.data, "false", 5) != 0)
        return refuse(ret_error, 400, "Invalid input: '%s' must be true or false.", name);
    return 0;
}

static int make_job(const struct config *config, const json_t *script, uint64_t flags, struct job **ret_job,
                    struct request_error *ret_error) {
    size_t length = json_string_length(script);
    if (length > config->script_kb << 10)
        return refuse(ret_error, 413, "Script is too large: %zu bytes, the limit is %llu.", length,
                      (unsigned long long)(config->script_kb << 10));
    *ret_job = job_new(config, json_string_value(script), length, flags);
    return *ret_job != NULL ? 0 : refuse(ret_error, 500, "Out of memory.");
}

int request_parse(const struct config *config, const char *body, size_t size, struct job **ret_job,
                  struct request_error *ret_error) {
    struct fields fields;
    uint64_t flags = 0;
    int r;
    if ((r = read_fields(config, body, size, &fields, ret_error)) < 0 ||
        (r = read_flag(fields.details, "details", JOB_DETAILS, &flags, ret_error)) < 0 ||
        (r = read_flag(fields.convert, "convert", JOB_CONVERT, &flags, ret_error)) < 0)
        return r;
    if (fields.script.data == NULL)
        return refuse(ret_error, 400, "Invalid input: the key 'script' is missing.");
    if (fields.script.data[0] != '"')
        return refuse(ret_error, 400, "Invalid input: 'script' must be a string.");
    json_t *script = decode(fields.script);
    r = script != NULL ? make_job(config, script, flags, ret_job, ret_error)
                       : refuse(ret_error, 400, "Invalid input: 'script' has half of a surrogate pair.");
    json_decref(script);
    return r;
}
