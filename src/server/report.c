/* What is printed of a job: see report.h. Runs in the server, on what a hostile worker wrote. */
#include "server/report.h"

#include "server/judge.h"
#include "server/response.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* Of a traceback, in bytes; the script says how long its messages are. */
enum { SHOWN_MAX = 65536 };

/* --- Text that is safe to show --- */

/* Terminals act on the C1 controls too (ECMA-48); the others change the direction of what follows, or end a line. */
static bool is_visible(uint32_t code) {
    if (code < 0x20)
        return code == '\n' || code == '\t';
    return !(code >= 0x7f && code <= 0x9f) && code != 0x61c && code != 0x200e && code != 0x200f &&
           !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2066 && code <= 0x2069);
}

int report_add_visible(struct buf *to, const char *data, size_t size) {
    for (size_t at = 0, length; at < size; at += length) {
        int r;
        length = utf8_sequence(data + at, size - at);
        uint32_t code = length > 0 ? utf8_code(data + at, length) : (unsigned char)data[at];
        if (length > 0 && is_visible(code))
            r = buf_add(to, data + at, length);
        else
            r = buf_add_format(to, code < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)code);
        if (r < 0)
            return r;
        length = length > 0 ? length : 1;
    }
    return 0;
}

static int add_words(struct buf *err, const char *data, size_t size) {
    size_t shown = size > SHOWN_MAX ? SHOWN_MAX - utf8_cut_tail(data, SHOWN_MAX) : size;
    int r = report_add_visible(err, data, shown);
    return r < 0 || shown == size ? r : buf_add_text(err, " ...");
}

/* --- A failure --- */

static int take_traceback(struct json_span key, struct json_span value, void *context) {
    if (json_string_is(key, "traceback") && value.data[0] == '"')
        *(struct json_span *)context = value;
    return 0;
}

/* 1 where there was one to show. */
static int add_traceback(struct buf *err, const struct job *job) {
    struct json_span summary, details, found = {0};
    struct buf text;
    judge_exception(job, &summary, &details);
    if (details.size == 0 || json_members(details.data, details.size, JSON_MAX_DEPTH, take_traceback, &found, NULL) < 0 ||
        found.data == NULL)
        return 0;
    buf_init(&text, found.size);
    int r = json_text(found, &text);
    size_t size = text.len;
    while (size > 0 && text.data[size - 1] == '\n')
        size--;
    if (r == 0 && size > 0)
        r = add_words(err, text.data, size);
    if (r == 0)
        r = size > 0 ? buf_add_text(err, "\n") : 0;
    buf_done(&text);
    return r == -EILSEQ ? 0 : r < 0 ? r : size > 0;
}

static int add_signal(struct buf *err, unsigned number) {
    const char *name = sigabbrev_np((int)number);
    return buf_add_format(err, "it was ended by signal %u (SIG%s)", number, name != NULL ? name : "?");
}

/* What happened, with the limit that was hit, where the worker's own words are not the better ones. 1 where nothing is
 * to be said. */
static int add_reason(const struct config *config, const struct job *job, struct buf *err) {
    unsigned long long wall = job->limits.wall_ms, cpu = job->limits.cpu_ms, memory = job->limits.memory_bytes >> 20;
    switch (job->outcome) {
    case OUTCOME_TIMEOUT:
        if (job->verdict.ending == ENDING_CPU)
            return buf_add_format(err, "it used the %llu ms of CPU time that it may (--cpu-ms)", cpu);
        return buf_add_format(err, "it ran for the %llu ms that it may (--wall-ms)", wall);
    case OUTCOME_MEMORY: return buf_add_format(err, "it needs more than the %llu MiB that it may use (--memory-mb)", memory);
    case OUTCOME_SCRATCH_LIMIT:
        return buf_add_format(err, "it keeps more in /tmp than %llu MiB in %llu files (--scratch-mb, --scratch-files)",
                              (unsigned long long)config->scratch_mb, (unsigned long long)config->scratch_files);
    case OUTCOME_THREAD_LIMIT:
        return buf_add_format(err, "it has more than %llu threads (--threads)", (unsigned long long)config->threads);
    case OUTCOME_KILLED: return add_signal(err, job->verdict.code);
    case OUTCOME_EXITED: return buf_add_text(err, "it ended by itself, without a result");
    case OUTCOME_LOST: return buf_add_text(err, "there was no worker for it, or the zygote has died");
    default: return 1;
    }
}

static int add_limits_of_result(const struct config *config, const struct job *job, struct buf *err) {
    if (job->outcome != OUTCOME_OUTPUT_LIMIT)
        return 0;
    return buf_add_format(err, " (--result-kb %llu, --result-depth %llu)", (unsigned long long)config->result_kb,
                          (unsigned long long)config->result_depth);
}

static int add_failure(const struct config *config, const struct job *job, struct buf *err) {
    bool raised = job->answer_state == 1 && job->verdict.ending != ENDING_MEMORY &&
                  (job->outcome == OUTCOME_EXCEPTION || job->outcome == OUTCOME_MEMORY);
    int r = raised ? add_traceback(err, job) : 0;
    if (r < 0 || (r == 1 && job->outcome == OUTCOME_EXCEPTION))
        return r < 0 ? r : 0;
    if ((r = buf_add_format(err, "python-executor: %s: ", outcome_name(job->outcome))) < 0 ||
        (r = add_reason(config, job, err)) < 0)
        return r;
    if (r == 1) {
        struct json_span words = response_error_of(job);
        if ((r = add_words(err, words.data, words.size)) < 0 || (r = add_limits_of_result(config, job, err)) < 0)
            return r;
    }
    return buf_add_text(err, "\n");
}

/* --- A result --- */

/* JSON has no control characters but those between its values, where a script may have put any number of lines. */
static int add_result(struct buf *out, struct json_span result) {
    int r = buf_reserve(out, result.size + 1);
    if (r < 0 || (result.size == 4 && memcmp(result.data, "null", 4) == 0))
        return r;
    char *line = out->data + out->len;
    memcpy(line, result.data, result.size);
    for (size_t i = 0; i < result.size; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = ' ';
    line[result.size] = '\n';
    out->len += result.size + 1;
    return 0;
}

/* Nobody shall take a part for the whole. */
static int add_dropped(struct buf *err, const struct capture *capture, const char *name, const char *option) {
    if (!capture_truncated(capture))
        return 0;
    return buf_add_format(err, "python-executor: of %llu bytes on standard %s the first %llu were handed on (--%s)\n",
                          (unsigned long long)capture->total, name, (unsigned long long)capture->passed, option);
}

int report_job(const struct config *config, const struct job *job, struct buf *out, struct buf *err) {
    int r = job->outcome == OUTCOME_OK ? add_result(out, judge_parts(job).text) : add_failure(config, job, err);
    if (r < 0 || (r = add_dropped(err, &job->out, "output", "stdout-kb")) < 0)
        return r;
    return add_dropped(err, &job->err, "error", "stderr-kb");
}
