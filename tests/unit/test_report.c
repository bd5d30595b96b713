/* server/report: what people see of a run, whatever its script has to say. */
#include "unit.h"

#include "server/judge.h"
#include "server/report.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

static struct config config;

static int set_up(void **state) {
    (void)state;
    config_init(&config);
    return 0;
}

/* --- Text --- */

static void assert_shown(const char *data, size_t size, const char *shown) {
    struct buf to;
    buf_init(&to, 4096);
    assert_int_equal(report_add_visible(&to, data, size), 0);
    if (to.len != strlen(shown) || memcmp(to.data == NULL ? "" : to.data, shown, to.len) != 0)
        fail_msg("%.*s is not %s", (int)to.len, to.data, shown);
    buf_done(&to);
}
#define SHOWN(text, shown) assert_shown(text, sizeof text - 1, shown)

static void test_ordinary_text_is_left_alone(void **state) {
    (void)state;
    SHOWN("", "");
    SHOWN("a\tb\n ~\\x", "a\tb\n ~\\x");
    SHOWN("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc2\xa0", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc2\xa0");
}

static void test_what_a_terminal_obeys_is_escaped(void **state) {
    (void)state;
    SHOWN("\x1b[31m\x07\r\b\0\x7f", "\\x1b[31m\\x07\\x0d\\x08\\x00\\x7f");
    SHOWN("\xc2\x9b" "31m\xc2\x80\xc2\x9f", "\\x9b31m\\x80\\x9f"); /* C1, as UTF-8 */
    SHOWN("\x9b" "31m\xff\xc3", "\\x9b31m\\xff\\xc3");             /* bytes that are no UTF-8 */
    SHOWN("\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8\xd8\x9c\xe2\x80\x8f", "\\u202e\\u2066\\u2028\\u061c\\u200f");
}

/* --- Jobs --- */

static struct job *make_job(enum ending ending, uint32_t code) {
    struct job *job = job_new(&config, &(struct job_request){.script = {"x", 1}, .wants_details = true});
    assert_non_null(job);
    job->verdict = (struct verdict){.ending = ending, .code = code};
    job->answer_state = -EPIPE;
    return job;
}

static struct job *answered(enum frame_kind kind, const char *payload, size_t size) {
    struct job *job = make_job(ENDING_EXIT, 0);
    job->answer_state = 1;
    job->answer.header = (struct frame_header){kind, (uint32_t)size};
    assert_int_equal(buf_add(&job->answer.payload, payload, size), 0);
    return job;
}

static void assert_reported(struct job *job, const char *out, const char *err) {
    struct buf printed[2];
    const char *const wanted[] = {out, err};
    buf_init(&printed[0], 1 << 20);
    buf_init(&printed[1], 1 << 20);
    job->outcome = judge_outcome(job, 10);
    assert_int_equal(report_job(&config, job, &printed[0], &printed[1]), 0);
    for (size_t i = 0; i < 2; i++) {
        if (printed[i].len != strlen(wanted[i]) || memcmp(printed[i].data == NULL ? "" : printed[i].data, wanted[i], printed[i].len) != 0)
            fail_msg("%.*s\nis not\n%s", (int)printed[i].len, printed[i].data, wanted[i]);
        buf_done(&printed[i]);
    }
    job_unref(job);
}
#define ANSWERED(kind, text) answered(kind, text, sizeof text - 1)

static void test_a_result_is_one_line(void **state) {
    (void)state;
    assert_reported(ANSWERED(FRAME_RESULT, "{\"a\": 1e400}"), "{\"a\": 1e400}\n", "");
    assert_reported(ANSWERED(FRAME_RESULT, "[1,\n\r\t2,\n\"\\n\"]\n"), "[1,   2, \"\\n\"] \n", "");
    assert_reported(ANSWERED(FRAME_RESULT, "null"), "", "");
    assert_reported(ANSWERED(FRAME_RESULT, "\"null\""), "\"null\"\n", "");
}

static void test_a_traceback(void **state) {
    (void)state;
    assert_reported(ANSWERED(FRAME_EXCEPTION, "E: x\0{\"type\": \"E\", \"traceback\": \"Traceback:\\n  \\u001b[0m\\nE: x\\n\\n\"}"), "",
                    "Traceback:\n  \\x1b[0m\nE: x\n");
}

/* A worker that was taken over may say anything. */
static void test_tracebacks_that_are_none(void **state) {
    static const char *const details[] = {"{}", "{\"traceback\": 1}", "{\"traceback\": null}", "{\"traceback\": \"\"}",
                                          "{\"traceback\": \"\\ud800\"}", "{\"traceback\": {\"a\": 1}}", "{\"traceback\": \"\\n\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++) {
        char payload[64] = "E: \x1b";
        strcpy(payload + 5, details[i]);
        assert_reported(answered(FRAME_EXCEPTION, payload, 5 + strlen(details[i])), "", "python-executor: exception: E: \\x1b\n");
    }
}

static void test_words_are_bounded(void **state) {
    enum { SIZE = 300000, SHOWN_MAX = 65536 };
    static char payload[SIZE], wanted[SIZE] = "python-executor: exception: ";
    (void)state;
    memset(payload, 'x', SIZE);
    memset(wanted + strlen(wanted), 'x', SHOWN_MAX);
    strcat(wanted, " ...\n");
    assert_reported(answered(FRAME_EXCEPTION, payload, SIZE), "", wanted);
}

static void test_failures_name_their_limit(void **state) {
    (void)state;
    assert_reported(make_job(ENDING_DEADLINE, 9), "", "python-executor: timeout: it ran for the 5000 ms that it may (--wall-ms)\n");
    assert_reported(make_job(ENDING_CPU, 9), "", "python-executor: timeout: it used the 5000 ms of CPU time that it may (--cpu-ms)\n");
    assert_reported(make_job(ENDING_MEMORY, 9), "", "python-executor: memory: it needs more than the 256 MiB that it may use (--memory-mb)\n");
    assert_reported(make_job(ENDING_SCRATCH, 9), "",
                    "python-executor: scratch_limit: it keeps more in /tmp than 64 MiB in 1024 files (--scratch-mb, --scratch-files)\n");
    assert_reported(make_job(ENDING_THREADS, 9), "", "python-executor: thread_limit: it has more than 64 threads (--threads)\n");
    assert_reported(make_job(ENDING_SIGNAL, SIGSEGV), "", "python-executor: killed: it was ended by signal 11 (SIGSEGV)\n");
    assert_reported(make_job(ENDING_SIGNAL, 200), "", "python-executor: killed: it was ended by signal 200 (SIG?)\n");
    assert_reported(make_job(ENDING_EXIT, 3), "", "python-executor: exited: it ended by itself, without a result\n");
    assert_reported(make_job(ENDING_NO_WORKER, 0), "", "python-executor: lost: there was no worker for it, or the zygote has died\n");
    assert_reported(ANSWERED(FRAME_NO_MAIN, ""), "", "python-executor: no_main: Function 'main()' not found in script.\n");
    assert_reported(ANSWERED(FRAME_NOT_SERIALIZABLE, "a\x1b"), "", "python-executor: not_serializable: a\\x1b\n");
    assert_reported(ANSWERED(FRAME_OUTPUT_LIMIT, "large"), "",
                    "python-executor: output_limit: large (--result-kb 8192, --result-depth 1000)\n");
    assert_reported(ANSWERED(FRAME_MEMORY, "MemoryError\0{\"traceback\": \"T\"}"), "",
                    "T\npython-executor: memory: it needs more than the 256 MiB that it may use (--memory-mb)\n");
}

static void test_what_was_dropped_is_told(void **state) {
    struct job *job = ANSWERED(FRAME_RESULT, "1");
    (void)state;
    job->out.total = 10;
    job->out.passed = 4;
    job->err.total = job->err.passed = 5;
    assert_reported(job, "1\n", "python-executor: of 10 bytes on standard output the first 4 were handed on (--stdout-kb)\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordinary_text_is_left_alone),
        cmocka_unit_test(test_what_a_terminal_obeys_is_escaped),
        cmocka_unit_test(test_a_result_is_one_line),
        cmocka_unit_test(test_a_traceback),
        cmocka_unit_test(test_tracebacks_that_are_none),
        cmocka_unit_test(test_words_are_bounded),
        cmocka_unit_test(test_failures_name_their_limit),
        cmocka_unit_test(test_what_was_dropped_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
