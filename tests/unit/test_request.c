/* server/request: a body becomes a job, or a sentence that says what is wrong with it. */
#include "unit.h"

#include "server/request.h"

#include <errno.h>
#include <stdlib.h>

static struct config config;

static int parse(const char *body, size_t size, struct job **job, struct request_error *error) {
    *job = NULL;
    return request_parse(&config, body, size, job, error);
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
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts), cmocka_unit_test(test_refusals), cmocka_unit_test(test_the_size_of_a_script),
        cmocka_unit_test(test_depth),   cmocka_unit_test(test_details),
    };
    config_init(&config);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
