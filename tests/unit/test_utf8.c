/* server/utf8: what Python's errors="replace" makes of the same bytes, and the escapes of JSON. */
#include "unit.h"

#include "server/utf8.h"

static void assert_string(const char *bytes, size_t size, const char *expected) {
    struct buf buf;
    buf_init(&buf, 4096);
    assert_int_equal(utf8_add_json_string(&buf, bytes, size), 0);
    assert_int_equal(buf.len, strlen(expected));
    assert_memory_equal(buf.data, expected, buf.len);
    buf_done(&buf);
}

#define FFFD "\xef\xbf\xbd"
#define CASE(bytes, expected) assert_string(bytes, sizeof(bytes) - 1, "\"" expected "\"")

static void test_escapes(void **state) {
    (void)state;
    CASE("", "");
    CASE("plain", "plain");
    CASE("a\"b\\c/", "a\\\"b\\\\c/");
    CASE("\n\r\t\b\f", "\\n\\r\\t\\u0008\\u000c");
    CASE("a\0b\x1f\x7f", "a\\u0000b\\u001f\x7f");
}

static void test_well_formed_stays(void **state) {
    (void)state;
    CASE("h\xc3\xa9llo \xe4\xb8\x96 \xf0\x9f\x98\x80", "h\xc3\xa9llo \xe4\xb8\x96 \xf0\x9f\x98\x80");
    CASE("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf");
}

/* The expected texts are what Python 3.11 answers to bytes.decode("utf-8", "replace"). */
static void test_ill_formed_becomes_replacements(void **state) {
    (void)state;
    CASE("\xff\xfe", FFFD FFFD);
    CASE("a\x80z", "a" FFFD "z");
    CASE("\xc3", FFFD);
    CASE("\xc3z", FFFD "z");
    CASE("\xc0\xaf", FFFD FFFD);
    CASE("\xe4\xb8", FFFD);
    CASE("\xe4\xb8z", FFFD "z");
    CASE("\xe0\x80\x80", FFFD FFFD FFFD);
    CASE("\xed\xa0\x80", FFFD FFFD FFFD);
    CASE("\xf0\x9f\x98", FFFD);
    CASE("\xf0\x9f\x98z", FFFD "z");
    CASE("\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD);
    CASE("\xf8\x88\x80\x80\x80", FFFD FFFD FFFD FFFD FFFD);
    CASE("\xe4\xb8\xc3\xa9", FFFD "\xc3\xa9");
}

static void test_sequences(void **state) {
    (void)state;
    for (int first = 0; first < 256; first++)
        for (int second = 0; second < 256; second++) {
            const char pair[] = {(char)first, (char)second};
            size_t expected = first < 0x80 ? 1 : first >= 0xc2 && first <= 0xdf && second >= 0x80 && second <= 0xbf ? 2 : 0;
            assert_int_equal(utf8_sequence(pair, 2), expected);
        }
    assert_int_equal(utf8_sequence("\xe4\xb8\x96", 3), 3);
    assert_int_equal(utf8_sequence("\xe4\xb8\x96", 2), 0);
    assert_int_equal(utf8_sequence("", 0), 0);
}

static void test_cut_tail(void **state) {
    (void)state;
    assert_int_equal(utf8_cut_tail("", 0), 0);
    assert_int_equal(utf8_cut_tail("abc", 3), 0);
    assert_int_equal(utf8_cut_tail("a\xc3\xa9", 3), 0);
    assert_int_equal(utf8_cut_tail("a\xc3", 2), 1);
    assert_int_equal(utf8_cut_tail("\xf0\x9f\x98\x80", 4), 0);
    assert_int_equal(utf8_cut_tail("\xf0\x9f\x98", 3), 3);
    assert_int_equal(utf8_cut_tail("\xe0\x80", 2), 0); /* not the beginning of anything */
    assert_int_equal(utf8_cut_tail("\x80\x80\x80\x80", 4), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),   cmocka_unit_test(test_well_formed_stays),
        cmocka_unit_test(test_ill_formed_becomes_replacements),
        cmocka_unit_test(test_sequences), cmocka_unit_test(test_cut_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
