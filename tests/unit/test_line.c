/* base/line: whatever goes in, what comes out is one line of ASCII, bounded, and JSON where it says so. */
#include "unit.h"

#include "base/line.h"

#include <stdlib.h>

static char text[LINE_BYTES + 1];

static const char *ended(struct line *line, unsigned objects) {
    line_end(line, objects);
    assert_in_range(line->len, 1, LINE_BYTES);
    memcpy(text, line->data, line->len);
    text[line->len] = '\0';
    for (size_t i = 0; i < line->len - 1; i++)
        assert_in_range(text[i], ' ', '~');
    assert_int_equal(text[line->len - 1], '\n');
    return text;
}

static void test_members(void **state) {
    struct line line;
    (void)state;
    line_begin(&line);
    line_open(&line, NULL);
    line_add(&line, "a", "b");
    line_add_value(&line, "n", "%d", 7);
    line_open(&line, "o");
    line_add_value(&line, "t", "%s", "true");
    line_close(&line);
    line_add_bytes(&line, "z", "x\0y", 3);
    assert_string_equal(ended(&line, 1), "{\"a\":\"b\",\"n\":7,\"o\":{\"t\":true},\"z\":\"x\\u0000y\"}\n");
}

static void test_escapes(void **state) {
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"plain ~ text", "plain ~ text"},
        {"\"\\\n\r\t", "\\\"\\\\\\n\\r\\t"},
        {"\x01\x1b\x7f", "\\u0001\\u001b\\u007f"},
        {"\xc3\xa4\xe2\x82\xac", "\\u00e4\\u20ac"},
        {"\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf", "\\ud83d\\ude00\\udbff\\udfff"},
        {"\xc2\x9b\xe2\x80\xae\xe2\x80\xa8", "\\u009b\\u202e\\u2028"}, /* what terminals obey, and what turns text round */
        {"\xff\xc0\x80\xed\xa0\x80\xc3", "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\xe2\x82x", "\\ufffd\\ufffdx"},
    };
    struct line line;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[256];
        line_begin(&line);
        line_add_escaped(&line, cases[i].in, strlen(cases[i].in));
        snprintf(expected, sizeof expected, "%s\n", cases[i].out);
        assert_string_equal(ended(&line, 0), expected);
    }
}

/* Every size around the end, of what grows and of what does not: never beyond it, and JSON all the same. */
static void test_a_value_too_many(void **state) {
    static const char fills[] = {'a', '\n', '\x01', '\xff'};
    static char long_text[2 * LINE_BYTES];
    (void)state;
    for (size_t f = 0; f < sizeof fills; f++) {
        memset(long_text, fills[f], sizeof long_text);
        for (size_t size = 0; size < sizeof long_text; size += size < 600 || size > 3900 ? 1 : 37) {
            struct line line;
            line_begin(&line);
            line_open(&line, NULL);
            line_add_bytes(&line, "first", long_text, size);
            line_add_value(&line, "number", "%llu", ~0ull);
            line_open(&line, "httpRequest");
            line_add_bytes(&line, "second", long_text, size);
            line_add_value(&line, "number", "%llu", ~0ull);
            line_close(&line);
            line_add_bytes(&line, "third", long_text, size % 8);
            const char *out = ended(&line, 1);
            size_t quotes = 0, braces = 0;
            for (const char *c = out; *c != '\0'; c++) {
                c += *c == '\\' ? 1 : 0;
                quotes += *c == '"';
                braces += *c == '{' ? 1 : *c == '}' ? (size_t)-1 : 0;
            }
            assert_int_equal(quotes % 2, 0);
            assert_int_equal(braces, 0);
            assert_null(strstr(out, ":,"));
            assert_null(strstr(out, ":}"));
            assert_null(strstr(out, "{,"));
        }
    }
}

static void test_text_that_does_not_fit(void **state) {
    struct line line;
    (void)state;
    line_begin(&line);
    for (int i = 0; i < 1000; i++)
        line_add_format(&line, "%s", "0123456789");
    line_add_escaped(&line, "abc", 3);
    const char *out = ended(&line, 0);
    assert_in_range(strlen(out), LINE_BYTES - 120, LINE_BYTES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_a_value_too_many),
        cmocka_unit_test(test_text_that_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
