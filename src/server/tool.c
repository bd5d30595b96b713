/* The tool run_python: see tool.h. Runs in the server; outputs and exceptions are a hostile worker's words, which were
 * found to be JSON (judge.c) and nothing more. */
#include "server/tool.h"

#include "server/document.h"
#include "server/files.h"
#include "server/judge.h"
#include "server/response.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

/* --- What it is --- */

struct number {
    const char *name;
    uint64_t value;
};

static int add_number(struct buf *body, const struct config *config, const char *name, size_t size) {
    const struct number numbers[] = {
        {"wall_ms", config_limit(config, LIMIT_WALL_MS).usual},
        {"max_wall_ms", config_limit(config, LIMIT_WALL_MS).most},
        {"cpu_ms", config_limit(config, LIMIT_CPU_MS).usual},
        {"max_cpu_ms", config_limit(config, LIMIT_CPU_MS).most},
        {"memory_mb", config_limit(config, LIMIT_MEMORY_MB).usual},
        {"max_memory_mb", config_limit(config, LIMIT_MEMORY_MB).most},
        {"output_kb", config_limit(config, LIMIT_OUTPUT_KB).usual},
        {"max_output_kb", config_limit(config, LIMIT_OUTPUT_KB).most},
        {"max_scratch_mb", config_limit(config, LIMIT_SCRATCH_MB).most},
        {"result_kb", config->result_kb},
        {"scratch_mb", config->scratch_mb},
        {"outputs_kb", config->outputs_kb},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strlen(numbers[i].name) == size && memcmp(numbers[i].name, name, size) == 0)
            return buf_add_format(body, "%llu", (unsigned long long)numbers[i].value);
    return 0;
}

/* The file is JSON as it stands; {{wall_ms}} and the like in its texts become numbers. */
int tool_add_description(struct buf *body, const struct config *config) {
    const char *at = embedded_documents[DOCUMENT_TOOL].text;
    const char *open, *close;
    int r;
    while ((open = strstr(at, "{{")) != NULL && (close = strstr(open, "}}")) != NULL) {
        if ((r = buf_add(body, at, (size_t)(open - at))) < 0 ||
            (r = add_number(body, config, open + 2, (size_t)(close - open - 2))) < 0)
            return r;
        at = close + 2;
    }
    return buf_add_text(body, at);
}

/* --- Images among the outputs --- */

struct output {
    struct json_span media_type, base64;
};

static int take_output(struct json_span key, struct json_span value, void *context) {
    struct output *output = context;
    if (json_string_is(key, "media_type"))
        output->media_type = value;
    else if (json_string_is(key, "base64"))
        output->base64 = value;
    return 0;
}

/* The type of an image that a model can see, with its data in ret_base64; NULL for any other output. */
static const char *image_type(struct json_span value, struct json_span *ret_base64) {
    static const char *const types[] = {"image/png", "image/jpeg", "image/gif", "image/webp"};
    struct output output = {0};
    if (value.data[0] != '{' || json_members(value.data, value.size, JSON_MAX_DEPTH, take_output, &output, NULL) < 0 ||
        output.media_type.data == NULL || output.media_type.data[0] != '"' || output.base64.data == NULL ||
        output.base64.data[0] != '"')
        return NULL;
    *ret_base64 = (struct json_span){output.base64.data + 1, output.base64.size - 2};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (json_string_is(output.media_type, types[i]))
            return files_base64_size(ret_base64->data, ret_base64->size) > 0 ? types[i] : NULL;
    return NULL;
}

static int add_image(struct json_span key, struct json_span value, void *context) {
    struct buf *body = context;
    struct json_span base64;
    const char *type = image_type(value, &base64);
    int r;
    (void)key;
    if (type == NULL)
        return 0;
    if ((r = buf_add_text(body, ", {\"type\": \"image\", \"data\": \"")) < 0 ||
        (r = buf_add(body, base64.data, base64.size)) < 0)
        return r;
    return buf_add_format(body, "\", \"mimeType\": \"%s\"}", type);
}

static int add_images(struct buf *body, const struct job *job) {
    struct json_span outputs = response_outputs(job).outputs;
    if (outputs.size == 0 || outputs.data[0] != '[')
        return 0;
    return json_elements(outputs.data, outputs.size, JSON_MAX_DEPTH, add_image, body, NULL);
}

/* --- Outputs without the images' data --- */

struct listing {
    struct buf *body;
    size_t outputs, images, members;
};

static int add_member(struct json_span key, struct json_span value, void *context) {
    struct listing *listing = context;
    int r;
    if (json_string_is(key, "base64") || json_string_is(key, "content"))
        return 0;
    if ((listing->members++ > 0 && (r = buf_add_text(listing->body, ", ")) < 0) ||
        (r = buf_add(listing->body, key.data, key.size)) < 0 || (r = buf_add_text(listing->body, ": ")) < 0)
        return r;
    return buf_add(listing->body, value.data, value.size);
}

static int add_output(struct json_span key, struct json_span value, void *context) {
    struct listing *listing = context;
    struct json_span base64;
    int r;
    (void)key;
    if (listing->outputs++ > 0 && (r = buf_add_text(listing->body, ", ")) < 0)
        return r;
    if (image_type(value, &base64) == NULL)
        return buf_add(listing->body, value.data, value.size);
    listing->members = 0;
    if ((r = buf_add_text(listing->body, "{")) < 0 ||
        (r = json_members(value.data, value.size, JSON_MAX_DEPTH, add_member, listing, NULL)) < 0)
        return r;
    /* The text is content[0]. A member is left in any case: media_type. */
    return buf_add_format(listing->body, ", \"content\": %zu}", ++listing->images);
}

static int add_listing(struct buf *body, struct json_span outputs) {
    struct listing listing = {.body = body};
    int r = buf_add_text(body, "[");
    if (r == 0)
        r = json_elements(outputs.data, outputs.size, JSON_MAX_DEPTH, add_output, &listing, NULL);
    return r < 0 ? r : buf_add_text(body, "]");
}

/* --- The text --- */

struct telling {
    struct json_span traceback, hint;
};

static int take_telling(struct json_span key, struct json_span value, void *context) {
    struct telling *telling = context;
    if (value.data[0] != '"')
        return 0;
    if (json_string_is(key, "traceback"))
        telling->traceback = value;
    else if (json_string_is(key, "hint"))
        telling->hint = value;
    return 0;
}

/* What is inside a JSON string goes into another as it stands. */
static int add_inside(struct buf *body, struct json_span string) {
    return buf_add(body, string.data + 1, string.size - 2);
}

static int add_error(struct buf *body, const struct job *job) {
    struct json_span summary = {0}, details = {0};
    struct telling telling = {0};
    int r;
    if (job->outcome == OUTCOME_EXCEPTION || (job->outcome == OUTCOME_MEMORY && response_status(job) == 400))
        judge_exception(job, &summary, &details);
    if (details.size > 0)
        (void)json_members(details.data, details.size, JSON_MAX_DEPTH, take_telling, &telling, NULL);
    if (telling.traceback.data != NULL) {
        if ((r = add_inside(body, telling.traceback)) < 0 || telling.hint.data == NULL)
            return r;
        return (r = buf_add_text(body, "Hint: ")) < 0 ? r : add_inside(body, telling.hint);
    }
    struct json_span error = response_error_of(job);
    if ((r = buf_add_text(body, "Error: ")) < 0 || (r = utf8_add_json_text(body, error.data, error.size)) < 0)
        return r;
    return response_status(job) == 500 ? buf_add_format(body, " (%s)", outcome_name(job->outcome)) : 0;
}

static int add_printed(struct buf *body, const char *name, const struct capture *capture) {
    struct json_span text = response_printed(capture);
    int r;
    if (text.size == 0)
        return 0;
    r = capture_truncated(capture)
            ? buf_add_format(body, "\\n\\n%s, the first %zu KiB:\\n", name, capture->kept.max >> 10)
            : buf_add_format(body, "\\n\\n%s:\\n", name);
    return r < 0 ? r : utf8_add_json_text(body, text.data, text.size);
}

static int add_text(struct buf *body, const struct job *job) {
    int r;
    if (job->outcome == OUTCOME_OK) {
        struct json_span result = judge_parts(job).text;
        if ((r = buf_add_text(body, "Result: ")) < 0 || (r = utf8_add_json_text(body, result.data, result.size)) < 0)
            return r;
    } else if ((r = add_error(body, job)) < 0) {
        return r;
    }
    if ((r = add_printed(body, "stdout", &job->out)) < 0)
        return r;
    return add_printed(body, "stderr", &job->err);
}

/* --- The result --- */

int tool_add_error(struct buf *body, const char *text) {
    int r = buf_add_text(body, "{\"content\": [{\"type\": \"text\", \"text\": ");
    if (r == 0)
        r = utf8_add_json_string(body, text, strlen(text));
    return r < 0 ? r : buf_add_text(body, "}], \"isError\": true}");
}

int tool_add_result(struct buf *body, const struct job *job) {
    int r;
    /* One allocation for the usual answer: what there is is in the text and in the structured content. */
    if ((r = buf_reserve(body, 2 * (job->answer.payload.len + job->out.kept.len + job->err.kept.len) + 1024)) < 0 ||
        (r = buf_add_text(body, "{\"content\": [{\"type\": \"text\", \"text\": \"")) < 0 ||
        (r = add_text(body, job)) < 0 || (r = buf_add_text(body, "\"}")) < 0 || (r = add_images(body, job)) < 0 ||
        (r = buf_add_text(body, "], \"structuredContent\": ")) < 0 ||
        (r = response_add_job(body, job, add_listing)) < 0)
        return r;
    return buf_add_format(body, ", \"isError\": %s}", job->outcome == OUTCOME_OK ? "false" : "true");
}
