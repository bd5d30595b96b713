/* server/request: a body becomes a job, or a sentence that says what is wrong with it. */
#include "unit.h"

#include "server/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct config config;

static int parse(const char *body, size_t size, struct job **job, struct request_error *error) {
    *job = NULL;
    return request_parse(&config, body, size, false, job, error);
}

/* The script as the worker will get it. */
static void assert_script(const char *body, const char *script, size_t size) {
    struct request_error error;
    struct job *job;
    assert_int_equal(parse(body, strlen(body), &job, &error), 0);
    size_t before = sizeof(struct frame_header) + sizeof(struct job_order);
    assert_int_equal(job->order.len, before + size);
    assert_memory_equal(job->order.data + before, script, size);
    job_unref(job);
}

static void assert_refused(const char *body, unsigned status, const char *words) {
    struct request_error error;
    struct job *job;
    assert_true(parse(body, strlen(body), &job, &error) < 0);
    assert_null(job);
    assert_int_equal(error.status, status);
    if (strstr(error.text, words) == NULL)
        fail_msg("%s: %s", body, error.text);
}

static void test_scripts(void **state) {
    (void)state;
    assert_script("{\"script\": \"x\"}", "x", 1);
    assert_script("{\"script\": \"\"}", "", 0);
    assert_script("{\"\\u0073cript\": \"x\"}", "x", 1);
    assert_script("{\"script\": 1, \"script\": \"y\", \"more\": [{}]}", "y", 1);
    assert_script("{\"script\": \"a\\u0000b\\n\\ud83d\\ude00\\/\"}", "a\0b\n\xf0\x9f\x98\x80/", 9);
}

static void test_refusals(void **state) {
    (void)state;
    assert_refused("", 400, "Invalid input: the body is not JSON");
    assert_refused("{\"script\": \"x\"", 400, "unexpected end at byte 14");
    assert_refused("[\"script\"]", 400, "must be a JSON object");
    assert_refused("{}", 400, "'script' is missing");
    assert_refused("{\"Script\": \"x\"}", 400, "'script' is missing");
    assert_refused("{\"script\": null}", 400, "must be a string");
    assert_refused("{\"script\": \"x\", \"script\": 1}", 400, "must be a string");
    assert_refused("{\"script\": \"\\ud800\"}", 400, "surrogate");
    assert_refused("{\"script\": \"x\", \"details\": 1}", 400, "'details' must be true or false");
}

static void test_the_size_of_a_script(void **state) {
    struct request_error error;
    struct job *job;
    char body[1200];
    (void)state;
    config.script_kb = 1;
    memset(body, 'x', sizeof body);
    memcpy(body, "{\"script\":\"", 11);
    memcpy(body + 11 + 1024, "\"}", 2);
    assert_int_equal(parse(body, 11 + 1024 + 2, &job, &error), 0);
    job_unref(job);
    memset(body + 11 + 1024, 'x', 1);
    memcpy(body + 11 + 1025, "\"}", 2);
    assert_int_equal(parse(body, 11 + 1025 + 2, &job, &error), -EMSGSIZE);
    assert_int_equal(error.status, 413);
    config_init(&config);
}

static void test_depth(void **state) {
    (void)state;
    config.json_depth = 2;
    assert_script("{\"script\": \"x\", \"a\": [1]}", "x", 1);
    assert_refused("{\"script\": \"x\", \"a\": [[1]]}", 400, "nested too deeply");
    config_init(&config);
}

static void test_details(void **state) {
    struct request_error error;
    struct job *job;
    (void)state;
    assert_int_equal(parse("{\"details\":true,\"script\":\"x\"}", 29, &job, &error), 0);
    assert_true(job->wants_details);
    assert_int_equal(job->worker_limits.flags, JOB_DETAILS);
    job_unref(job);
    assert_int_equal(parse("{\"convert\":true,\"script\":\"x\"}", 29, &job, &error), 0);
    assert_false(job->wants_details);
    assert_int_equal(job->worker_limits.flags, JOB_CONVERT);
    job_unref(job);
}

/* The order as the worker reads it: one frame, its limits, the script. */
static void test_the_order_and_the_limits(void **state) {
    struct request_error error;
    struct frame_header header;
    struct job_order order;
    struct job *job;
    (void)state;
    config.cpu_ms = 1500;
    config.wall_ms = 2500;
    config.memory_mb = 100;
    config.scratch_mb = 3;
    config.result_kb = 7;
    config.stdout_kb = 5;
    config.stderr_kb = 6;
    assert_int_equal(parse("{\"script\":\"xyz\"}", 16, &job, &error), 0);
    memcpy(&header, job->order.data, sizeof header);
    memcpy(&order, job->order.data + sizeof header, sizeof order);
    assert_int_equal(header.kind, FRAME_JOB);
    assert_int_equal(header.length, sizeof order + 3);
    assert_int_equal(job->order.len, sizeof header + header.length);
    assert_int_equal(order.cpu_ms, 1500);
    assert_int_equal(order.memory_bytes, 100u << 20);
    assert_int_equal(order.file_bytes, 3u << 20);
    assert_int_equal(order.result_bytes, 7u << 10);
    assert_int_equal(order.flags, 0);
    assert_int_equal(job->limits.wall_ms, 2500);
    assert_int_equal(job->limits.cpu_ms, 1500);
    assert_int_equal(job->limits.memory_bytes, 100u << 20);
    assert_int_equal(job->out.kept.max, 5u << 10);
    assert_int_equal(job->err.kept.max, 6u << 10);
    assert_int_equal(job->answer.payload.max, order.result_bytes + (1u << 20)); /* for the text of an error */
    for (size_t i = 0; i < WATCH_CLIENT; i++)
        assert_int_equal(job->fds[i], -1);
    job_unref(job);
    config_init(&config);
}

/* The script's size is counted in the bytes it has when decoded, however it was written. */
static void test_the_size_of_an_escaped_script(void **state) {
    static char body[8192];
    struct request_error error;
    (void)state;
    config.script_kb = 1;
    for (size_t letters = 1024; letters <= 1025; letters++) {
        struct job *job;
        size_t size = (size_t)snprintf(body, sizeof body, "{\"script\":\"");
        for (size_t i = 0; i < letters; i++, size += 6)
            memcpy(body + size, "\\u0061", 6);
        memcpy(body + size, "\"}", 2);
        assert_int_equal(parse(body, size + 2, &job, &error), letters == 1024 ? 0 : -EMSGSIZE);
        job_unref(job);
    }
    assert_string_equal(error.text, "Script is too large: 1025 bytes, the limit is 1024.");
    config_init(&config);
}

/* Every byte of a UTF-8 script arrives as it was, and nothing else counts as UTF-8. */
static void test_scripts_in_utf8(void **state) {
    (void)state;
    assert_script("{\"script\": \"\xc3\xa9\xe4\xb8\x96\xf0\x9f\x98\x80\"}", "\xc3\xa9\xe4\xb8\x96\xf0\x9f\x98\x80", 9);
    assert_script("{\"script\": \"\\uffff\\ufdd0\"}", "\xef\xbf\xbf\xef\xb7\x90", 6); /* noncharacters are */
    assert_script("{\"script\": \"\xef\xbb\xbfx\"}", "\xef\xbb\xbfx", 4);
    assert_refused("{\"script\": \"\xff\"}", 400, "not UTF-8 at byte 12");
    assert_refused("{\"script\": \"\xed\xa0\x80\"}", 400, "not UTF-8");
    assert_refused("\xef\xbb\xbf{\"script\": \"x\"}", 400, "unexpected character at byte 0");
    assert_refused("{\"script\": \"\\udc00\\ud800\"}", 400, "surrogate");
    assert_refused("{\"script\": \"\\ud800x\"}", 400, "surrogate");
}

/* Keys are compared as what they mean, to their end. */
static void test_keys(void **state) {
    (void)state;
    assert_script("{\"\\u0073\\u0063\\u0072\\u0069\\u0070\\u0074\": \"x\"}", "x", 1);
    assert_script("{\"script\\u0000\": 1, \"script\": \"x\", \"scrip\": 2, \"scripts\": 3, \"\": 4}", "x", 1);
    assert_script("{\"\\ud800script\": 1, \"script\": \"x\"}", "x", 1);
    assert_script("{\"details\": 1, \"script\": \"x\", \"details\": false}", "x", 1);
    assert_refused("{\"script\\u0000\": \"x\"}", 400, "'script' is missing");
    assert_refused("{\"a\": {\"script\": \"x\"}}", 400, "'script' is missing");
    assert_refused("{\"a\": \"\\\"script\\\": 1\"}", 400, "'script' is missing");
}

static void test_flags_are_truth_values_and_nothing_else(void **state) {
    static const char *const others[] = {"null", "0", "1", "\"true\"", "[]", "{}", "[true]", "-0.0"};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"script\": \"x\", \"details\": %s}", others[i]);
        assert_refused(body, 400, "'details' must be true or false");
        snprintf(body, sizeof body, "{\"script\": \"x\", \"convert\": %s}", others[i]);
        assert_refused(body, 400, "'convert' must be true or false");
    }
}

static void test_scripts_that_are_no_strings(void **state) {
    static const char *const others[] = {"null", "0", "true", "[\"x\"]", "{\"script\": \"x\"}", "1e5"};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"script\":\t%s}", others[i]);
        assert_refused(body, 400, "'script' must be a string");
    }
}

/* A body that was cut anywhere is refused, and says so in one sentence that fits. */
static void test_cut_bodies(void **state) {
    static const char body[] = "{\"script\": \"a\\u0041\xc3\xa9\", \"details\": true, \"x\": [1.5]}";
    (void)state;
    for (size_t size = 0; size < sizeof body - 1; size++) {
        struct request_error error = {0};
        struct job *job;
        assert_int_equal(parse(body, size, &job, &error), -EINVAL);
        assert_null(job);
        assert_int_equal(error.status, 400);
        assert_true(strlen(error.text) < sizeof error.text - 1);
        assert_int_equal(error.text[strlen(error.text) - 1], '.');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts), cmocka_unit_test(test_refusals), cmocka_unit_test(test_the_size_of_a_script),
        cmocka_unit_test(test_depth),   cmocka_unit_test(test_details),
        cmocka_unit_test(test_the_order_and_the_limits),
        cmocka_unit_test(test_the_size_of_an_escaped_script),
        cmocka_unit_test(test_scripts_in_utf8),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_flags_are_truth_values_and_nothing_else),
        cmocka_unit_test(test_scripts_that_are_no_strings),
        cmocka_unit_test(test_cut_bodies),
    };
    config_init(&config);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
