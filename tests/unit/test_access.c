/* server/access: the record of a request, of which every byte may be an attacker's. */
#include "unit.h"

#include "server/access.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sane_id_is_taken),
        cmocka_unit_test(test_made_ids_are_all_different),
        cmocka_unit_test(test_what_a_client_chose_is_escaped),
        cmocka_unit_test(test_what_is_too_long_ends_in_dots),
        cmocka_unit_test(test_a_job_as_far_as_it_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
