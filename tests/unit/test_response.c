/* server/response: to the byte, what a client gets for a job that ended in each way. */
#include "unit.h"

#include "server/judge.h"
#include "server/response.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define USAGE                                                                                            \
    ", \"usage\": {\"wall_ms\": 1.500, \"cpu_user_ms\": 2.000, \"cpu_system_ms\": 0.003, "               \
    "\"memory_peak_kb\": 5, \"stdout_bytes\": %d, \"stderr_bytes\": %d, \"result_bytes\": %d}"
#define LIMITS                                                                                           \
    ", \"limits\": {\"wall_ms\": 5000, \"cpu_ms\": 4000, \"memory_mb\": 256, \"stdout_kb\": 2, "         \
    "\"stderr_kb\": 1, \"result_kb\": 8, \"scratch_mb\": 64}"

static struct job *make_job(bool details) {
    struct config config;
    config_init(&config);
    config.cpu_ms = 4000;
    config.stdout_kb = 2;
    config.stderr_kb = 1;
    config.result_kb = 8;
    struct job *job = job_new(&config, &(struct job_request){.script = {"x", 1}, .wants_details = details});
    assert_non_null(job);
    job->verdict = (struct verdict){
        .ending = ENDING_EXIT, .wall_us = 1500, .user_us = 2000, .system_us = 3, .peak_bytes = 6000};
    return job;
}

static void answer(struct job *job, enum frame_kind kind, const char *payload, size_t size) {
    job->answer_state = 1;
    job->answer.header = (struct frame_header){kind, (uint32_t)size};
    assert_int_equal(buf_add(&job->answer.payload, payload, size), 0);
}

static void print(struct capture *capture, const char *text) {
    assert_int_equal(buf_add_text(&capture->kept, text), 0);
    capture->total += strlen(text);
    capture->passed += strlen(text);
}

/* Judges the job, compares the whole answer and frees both. */
static void assert_answer(struct job *job, unsigned status, const char *outcome, const char *body) {
    struct response response;
    job->outcome = judge_outcome(job, 10);
    assert_int_equal(response_from_job(&response, job), 0);
    assert_int_equal(response.status, status);
    assert_string_equal(response.outcome, outcome);
    assert_null(response.allow);
    assert_int_equal(response.retry_after, 0);
    if (response.size != strlen(body) || memcmp(response.body, body, response.size) != 0)
        fail_msg("%.*s\nis not\n%s", (int)response.size, response.body, body);
    free(response.body);
    job_unref(job);
}

static void test_a_result_is_passed_on_byte_for_byte(void **state) {
    struct job *job = make_job(false);
    (void)state;
    answer(job, FRAME_RESULT, " {\"a\":1e400, \"a\":\"\\ud800\"}\n", 27);
    print(&job->out, "one\ntwo \"\\\n");
    print(&job->err, "not in a plain body");
    assert_answer(job, 200, "ok",
                  "{\"result\":  {\"a\":1e400, \"a\":\"\\ud800\"}\n, \"stdout\": \"one\\ntwo \\\"\\\\\\n\"}");
}

static void test_plain_errors(void **state) {
    struct job *job = make_job(false);
    (void)state;
    answer(job, FRAME_NO_MAIN, "forged", 6);
    print(&job->out, "not in a failed run's plain body");
    assert_answer(job, 400, "no_main", "{\"error\": \"Function 'main()' not found in script.\"}");
    job = make_job(false);
    answer(job, FRAME_EXCEPTION, "E: \"\xff\"\n", 7);
    assert_answer(job, 400, "exception", "{\"error\": \"E: \\\"\xef\xbf\xbd\\\"\\n\"}");
    job = make_job(false);
    answer(job, FRAME_NOT_SERIALIZABLE, "a set", 5);
    assert_answer(job, 400, "not_serializable", "{\"error\": \"a set\"}");
    job = make_job(false);
    answer(job, FRAME_OUTPUT_LIMIT, "too deep", 8);
    assert_answer(job, 400, "output_limit", "{\"error\": \"too deep\"}");
    job = make_job(false);
    answer(job, FRAME_MEMORY, "MemoryError", 11);
    assert_answer(job, 400, "memory", "{\"error\": \"MemoryError\"}");
}

/* Behind a 500 stands no word of the worker's, however its answer reads. */
static void test_what_was_killed_says_nothing(void **state) {
    static const struct {
        enum ending ending;
        const char *outcome;
    } cases[] = {
        {ENDING_DEADLINE, "timeout"}, {ENDING_CPU, "timeout"},         {ENDING_MEMORY, "memory"},
        {ENDING_SIGNAL, "killed"},    {ENDING_CANCELLED, "cancelled"}, {ENDING_NO_WORKER, "lost"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct job *job = make_job(false);
        answer(job, FRAME_MEMORY, "forged", 6);
        job->verdict.ending = cases[i].ending;
        assert_answer(job, 500, cases[i].outcome, "{\"error\": \"Execution failed\"}");
    }
    struct job *job = make_job(false);
    answer(job, FRAME_EXITED, "forged", 6);
    assert_answer(job, 500, "exited", "{\"error\": \"Execution failed\"}");
}

/* A frame longer than we read is an output limit, whatever it calls itself; its words never came. */
static void test_a_frame_too_long_to_read(void **state) {
    static const uint32_t kinds[] = {FRAME_RESULT, FRAME_OUTPUT_LIMIT, FRAME_EXCEPTION, 77};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct job *job = make_job(false);
        job->answer_state = -EMSGSIZE;
        job->answer.header = (struct frame_header){kinds[i], UINT32_MAX};
        assert_answer(job, 400, "output_limit", "{\"error\": \"Result is too large or nested too deeply.\"}");
    }
}

static void test_details_of_a_result(void **state) {
    char body[1024];
    struct job *job = make_job(true);
    (void)state;
    answer(job, FRAME_RESULT, "[1, 2]", 6);
    print(&job->out, "out");
    print(&job->err, "er\xff");
    snprintf(body, sizeof body,
             "{\"result\": [1, 2], \"stdout\": \"out\", \"stderr\": \"er\xef\xbf\xbd\", \"stdout_truncated\": false, "
             "\"stderr_truncated\": false, \"outcome\": \"ok\"" USAGE LIMITS "}", 3, 3, 6);
    assert_answer(job, 200, "ok", body);
}

static void test_details_of_an_exception(void **state) {
    char body[1024];
    struct job *job = make_job(true);
    (void)state;
    answer(job, FRAME_EXCEPTION, "E: x\0{\"type\": \"E\"}", 18);
    print(&job->out, "out");
    snprintf(body, sizeof body,
             "{\"error\": \"E: x\", \"stdout\": \"out\", \"stderr\": \"\", \"stdout_truncated\": false, "
             "\"stderr_truncated\": false, \"outcome\": \"exception\"" USAGE LIMITS
             ", \"exception\": {\"type\": \"E\"}}",
             3, 0, 0);
    assert_answer(job, 400, "exception", body);
}

/* Half a character at the limit goes; the same bytes in complete output stay visible as U+FFFD. */
static void test_truncated_output(void **state) {
    char body[1024];
    struct job *job = make_job(true);
    (void)state;
    answer(job, FRAME_RESULT, "1", 1);
    print(&job->out, "a\xf0\x9f\x98");
    job->out.total = 5000;
    print(&job->err, "a\xf0\x9f\x98");
    snprintf(body, sizeof body,
             "{\"result\": 1, \"stdout\": \"a\", \"stderr\": \"a\xef\xbf\xbd\", \"stdout_truncated\": true, "
             "\"stderr_truncated\": false, \"outcome\": \"ok\"" USAGE LIMITS "}", 5000, 4, 1);
    assert_answer(job, 200, "ok", body);
}

static void assert_event(struct job *job, const char *body) {
    struct response response;
    assert_int_equal(response_event(&response, job), 0);
    if (response.size != strlen(body) || memcmp(response.body, body, response.size) != 0)
        fail_msg("%.*s\nis not\n%s", (int)response.size, response.body, body);
    free(response.body);
    job_unref(job);
}

static void test_the_last_event_of_a_stream(void **state) {
    char body[1024];
    struct job *job = make_job(false);
    (void)state;
    answer(job, FRAME_RESULT, "[1]\n", 4);
    print(&job->out, "was sent");
    job->outcome = judge_outcome(job, 10);
    assert_event(job, "{\"status\": 200, \"outcome\": \"ok\", \"result\": [1]\n}");
    job = make_job(false);
    answer(job, FRAME_NO_MAIN, "", 0);
    job->out.total = 1;
    job->outcome = judge_outcome(job, 10);
    assert_event(job, "{\"status\": 400, \"outcome\": \"no_main\", \"error\": \"Function 'main()' not found in script.\", "
                      "\"stdout_truncated\": true}");
    job = make_job(true);
    job->verdict.ending = ENDING_DEADLINE;
    job->err.total = 7;
    job->outcome = judge_outcome(job, 10);
    snprintf(body, sizeof body,
             "{\"status\": 500, \"outcome\": \"timeout\", \"error\": \"Execution failed\", \"stdout_truncated\": false, "
             "\"stderr_truncated\": true" USAGE LIMITS "}", 0, 7, 0);
    assert_event(job, body);
    job = make_job(true);
    job->worker_limits.flags |= JOB_OUTPUTS;
    job->expired = true;
    job->outcome = OUTCOME_LOST;
    assert_event(job, "{\"status\": 503, \"outcome\": null, \"error\": \"Too busy, no worker was free in time.\"}");
}

static void test_timing(void **state) {
    struct response response;
    struct job *job = make_job(false);
    (void)state;
    answer(job, FRAME_RESULT, "1", 1);
    job->admitted_us = 1000;
    job->started_us = 1250;
    job->finished_us = 4000;
    job->outcome = judge_outcome(job, 10);
    assert_int_equal(response_from_job(&response, job), 0);
    assert_string_equal(response.timing, "queue;dur=0.250, run;dur=1.500, total;dur=3.000");
    free(response.body);
    job_unref(job);
}

/* The largest numbers there are must fit where they are written. */
static void test_numbers_of_full_width(void **state) {
    struct response response;
    struct job *job = make_job(true);
    (void)state;
    answer(job, FRAME_RESULT, "1", 1);
    job->verdict.wall_us = job->verdict.user_us = job->verdict.system_us = job->verdict.peak_bytes = UINT64_MAX;
    job->out.total = job->err.total = UINT64_MAX;
    job->finished_us = job->started_us = UINT64_MAX;
    job->limits = (struct run_order){UINT64_MAX, UINT64_MAX, UINT64_MAX};
    job->worker_limits.file_bytes = job->worker_limits.result_bytes = UINT64_MAX;
    job->outcome = judge_outcome(job, 10);
    assert_int_equal(response_from_job(&response, job), 0);
    assert_int_equal(json_check(response.body, response.size, 64, NULL), 0);
    assert_non_null(strstr(response.timing, "total;dur=18446744073709552.000"));
    free(response.body);
    job_unref(job);
}

static void test_errors_without_a_job(void **state) {
    static const char body[] = "{\"error\": \"a \\\"b\\\"\\n\xef\xbf\xbd\"}";
    struct response response;
    (void)state;
    assert_int_equal(response_error(&response, 404, "a \"b\"\n\xff"), 0);
    assert_int_equal(response.status, 404);
    assert_null(response.outcome);
    assert_string_equal(response.timing, "");
    assert_int_equal(response.size, sizeof body - 1);
    assert_memory_equal(response.body, body, response.size);
    free(response.body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_result_is_passed_on_byte_for_byte),
        cmocka_unit_test(test_plain_errors),
        cmocka_unit_test(test_what_was_killed_says_nothing),
        cmocka_unit_test(test_a_frame_too_long_to_read),
        cmocka_unit_test(test_details_of_a_result),
        cmocka_unit_test(test_details_of_an_exception),
        cmocka_unit_test(test_truncated_output),
        cmocka_unit_test(test_the_last_event_of_a_stream),
        cmocka_unit_test(test_timing),
        cmocka_unit_test(test_numbers_of_full_width),
        cmocka_unit_test(test_errors_without_a_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
