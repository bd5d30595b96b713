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
    "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01", "1.", ".5", "1.e5",
    "1e", "1e+", "0x1", "1_000", "'a'", "\"", "\"a", "\"\\\"", "\"\\x41\"", "\"\\u12\"", "\"\\u12g4\"",
    "\"\\u004\"", "\"\\u 041\"", "\"\\u+041\"", "\"\\U0041\"", "\"\\u\"", "\"\\", "\"a\nb\"", "\"a\tb\"",
    "\"\x01\"", "\"\xff\"", "\"\xc3\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "[", "]",
    "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1}", "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,",
    "{\"a\":1,}", "{a:1}", "{1:2}", "{\"a\" 1}", "{\"a\":1]", "{,}", "[]]", "{}}", "1 2", "[] x",
    "\xef\xbb\xbf[]", "// no\n1", "/**/1", "[1]\v", "[\"a\",\n4,\n1,", "tru", "t", "n", "\"\\ud83d\\",
    "{\"a\":tru}", "[-]", "[1e]", "[\"a\\\"]",
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
static void test_success_says_nothing(void **state) {
    struct json_error error = {99, "untouched"};
    (void)state;
    assert_int_equal(json_check("[1]", 3, 64, &error), 0);
    assert_int_equal(json_members("{}", 2, 64, NULL, NULL, &error), 0);
    assert_int_equal(error.offset, 99);
    assert_string_equal(error.reason, "untouched");
}

static void test_cut_texts(void **state) {
    static const char text[] = "{\"a\": [1.5e3, \"\\u00e9\xc3\xa9\", {\"b\": null}], \"c\": true}";
    (void)state;
    for (size_t size = 0; size < sizeof text - 1; size++)
        assert_int_equal(check(text, size, 64), -EINVAL);
    assert_int_equal(check(text, sizeof text - 1, 64), 0);
}

/* Each byte alone, in a string, and behind a backslash: only the letter of the RFC counts. */
static void test_every_byte_in_three_places(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char alone[] = {(char)byte};
        const char inside[] = {'"', (char)byte, '"'};
        const char escaped[] = {'"', '\\', (char)byte, '"'};
        bool escape = byte != 0 && strchr("\"\\/bfnrt", byte) != NULL;
        bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
        assert_int_equal(check(alone, 1, 64), byte >= '0' && byte <= '9' ? 0 : -EINVAL);
        assert_int_equal(check(inside, 3, 64), plain ? 0 : -EINVAL);
        assert_int_equal(check(escaped, 4, 64), escape ? 0 : -EINVAL);
    }
}

static void test_hexadecimal_digits_in_every_place(void **state) {
    (void)state;
    for (int place = 0; place < 4; place++)
        for (int byte = 0; byte < 256; byte++) {
            char text[] = "\"\\u0000\"";
            bool good = byte != 0 && strchr("0123456789abcdefABCDEF", byte) != NULL;
            text[3 + place] = (char)byte;
            assert_int_equal(check(text, 8, 64), good ? 0 : -EINVAL);
        }
}

static void test_only_four_bytes_are_space(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char around[] = {'[', (char)byte, '1', (char)byte, ']', (char)byte};
        bool space = byte != 0 && strchr(" \t\n\r", byte) != NULL;
        assert_int_equal(check(around, sizeof around, 64), space ? 0 : -EINVAL);
    }
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

static void test_members_cut_at_the_edge(void **state) {
    static const char text[] = "{\"a\": [1, {}], \"\\u0062\": \"\xc3\xa9\", \"c\": -1.5e+3, \"d\": true} ";
    struct json_error error;
    (void)state;
    for (size_t size = 0; size < sizeof text - 2; size++) {
        assert_int_equal(
            json_members(at_the_edge(text, size), size, 64, note, &(struct seen){""}, &error), -EINVAL);
        assert_true(error.offset <= size);
    }
}

static void test_members_count_the_outermost_level(void **state) {
    static const char text[] = "{\"a\":[[1]]}";
    (void)state;
    assert_int_equal(json_members(text, sizeof text - 1, 3, note, &(struct seen){""}, NULL), 0);
    assert_int_equal(json_members(text, sizeof text - 1, 2, note, &(struct seen){""}, NULL), -E2BIG);
    assert_int_equal(json_members("{}", 2, 1, note, NULL, NULL), 0);
    assert_int_equal(json_members("{} {}", 5, 1, note, NULL, NULL), -EINVAL);
    assert_int_equal(json_members("{}}", 3, 1, note, NULL, NULL), -EINVAL);
}

/* What a client reads in the 400. */
static void test_errors_say_where_and_why(void **state) {
    static const struct {
        const char *text;
        size_t offset;
        const char *reason;
    } cases[] = {
        {"", 0, "unexpected end"},          {"[1,", 3, "unexpected end"},
        {"[1 2]", 3, "expected ',' or ']'"}, {"{\"a\":1 2}", 7, "expected ',' or '}'"},
        {"{\"a\" 1}", 5, "expected ':'"},   {"{1:2}", 1, "expected a string"},
        {" x", 1, "unexpected character"},  {"1.", 2, "malformed number"},
        {"\"a\nb\"", 2, "control character in a string"},
        {"\"\\q\"", 2, "unknown escape in a string"},
        {"\"a\xff\"", 2, "not UTF-8"},       {"\"abc", 4, "unfinished string"},
        {"[] ]", 3, "unexpected character behind the end"},
        {"\"\\u12\"", 2, "\\u needs four hexadecimal digits"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_error error = {99, ""};
        assert_int_equal(json_check(cases[i].text, strlen(cases[i].text), 64, &error), -EINVAL);
        assert_string_equal(error.reason, cases[i].reason);
        assert_int_equal(error.offset, cases[i].offset);
    }
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

static void assert_text(const char *string, const char *text, size_t size) {
    struct json_span span = {string, strlen(string)};
    struct buf decoded;
    size_t length = 0;
    buf_init(&decoded, size);
    assert_int_equal(json_text(span, &decoded), 0);
    assert_int_equal(decoded.len, size);
    assert_memory_equal(size > 0 ? decoded.data : "", text, size);
    assert_int_equal(json_text_size(span, &length), 0);
    assert_int_equal(length, size);
    buf_done(&decoded);
}

static void assert_half(const char *string) {
    size_t length = 77;
    assert_int_equal(json_text_size((struct json_span){string, strlen(string)}, &length), -EILSEQ);
    assert_int_equal(length, 77);
}

static void test_what_strings_mean(void **state) {
    (void)state;
    assert_text("\"\"", "", 0);
    assert_text("\"a\\u0000b\"", "a\0b", 3);
    assert_text("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    assert_text("\"\\u0041\\u00e9\\u4E16\\uD83d\\uDe00x\"", "A\xc3\xa9\xe4\xb8\x96\xf0\x9f\x98\x80x", 11);
    assert_text("\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf", 4);
    assert_half("\"\\ud800\"");
    assert_half("\"\\udc00\"");
    assert_half("\"\\ud800\\ud800\"");
    assert_half("\"\\ud800\\n12345\"");
    assert_half("\"\\ud800\\u0041\"");
}

static bool is(const char *string, const char *name) {
    return json_string_is((struct json_span){string, strlen(string)}, name);
}

static void test_names(void **state) {
    (void)state;
    assert_true(is("\"ab_c\"", "ab_c"));
    assert_true(is("\"\\u0061b\\u005F\\u0063\"", "ab_c"));
    assert_false(is("\"ab_\"", "ab_c"));
    assert_false(is("\"ab_cd\"", "ab_c"));
    assert_false(is("\"ab_c\\u0000\"", "ab_c"));
    assert_false(is("\"\\bb_c\"", "bb_c"));
    assert_false(is("\"\\u0161b_c\"", "ab_c"));
    assert_false(is("\"\"", "a"));
    assert_true(is("\"a\\/b-2.0\"", "a/b-2.0"));
    assert_true(is("\"a/b-2.0\"", "a/b-2.0"));
    assert_false(is("\"a\\\\b-2.0\"", "a/b-2.0"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_texts),
        cmocka_unit_test(test_invalid_texts),
        cmocka_unit_test(test_success_says_nothing),
        cmocka_unit_test(test_cut_texts),
        cmocka_unit_test(test_every_byte_in_three_places),
        cmocka_unit_test(test_hexadecimal_digits_in_every_place),
        cmocka_unit_test(test_only_four_bytes_are_space),
        cmocka_unit_test(test_depth_is_exact),
        cmocka_unit_test(test_kinds_of_levels_do_not_mix),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_members_of_what_is_no_object),
        cmocka_unit_test(test_members_cut_at_the_edge),
        cmocka_unit_test(test_members_count_the_outermost_level),
        cmocka_unit_test(test_errors_say_where_and_why),
        cmocka_unit_test(test_a_visitor_can_stop_the_scan),
        cmocka_unit_test(test_what_strings_mean),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, make_room, NULL);
}
