/* server/framing: the end of a body, as its headers say it. */
#include "unit.h"

#include "server/framing.h"

struct header {
    const char *name, *value;
};

static bool is_clear(const char *version, const struct header *headers, size_t count) {
    struct framing framing = {0};
    for (size_t i = 0; i < count; i++)
        framing_add(&framing, headers[i].name, headers[i].value);
    return framing_is_clear(&framing, version);
}

static void test_what_can_be_read_in_one_way(void **state) {
    static const struct header rows[][2] = {
        {{"Host", "x"}, {"Accept", "a b\tc"}},
        {{"Content-Length", "0"}, {"Host", "x"}},
        {{"content-LENGTH", "16777216"}, {"X-Content-Length", "5"}},
        {{"Transfer-Encoding", "chunked"}, {"TE", "gzip"}},
        {{"transfer-encoding", "Chunked"}, {"X-Empty", NULL}},
        {{"Host", "x"}, {"X-Empty", ""}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(is_clear("HTTP/1.1", rows[i], 2));
    assert_true(is_clear("HTTP/1.0", rows[1], 2));
    assert_true(is_clear("HTTP/1.1", NULL, 0));
}

static void test_what_can_be_read_in_two(void **state) {
    static const struct header rows[][2] = {
        {{"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}},
        {{"Transfer-Encoding", "chunked"}, {"content-length", "5"}},
        {{"Content-Length", "5"}, {"Content-Length", "6"}},
        {{"Content-Length", "5"}, {"Content-Length", "5"}},
        {{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}},
        {{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "identity"}},
        {{"Host", "x"}, {"Content-Length", "5, 5"}},
        {{"Host", "x"}, {"Content-Length", "+5"}},
        {{"Host", "x"}, {"Content-Length", "0x5"}},
        {{"Host", "x"}, {"Content-Length", ""}},
        {{"Host", "x"}, {"Content-Length", NULL}},
        {{"Host", "x"}, {"Transfer-Encoding", "gzip"}},
        {{"Host", "x"}, {"Transfer-Encoding", "gzip, chunked"}},
        {{"Host", "x"}, {"Transfer-Encoding", "xchunked"}},
        {{"Host", "x"}, {"Transfer-Encoding", NULL}},
        {{"Host", "x"}, {"Content-Length ", "5"}},
        {{"Host", "x"}, {"Transfer-Encoding\t", "chunked"}},
        {{"Host", "x"}, {" Content-Length", "5"}},
        {{"Host", "x"}, {"", "5"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_false(is_clear("HTTP/1.1", rows[i], 2));
    assert_false(is_clear("HTTP/1.0", (struct header[]){{"Transfer-Encoding", "chunked"}}, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_can_be_read_in_one_way),
        cmocka_unit_test(test_what_can_be_read_in_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
