/* server/utf8: what Python's errors="replace" makes of the same bytes, and the escapes of JSON. */
#include "unit.h"

#include "base/utf8.h"

#include <errno.h>

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

static uint64_t add_to_fingerprint(uint64_t hash, const char *bytes, size_t size) {
    struct buf buf;
    buf_init(&buf, 64);
    assert_int_equal(utf8_add_json_string(&buf, bytes, size), 0);
    buf.data[buf.len - 1] = '\n'; /* for the closing mark; the opening one is left out */
    for (size_t i = 1; i < buf.len; i++)
        hash = (hash ^ (unsigned char)buf.data[i]) * 0x100000001b3u;
    buf_done(&buf);
    return hash;
}

/* Every text of one to four bytes out of the ends of all classes of bytes, against FNV-1a over Python's
 *   b"".join(bytes(c).decode("utf-8", "replace").encode() + b"\n" for c in itertools.product(ends, repeat=n))
 */
static void test_all_combinations_as_python_has_them(void **state) {
    static const char ends[] = "\x41\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf"
                               "\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xff";
    static const uint64_t python[] = {0x6c4dcab2a7442053, 0x2929c8f34063770b, 0x3fe3bd66549312c5, 0x3fd8f190b856fd7d};
    enum { ENDS = sizeof ends - 1 };
    size_t combinations = 1;
    (void)state;
    for (size_t size = 1; size <= 4; size++) {
        uint64_t hash = 0xcbf29ce484222325;
        combinations *= ENDS;
        for (size_t i = 0; i < combinations; i++) {
            char bytes[4];
            size_t rest = i;
            for (size_t k = size; k > 0; k--, rest /= ENDS)
                bytes[k - 1] = ends[rest % ENDS];
            hash = add_to_fingerprint(hash, bytes, size);
        }
        assert_true(hash == python[size - 1]);
    }
}

/* The same for all pairs of bytes from 0x80 on, at the end and before a letter. */
static void test_all_pairs_as_python_has_them(void **state) {
    uint64_t alone = 0xcbf29ce484222325, before = alone;
    (void)state;
    for (int first = 0x80; first < 0x100; first++)
        for (int second = 0x80; second < 0x100; second++) {
            const char bytes[] = {(char)first, (char)second, 'z'};
            alone = add_to_fingerprint(alone, bytes, 2);
            before = add_to_fingerprint(before, bytes, 3);
        }
    assert_true(alone == 0x31ac82dcbe11a2a5);
    assert_true(before == 0x13dec74b9082365);
}

static void test_the_maximum_of_the_buffer_holds(void **state) {
    struct buf buf;
    (void)state;
    for (size_t max = 0; max < 12; max++) {
        buf_init(&buf, max);
        assert_int_equal(utf8_add_json_string(&buf, "\n\xff\x01", 3), -EMSGSIZE); /* thirteen bytes */
        assert_true(buf.len <= max);
        buf_done(&buf);
    }
    buf_init(&buf, 13);
    assert_int_equal(utf8_add_json_string(&buf, "\n\xff\x01", 3), 0);
    buf_done(&buf);
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
    assert_int_equal(utf8_sequence("\xf4\x8f\xbf\xbf", 4), 4);
    assert_int_equal(utf8_sequence("\xf4\x8f\xbf", 3), 0);
    assert_int_equal(utf8_sequence("a\xff", 2), 1); /* the first one only */
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

/* Whether some bytes behind these make a whole character of them. */
static bool can_be_completed(const char *bytes, size_t size) {
    static const char more[] = "\x80\x90\xa0"; /* one of them fits behind any beginning */
    char text[4];
    memcpy(text, bytes, size);
    for (size_t a = 0; a < 3; a++)
        for (size_t length = size + 1; length <= 4; length++) {
            memset(text + size, more[0], 4 - size);
            text[size] = more[a];
            if (utf8_sequence(text, length) == length)
                return true;
        }
    return false;
}

static void test_cut_tail_is_what_could_go_on(void **state) {
    static const char ends[] = "A\x80\x8f\x90\x9f\xa0\xbf\xc1\xc2\xdf\xe0\xe1\xed\xef\xf0\xf1\xf4\xf5\xff";
    enum { ENDS = sizeof ends - 1 };
    (void)state;
    for (size_t i = 0; i < ENDS * ENDS * ENDS; i++) {
        const char bytes[] = {ends[i / ENDS / ENDS], ends[i / ENDS % ENDS], ends[i % ENDS]};
        size_t expected = 0;
        for (size_t tail = 1; tail <= 3; tail++)
            if (can_be_completed(bytes + 3 - tail, tail))
                expected = tail;
        assert_int_equal(utf8_cut_tail(bytes, 3), expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),   cmocka_unit_test(test_well_formed_stays),
        cmocka_unit_test(test_ill_formed_becomes_replacements),
        cmocka_unit_test(test_all_combinations_as_python_has_them),
        cmocka_unit_test(test_all_pairs_as_python_has_them),
        cmocka_unit_test(test_the_maximum_of_the_buffer_holds),
        cmocka_unit_test(test_sequences), cmocka_unit_test(test_cut_tail),
        cmocka_unit_test(test_cut_tail_is_what_could_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
