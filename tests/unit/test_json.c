/* server/json: strict RFC 8259 on hostile bytes. Every text is put right before a page that cannot be
 * read, so that a look beyond its end is a crash. */
#include "unit.h"

#include "server/json.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

enum { PAGE = 4096, ROOM = 64 * PAGE };

static char *room_end; /* the first byte that cannot be read */

static int make_room(void **state) {
    char *room = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    if (room == MAP_FAILED || mprotect(room + ROOM, PAGE, PROT_NONE) < 0)
        return -1;
    room_end = room + ROOM;
    return 0;
}

static const char *at_the_edge(const char *text, size_t size) {
    memcpy(room_end - size, text, size);
    return room_end - size;
}

static int check(const char *text, size_t size, size_t depth) {
    return json_check(at_the_edge(text, size), size, depth, NULL);
}

static const char *const valid[] = {
    "null", "true", "false", "0", "-0", "1", "-1", "10", "1.5", "-0.0", "1e5", "1E+5", "1e-5", "0.1e1",
    "123456789012345678901234567890", "\"\"", "\"a\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0041\"", "\"\\ud83d\\ude00\"",
    "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\\u0000\"", "\"\x7f\"", "\"\xc3\xa9\"", "\"\xf0\x9f\x98\x80\"", "[]", "[ ]", "{}",
    "{ }", "[1,2]", " [ 1 , 2 ] ", "[[],[[]],{}]", "{\"a\":1}", "{\"a\":{\"b\":[1,{\"c\":null}]}}", "{\"a\":1,\"a\":2}",
    "{\"\":0}", "\t\n\r 1 \n", "[[[[[\"x\"]]]]]", "[{},[],{\"k\":[]}]",
};

static const char *const invalid[] = {
    "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01", "1.", ".5", "1.e5", "1e",
    "1e+", "0x1", "1_000", "'a'", "\"", "\"a", "\"\\\"", "\"\\x41\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u\"", "\"\\", "\"a\nb\"",
    "\"a\tb\"", "\"\x01\"", "\"\xff\"", "\"\xc3\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "[", "]", "[1",
    "[1,", "[1,]", "[,1]", "[1 2]", "[1}", "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:2}",
    "{\"a\" 1}", "{\"a\":1]", "{,}", "[]]", "{}}", "1 2", "[] x", "\xef\xbb\xbf[]", "// no\n1", "/**/1", "[1]\v", "[\"a\",\n4,\n1,",
    "tru", "t", "n", "\"\\ud83d\\", "{\"a\":tru}", "[-]", "[1e]", "[\"a\\\"]",
};

static void test_valid_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++)
        if (check(valid[i], strlen(valid[i]), 64) != 0)
            fail_msg("refused: %s", valid[i]);
}

static void test_invalid_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++)
        if (check(invalid[i], strlen(invalid[i]), 64) != -EINVAL)
            fail_msg("taken: %s", invalid[i]);
    assert_int_equal(check("1\0", 2, 64), -EINVAL);
    assert_int_equal(check("\"a\0b\"", 5, 64), -EINVAL);
    assert_int_equal(check("[\0]", 3, 64), -EINVAL);
}

/* Every beginning of a valid text is invalid, unless it is a whole number. */
static void test_cut_texts(void **state) {
    static const char text[] = "{\"a\": [1.5e3, \"\\u00e9\xc3\xa9\", {\"b\": null}], \"c\": true}";
    (void)state;
    for (size_t size = 0; size < sizeof text - 1; size++)
        assert_int_equal(check(text, size, 64), -EINVAL);
    assert_int_equal(check(text, sizeof text - 1, 64), 0);
}

static int check_nested(char open, char close, size_t levels, size_t max) {
    static char text[ROOM];
    memset(text, open, levels);
    memset(text + levels, close, levels);
    return check(text, 2 * levels, max);
}

static void test_depth_is_exact(void **state) {
    (void)state;
    assert_int_equal(check_nested('[', ']', 64, 64), 0);
    assert_int_equal(check_nested('[', ']', 65, 64), -E2BIG);
    assert_int_equal(check_nested('[', ']', 1, 1), 0);
    assert_int_equal(check("1", 1, 1), 0);
    assert_int_equal(check_nested('[', ']', JSON_MAX_DEPTH, JSON_MAX_DEPTH), 0);
    assert_int_equal(check_nested('[', ']', JSON_MAX_DEPTH + 1, SIZE_MAX), -E2BIG);
    assert_int_equal(check_nested('[', ']', 100000, 64), -E2BIG);
    assert_int_equal(check("{\"a\":{\"b\":{}}}", 14, 3), 0);
    assert_int_equal(check("{\"a\":{\"b\":{}}}", 14, 2), -E2BIG);
}

/* Levels of both kinds, opened and closed over and over: the bits of one must not stay for another. */
static void test_kinds_of_levels_do_not_mix(void **state) {
    (void)state;
    assert_int_equal(check("[{\"a\":[]},[{\"b\":1}],{}]", 23, 8), 0);
    assert_int_equal(check("[{\"a\":[}]]", 10, 8), -EINVAL);
    assert_int_equal(check("[[1],{\"a\":2},[3]]", 17, 8), 0);
    assert_int_equal(check("{\"a\":[1,2],\"b\"}", 15, 8), -EINVAL);
}

struct seen {
    char text[256];
};

static int note(struct json_span key, struct json_span value, void *context) {
    struct seen *seen = context;
    size_t length = strlen(seen->text);
    snprintf(seen->text + length, sizeof seen->text - length, "%.*s=%.*s;", (int)key.size, key.data,
             (int)value.size, value.data);
    return 0;
}

static void test_members(void **state) {
    static const char text[] = " {\"a\" : [1, {\"x\": 2}] , \"\\u0062\":\"c\",\"a\":1.50}";
    struct seen seen = {""};
    struct json_error error;
    (void)state;
    assert_int_equal(json_members(at_the_edge(text, sizeof text - 1), sizeof text - 1, 64, note, &seen, &error), 0);
    assert_string_equal(seen.text, "\"a\"=[1, {\"x\": 2}];\"\\u0062\"=\"c\";\"a\"=1.50;");
}

static void test_members_of_what_is_no_object(void **state) {
    static const char *const others[] = {"1", "[]", "\"a\"", "null", "[\"script\"]"};
    struct json_error error;
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(json_members(others[i], strlen(others[i]), 64, note, NULL, &error), -EINVAL);
        assert_string_equal(error.reason, "not an object");
    }
    assert_int_equal(json_members("{\"a\":x}", 7, 64, note, &(struct seen){""}, &error), -EINVAL);
    assert_int_equal(error.offset, 5);
}

static int refuse(struct json_span key, struct json_span value, void *context) {
    (void)key;
    (void)value;
    (void)context;
    return -ENOMEM;
}

static void test_a_visitor_can_stop_the_scan(void **state) {
    (void)state;
    assert_int_equal(json_members("{\"a\":1}", 7, 64, refuse, NULL, NULL), -ENOMEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_texts),
        cmocka_unit_test(test_invalid_texts),
        cmocka_unit_test(test_cut_texts),
        cmocka_unit_test(test_depth_is_exact),
        cmocka_unit_test(test_kinds_of_levels_do_not_mix),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_members_of_what_is_no_object),
        cmocka_unit_test(test_a_visitor_can_stop_the_scan),
    };
    return cmocka_run_group_tests(tests, make_room, NULL);
}
