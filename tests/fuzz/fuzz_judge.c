/* server/judge, and what is made of its word: server/response, server/tool (MCP) and server/report. Whatever a worker
 * answers and prints, the answer is JSON of bounded depth, a result is passed on byte for byte and only where the zygote
 * lets it, and nothing reaches a terminal that it would obey. */
#include "answer.h"

#include "server/mcp.h"
#include "server/report.h"
#include "server/response.h"

/* The deepest there is: details within the three objects of MCP, the message, its result, structuredContent. */
enum { DEPTH = 3 + FRAME_DETAILS_DEPTH };

static void check_body(struct response *response) {
    assert(response->body != NULL);
    assert(json_check(response->body, response->size, DEPTH, NULL) == 0);
    free(response->body);
}

static void print(struct capture *capture, struct input part) {
    capture->kept.max = 64; /* or else no input would have more */
    size_t room = capture->kept.max < part.size ? capture->kept.max : part.size;
    assert(buf_add(&capture->kept, part.data, room) == 0);
    capture->total = part.size;
    capture->passed = room;
}

static void check_outcome(const struct job *job) {
    bool ended = job->verdict.ending == ENDING_ANSWERED || job->verdict.ending == ENDING_EXIT;
    struct judge_parts parts = judge_parts(job);
    const struct buf *payload = &job->answer.payload;
    assert(job->outcome != OUTCOME_OK || (ended && job->answer_state == 1 && job->verdict.code == 0));
    assert(job->outcome != OUTCOME_OK || json_check(parts.text.data, parts.text.size, ANSWER_DEPTH, NULL) == 0);
    assert(parts.text.size <= payload->len && parts.outputs.size <= payload->len);
    assert(parts.outputs.size == 0 || parts.text.size + 2 + parts.outputs.size == payload->len);
    assert((response_status(job) == 200) == (job->outcome == OUTCOME_OK));
}

static void check_response(const struct job *job) {
    struct json_span result = judge_parts(job).text;
    struct response response;
    assert(response_from_job(&response, job) == 0);
    assert(response.status == 200 || response.status == 400 || response.status == 500);
    if (job->outcome == OUTCOME_OK)
        assert(response.size > 11 + result.size && memcmp(response.body, "{\"result\": ", 11) == 0 &&
               memcmp(response.body + 11, result.data, result.size) == 0);
    check_body(&response);
    assert(response_event(&response, job) == 0);
    check_body(&response);
    assert(mcp_result(&response, "7", job) == 0);
    check_body(&response);
}

static void check_report(const struct config *config, const struct job *job) {
    struct buf out, err;
    buf_init(&out, 1 << 20);
    buf_init(&err, 1 << 20);
    assert(report_job(config, job, &out, &err) == 0);
    for (size_t i = 0; i < err.len; i++)
        assert((unsigned char)err.data[i] >= ' ' || err.data[i] == '\n' || err.data[i] == '\t');
    for (size_t i = 0; i + 1 < out.len; i++)
        assert((unsigned char)out.data[i] >= ' ');
    assert((job->outcome == OUTCOME_OK) == (err.len == 0) || job->out.total > job->out.passed || job->err.total > job->err.passed);
    buf_done(&out);
    buf_done(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size);
    struct config config;
    struct job *job = answer_job(&input, &config);
    print(&job->out, input_part(&input, PART));
    print(&job->err, input_part(&input, PART));
    if (input.size <= job->answer.payload.max)
        assert(buf_add(&job->answer.payload, input.data, input.size) == 0);
    job->outcome = judge_outcome(job, config.result_depth);
    check_outcome(job);
    check_response(job);
    check_report(&config, job);
    job_unref(job);
    return 0;
}
