/* server/mcp, tool and origin: messages of JSON-RPC, what is answered, and which pages may ask. */
#include "unit.h"

#include "server/document.h"
#include "server/mcp.h"
#include "server/origin.h"
#include "server/tool.h"

#include <stdlib.h>

static struct config config;

static int begin(void **state) {
    (void)state;
    config_init(&config);
    return 0;
}

#define CALL(arguments) \
    "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/call\", \"params\": {\"name\": \"run_python\", " arguments "}}"

/* In memory of exactly its size, so that a sanitizer sees a read beyond it. */
static int receive(const char *text, char id[MCP_ID + 1], struct json_span *arguments, struct response *response) {
    static char *body;
    size_t size = strlen(text);
    free(body);
    body = malloc(size > 0 ? size : 1);
    assert_non_null(body);
    memcpy(body, text, size);
    *response = (struct response){0};
    return mcp_receive(&config, body, size, id, arguments, response);
}

static void assert_response(struct response *response, unsigned status, const char *words) {
    assert_int_equal(response->status, status);
    if (words == NULL)
        assert_null(response->body);
    else if (response->body == NULL || memmem(response->body, response->size, words, strlen(words)) == NULL)
        fail_msg("%.*s\nis without\n%s", (int)response->size, response->body, words);
    assert_true(response->body == NULL || json_check(response->body, response->size, 100, NULL) == 0);
    free(response->body);
}

static void assert_answer(const char *text, unsigned status, const char *words) {
    struct response response;
    struct json_span arguments;
    char id[MCP_ID + 1];
    int r = receive(text, id, &arguments, &response);
    if (r != 1)
        fail_msg("%s: %d", text, r);
    assert_response(&response, status, words);
}

static void test_ids_go_back_as_they_came(void **state) {
    static const char *const good[] = {"0", "-1", "12345678901234567890123456789", "\"\"", "\"a\"", "\"\\ud800\\/\\u0000\"",
                                       "\"\xc3\xa9 \\\" }\"", "-0"};
    static const char *const bad[] = {"null", "true", "1.0", "1e3", "-1.5", "[1]", "{}", "[]"};
    char text[512], words[512];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(text, sizeof text, "{\"jsonrpc\": \"2.0\", \"id\":%s, \"method\": \"ping\"}", good[i]);
        snprintf(words, sizeof words, "{\"jsonrpc\": \"2.0\", \"id\": %s, \"result\": {}}", good[i]);
        assert_answer(text, 200, words);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, "{\"jsonrpc\": \"2.0\", \"id\": %s, \"method\": \"ping\"}", bad[i]);
        assert_answer(text, 400, "\"id\": null, \"error\": {\"code\": -32600, ");
    }
}

static void test_the_longest_id(void **state) {
    char text[512], id[MCP_ID + 2];
    (void)state;
    memset(id, '7', sizeof id);
    for (int size = MCP_ID - 1; size <= MCP_ID + 1; size++) {
        snprintf(text, sizeof text, "{\"jsonrpc\": \"2.0\", \"id\": %.*s, \"method\": \"ping\"}", size, id);
        assert_answer(text, size <= MCP_ID ? 200 : 400, size <= MCP_ID ? "777, \"result\": {}" : "-32600");
    }
}

static void test_what_is_no_message(void **state) {
    (void)state;
    assert_answer("", 400, "\"id\": null, \"error\": {\"code\": -32700, \"message\": \"Parse error: unexpected end at byte 0.\"}");
    assert_answer("{\"jsonrpc\": \"2.0\"", 400, "-32700");
    assert_answer("{} {}", 400, "-32700");
    assert_answer("[{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"ping\"}]", 400, "-32600");
    assert_answer("[]", 400, "-32600");
    assert_answer("1", 400, "-32600");
    assert_answer("{}", 400, "-32600");
    assert_answer("{\"id\": 1, \"method\": \"ping\"}", 400, "\"id\": 1, \"error\": {\"code\": -32600");
    assert_answer("{\"jsonrpc\": 2.0, \"id\": 1, \"method\": \"ping\"}", 400, "-32600");
    assert_answer("{\"jsonrpc\": \"2\", \"id\": 1, \"method\": \"ping\"}", 400, "-32600");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1}", 400, "-32600");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": [\"ping\"]}", 400, "-32600");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"id\": {}, \"method\": \"ping\"}", 400, "-32600");
}

static void test_what_needs_no_answer(void **state) {
    (void)state;
    assert_answer("{\"jsonrpc\": \"2.0\", \"method\": \"notifications/initialized\"}", 202, NULL);
    assert_answer("{\"jsonrpc\": \"2.0\", \"method\": \"x\", \"params\": 1}", 202, NULL);
    assert_answer("{\"jsonrpc\": \"2.0\", \"method\": \"tools/call\", \"params\": {\"name\": \"run_python\"}}", 202, NULL);
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": {}}", 202, NULL);
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"error\": {}}", 202, NULL);
}

static void test_methods(void **state) {
    (void)state;
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"p\\u0069ng\"}", 200, "\"result\": {}}");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools\\/list\"}", 200, "\"run_python\"");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"x\", \"method\": \"ping\"}", 200, "\"result\": {}}");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"Ping\"}", 200, "-32601");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"\"}", 200, "-32601");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"ping\\u0000\"}", 200, "-32601");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"\\ud800\"}", 200, "-32601");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"ping\", \"params\": []}", 200, "-32602");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/list\", \"params\": {\"cursor\": \"\"}}", 200, "-32602");
}

static void test_versions_are_negotiated(void **state) {
    static const char *const versions[][2] = {
        {"\"2025-11-25\"", "2025-11-25"}, {"\"2025-06-18\"", "2025-06-18"}, {"\"2025-0\\u0036-18\"", "2025-06-18"},
        {"\"2025-03-26\"", "2025-03-26"}, {"\"2026-07-28\"", "2025-11-25"}, {"\"\"", "2025-11-25"},
    };
    char text[256], words[256];
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        snprintf(text, sizeof text, "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"initialize\", \"params\": "
                                    "{\"protocolVersion\": %s}}", versions[i][0]);
        snprintf(words, sizeof words, "\"result\": {\"protocolVersion\": \"%s\", \"capabilities\": {\"tools\": {}}, "
                                      "\"serverInfo\": {\"name\": \"python-executor\", \"version\": \"" PX_VERSION "\"}", versions[i][1]);
        assert_answer(text, 200, words);
    }
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"initialize\"}", 200, "-32602");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"initialize\", \"params\": {\"protocolVersion\": 1}}", 200, "-32602");
}

static void test_calls(void **state) {
    struct response response;
    struct json_span arguments;
    char id[MCP_ID + 1];
    (void)state;
    assert_int_equal(receive(CALL("\"arguments\": {\"script\": [1]}, \"_meta\": {}"), id, &arguments, &response), 0);
    assert_string_equal(id, "1");
    assert_int_equal(arguments.size, 15);
    assert_memory_equal(arguments.data, "{\"script\": [1]}", 15);
    assert_int_equal(response.status, 0);
    assert_int_equal(receive(CALL("\"task\": {}"), id, &arguments, &response), 0);
    assert_memory_equal(arguments.data, "{}", 2);
    assert_answer(CALL("\"arguments\": []"), 200, "-32602");
    assert_answer(CALL("\"arguments\": null"), 200, "-32602");
    assert_answer(CALL("\"name\": \"run_pythons\""), 200, "-32602");
    assert_answer(CALL("\"name\": null"), 200, "-32602");
    assert_answer("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/call\"}", 200, "-32602");
}

static void test_nesting_is_bounded(void **state) {
    struct response response;
    struct json_span arguments;
    char text[256], id[MCP_ID + 1];
    (void)state;
    config.json_depth = 4;
    for (int depth = 3; depth <= 4; depth++) { /* of the array, in the object of the arguments */
        snprintf(text, sizeof text, CALL("\"arguments\": {\"input\": %.*s1%.*s}"), depth, "[[[[", depth, "]]]]");
        int r = receive(text, id, &arguments, &response);
        assert_int_equal(r, depth == 3 ? 0 : 1);
        if (r == 1)
            assert_response(&response, 400, "\"id\": null, \"error\": {\"code\": -32700, \"message\": \"Parse error: nested too deeply");
    }
}

static void assert_headers(const char *origin, const char *version, unsigned status) {
    struct response response = {0};
    assert_int_equal(mcp_check_headers(&config, origin, version, &response), status != 0);
    if (status != 0)
        assert_response(&response, status, "\"id\": null, \"error\": {\"code\": -32000, ");
}

static void test_headers(void **state) {
    (void)state;
    assert_headers(NULL, NULL, 0);
    assert_headers(NULL, "2025-11-25", 0);
    assert_headers("http://localhost", "2025-06-18", 0);
    assert_headers(NULL, "2025-03-26", 0);
    assert_headers(NULL, "2024-11-05", 400);
    assert_headers(NULL, "", 400);
    assert_headers(NULL, "2025-11-25 ", 400);
    assert_headers("http://example.com", "2025-11-25", 403);
    assert_headers("null", NULL, 403);
}

/* Pages of this machine may send, but read only what is shared with them. */
static void test_who_may_read(void **state) {
    static const char listed[] = "https://a.example,app://b";
    static const char *const others[] = {"", "null", "http://localhost", "http://127.0.0.1:80", "https://a.exampl", "*", "https://a.example,app://b"};
    (void)state;
    assert_string_equal(origin_shared_with("https://a.example", listed), "https://a.example");
    assert_string_equal(origin_shared_with("app://b", listed), "app://b");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_null(origin_shared_with(others[i], listed));
        assert_null(origin_shared_with(others[i], ""));
        assert_string_equal(origin_shared_with(others[i], "*"), "*");
    }
}

static void test_origins(void **state) {
    static const char *const good[] = {
        "http://localhost", "https://localhost", "http://localhost:1", "https://127.0.0.1:65535", "http://127.0.0.1",
        "http://[::1]", "http://[::1]:8080", "https://a.example", "app://b", "https://c.example:444",
    };
    static const char *const bad[] = {
        "", "null", "http://", "localhost", "http://localhost.", "http://localhost.evil.com", "http://localhostevil.com",
        "http://localhost:", "http://localhost:80@evil.com", "http://localhost@evil.com", "http://localhost:123456",
        "http://localhost:8080/", "http://localhost/", "http://LOCALHOST", "HTTP://localhost", "http://user@localhost",
        "http://127.0.0.1.evil.com", "http://127.0.0.2", "http://127.1", "http://[::1].evil.com", "http://[::1", "http://::1",
        "http://[::2]", "ftp://localhost", "http:/localhost", "http://evil.com#http://localhost", " http://localhost",
        "http://localhost http://evil.com", "http://localhost,http://localhost", "https://a.example:443",
        "https://a.example.", "https://a.exampl", "http://a.example", "a.example", ",", "https://a.example,app://b",
    };
    static const char listed[] = "https://a.example,app://b,,https://c.example:444";
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!origin_allowed(good[i], listed))
            fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (origin_allowed(bad[i], listed))
            fail_msg("%s is allowed", bad[i]);
    assert_false(origin_allowed("https://a.example", ""));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_true(origin_allowed(bad[i], "*"));
}

static void test_the_description_has_the_numbers_that_hold(void **state) {
    struct buf body;
    (void)state;
    config.wall_ms = 1234;
    config.max_wall_ms = 56789;
    buf_init(&body, 1 << 20);
    assert_int_equal(tool_add_description(&body, &config), 0);
    assert_int_equal(json_check(body.data, body.len, 20, NULL), 0);
    assert_null(memmem(body.data, body.len, "{{", 2));
    assert_non_null(memmem(body.data, body.len, "Limits: 1234 ms of time, 5000 ms of CPU time", 44));
    assert_non_null(memmem(body.data, body.len, "may take, at most 56789.", 24));
    buf_done(&body);
    assert_non_null(strstr(embedded_documents[DOCUMENT_TOOL].text, "{{wall_ms}}"));
}

/* --- Results --- */

static struct job *make_job(bool outputs, enum frame_kind kind, const char *payload, size_t size) {
    struct job_request request = {.script = {"x", 1}, .wants_details = true};
    if (outputs)
        request.outputs = (struct json_span){"[]", 2};
    struct job *job = job_new(&config, &request);
    assert_non_null(job);
    job->verdict = (struct verdict){.ending = ENDING_EXIT};
    job->answer_state = 1;
    job->answer.header = (struct frame_header){kind, (uint32_t)size};
    assert_int_equal(buf_add(&job->answer.payload, payload, size), 0);
    return job;
}

static void print(struct capture *capture, const char *text) {
    assert_int_equal(buf_add_text(&capture->kept, text), 0);
    capture->total += strlen(text);
    capture->passed += strlen(text);
}

static void assert_result(struct job *job, const char *content, const char *words, bool is_error) {
    struct response response;
    char begins[1024];
    job->outcome = judge_outcome(job, 10);
    assert_int_equal(mcp_result(&response, "\"i\"", job), 0);
    assert_string_equal(response.outcome, outcome_name(job->outcome));
    assert_true(response.timing[0] != '\0');
    size_t size = (size_t)snprintf(begins, sizeof begins, "{\"jsonrpc\": \"2.0\", \"id\": \"i\", \"result\": {\"content\": "
                                                          "[%s], \"structuredContent\": {", content);
    if (response.size < size || memcmp(response.body, begins, size) != 0)
        fail_msg("%.*s\ndoes not begin with\n%s", (int)response.size, response.body, begins);
    const char *end = is_error ? ", \"isError\": true}}" : ", \"isError\": false}}";
    assert_memory_equal(response.body + response.size - strlen(end), end, strlen(end));
    assert_response(&response, 200, words);
    job_unref(job);
}

#define TEXT(text) "{\"type\": \"text\", \"text\": \"" text "\"}"

static void test_a_result_and_what_was_printed(void **state) {
    struct job *job = make_job(false, FRAME_RESULT, "{\"a\": \"\\ud800\\n\"}", 17);
    (void)state;
    assert_result(job, TEXT("Result: {\\\"a\\\": \\\"\\\\ud800\\\\n\\\"}"), "{\"result\": {\"a\": \"\\ud800\\n\"}, \"stdout\": \"\"", false);
    job = make_job(false, FRAME_RESULT, "1", 1);
    print(&job->out, "a\"\n");
    print(&job->err, "b\xff");
    job->out.total++;
    assert_result(job, TEXT("Result: 1\\n\\nstdout, the first 1024 KiB:\\na\\\"\\n\\n\\nstderr:\\nb\xef\xbf\xbd"),
                  "\"outcome\": \"ok\"", false);
}

static void test_errors(void **state) {
    static const char told[] = "E: x\0{\"traceback\": \"T\\n  \\\"E\\\": x\\n\", \"hint\": \"H?\"}";
    static const char hostile[] = "E: x\0{\"traceback\": {}, \"hint\": \"H\"}";
    (void)state;
    assert_result(make_job(false, FRAME_EXCEPTION, told, sizeof told - 1), TEXT("T\\n  \\\"E\\\": x\\nHint: H?"),
                  "{\"error\": \"E: x\", ", true);
    assert_result(make_job(false, FRAME_EXCEPTION, hostile, sizeof hostile - 1), TEXT("Error: E: x"), "\"exception\": {", true);
    assert_result(make_job(false, FRAME_EXCEPTION, "\xff\"", 2), TEXT("Error: \xef\xbf\xbd\\\""), "\"outcome\": \"exception\"", true);
    assert_result(make_job(false, FRAME_NO_MAIN, "", 0), TEXT("Error: Function 'main()' not found in script."), "no_main", true);
    struct job *job = make_job(false, FRAME_RESULT, "1", 1);
    job->verdict.ending = ENDING_DEADLINE;
    print(&job->out, "so far");
    assert_result(job, TEXT("Error: Execution failed (timeout)\\n\\nstdout:\\nso far"), "{\"error\": \"Execution failed\", ", true);
}

/* The payload of an answer with outputs: a result, a NUL, a letter. */
static struct job *with_outputs(const char *outputs) {
    char payload[1024];
    int size = snprintf(payload, sizeof payload, "1%c%c%s", '\0', FRAME_ALL, outputs);
    return make_job(true, FRAME_RESULT, payload, (size_t)size);
}

#define IMAGE(type) "{\"type\": \"image\", \"data\": \"AAAA\", \"mimeType\": \"image/" type "\"}"

static void test_images_are_content(void **state) {
    (void)state;
    assert_result(with_outputs("[{\"name\": \"a\", \"size\": 3, \"media_type\": \"image/png\", \"base64\": \"AAAA\"}, "
                               "{\"name\": \"b\", \"size\": 1, \"media_type\": \"text/csv\", \"base64\": \"AA==\"}, "
                               "{\"base64\": \"AAAA\", \"media_type\": \"image\\/webp\", \"content\": 7}]"),
                  TEXT("Result: 1") ", " IMAGE("png") ", " IMAGE("webp"),
                  "\"outputs\": [{\"name\": \"a\", \"size\": 3, \"media_type\": \"image/png\", \"content\": 1}, "
                  "{\"name\": \"b\", \"size\": 1, \"media_type\": \"text/csv\", \"base64\": \"AA==\"}, "
                  "{\"media_type\": \"image\\/webp\", \"content\": 2}]", false);
}

/* A worker's outputs may be any JSON of two levels; nothing but proper images becomes content. */
static void test_hostile_outputs(void **state) {
    static const char *const outputs[] = {
        "[]", "[1, \"x\", null, [], {}]",
        "[{\"media_type\": \"image/png\", \"base64\": \"\"}]",
        "[{\"media_type\": \"image/png\", \"base64\": \"AAA\"}]",
        "[{\"media_type\": \"image/png\", \"base64\": \"AA=A\"}]",
        "[{\"media_type\": \"image/png\", \"base64\": \"AAB=\"}]",
        "[{\"media_type\": \"image/png\", \"base64\": \"A-_A\"}]",
        "[{\"media_type\": \"image/png\", \"base64\": \"\\u0041AAA\"}]",
        "[{\"media_type\": \"image/png\", \"base64\": \"A\\\"AA\"}]",
        "[{\"media_type\": \"image/png\", \"base64\": \" AAA\"}]",
        "[{\"media_type\": \"image/png\", \"base64\": 1}]",
        "[{\"media_type\": \"image/png\", \"truncated\": true}]",
        "[{\"media_type\": \"image/svg+xml\", \"base64\": \"AAAA\"}]",
        "[{\"media_type\": \"image/pngx\", \"base64\": \"AAAA\"}]",
        "[{\"media_type\": 1, \"base64\": \"AAAA\"}]",
        "[{\"base64\": \"AAAA\"}]",
        "[{\"media_type\": \"image/png\", \"media_type\": \"x\", \"base64\": \"AAAA\"}]",
        "null",
    };
    char words[256];
    (void)state;
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        snprintf(words, sizeof words, "\"outputs\": %s, ", outputs[i]);
        assert_result(with_outputs(outputs[i]), TEXT("Result: 1"), words, false);
    }
}

static void test_errors_of_the_tool(void **state) {
    struct response response;
    (void)state;
    assert_int_equal(mcp_tool_error(&response, "7", "a \"b\""), 0);
    assert_response(&response, 200, "{\"jsonrpc\": \"2.0\", \"id\": 7, \"result\": {\"content\": [{\"type\": \"text\", "
                                    "\"text\": \"a \\\"b\\\"\"}], \"isError\": true}}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_ids_go_back_as_they_came, begin),
        cmocka_unit_test_setup(test_the_longest_id, begin),
        cmocka_unit_test_setup(test_what_is_no_message, begin),
        cmocka_unit_test_setup(test_what_needs_no_answer, begin),
        cmocka_unit_test_setup(test_methods, begin),
        cmocka_unit_test_setup(test_versions_are_negotiated, begin),
        cmocka_unit_test_setup(test_calls, begin),
        cmocka_unit_test_setup(test_nesting_is_bounded, begin),
        cmocka_unit_test_setup(test_headers, begin),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_who_may_read),
        cmocka_unit_test_setup(test_the_description_has_the_numbers_that_hold, begin),
        cmocka_unit_test_setup(test_a_result_and_what_was_printed, begin),
        cmocka_unit_test_setup(test_errors, begin),
        cmocka_unit_test_setup(test_images_are_content, begin),
        cmocka_unit_test_setup(test_hostile_outputs, begin),
        cmocka_unit_test_setup(test_errors_of_the_tool, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
