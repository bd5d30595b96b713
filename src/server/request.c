/* Request bodies: see request.h. Runs in the server, on hostile input.
 *
 * The body is scanned once (server/json.h), which bounds its nesting and makes no tree of what nobody
 * asked for; only the few values that mean something are decoded.
 */
#include "server/request.h"

#include "base/utf8.h"
#include "server/files.h"
#include "server/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The keys that mean something. */
enum field {
    FIELD_SCRIPT,
    FIELD_DETAILS,
    FIELD_CONVERT,
    FIELD_FIGURES,
    FIELD_STREAM,
    FIELD_INPUT,
    FIELD_ARGS,
    FIELD_KWARGS,
    FIELD_STDIN,
    FIELD_SEED,
    FIELD_LIMITS,
    FIELD_FILES,
    FIELD_OUTPUTS,
    FIELD_COUNT
};

static const struct {
    const char *key;
    char first; /* of a value of the right type; NUL where another function sees to it */
    const char *type;
} kinds[FIELD_COUNT] = {
    [FIELD_SCRIPT] = {"script", '\0', NULL},
    [FIELD_DETAILS] = {"details", '\0', NULL},
    [FIELD_CONVERT] = {"convert", '\0', NULL},
    [FIELD_FIGURES] = {"figures", '\0', NULL},
    [FIELD_STREAM] = {"stream", '\0', NULL},
    [FIELD_INPUT] = {"input", '\0', NULL},
    [FIELD_ARGS] = {"args", '[', "an array"},
    [FIELD_KWARGS] = {"kwargs", '{', "an object"},
    [FIELD_STDIN] = {"stdin", '"', "a string"},
    [FIELD_SEED] = {"seed", '\0', NULL},
    [FIELD_LIMITS] = {"limits", '{', "an object"},
    [FIELD_FILES] = {"files", '{', "an object"},
    [FIELD_OUTPUTS] = {"outputs", '[', "an array"},
};

#define SEED_MAX INT64_MAX

/* As they stand in the body; no data where the key is missing. */
struct fields {
    struct json_span values[FIELD_COUNT];
};

/* The last of duplicate keys wins; keys nobody knows are ignored. */
static int take_field(struct json_span key, struct json_span value, void *context) {
    struct fields *fields = context;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (json_string_is(key, kinds[i].key))
            fields->values[i] = value;
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

static int read_flag(struct json_span span, const char *name, bool *ret_flag, struct request_error *ret_error) {
    if (span.data == NULL)
        return 0;
    if (span.size == 4 && memcmp(span.data, "true", 4) == 0)
        *ret_flag = true;
    else if (span.size == 5 && memcmp(span.data, "false", 5) == 0)
        *ret_flag = false;
    else
        return refuse(ret_error, 400, "Invalid input: '%s' must be true or false.", name);
    return 0;
}

static bool is_null(struct json_span span) {
    return span.size == 4 && memcmp(span.data, "null", 4) == 0;
}

/* An optional key that is null is as good as missing; any other value must be of its type. */
static int check_types(struct fields *fields, struct request_error *ret_error) {
    for (size_t i = FIELD_INPUT; i < FIELD_COUNT; i++) {
        struct json_span *value = &fields->values[i];
        if (value->data == NULL)
            continue;
        if (is_null(*value))
            *value = (struct json_span){0};
        else if (kinds[i].first != '\0' && value->data[0] != kinds[i].first)
            return refuse(ret_error, 400, "Invalid input: '%s' must be %s.", kinds[i].key, kinds[i].type);
    }
    if (fields->values[FIELD_INPUT].data != NULL &&
        (fields->values[FIELD_ARGS].data != NULL || fields->values[FIELD_KWARGS].data != NULL))
        return refuse(ret_error, 400, "Invalid input: 'input' is for main(input), 'args' and 'kwargs' are for "
                                      "main(*args, **kwargs), give one or the other.");
    return 0;
}

/* Whether the JSON is an integer, written as one. ret_number is without its sign, and UINT64_MAX where it is larger. */
static bool read_integer(struct json_span span, uint64_t *ret_number, bool *ret_negative) {
    *ret_negative = span.data[0] == '-';
    *ret_number = 0;
    for (size_t i = *ret_negative ? 1 : 0; i < span.size; i++) {
        unsigned digit = (unsigned char)span.data[i] - '0';
        if (digit > 9)
            return false;
        if (__builtin_mul_overflow(*ret_number, 10u, ret_number) ||
            __builtin_add_overflow(*ret_number, digit, ret_number))
            *ret_number = UINT64_MAX; /* and stays it with every digit that follows */
    }
    return true;
}

static int read_seed(struct json_span span, struct job_request *request, struct request_error *ret_error) {
    bool negative;
    if (span.data == NULL)
        return 0;
    if (!read_integer(span, &request->seed, &negative) || negative || request->seed > SEED_MAX)
        return refuse(ret_error, 400, "Invalid input: 'seed' must be an integer from 0 to %lld.", (long long)SEED_MAX);
    request->seeded = true;
    return 0;
}

/* --- limits --- */

struct limit_values {
    const struct config *config;
    struct json_span values[LIMIT_COUNT];
    struct json_span unknown;
};

static int take_limit(struct json_span key, struct json_span value, void *context) {
    struct limit_values *found = context;
    const struct json_span none = {0};
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        if (json_string_is(key, config_limit(found->config, (enum request_limit)i).key)) {
            found->values[i] = is_null(value) ? none : value;
            return 0;
        }
    found->unknown = key;
    return 0;
}

/* Bytes of it that a sentence has, which does not end in the middle of a character. */
static int shown_of(struct json_span text, size_t most) {
    if (text.size <= most)
        return (int)text.size;
    return (int)(most - utf8_cut_tail(text.data, most));
}

static int read_limit(struct json_span value, const struct limit_range *range, uint64_t *ret_number,
                      struct request_error *ret_error) {
    uint64_t number;
    bool negative;
    if (!read_integer(value, &number, &negative))
        return refuse(ret_error, 400, "Invalid input: limits.%s must be an integer.", range->key);
    int shown = shown_of(value, 24); /* digits */
    const char *rest = (size_t)shown < value.size ? "..." : "";
    if (negative || number < range->least)
        return refuse(ret_error, 400, "Invalid input: limits.%s is %.*s%s, the least is %llu.", range->key, shown,
                      value.data, rest, (unsigned long long)range->least);
    if (number > range->most)
        return refuse(ret_error, 400, "Invalid input: limits.%s is %.*s%s, the most is %llu.", range->key, shown,
                      value.data, rest, (unsigned long long)range->most);
    *ret_number = number;
    return 0;
}

static int read_limits(const struct config *config, struct json_span span, struct job_request *request,
                       struct request_error *ret_error) {
    struct limit_values found = {.config = config};
    if (span.data == NULL)
        return 0;
    (void)json_members(span.data, span.size, config->json_depth, take_limit, &found, NULL); /* it is an object */
    /* A limit that was misspelt must not pass for one that is kept. */
    if (found.unknown.data != NULL)
        return refuse(ret_error, 400,
                      "Invalid input: limits has no %.*s, it takes wall_ms, cpu_ms, memory_mb, output_kb and scratch_mb.",
                      shown_of(found.unknown, 40), found.unknown.data);
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        struct limit_range range = config_limit(config, (enum request_limit)i);
        int r = found.values[i].data == NULL ? 0 : read_limit(found.values[i], &range, &request->limits[i], ret_error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- files and outputs --- */

static int read_files(const struct config *config, const struct fields *fields, struct job_request *request,
                      struct request_error *ret_error) {
    uint64_t scratch_bytes = job_limit(config, request, LIMIT_SCRATCH_MB) << 20;
    struct files_error why;
    request->files = fields->values[FIELD_FILES];
    request->outputs = fields->values[FIELD_OUTPUTS];
    int r = request->files.data != NULL ? files_check(config, request->files, scratch_bytes, &why) : 0;
    if (r == 0 && request->outputs.data != NULL)
        r = files_check_patterns(request->outputs, &why);
    if (r == -EINVAL)
        return refuse(ret_error, 400, "Invalid input: %s", why.text);
    return r < 0 ? refuse(ret_error, 500, "Out of memory.") : 0;
}

/* --- A job --- */

static int read_text(struct json_span string, const char *name, struct buf *ret_text, struct request_error *ret_error) {
    buf_init(ret_text, string.size);
    int r = json_text(string, ret_text);
    if (r == -EILSEQ)
        return refuse(ret_error, 400, "Invalid input: '%s' has half of a surrogate pair.", name);
    return r < 0 ? refuse(ret_error, 500, "Out of memory.") : 0;
}

static int read_script(const struct config *config, struct json_span string, struct buf *ret_text,
                       struct request_error *ret_error) {
    size_t size;
    if (json_text_size(string, &size) == 0 && size > config->script_kb << 10)
        return refuse(ret_error, 413, "Script is too large: %zu bytes, the limit is %llu.", size,
                      (unsigned long long)config->script_kb << 10);
    return read_text(string, "script", ret_text, ret_error);
}

/* The two strings are decoded, and the job made. */
static int make_job(const struct config *config, const struct fields *fields, const struct job_request *wanted,
                    struct job **ret_job, struct request_error *ret_error) {
    struct json_span stdin_text = fields->values[FIELD_STDIN];
    struct job_request request = *wanted;
    struct buf script = {0}, text = {0};
    int r = read_script(config, fields->values[FIELD_SCRIPT], &script, ret_error);
    if (r == 0 && stdin_text.data != NULL)
        r = read_text(stdin_text, "stdin", &text, ret_error);
    if (r == 0) {
        request.script = (struct json_span){script.data, script.len};
        request.take_stdin = &text;
        *ret_job = job_new(config, &request);
        r = *ret_job != NULL ? 0 : refuse(ret_error, 500, "Out of memory.");
    }
    buf_done(&script);
    buf_done(&text);
    return r;
}

static int parse(const struct config *config, const char *body, size_t size, struct job_request *request, bool detailed,
                 struct job **ret_job, struct request_error *ret_error) {
    struct fields fields;
    int r;
    if ((r = read_fields(config, body, size, &fields, ret_error)) < 0 ||
        (r = read_flag(fields.values[FIELD_DETAILS], "details", &request->wants_details, ret_error)) < 0 ||
        (r = read_flag(fields.values[FIELD_CONVERT], "convert", &request->converts, ret_error)) < 0 ||
        (r = read_flag(fields.values[FIELD_FIGURES], "figures", &request->wants_figures, ret_error)) < 0 ||
        (r = read_flag(fields.values[FIELD_STREAM], "stream", &request->streams, ret_error)) < 0)
        return r;
    if (detailed) {
        request->wants_details = true;
        request->streams = false;
    }
    if (fields.values[FIELD_SCRIPT].data == NULL)
        return refuse(ret_error, 400, "Invalid input: the key 'script' is missing.");
    if (fields.values[FIELD_SCRIPT].data[0] != '"')
        return refuse(ret_error, 400, "Invalid input: 'script' must be a string.");
    if ((r = check_types(&fields, ret_error)) < 0 ||
        (r = read_seed(fields.values[FIELD_SEED], request, ret_error)) < 0 ||
        (r = read_limits(config, fields.values[FIELD_LIMITS], request, ret_error)) < 0 ||
        (r = read_files(config, &fields, request, ret_error)) < 0)
        return r;
    request->input = fields.values[FIELD_INPUT];
    request->args = fields.values[FIELD_ARGS];
    request->kwargs = fields.values[FIELD_KWARGS];
    return make_job(config, &fields, request, ret_job, ret_error);
}

int request_parse(const struct config *config, const char *body, size_t size, bool streams, struct job **ret_job,
                  struct request_error *ret_error) {
    struct job_request request = {.streams = streams};
    return parse(config, body, size, &request, false, ret_job, ret_error);
}

int request_parse_detailed(const struct config *config, const char *body, size_t size, struct job **ret_job,
                           struct request_error *ret_error) {
    struct job_request request = {0};
    return parse(config, body, size, &request, true, ret_job, ret_error);
}
