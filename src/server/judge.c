/* What to believe: see judge.h. Runs in the server, on bytes that a hostile worker wrote. */
#include "server/judge.h"

#include <errno.h>
#include <string.h>

struct judge_parts judge_parts(const struct job *job) {
    const struct buf *payload = &job->answer.payload;
    struct judge_parts parts = {.text = {payload->data, payload->len}};
    bool wanted = (job->worker_limits.flags & JOB_ANY_OUTPUTS) != 0 && payload->len > 0;
    /* The last NUL: JSON has none. */
    const char *nul = wanted ? memrchr(payload->data, '\0', payload->len) : NULL;
    const char *end = payload->data + payload->len;
    if (nul == NULL || end - nul < 3 || (nul[1] != FRAME_ALL && nul[1] != FRAME_SOME))
        return parts;
    parts.text.size = (size_t)(nul - payload->data);
    parts.outputs = (struct json_span){nul + 2, (size_t)(end - nul - 2)};
    parts.cut = nul[1] == FRAME_SOME;
    return parts;
}

static bool outputs_stand(const struct job *job) {
    struct json_span outputs = judge_parts(job).outputs;
    if (outputs.size == 4 && memcmp(outputs.data, "null", 4) == 0)
        return true;
    return outputs.size > 0 && outputs.data[0] == '[' &&
           outputs.size < frame_outputs_max(job->worker_limits.output_bytes) &&
           json_check(outputs.data, outputs.size, FRAME_OUTPUTS_DEPTH, NULL) == 0;
}

static enum outcome judge_result(const struct job *job, size_t result_depth) {
    struct json_span text = judge_parts(job).text;
    if (text.size > job->worker_limits.result_bytes)
        return OUTCOME_OUTPUT_LIMIT;
    switch (json_check(text.data, text.size, result_depth, NULL)) {
    case 0: return OUTCOME_OK;
    case -E2BIG: return OUTCOME_OUTPUT_LIMIT;
    default: return OUTCOME_EXITED; /* not ours: the script wrote to the channel itself */
    }
}

static enum outcome judge_answer(const struct job *job, size_t result_depth) {
    if (job->answer_state == -EMSGSIZE)
        return OUTCOME_OUTPUT_LIMIT;
    /* Our own code exits with 0 behind a whole frame; anything else is the script's doing. */
    if (job->answer_state != 1 || job->verdict.code != 0)
        return OUTCOME_EXITED;
    if ((job->worker_limits.flags & JOB_ANY_OUTPUTS) != 0 && !outputs_stand(job))
        return OUTCOME_EXITED;
    switch (job->answer.header.kind) {
    case FRAME_RESULT: return judge_result(job, result_depth);
    case FRAME_NO_MAIN: return OUTCOME_NO_MAIN;
    case FRAME_EXCEPTION: return OUTCOME_EXCEPTION;
    case FRAME_MEMORY: return OUTCOME_MEMORY;
    case FRAME_NOT_SERIALIZABLE: return OUTCOME_NOT_SERIALIZABLE;
    case FRAME_OUTPUT_LIMIT: return OUTCOME_OUTPUT_LIMIT;
    default: return OUTCOME_EXITED;
    }
}

enum outcome judge_outcome(const struct job *job, size_t result_depth) {
    switch (job->verdict.ending) {
    case ENDING_ANSWERED:
    case ENDING_EXIT: return judge_answer(job, result_depth);
    case ENDING_SIGNAL: return OUTCOME_KILLED;
    case ENDING_DEADLINE:
    case ENDING_CPU: return OUTCOME_TIMEOUT;
    case ENDING_MEMORY: return OUTCOME_MEMORY;
    case ENDING_SCRATCH: return OUTCOME_SCRATCH_LIMIT;
    case ENDING_THREADS: return OUTCOME_THREAD_LIMIT;
    case ENDING_CANCELLED: return OUTCOME_CANCELLED;
    default: return OUTCOME_LOST;
    }
}

void judge_exception(const struct job *job, struct json_span *ret_summary, struct json_span *ret_details) {
    struct json_span text = judge_parts(job).text;
    *ret_summary = text;
    *ret_details = (struct json_span){NULL, 0};
    /* The last NUL: a message may contain some, the JSON cannot. */
    const char *nul = job->wants_details && text.size > 0 ? memrchr(text.data, '\0', text.size) : NULL;
    if (nul == NULL)
        return;
    size_t size = text.size - (size_t)(nul + 1 - text.data);
    if (size > 0 && nul[1] == '{' && json_check(nul + 1, size, FRAME_DETAILS_DEPTH, NULL) == 0) {
        ret_summary->size = (size_t)(nul - text.data);
        *ret_details = (struct json_span){nul + 1, size};
    }
}
