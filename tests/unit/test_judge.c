/* server/judge and server/response: a verdict and a hostile answer become an outcome, a status and a
 * body; the worker's word never outweighs the zygote's. */
#include "unit.h"

#include "server/judge.h"
#include "server/response.h"

#include <errno.h>
#include <stdlib.h>

static struct job *make_job(bool details) {
    struct config config;
    config_init(&config);
    config.result_kb = 1;
    struct job *job = job_new(&config, &(struct job_request){.script = {"x", 1}, .wants_details = details});
    assert_non_null(job);
    return job;
}

/* As if the worker had written this frame and ended so. */
static struct job *ended(enum ending ending, uint32_t code, uint32_t kind, const char *payload, size_t size) {
    struct job *job = make_job(true);
    job->verdict = (struct verdict){.ending = ending, .code = code};
    if (kind != 0) {
        job->answer_state = 1;
        job->answer.header = (struct frame_header){kind, (uint32_t)size};
        assert_int_equal(buf_add(&job->answer.payload, payload, size), 0);
    }
    job->outcome = judge_outcome(job, 10);
    return job;
}

static void assert_outcome(struct job *job, enum outcome outcome, unsigned status) {
    struct response response;
    assert_string_equal(outcome_name(job->outcome), outcome_name(outcome));
    assert_int_equal(response_from_job(&response, job), 0);
    assert_int_equal(response.status, status);
    assert_int_equal(json_check(response.body, response.size, 64, NULL), 0);
    free(response.body);
    job_unref(job);
}

/* The outcome of a request that wants outputs, and the body; the payload ends where the array does. */
static void assert_outputs(const char *payload, size_t size, enum outcome outcome, const char *body) {
    struct config config;
    struct response response;
    config_init(&config);
    config.result_kb = 1;
    config.outputs_kb = 1;
    struct job *job = job_new(&config, &(struct job_request){.script = {"x", 1}, .outputs = {"[]", 2}});
    assert_non_null(job);
    job->verdict.ending = ENDING_EXIT;
    job->answer_state = 1;
    job->answer.header = (struct frame_header){FRAME_RESULT, (uint32_t)size};
    assert_int_equal(buf_add(&job->answer.payload, payload, size), 0);
    job->outcome = judge_outcome(job, 10);
    assert_string_equal(outcome_name(job->outcome), outcome_name(outcome));
    assert_int_equal(response_from_job(&response, job), 0);
    assert_int_equal(response.size, strlen(body));
    assert_memory_equal(response.body, body, response.size);
    free(response.body);
    job_unref(job);
}

#define ASSERT_FORGED(payload) \
    assert_outputs(payload, sizeof(payload) - 1, OUTCOME_EXITED, "{\"error\": \"Execution failed\"}")
#define ASSERT_OUTPUTS(payload, body) assert_outputs(payload, sizeof(payload) - 1, OUTCOME_OK, body)

static void test_outputs(void **state) {
    (void)state;
    ASSERT_OUTPUTS("1\0=[]", "{\"result\": 1, \"stdout\": \"\", \"outputs\": []}");
    ASSERT_OUTPUTS("1\0+[{}]", "{\"result\": 1, \"stdout\": \"\", \"outputs\": [{}], \"outputs_truncated\": true}");
    ASSERT_OUTPUTS("1\0+null", "{\"result\": 1, \"stdout\": \"\", \"outputs\": null, \"outputs_truncated\": true}");
    ASSERT_FORGED("");
    ASSERT_FORGED("1");
    ASSERT_FORGED("1\0");
    ASSERT_FORGED("1\0=");
    ASSERT_FORGED("1\0=1");
    ASSERT_FORGED("1\0[]");
    ASSERT_FORGED("1\0={}");
    ASSERT_FORGED("1\0=[[[]]]");
    ASSERT_FORGED("1\0=[], 1");
    ASSERT_FORGED("\0=[]");
    ASSERT_FORGED("1\0=[]\0");
    ASSERT_FORGED("1\0=[]\0=[]");
}

static void test_outputs_of_any_length_are_bounded(void **state) {
    size_t most = (size_t)frame_outputs_max(1 << 10) - 1;
    char *payload = malloc(most + 4);
    (void)state;
    assert_non_null(payload);
    memset(payload, ' ', most + 4);
    memcpy(payload, "1\0=[", 4);
    payload[most + 3] = ']';
    ASSERT_FORGED("1\0= []");
    assert_outputs(payload, most + 4, OUTCOME_EXITED, "{\"error\": \"Execution failed\"}");
    free(payload);
}

static void test_the_zygotes_word_outweighs_an_answer(void **state) {
    (void)state;
    assert_outcome(ended(ENDING_DEADLINE, 9, FRAME_RESULT, "1", 1), OUTCOME_TIMEOUT, 500);
    assert_outcome(ended(ENDING_CPU, 9, FRAME_RESULT, "1", 1), OUTCOME_TIMEOUT, 500);
    assert_outcome(ended(ENDING_MEMORY, 9, FRAME_RESULT, "1", 1), OUTCOME_MEMORY, 500);
    assert_outcome(ended(ENDING_SIGNAL, 11, FRAME_RESULT, "1", 1), OUTCOME_KILLED, 500);
    assert_outcome(ended(ENDING_CANCELLED, 9, FRAME_RESULT, "1", 1), OUTCOME_CANCELLED, 500);
    assert_outcome(ended(ENDING_NO_WORKER, 0, 0, "", 0), OUTCOME_LOST, 500);
    assert_outcome(ended(99, 0, FRAME_RESULT, "1", 1), OUTCOME_LOST, 500);
}

static void test_answers(void **state) {
    (void)state;
    assert_outcome(ended(ENDING_ANSWERED, 0, FRAME_RESULT, "{\"a\": 1}", 8), OUTCOME_OK, 200);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_RESULT, "1", 1), OUTCOME_OK, 200);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_NO_MAIN, "", 0), OUTCOME_NO_MAIN, 400);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_EXCEPTION, "E: x\0{\"type\": \"E\"}", 18), OUTCOME_EXCEPTION, 400);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_MEMORY, "MemoryError", 11), OUTCOME_MEMORY, 400);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_NOT_SERIALIZABLE, "why", 3), OUTCOME_NOT_SERIALIZABLE, 400);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_OUTPUT_LIMIT, "large", 5), OUTCOME_OUTPUT_LIMIT, 400);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_EXITED, "", 0), OUTCOME_EXITED, 500);
}

static void test_forgeries(void **state) {
    static const char deep[] = "[[[[[[[[[[[]]]]]]]]]]]"; /* eleven */
    char large[1025];
    (void)state;
    memset(large, '1', sizeof large);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_RESULT, "{\"a\": NaN}", 10), OUTCOME_EXITED, 500);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_RESULT, "", 0), OUTCOME_EXITED, 500);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_RESULT, "1}, \"stdout\": \"\"", 16), OUTCOME_EXITED, 500);
    assert_outcome(ended(ENDING_EXIT, 7, FRAME_RESULT, "1", 1), OUTCOME_EXITED, 500);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_JOB, "1", 1), OUTCOME_EXITED, 500);
    assert_outcome(ended(ENDING_EXIT, 0, 12345, "1", 1), OUTCOME_EXITED, 500);
    assert_outcome(ended(ENDING_EXIT, 0, 0, "", 0), OUTCOME_EXITED, 500);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_RESULT, deep, sizeof deep - 1), OUTCOME_OUTPUT_LIMIT, 400);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_RESULT, large, sizeof large), OUTCOME_OUTPUT_LIMIT, 400);
}

/* Whatever the worker's answer, an ending by another's hand has one outcome: all endings by all kinds. */
static void test_every_ending_with_every_kind(void **state) {
    static const enum outcome outcomes[] = {
        [ENDING_SIGNAL] = OUTCOME_KILLED,       [ENDING_DEADLINE] = OUTCOME_TIMEOUT,
        [ENDING_CPU] = OUTCOME_TIMEOUT,         [ENDING_MEMORY] = OUTCOME_MEMORY,
        [ENDING_SCRATCH] = OUTCOME_SCRATCH_LIMIT, [ENDING_THREADS] = OUTCOME_THREAD_LIMIT, [ENDING_CANCELLED] = OUTCOME_CANCELLED, [ENDING_NO_WORKER] = OUTCOME_LOST,
    };
    (void)state;
    for (unsigned ending = 0; ending <= ENDING_NO_WORKER + 1; ending++)
        for (uint32_t kind = 0; kind <= FRAME_EXITED + 1; kind++) {
            if (ending == ENDING_EXIT || ending == ENDING_ANSWERED)
                continue;
            bool named = ending >= ENDING_SIGNAL && ending <= ENDING_NO_WORKER;
            assert_outcome(ended((enum ending)ending, 0, kind, "1", 1), named ? outcomes[ending] : OUTCOME_LOST, 500);
        }
}

/* No answer, half of one, one too long: each time the header promises a result. */
static void test_answers_that_are_not_whole(void **state) {
    static const struct {
        int state;
        enum outcome outcome;
        unsigned status;
    } cases[] = {
        {0, OUTCOME_EXITED, 500},
        {-EPIPE, OUTCOME_EXITED, 500},
        {-ECONNRESET, OUTCOME_EXITED, 500},
        {-ENOMEM, OUTCOME_EXITED, 500},
        {-EMSGSIZE, OUTCOME_OUTPUT_LIMIT, 400},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct job *job = ended(ENDING_EXIT, 0, FRAME_RESULT, "1", 1);
        job->answer_state = cases[i].state;
        job->outcome = judge_outcome(job, 10);
        assert_outcome(job, cases[i].outcome, cases[i].status);
    }
}

static void test_the_limits_of_a_result_are_exact(void **state) {
    char large[1024];
    (void)state;
    memset(large, '1', sizeof large);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_RESULT, large, sizeof large), OUTCOME_OK, 200);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_RESULT, "[[[[[[[[[[]]]]]]]]]]", 20), OUTCOME_OK, 200);
    assert_outcome(ended(ENDING_EXIT, 0, FRAME_RESULT, "\"\xff\"", 3), OUTCOME_EXITED, 500);
}

static void test_details_nobody_asked_for_are_none(void **state) {
    struct json_span summary, details;
    (void)state;
    struct job *job = ended(ENDING_EXIT, 0, FRAME_EXCEPTION, "E\0{}", 4);
    job->wants_details = false;
    judge_exception(job, &summary, &details);
    assert_int_equal(summary.size, 4);
    assert_null(details.data);
    job_unref(job);
}

static void test_details_of_an_exception_are_checked(void **state) {
    static const struct {
        const char *payload;
        size_t size, summary, details;
    } cases[] = {
        {"E: x\0{\"a\": 1}", 13, 4, 8}, /* as the runner writes it */
        {"E: \0x\0{}", 8, 5, 2},        /* a NUL in the message */
        {"E\0{\"a\": }", 9, 9, 0},      /* not JSON: part of the message */
        {"E\0[]", 4, 4, 0},             /* not an object */
        {"E\0", 2, 2, 0},
        {"", 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_span summary, details;
        struct job *job = ended(ENDING_EXIT, 0, FRAME_EXCEPTION, cases[i].payload, cases[i].size);
        judge_exception(job, &summary, &details);
        assert_int_equal(summary.size, cases[i].summary);
        assert_int_equal(details.size, cases[i].details);
        job_unref(job);
    }
}

static void test_the_plain_body_to_the_byte(void **state) {
    struct response response;
    struct job *job = make_job(false);
    (void)state;
    job->verdict = (struct verdict){.ending = ENDING_ANSWERED};
    job->answer_state = 1;
    job->answer.header.kind = FRAME_RESULT;
    buf_add_text(&job->answer.payload, "[1,  2e0, 1180591620717411303424]");
    buf_add_text(&job->out.kept, "hi\n\xff");
    job->out.total = 4;
    job->outcome = judge_outcome(job, 10);
    assert_int_equal(response_from_job(&response, job), 0);
    static const char expected[] =
        "{\"result\": [1,  2e0, 1180591620717411303424], \"stdout\": \"hi\\n\xef\xbf\xbd\"}";
    assert_int_equal(response.size, sizeof expected - 1);
    assert_memory_equal(response.body, expected, response.size);
    free(response.body);
    job_unref(job);
    assert_int_equal(response_error(&response, 404, "a \"b\""), 0);
    assert_int_equal(response.size, strlen("{\"error\": \"a \\\"b\\\"\"}"));
    assert_memory_equal(response.body, "{\"error\": \"a \\\"b\\\"\"}", response.size);
    free(response.body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_zygotes_word_outweighs_an_answer),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_forgeries),
        cmocka_unit_test(test_every_ending_with_every_kind),
        cmocka_unit_test(test_answers_that_are_not_whole),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_outputs_of_any_length_are_bounded),
        cmocka_unit_test(test_the_limits_of_a_result_are_exact),
        cmocka_unit_test(test_details_nobody_asked_for_are_none),
        cmocka_unit_test(test_details_of_an_exception_are_checked),
        cmocka_unit_test(test_the_plain_body_to_the_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
