/* server/access: the record of a request, of which every byte may be an attacker's. */
#include "unit.h"

#include "server/access.h"

#include <netinet/in.h>
#include <stdlib.h>

static void begin(struct access *access, const char *method, const char *path, const char *id) {
    static struct access_ids ids;
    access_begin(access, &ids, method, path, id, NULL, NULL);
}

static void test_a_sane_id_is_taken(void **state) {
    static char longest[ACCESS_ID + 2];
    static const char *const sane[] = {"a", "0af7651916cd43dd8448eb211c80319c", "01890c7e-1c2d-7e00-8000-000000000000", "a.b_c~d:e=f+g/h@i-",
                                       longest};
    static const char *const insane[] = {"", " ", "a b", "a\n", "a\"", "a\\", "a\t", "\xc3\xa4", "\x80", "a;b", "a,b", "<a>", "a%0a", "\x7f"};
    struct access access;
    (void)state;
    memset(longest, 'x', ACCESS_ID);
    for (size_t i = 0; i < sizeof sane / sizeof sane[0]; i++) {
        begin(&access, "GET", "/", sane[i]);
        assert_string_equal(access.id, sane[i]);
    }
    for (size_t i = 0; i < sizeof insane / sizeof insane[0]; i++) {
        begin(&access, "GET", "/", insane[i]);
        assert_int_equal(strlen(access.id), 32);
        assert_string_not_equal(access.id, insane[i]);
    }
    longest[ACCESS_ID] = 'x';
    begin(&access, "GET", "/", longest);
    assert_int_equal(strlen(access.id), 32);
}

static int compare(const void *a, const void *b) {
    return strcmp(a, b);
}

static void test_made_ids_are_all_different(void **state) {
    enum { COUNT = 10000 };
    static char ids[COUNT][ACCESS_ID + 1];
    struct access access;
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        begin(&access, "GET", "/", NULL);
        memcpy(ids[i], access.id, sizeof ids[i]);
        assert_int_equal(strspn(ids[i], "0123456789abcdef"), 32);
        assert_int_equal(strlen(ids[i]), 32);
        assert_true(access_id_is_sane(ids[i]));
    }
    qsort(ids, COUNT, sizeof ids[0], compare);
    for (size_t i = 1; i < COUNT; i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
}

static void test_what_a_client_chose_is_escaped(void **state) {
    static const struct {
        const char *path, *kept;
    } cases[] = {
        {"/execute", "/execute"},
        {"/a b", "/a%20b"},
        {"/\r\nserver: forged", "/%0D%0Aserver:%20forged"},
        {"/\"\\%", "/%22%5C%25"},
        {"/\x1b[2J\x7f", "/%1B[2J%7F"},
        {"/\xc3\xa4\xff\xc2\x9b", "/%C3%A4%FF%C2%9B"},
        {"", ""},
    };
    struct access access;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(&access, "GET", cases[i].path, NULL);
        assert_string_equal(access.path, cases[i].kept);
    }
    begin(&access, "G\nT", "/", NULL);
    assert_string_equal(access.method, "G%0AT");
}

static void test_what_is_too_long_ends_in_dots(void **state) {
    char text[1000];
    struct access access;
    (void)state;
    for (int c = 'a'; c >= '\n'; c -= 'a' - '\n') {
        memset(text, c, sizeof text - 1);
        text[sizeof text - 1] = '\0';
        begin(&access, text, text, NULL);
        access_set_key(&access, text);
        const char *const kept[] = {access.method, access.path, access.key};
        const size_t most[] = {ACCESS_METHOD, ACCESS_PATH, ACCESS_KEY};
        for (size_t i = 0; i < 3; i++) {
            assert_in_range(strlen(kept[i]), most[i] - 5, most[i]);
            assert_string_equal(kept[i] + strlen(kept[i]) - 3, "...");
        }
    }
}

static void test_a_job_as_far_as_it_has_gone(void **state) {
    struct access access;
    struct job job = {.admitted_us = 1000, .started_us = 3000, .finished_us = 10000, .stage = JOB_FINISHED, .outcome = OUTCOME_TIMEOUT,
                      .verdict = {.wall_us = 7000}};
    (void)state;
    begin(&access, "POST", "/execute", NULL);
    access_note_job(&access, &job);
    assert_string_equal(access.outcome, "timeout");
    assert_int_equal(access.queue_us, 2000);
    assert_int_equal(access.run_us, 7000);
    job.stage = JOB_RUNNING;
    job.finished_us = 0;
    access_note_job(&access, &job);
    assert_string_equal(access.outcome, "cancelled");
    assert_int_equal(access.queue_us, 2000);
    assert_true(access.run_us > 7000);
    job.stage = JOB_WAITING;
    job.started_us = 0;
    access_note_job(&access, &job);
    assert_true(access.queue_us > 2000);
    assert_int_equal(access.run_us, 0);
}

/* --- Its line --- */

static const char *line_of(const struct access *access, const char *format, const char *project) {
    static char text[LINE_BYTES + 1];
    static struct line line;
    log_start("server", "info", format);
    access_make_line(access, project, &line);
    memcpy(text, line.data, line.len);
    text[line.len] = '\0';
    assert_ptr_equal(strchr(text, '\n'), text + line.len - 1);
    return text;
}

static void expect(const char *line, const char *words) {
    /* Shows both where it is not in there. */
    assert_string_equal(strstr(line, words) != NULL ? words : line, words);
}

static void fill(struct access *access) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    static struct access_ids ids;
    access_begin(access, &ids, "POST", "/execute", "id-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", NULL);
    access_set_client(access, (const struct sockaddr *)&address);
    access_set_key(access, "ann");
    access->status = 200;
    access->outcome = "ok";
    access->ran = true;
    access->queue_us = 1500;
    access->run_us = 12034;
    access->received = 40;
    access->sent = 50;
}

static void test_a_line_of_json(void **state) {
    struct access access;
    (void)state;
    fill(&access);
    const char *line = line_of(&access, "json", "my-project");
    expect(line, "\"severity\":\"INFO\",\"component\":\"server\",");
    expect(line, "\"message\":\"POST /execute 200 ok ");
    expect(line, ",\"request_id\":\"id-1\",\"httpRequest\":{\"requestMethod\":\"POST\",\"requestUrl\":\"/execute\",\"status\":200,"
                 "\"requestSize\":\"40\",\"responseSize\":\"50\",\"latency\":\"");
    expect(line, "s\",\"remoteIp\":\"::1\"},\"outcome\":\"ok\",\"queue_ms\":1.500,\"run_ms\":12.034,\"total_ms\":");
    expect(line, ",\"key\":\"ann\",\"logging.googleapis.com/trace\":\"projects/my-project/traces/0af7651916cd43dd8448eb211c80319c\","
                 "\"logging.googleapis.com/spanId\":\"b7ad6b7169203331\",\"logging.googleapis.com/trace_sampled\":true}\n");
    line = line_of(&access, "json", "");
    expect(line, "\"logging.googleapis.com/trace\":\"0af7651916cd43dd8448eb211c80319c\"");
    access.aborted = true;
    access.status = 0;
    line = line_of(&access, "json", "");
    expect(line, "\"status\":499,");
    expect(line, ",\"aborted\":true,");
}

static void test_a_line_of_text(void **state) {
    struct access access;
    (void)state;
    fill(&access);
    const char *line = line_of(&access, "text", "");
    int end = 0;
    sscanf(line, "server: %*4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ POST /execute 200 ok %*d.%*d ms %n", &end);
    assert_string_equal(line + end, "(queue 1.500, run 12.034), 40 B in, 50 B out, from ::1, id id-1, key ann, "
                                    "trace 0af7651916cd43dd8448eb211c80319c\n");
}

static void test_what_is_not_there_is_left_out(void **state) {
    static const char *const absent[] = {"outcome", "queue", "run_ms", "key", "trace", "remoteIp", "aborted", "script"};
    struct access access;
    (void)state;
    begin(&access, "GET", "/", "x");
    access.status = 404;
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_null(strstr(line_of(&access, "json", "p"), absent[i]));
}

static void test_a_script_where_it_is_asked_for(void **state) {
    static char text[5000];
    struct access access;
    (void)state;
    fill(&access);
    memset(text, '\x01', sizeof text);
    memcpy(text, "print(\"a\")\n\xff", 12);
    access_keep_script(&access, (struct json_span){text, 12});
    expect(line_of(&access, "json", ""), ",\"script\":\"print(\\\"a\\\")\\n\\ufffd\"}\n");
    expect(line_of(&access, "text", ""), ", script \"print(\\\"a\\\")\\n\\ufffd\"\n");
    access_done(&access);
    access_keep_script(&access, (struct json_span){text, sizeof text});
    assert_int_equal(access.script_size, ACCESS_SCRIPT);
    const char *line = line_of(&access, "json", "");
    expect(line, "...\"}\n");
    expect(line, "\"logging.googleapis.com/trace_sampled\":true");
    access_done(&access);
    access_done(&access);
}

static void test_severities(void **state) {
    static const struct {
        unsigned status;
        const char *outcome;
        enum log_level level;
    } cases[] = {
        {200, "ok", LOG_LEVEL_INFO},      {400, NULL, LOG_LEVEL_INFO},      {500, "timeout", LOG_LEVEL_INFO},
        {500, "lost", LOG_LEVEL_ERROR},   {200, "lost", LOG_LEVEL_ERROR},   {500, NULL, LOG_LEVEL_ERROR},
        {503, NULL, LOG_LEVEL_WARNING},   {429, NULL, LOG_LEVEL_WARNING},   {0, "cancelled", LOG_LEVEL_INFO},
        {404, NULL, LOG_LEVEL_INFO},      {200, NULL, LOG_LEVEL_INFO},      {0, NULL, LOG_LEVEL_INFO},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct access access = {.status = cases[i].status, .outcome = cases[i].outcome};
        assert_int_equal(access_level(&access), cases[i].level);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sane_id_is_taken),
        cmocka_unit_test(test_made_ids_are_all_different),
        cmocka_unit_test(test_what_a_client_chose_is_escaped),
        cmocka_unit_test(test_what_is_too_long_ends_in_dots),
        cmocka_unit_test(test_a_job_as_far_as_it_has_gone),
        cmocka_unit_test(test_a_line_of_json),
        cmocka_unit_test(test_a_line_of_text),
        cmocka_unit_test(test_what_is_not_there_is_left_out),
        cmocka_unit_test(test_a_script_where_it_is_asked_for),
        cmocka_unit_test(test_severities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
