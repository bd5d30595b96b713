/* server/request: the optional keys of a body, from what clients send to what goes to the worker. */
#include "unit.h"

#include "server/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct config config;

/* A job of a body that has these members beside its script. */
static struct job *job_of(const char *members) {
    struct request_error error;
    struct job *job = NULL;
    static char body[3 << 20];
    int size = snprintf(body, sizeof body, "{\"script\": \"x\", %s}", members);
    if (request_parse(&config, body, (size_t)size, false, &job, &error) < 0)
        fail_msg("%s: %s", members, error.text);
    return job;
}

static struct job_order order_of(const struct job *job) {
    struct job_order order;
    memcpy(&order, job->order.data + sizeof(struct frame_header), sizeof order);
    return order;
}

static void assert_refused(const char *members, const char *text) {
    struct request_error error;
    struct job *job = NULL;
    static char body[3 << 20];
    int size = snprintf(body, sizeof body, "{\"script\": \"x\", %s}", members);
    assert_int_equal(request_parse(&config, body, (size_t)size, false, &job, &error), -EINVAL);
    assert_null(job);
    assert_int_equal(error.status, 400);
    assert_memory_equal(error.text, "Invalid input: ", 15);
    assert_string_equal(error.text + 15, text);
}

/* What follows the script, and how it is divided. */
static void assert_parts(const char *members, const char *input, const char *args, const char *kwargs) {
    struct job *job = job_of(members);
    struct job_order order = order_of(job);
    const char *at = job->order.data + sizeof(struct frame_header) + sizeof order;
    char parts[256];
    int size = snprintf(parts, sizeof parts, "x%s%s%s", input, args, kwargs);
    assert_int_equal(job->order.len, sizeof(struct frame_header) + sizeof order + (size_t)size);
    assert_memory_equal(at, parts, (size_t)size);
    assert_int_equal(order.script_bytes, 1);
    assert_int_equal(order.input_bytes, strlen(input));
    assert_int_equal(order.args_bytes, strlen(args));
    assert_int_equal(order.kwargs_bytes, strlen(kwargs));
    assert_int_equal(order.flags, 0);
    job_unref(job);
}

static void test_json_is_passed_on_as_it_stands(void **state) {
    (void)state;
    assert_parts("\"input\": 1180591620717411303424", "1180591620717411303424", "", "");
    assert_parts("\"input\" :\t-0.1e-7\n", "-0.1e-7", "", "");
    assert_parts("\"input\": \"\\ud800\\u0041\xc3\xa9\"", "\"\\ud800\\u0041\xc3\xa9\"", "", "");
    assert_parts("\"input\": [ {\"a\": null , \"a\": 1} ]", "[ {\"a\": null , \"a\": 1} ]", "", "");
    assert_parts("\"input\": false", "false", "", "");
    assert_parts("\"args\": [1, \"]\"], \"kwargs\": {\"k\": {}}", "", "[1, \"]\"]", "{\"k\": {}}");
    assert_parts("\"kwargs\": {}, \"args\": []", "", "[]", "{}");
    assert_parts("\"args\": []", "", "[]", "");
    assert_parts("\"\\u0069nput\": 1, \"inpu\": 2, \"inputs\": 3, \"\\nnput\": 4, \"input\\u0000\": 5", "1", "", "");
}

static void test_null_is_as_good_as_missing(void **state) {
    (void)state;
    assert_parts("\"input\": null, \"args\": null, \"kwargs\": null, \"stdin\": null, \"seed\": null, \"limits\": null", "", "", "");
    assert_parts("\"input\": null, \"args\": [null]", "", "[null]", "");
}

static void test_the_last_of_duplicates(void **state) {
    (void)state;
    assert_parts("\"input\": 1, \"input\": 2", "2", "", "");
    assert_parts("\"input\": 1, \"input\": null, \"args\": {}, \"args\": [3]", "", "[3]", "");
    assert_refused("\"args\": [], \"args\": {}", "'args' must be an array.");
    struct job *job = job_of("\"seed\": \"x\", \"seed\": 1, \"limits\": {\"no\": 1}, \"limits\": {\"wall_ms\": 0, \"wall_ms\": 7}");
    assert_int_equal(order_of(job).seed, 1);
    assert_int_equal(job->limits.wall_ms, 7);
    job_unref(job);
}

static void test_one_way_to_call_main(void **state) {
    static const char words[] = "'input' is for main(input), 'args' and 'kwargs' are for main(*args, **kwargs), give one or the other.";
    (void)state;
    assert_refused("\"input\": 1, \"args\": []", words);
    assert_refused("\"kwargs\": {}, \"input\": 1", words);
    assert_refused("\"kwargs\": {}, \"input\": {}, \"args\": [1]", words);
}

static void test_files_and_outputs(void **state) {
    (void)state;
    assert_refused("\"files\": {\"a/../b\": {\"text\": \"\"}}", "files \"a/../b\" has a part '.' or '..'.");
    assert_refused("\"files\": {\"a\\u0000\": {\"text\": \"\"}}", "files \"a\\u0000\" has a NUL.");
    assert_refused("\"files\": {\"a-\": {\"text\": \"\"}, \"a/b\": {\"text\": \"\"}, \"a\": {\"text\": \"\"}}", "files \"a\" is a file and a folder.");
    assert_refused("\"files\": {\"a\": {\"base64\": \"AB==\"}}", "files \"a\" has no proper base64.");
    assert_refused("\"files\": {\"a\": {\"text\": \"\", \"base64\": \"\"}}", "files \"a\" must have one key, \"text\" or \"base64\".");
    assert_refused("\"outputs\": [\"*\", \"/tmp\"]", "outputs \"/tmp\" is absolute.");
    assert_refused("\"outputs\": [[]]", "outputs [] must be a string.");
    struct job *job = job_of("\"files\": {\"\\u0061/b\": {\"base64\": \"\\/w==\"}}, \"outputs\": [ \"**\" ]");
    struct job_order order = order_of(job);
    assert_int_equal(order.files_bytes, strlen("{\"\\u0061/b\": {\"base64\": \"\\/w==\"}}"));
    assert_int_equal(order.patterns_bytes, strlen("[ \"**\" ]"));
    assert_int_equal(order.flags, JOB_OUTPUTS);
    struct job *drawn = job_of("\"figures\": true");
    assert_int_equal(order_of(drawn).flags, JOB_FIGURES);
    assert_int_equal(drawn->answer.payload.max, job->answer.payload.max);
    job_unref(drawn);
    assert_refused("\"figures\": null", "'figures' must be true or false.");
    assert_memory_equal(job->order.data + job->order.len - order.patterns_bytes, "[ \"**\" ]", order.patterns_bytes);
    job_unref(job);
}

/* Every type but the right one. */
static void test_wrong_types(void **state) {
    static const char *const values[] = {"\"x\"", "1", "-1", "1.5", "1e3", "true", "false", "[]", "{}"};
    static const struct {
        const char *key, *good, *words;
    } keys[] = {
        {"args", "[]", "'args' must be an array."},
        {"kwargs", "{}", "'kwargs' must be an object."},
        {"stdin", "\"x\"", "'stdin' must be a string."},
        {"limits", "{}", "'limits' must be an object."},
        {"seed", "1", "'seed' must be an integer from 0 to 9223372036854775807."},
    };
    (void)state;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            char members[64];
            snprintf(members, sizeof members, "\"%s\": %s", keys[k].key, values[i]);
            if (strcmp(values[i], keys[k].good) == 0)
                job_unref(job_of(members));
            else
                assert_refused(members, keys[k].words);
        }
}

static void test_seeds(void **state) {
    static const char words[] = "'seed' must be an integer from 0 to 9223372036854775807.";
    static const uint64_t good[] = {0, 1, UINT32_MAX, INT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char members[64];
        snprintf(members, sizeof members, "\"seed\": %" PRIu64, good[i]);
        struct job *job = job_of(members);
        assert_int_equal(order_of(job).flags, JOB_SEED);
        assert_int_equal(order_of(job).seed, good[i]);
        job_unref(job);
    }
    assert_refused("\"seed\": 9223372036854775808", words);
    assert_refused("\"seed\": 18446744073709551615", words);
    assert_refused("\"seed\": 18446744073709551616", words);
    assert_refused("\"seed\": 184467440737095516160", words);
    assert_refused("\"seed\": 100000000000000000000000000000000000000000000000000000000000000000000", words);
    assert_refused("\"seed\": -0", words);
    assert_refused("\"seed\": 1.0", words);
    assert_refused("\"seed\": 1E2", words);
}

static void test_stdin(void **state) {
    (void)state;
    struct job *job = job_of("\"stdin\": \"a\\u0000\\n\\ud83d\\ude00\xc3\xa9\"");
    assert_int_equal(job->stdin_text.len, 9);
    assert_memory_equal(job->stdin_text.data, "a\0\n\xf0\x9f\x98\x80\xc3\xa9", 9);
    assert_int_equal(order_of(job).flags, JOB_STDIN);
    assert_int_equal(job->order.len, sizeof(struct frame_header) + sizeof(struct job_order) + 1); /* it goes elsewhere */
    assert_int_equal(job_held(job), job->order.capacity + job->stdin_text.capacity);
    job_unref(job);
    job = job_of("\"stdin\": \"\""); /* is what a script has anyway */
    assert_int_equal(job->stdin_text.len, 0);
    assert_int_equal(order_of(job).flags, 0);
    job_unref(job);
    assert_refused("\"stdin\": \"\\ud800\"", "'stdin' has half of a surrogate pair.");
    assert_refused("\"stdin\": \"\\ud83d \\ude00\"", "'stdin' has half of a surrogate pair.");
}

static void assert_limit(const char *key, uint64_t value, bool good, const char *words) {
    char members[128];
    snprintf(members, sizeof members, "\"limits\": {\"%s\": %" PRIu64 "}", key, value);
    if (good)
        job_unref(job_of(members));
    else
        assert_refused(members, words);
}

static void test_limits(void **state) {
    (void)state;
    struct job *job = job_of("\"limits\": {\"wall_ms\": 11, \"cpu_ms\": 12, \"memory_mb\": 17, \"output_kb\": 14, \"scratch_mb\": 15}");
    assert_int_equal(job->limits.wall_ms, 11);
    assert_int_equal(job->limits.cpu_ms, 12);
    assert_int_equal(job->limits.memory_bytes, 17u << 20);
    assert_int_equal(order_of(job).cpu_ms, 12);
    assert_int_equal(order_of(job).memory_bytes, 17u << 20);
    assert_int_equal(job->limits.scratch_bytes, 15u << 20);
    assert_int_equal(order_of(job).file_bytes, 15u << 20);
    assert_int_equal(job->out.kept.max, 14u << 10);
    assert_int_equal(job->err.kept.max, 64u << 10);
    job_unref(job);
    job = job_of("\"limits\": {\"c\\u0070u_ms\": 12, \"wall_ms\": null}");
    assert_int_equal(job->limits.wall_ms, 5000);
    assert_int_equal(job->limits.cpu_ms, 12);
    assert_int_equal(job->limits.scratch_bytes, 64u << 20);
    job_unref(job);
    /* Files count against the request's own limit: half a mebibyte more in base64 than the one, less than the other. */
    static char body[2200000];
    enum { PADDED = 2097152 };
    size_t n = (size_t)snprintf(body, sizeof body, "\"files\": {\"f\": {\"base64\": \"");
    memset(body + n, 'A', PADDED);
    strcpy(body + n + PADDED, "\"}}, \"limits\": {\"scratch_mb\": 2}");
    job_unref(job_of(body));
    body[strlen(body) - 2] = '1';
    assert_refused(body, "files has 1572864 bytes, the limit is 1048576.");
}

static void test_the_bounds_of_limits(void **state) {
    (void)state;
    assert_limit("wall_ms", 1, true, NULL);
    assert_limit("wall_ms", 5000, true, NULL);
    assert_limit("wall_ms", 0, false, "limits.wall_ms is 0, the least is 1.");
    assert_limit("wall_ms", 5001, false, "limits.wall_ms is 5001, the most is 5000.");
    assert_limit("cpu_ms", UINT64_MAX, false, "limits.cpu_ms is 18446744073709551615, the most is 5000.");
    assert_limit("memory_mb", 16, true, NULL);
    assert_limit("memory_mb", 15, false, "limits.memory_mb is 15, the least is 16.");
    assert_limit("memory_mb", 257, false, "limits.memory_mb is 257, the most is 256.");
    assert_limit("output_kb", 1025, false, "limits.output_kb is 1025, the most is 1024.");
    assert_limit("scratch_mb", 0, false, "limits.scratch_mb is 0, the least is 1.");
    assert_limit("scratch_mb", 1, true, NULL);
    assert_limit("scratch_mb", 64, true, NULL);
    assert_limit("scratch_mb", 65, false, "limits.scratch_mb is 65, the most is 64.");
    assert_refused("\"limits\": {\"wall_ms\": -5}", "limits.wall_ms is -5, the least is 1.");
    assert_refused("\"limits\": {\"wall_ms\": 100000000000000000000000000000000000000}",
                   "limits.wall_ms is 100000000000000000000000..., the most is 5000.");
    config.max_wall_ms = 9000;
    assert_limit("wall_ms", 9000, true, NULL);
    assert_limit("wall_ms", 9001, false, "limits.wall_ms is 9001, the most is 9000.");
    assert_limit("cpu_ms", 5001, false, "limits.cpu_ms is 5001, the most is 5000.");
    struct job *job = job_of("\"limits\": {}");
    assert_int_equal(job->limits.wall_ms, 5000); /* more is had by asking only */
    job_unref(job);
    config_init(&config);
}

static void test_limits_that_are_none(void **state) {
    static const char *const values[] = {"1.0", "1e3", "\"5\"", "true", "[1]", "{\"wall_ms\": 1}", "[[[[]]]]"};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char members[64];
        snprintf(members, sizeof members, "\"limits\": {\"wall_ms\": %s}", values[i]);
        assert_refused(members, "limits.wall_ms must be an integer.");
    }
    assert_refused("\"limits\": {\"wal_ms\": 1}", "limits has no \"wal_ms\", it takes wall_ms, cpu_ms, memory_mb, output_kb and scratch_mb.");
    assert_refused("\"limits\": {\"wall_ms\": 1, \"\": null}", "limits has no \"\", it takes wall_ms, cpu_ms, memory_mb, output_kb and scratch_mb.");
    assert_refused("\"limits\": {\"stdout_kb\": 1}", "limits has no \"stdout_kb\", it takes wall_ms, cpu_ms, memory_mb, output_kb and scratch_mb.");
    assert_refused("\"limits\": {\"0123456789012345678901234567890123456789012345678901234567890123456789\": 1}",
                   "limits has no \"012345678901234567890123456789012345678, it takes wall_ms, cpu_ms, memory_mb, output_kb and scratch_mb.");
}

/* As deep as a request may be, and as large as memory: one copy of what counts, none of what does not. */
/* What the body says counts, before what the headers say. */
static void test_who_asks_for_a_stream(void **state) {
    static const struct {
        const char *body;
        bool otherwise, streams;
    } cases[] = {
        {"{\"script\":\"x\"}", false, false},
        {"{\"script\":\"x\"}", true, true},
        {"{\"script\":\"x\",\"stream\":true}", false, true},
        {"{\"script\":\"x\",\"stream\":false}", true, false},
        {"{\"script\":\"x\",\"stream\":false,\"str\\u0065am\":true}", false, true},
    };
    struct request_error error;
    struct job *job;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(request_parse(&config, cases[i].body, strlen(cases[i].body), cases[i].otherwise, &job, &error), 0);
        assert_int_equal(job_streams(job), cases[i].streams);
        assert_int_equal((order_of(job).flags & JOB_STREAM) != 0, cases[i].streams);
        job_unref(job);
    }
    assert_refused("\"stream\": null", "'stream' must be true or false.");
    assert_refused("\"stream\": 1", "'stream' must be true or false.");
}

static void test_deep_and_huge_input(void **state) {
    enum { SIZE = 1 << 20 };
    struct request_error error;
    struct job *job = NULL;
    (void)state;
    char *body = malloc(SIZE + 64);
    assert_non_null(body);
    int head = snprintf(body, 64, "{\"script\":\"x\",\"y\":[[1]],\"input\":\"");
    memset(body + head, 'i', SIZE);
    memcpy(body + head + SIZE, "\"}", 2);
    assert_int_equal(request_parse(&config, body, (size_t)head + SIZE + 2, false, &job, &error), 0);
    assert_int_equal(order_of(job).input_bytes, SIZE + 2);
    assert_int_equal(job_held(job), sizeof(struct frame_header) + sizeof(struct job_order) + 1 + SIZE + 2);
    job_unref(job);
    for (int depth = 63; depth <= 64; depth++) {
        head = snprintf(body, 64, "{\"script\":\"x\",\"input\":");
        memset(body + head, '[', (size_t)depth);
        memset(body + head + depth, ']', (size_t)depth);
        body[head + 2 * depth] = '}';
        assert_int_equal(request_parse(&config, body, (size_t)(head + 2 * depth + 1), false, &job, &error), depth == 63 ? 0 : -EINVAL);
        if (depth == 63)
            job_unref(job);
    }
    assert_non_null(strstr(error.text, "nested too deeply"));
    free(body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_and_outputs),
        cmocka_unit_test(test_json_is_passed_on_as_it_stands),
        cmocka_unit_test(test_null_is_as_good_as_missing),
        cmocka_unit_test(test_the_last_of_duplicates),
        cmocka_unit_test(test_one_way_to_call_main),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_stdin),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_the_bounds_of_limits),
        cmocka_unit_test(test_limits_that_are_none),
        cmocka_unit_test(test_who_asks_for_a_stream),
        cmocka_unit_test(test_deep_and_huge_input),
    };
    config_init(&config);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
