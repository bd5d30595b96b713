/* server/compose: whatever the command line says, the body is one object that says that and nothing else. */
#include "unit.h"

#include "server/compose.h"
#include "server/json.h"

#include <errno.h>
#include <stdlib.h>

static struct config config;

static int set_up(void **state) {
    (void)state;
    config_init(&config);
    return 0;
}

static int add(struct compose *compose, enum console_part part, const char *data, struct request_error *error) {
    return compose_add(compose, part, data, strlen(data), error);
}

static void assert_added(struct compose *compose, enum console_part part, const char *data, size_t size) {
    struct request_error error = {0};
    if (compose_add(compose, part, data, size, &error) != 0)
        fail_msg("%s", error.text);
}

static void assert_body(struct compose *compose, const char *body) {
    struct request_error error;
    assert_int_equal(compose_finish(compose, &error), 0);
    assert_int_equal(json_check(compose->body.data, compose->body.len, 64, NULL), 0);
    if (compose->body.len != strlen(body) || memcmp(compose->body.data, body, compose->body.len) != 0)
        fail_msg("%.*s\nis not\n%s", (int)compose->body.len, compose->body.data, body);
    compose_done(compose);
}

static void test_a_script(void **state) {
    struct compose compose;
    (void)state;
    compose_init(&compose, &config);
    assert_added(&compose, CONSOLE_SCRIPT, "a = \"\\\"\n\x00\t\xc3\xa9", 12);
    assert_false(compose.document);
    assert_body(&compose, "{\"script\": \"a = \\\"\\\\\\\"\\n\\u0000\\t\xc3\xa9\", \"details\": true}");
}

static void test_the_mark_of_utf8_is_left_out_once(void **state) {
    struct compose compose;
    (void)state;
    compose_init(&compose, &config);
    assert_added(&compose, CONSOLE_SCRIPT, "\xef\xbb\xbf\xef\xbb\xbfx", 7);
    assert_body(&compose, "{\"script\": \"\xef\xbb\xbfx\", \"details\": true}");
}

static void test_everything_in_any_order(void **state) {
    struct compose compose;
    (void)state;
    compose_init(&compose, &config);
    assert_added(&compose, CONSOLE_FILE, "a\0\xff", 3);
    assert_added(&compose, CONSOLE_OUTPUT, "*\"", 2);
    assert_added(&compose, CONSOLE_DOCUMENT, "", 0);
    assert_added(&compose, CONSOLE_ARGS, "[1]", 3);
    assert_added(&compose, CONSOLE_FILE, "b\0", 2);
    assert_added(&compose, CONSOLE_OUTPUT, "b", 1);
    assert_added(&compose, CONSOLE_KWARGS, "{}", 2);
    assert_added(&compose, CONSOLE_SEED, "7", 1);
    assert_added(&compose, CONSOLE_CONVERT, "", 0);
    assert_added(&compose, CONSOLE_INPUT, " 123456789012345678901234567890 ", 32);
    assert_true(compose.document);
    assert_body(&compose, "{\"args\": [1], \"kwargs\": {}, \"seed\": 7, \"convert\": true, "
                          "\"input\":  123456789012345678901234567890 , "
                          "\"files\": {\"a\": {\"base64\": \"/w==\"}, \"b\": {\"base64\": \"\"}}, "
                          "\"outputs\": [\"*\\\"\", \"b\"], \"details\": true}");
}

static void test_nothing(void **state) {
    struct compose compose;
    (void)state;
    compose_init(&compose, &config);
    assert_body(&compose, "{\"details\": true}");
}

static void test_base64(void **state) {
    static const struct {
        const char *bytes, *text;
    } cases[] = {{"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct compose compose;
        char part[16] = "n", body[128];
        compose_init(&compose, &config);
        memcpy(part + 2, cases[i].bytes, strlen(cases[i].bytes));
        assert_added(&compose, CONSOLE_FILE, part, 2 + strlen(cases[i].bytes));
        snprintf(body, sizeof body, "{\"files\": {\"n\": {\"base64\": \"%s\"}}, \"details\": true}", cases[i].text);
        assert_body(&compose, body);
    }
}

/* Nothing that is given for one key can become another. */
static void test_what_is_not_one_value_is_refused(void **state) {
    static const char *const wrong[] = {"", " ", "1, \"script\": \"x\"", "1}", "{", "[1", "nul", "01", "'a'", "NaN", "1 2", "\"\xff\"", "\"\n\""};
    static const enum console_part parts[] = {CONSOLE_INPUT, CONSOLE_ARGS, CONSOLE_KWARGS, CONSOLE_SEED};
    static const char *const names[] = {"--input", "--args", "--kwargs", "--seed"};
    (void)state;
    for (size_t p = 0; p < 4; p++)
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
            struct compose compose;
            struct request_error error = {0};
            compose_init(&compose, &config);
            assert_int_equal(add(&compose, parts[p], wrong[i], &error), -EINVAL);
            assert_int_equal(error.status, 400);
            assert_int_equal(strncmp(error.text, names[p], strlen(names[p])), 0);
            assert_non_null(strstr(error.text, " is not JSON: "));
            compose_done(&compose);
        }
}

static void test_a_value_is_as_deep_as_in_a_body(void **state) {
    struct compose compose;
    struct request_error error;
    char deep[200];
    (void)state;
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    compose_init(&compose, &config);
    assert_int_equal(compose_add(&compose, CONSOLE_INPUT, deep, 130, &error), -EINVAL);
    compose_done(&compose);
}

static void test_text_that_is_not_utf8_is_refused(void **state) {
    struct compose compose;
    struct request_error error;
    (void)state;
    compose_init(&compose, &config);
    assert_int_equal(add(&compose, CONSOLE_SCRIPT, "ab\xe9", &error), -EINVAL);
    assert_string_equal(error.text, "The script is not UTF-8, at byte 2.");
    assert_int_equal(compose_add(&compose, CONSOLE_FILE, "\xe9\0x", 3, &error), -EINVAL);
    assert_int_equal(compose_add(&compose, CONSOLE_FILE, "x", 1, &error), -EINVAL);
    assert_int_equal(add(&compose, CONSOLE_OUTPUT, "\xe9", &error), -EINVAL);
    compose_done(&compose);
}

static void test_a_part_that_there_is_not(void **state) {
    struct compose compose;
    struct request_error error;
    (void)state;
    compose_init(&compose, &config);
    assert_int_equal(add(&compose, (enum console_part)0, "", &error), -EINVAL);
    assert_int_equal(add(&compose, (enum console_part)77, "", &error), -EINVAL);
    compose_done(&compose);
}

/* What is composed is what request.c reads. */
static void test_it_makes_a_job(void **state) {
    struct compose compose;
    struct request_error error = {0};
    struct job *job;
    (void)state;
    compose_init(&compose, &config);
    assert_added(&compose, CONSOLE_SCRIPT, "x", 1);
    assert_added(&compose, CONSOLE_INPUT, "[2]", 3);
    assert_added(&compose, CONSOLE_FILE, "n\0abc", 5);
    assert_int_equal(compose_finish(&compose, &error), 0);
    if (request_parse(&config, compose.body.data, compose.body.len, false, &job, &error) != 0)
        fail_msg("%s", error.text);
    assert_true(job->wants_details);
    assert_int_equal(job->worker_limits.script_bytes, 1);
    assert_int_equal(job->worker_limits.input_bytes, 3);
    assert_int_equal(job->worker_limits.files_bytes, strlen("{\"n\": {\"base64\": \"YWJj\"}}"));
    job_unref(job);
    compose_done(&compose);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_script),
        cmocka_unit_test(test_the_mark_of_utf8_is_left_out_once),
        cmocka_unit_test(test_everything_in_any_order),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_what_is_not_one_value_is_refused),
        cmocka_unit_test(test_a_value_is_as_deep_as_in_a_body),
        cmocka_unit_test(test_text_that_is_not_utf8_is_refused),
        cmocka_unit_test(test_a_part_that_there_is_not),
        cmocka_unit_test(test_it_makes_a_job),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
