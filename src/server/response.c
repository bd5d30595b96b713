/* Responses: see response.h. */
#include "server/response.h"

#include "server/judge.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int response_take(struct response *ret_response, struct buf *take_body, int r) {
    if (r < 0) {
        buf_done(take_body);
        return -ENOMEM;
    }
    ret_response->body = buf_steal(take_body, &ret_response->size);
    return 0;
}

int response_error(struct response *ret_response, unsigned status, const char *text) {
    struct buf body;
    buf_init(&body, RESPONSE_MAX);
    *ret_response = (struct response){.status = status};
    int r = buf_add_text(&body, "{\"error\": ");
    if (r == 0)
        r = utf8_add_json_string(&body, text, strlen(text));
    if (r == 0)
        r = buf_add_text(&body, "}");
    return response_take(ret_response, &body, r);
}

int response_document(struct response *ret_response, const char *json) {
    struct buf body;
    buf_init(&body, RESPONSE_MAX);
    *ret_response = (struct response){.status = 200};
    return response_take(ret_response, &body, buf_add_text(&body, json));
}

void response_asset(struct response *ret_response, const struct asset *asset) {
    *ret_response = (struct response){.status = 200, .content_type = asset->type, .asset = asset};
    response_negotiate(ret_response, NULL, NULL);
}

void response_negotiate(struct response *response, const char *accept_encoding, const char *if_none_match) {
    if (response->asset == NULL)
        return;
    response->form = asset_choose(response->asset, accept_encoding);
    response->status = asset_is_known(response->form, if_none_match) ? 304 : 200;
    response->size = response->form->size; /* also of a 304, of which only the headers are sent */
}

int response_isolation(struct response *ret_response, const struct isolation *workers, const struct isolation *server,
                       uint32_t floor) {
    struct buf body;
    buf_init(&body, RESPONSE_MAX);
    *ret_response = (struct response){.status = 200};
    int r = buf_add_text(&body, "{");
    if (r == 0)
        r = layer_add_json(&body, workers, floor);
    if (r == 0)
        r = buf_add_text(&body, ", ");
    if (r == 0)
        r = layer_add_list(&body, "server", server);
    if (r == 0)
        r = buf_add_text(&body, "}");
    return response_take(ret_response, &body, r);
}

unsigned response_status(const struct job *job) {
    if (job->expired)
        return 503;
    switch (job->outcome) {
    case OUTCOME_OK: return 200;
    case OUTCOME_NO_MAIN:
    case OUTCOME_EXCEPTION:
    case OUTCOME_NOT_SERIALIZABLE:
    case OUTCOME_OUTPUT_LIMIT: return 400;
    /* A MemoryError that nobody caught, or killed? */
    case OUTCOME_MEMORY: return job->answer_state == 1 && job->verdict.ending != ENDING_MEMORY ? 400 : 500;
    default: return 500;
    }
}

struct json_span response_error_of(const struct job *job) {
    static const char no_main[] = "Function 'main()' not found in script.";
    static const char failed[] = "Execution failed";
    static const char too_large[] = "Result is too large or nested too deeply.";
    struct json_span details;
    static const char expired[] = RESPONSE_EXPIRED, displaced[] = RESPONSE_DISPLACED;
    struct json_span text = {failed, sizeof failed - 1};
    if (job->displaced)
        return (struct json_span){displaced, sizeof displaced - 1};
    if (job->expired)
        return (struct json_span){expired, sizeof expired - 1};
    if (response_status(job) == 500)
        return text;
    if (job->outcome == OUTCOME_NO_MAIN)
        return (struct json_span){no_main, sizeof no_main - 1};
    /* A frame too long to be read may call itself anything; its words never came. */
    if (job->outcome == OUTCOME_OUTPUT_LIMIT &&
        (job->answer_state != 1 || job->answer.header.kind != FRAME_OUTPUT_LIMIT))
        return (struct json_span){too_large, sizeof too_large - 1};
    judge_exception(job, &text, &details);
    return text;
}

struct json_span response_printed(const struct capture *capture) {
    const struct buf *kept = &capture->kept;
    /* Where the limit cut through a character, its first bytes are not worth a U+FFFD. */
    size_t cut = capture_truncated(capture) ? utf8_cut_tail(kept->data, kept->len) : 0;
    return (struct json_span){kept->data, kept->len - cut};
}

static int add_text(struct buf *body, const char *key, const struct capture *capture) {
    struct json_span text = response_printed(capture);
    int r = buf_add_text(body, key);
    return r < 0 ? r : utf8_add_json_string(body, text.data, text.size);
}

static int add_usage(struct buf *body, const struct job *job) {
    const struct verdict *verdict = &job->verdict;
    return buf_add_format(
        body,
        ", \"usage\": {\"wall_ms\": %.3f, \"cpu_user_ms\": %.3f, \"cpu_system_ms\": %.3f, \"memory_peak_kb\": %llu, "
        "\"stdout_bytes\": %llu, \"stderr_bytes\": %llu, \"result_bytes\": %llu}",
        (double)verdict->wall_us / 1e3, (double)verdict->user_us / 1e3, (double)verdict->system_us / 1e3,
        (unsigned long long)(verdict->peak_bytes >> 10), (unsigned long long)job->out.total,
        (unsigned long long)job->err.total,
        (unsigned long long)(job->outcome == OUTCOME_OK ? judge_parts(job).text.size : 0));
}

static int add_limits(struct buf *body, const struct job *job) {
    return buf_add_format(
        body,
        ", \"limits\": {\"wall_ms\": %llu, \"cpu_ms\": %llu, \"memory_mb\": %llu, \"stdout_kb\": %zu, "
        "\"stderr_kb\": %zu, \"result_kb\": %llu, \"scratch_mb\": %llu}",
        (unsigned long long)job->limits.wall_ms, (unsigned long long)job->limits.cpu_ms,
        (unsigned long long)(job->limits.memory_bytes >> 20), job->out.kept.max >> 10, job->err.kept.max >> 10,
        (unsigned long long)(job->worker_limits.result_bytes >> 10),
        (unsigned long long)(job->limits.scratch_bytes >> 20));
}

static int add_exception(struct buf *body, const struct job *job) {
    struct json_span summary, details = {NULL, 0};
    int r;
    if (response_status(job) == 400 && (job->outcome == OUTCOME_EXCEPTION || job->outcome == OUTCOME_MEMORY))
        judge_exception(job, &summary, &details);
    if (details.size == 0)
        return 0;
    if ((r = buf_add_text(body, ", \"exception\": ")) < 0)
        return r;
    return buf_add(body, details.data, details.size);
}

static int add_measures(struct buf *body, const struct job *job) {
    int r = add_usage(body, job);
    if (r < 0 || (r = add_limits(body, job)) < 0)
        return r;
    return add_exception(body, job);
}

static int add_details(struct buf *body, const struct job *job) {
    int r;
    /* A failed run has no stdout in its plain body. */
    if (job->outcome != OUTCOME_OK && (r = add_text(body, ", \"stdout\": ", &job->out)) < 0)
        return r;
    if ((r = add_text(body, ", \"stderr\": ", &job->err)) < 0 ||
        (r = buf_add_format(body, ", \"stdout_truncated\": %s, \"stderr_truncated\": %s, \"outcome\": \"%s\"",
                            capture_truncated(&job->out) ? "true" : "false",
                            capture_truncated(&job->err) ? "true" : "false", outcome_name(job->outcome))) < 0)
        return r;
    return add_measures(body, job);
}

struct judge_parts response_outputs(const struct job *job) {
    bool ended = (job->worker_limits.flags & JOB_ANY_OUTPUTS) != 0 && response_status(job) < 500;
    /* Or else it was too long to be read. */
    return ended && job->answer_state == 1 ? judge_parts(job) : (struct judge_parts){0};
}

/* Whenever the script came to an end of its own. Byte for byte, as the result, unless it is for `write` to say. */
static int add_outputs(struct buf *body, const struct job *job, response_write *write) {
    struct judge_parts parts = response_outputs(job);
    bool listed = parts.outputs.size > 0 && parts.outputs.data[0] == '[';
    int r;
    if ((job->worker_limits.flags & JOB_ANY_OUTPUTS) == 0 || response_status(job) >= 500)
        return 0;
    if ((r = buf_add_text(body, ", \"outputs\": ")) < 0)
        return r;
    if (parts.outputs.size == 0)
        return buf_add_text(body, "null");
    if ((r = write != NULL && listed ? write(body, parts.outputs)
                                     : buf_add(body, parts.outputs.data, parts.outputs.size)) < 0)
        return r;
    return parts.cut ? buf_add_text(body, ", \"outputs_truncated\": true") : 0;
}

static int add_result(struct buf *body, const struct job *job) {
    int r;
    if (job->outcome == OUTCOME_OK) {
        /* Byte for byte: it was checked, and it is not ours to write differently. */
        struct json_span result = judge_parts(job).text;
        r = buf_add_text(body, "\"result\": ");
        return r < 0 ? r : buf_add(body, result.data, result.size);
    }
    struct json_span error = response_error_of(job);
    r = buf_add_text(body, "\"error\": ");
    return r < 0 ? r : utf8_add_json_string(body, error.data, error.size);
}

int response_add_job(struct buf *body, const struct job *job, response_write *write) {
    int r;
    if ((r = buf_add_text(body, "{")) < 0 || (r = add_result(body, job)) < 0 ||
        (job->outcome == OUTCOME_OK && (r = add_text(body, ", \"stdout\": ", &job->out)) < 0))
        return r;
    if ((r = add_outputs(body, job, write)) < 0 || (job->wants_details && (r = add_details(body, job)) < 0))
        return r;
    return buf_add_text(body, "}");
}

void response_set_run(struct response *ret_response, unsigned status, const struct job *job) {
    *ret_response = (struct response){.status = status, .outcome = outcome_name(job->outcome)};
    snprintf(ret_response->timing, sizeof ret_response->timing, "queue;dur=%.3f, run;dur=%.3f, total;dur=%.3f",
             (double)(job->started_us - job->admitted_us) / 1e3, (double)job->verdict.wall_us / 1e3,
             (double)(job->finished_us - job->admitted_us) / 1e3);
}

int response_from_job(struct response *ret_response, const struct job *job) {
    struct buf body;
    response_set_run(ret_response, response_status(job), job);
    buf_init(&body, RESPONSE_MAX);
    /* One allocation for the usual answer. */
    int r = buf_reserve(&body, job->answer.payload.len + job->out.kept.len + job->out.kept.len / 8 + 256);
    return response_take(ret_response, &body, r < 0 ? r : response_add_job(&body, job, NULL));
}

/* --- The last event of a stream --- */

static int add_flag(struct buf *body, const struct job *job, const char *key, const struct capture *capture) {
    bool cut = capture_truncated(capture);
    if (!cut && !job->wants_details)
        return 0;
    return buf_add_format(body, ", \"%s\": %s", key, cut ? "true" : "false");
}

static int add_event(struct buf *body, const struct job *job) {
    const char *outcome = outcome_name(job->outcome);
    int r = job->expired ? buf_add_text(body, "{\"status\": 503, \"outcome\": null, ")
                         : buf_add_format(body, "{\"status\": %u, \"outcome\": \"%s\", ", response_status(job), outcome);
    if (r < 0 || (r = add_result(body, job)) < 0 || (r = add_outputs(body, job, NULL)) < 0)
        return r;
    /* Nothing ran. */
    if (job->expired)
        return buf_add_text(body, "}");
    if ((r = add_flag(body, job, "stdout_truncated", &job->out)) < 0 ||
        (r = add_flag(body, job, "stderr_truncated", &job->err)) < 0 ||
        (job->wants_details && (r = add_measures(body, job)) < 0))
        return r;
    return buf_add_text(body, "}");
}

int response_event(struct response *ret_response, const struct job *job) {
    struct buf body;
    *ret_response = (struct response){.status = response_status(job)};
    buf_init(&body, RESPONSE_MAX);
    int r = buf_reserve(&body, job->answer.payload.len + 256);
    return response_take(ret_response, &body, r < 0 ? r : add_event(&body, job));
}
