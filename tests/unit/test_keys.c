/* cli/keys: the lines of a file of keys. */
#include "unit.h"

#include "cli/keys.h"
#include "wire/message.h"

#include "base/fd.h"

#include <errno.h>
#include <stdlib.h>

#define HEX "0123456789abcdefABCDEF00112233445566778899aabbccddeeff00112233ff"
#define HASH "sha256:" HEX

static struct key list[KEYS_MAX];

static int parse(const char *text, size_t *ret_count, struct failure *ret_failure) {
    return keys_parse(text, strlen(text), list, ret_count, ret_failure);
}

static void test_lines(void **state) {
    size_t count = 99;
    struct failure failure;
    (void)state;
    assert_int_equal(parse("", &count, &failure), 0);
    assert_int_equal(count, 0);
    assert_int_equal(parse("# who may call\n\n  \t\r\n   # indented\n"
                           "alice " HASH "\r\n"
                           "\tb.o_b-2 sha256:0123456789abcdefABCDEF00112233445566778899aabbccddeeff00112233fe  "
                           "concurrent=4 rate=100/min burst=7 # for the nightly job\n"
                           "3 sha256:0123456789abcdefABCDEF00112233445566778899aabbccddeeff00112233fd rate=20/s\n"
                           "x sha256:0123456789abcdefABCDEF00112233445566778899aabbccddeeff00112233fc burst=1 rate=1/s concurrent=0",
                           &count, &failure), 0);
    assert_int_equal(count, 4);
    assert_string_equal(list[0].name, "alice");
    assert_int_equal(list[0].interval_ns, 0);
    assert_true(list[0].concurrent == KEY_ANY);
    assert_int_equal(list[0].digest[0], 0x01);
    assert_int_equal(list[0].digest[8], 0xab);
    assert_int_equal(list[0].digest[31], 0xff);
    assert_string_equal(list[1].name, "b.o_b-2");
    assert_int_equal(list[1].interval_ns, 600000000);
    assert_int_equal(list[1].burst, 7);
    assert_int_equal(list[1].concurrent, 4);
    assert_int_equal(list[2].interval_ns, 50000000);
    assert_int_equal(list[2].burst, 20);
    assert_int_equal(list[3].interval_ns, 1000000000);
    assert_int_equal(list[3].burst, 1);
    assert_int_equal(list[3].concurrent, 0);
}

static void test_what_is_wrong(void **state) {
    static const char *const rows[] = {
        "alice",
        "alice pxk_6e1b",
        "alice " HEX,
        "alice sha256:",
        "alice sha256:" HEX "0",
        "alice sha256:0123456789abcdefABCDEF00112233445566778899aabbccddeeff00112233f",
        "alice sha256:g123456789abcdefABCDEF00112233445566778899aabbccddeeff00112233ff",
        "alice SHA256:" HEX,
        "a/b " HASH,
        "-a " HASH,
        ".a " HASH,
        "\"a\" " HASH,
        "al\xc3\xad" "ce " HASH,
        "abcdefghijklmnopqrstuvwxyz0123456 " HASH,
        "alice " HASH " rate=0/s",
        "alice " HASH " rate=10",
        "alice " HASH " rate=10/h",
        "alice " HASH " rate=/s",
        "alice " HASH " rate=100001/s",
        "alice " HASH " rate=99999999999999999999999/s",
        "alice " HASH " rate=-1/s",
        "alice " HASH " rate=1/s rate=2/s",
        "alice " HASH " burst=5",
        "alice " HASH " rate=1/s burst=0",
        "alice " HASH " rate=1/s burst=x",
        "alice " HASH " concurrent=",
        "alice " HASH " concurrent=1x",
        "alice " HASH " concurrent=1000001",
        "alice " HASH " concurrent=1 concurrent=1",
        "alice " HASH " speed=1",
        "alice " HASH " alice",
        "first " HASH,
        "alice sha256:0000000000000000000000000000000000000000000000000000000000000000",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const char before[] = "# two lines before\nalice sha256:0000000000000000000000000000000000000000000000000000000000000000\n";
        char text[1000];
        size_t count = 99;
        struct failure failure;
        snprintf(text, sizeof text, "%s%s%s\n", strncmp(rows[i], "first", 5) == 0 ? "alice " HASH "\n\n" : before, rows[i],
                 "\nlast " HASH);
        assert_int_equal(parse(text, &count, &failure), -EINVAL);
        assert_int_equal(count, 99);
        assert_non_null(strstr(failure.text, "line 3: "));
        assert_null(strstr(failure.text, "pxk_")); /* the secret in the wrong place goes into no log */
    }
}

static void test_long_lines_and_nul(void **state) {
    char text[5000];
    size_t count;
    struct failure failure;
    (void)state;
    memset(text, ' ', sizeof text);
    assert_int_equal(keys_parse(text, sizeof text, list, &count, &failure), -EINVAL);
    text[0] = '#';
    assert_int_equal(keys_parse(text, sizeof text, list, &count, &failure), 0);
    assert_int_equal(keys_parse("alice " HASH "\0", sizeof "alice " HASH, list, &count, &failure), -EINVAL);
}

static void test_how_many(void **state) {
    enum { LINE = 80 };
    char *text = malloc((KEYS_MAX + 1) * LINE + 1);
    size_t length = 0, count = 0;
    struct failure failure;
    (void)state;
    assert_non_null(text);
    for (int i = 0; i <= KEYS_MAX; i++) {
        length += (size_t)snprintf(text + length, LINE + 1, "k%d sha256:%064d\n", i, i);
        if (i == KEYS_MAX - 1)
            assert_int_equal(keys_parse(text, length, list, &count, &failure), 0);
    }
    assert_int_equal(count, KEYS_MAX);
    assert_string_equal(list[KEYS_MAX - 1].name, "k999");
    assert_int_equal(keys_parse(text, length, list, &count, &failure), -EINVAL);
    assert_non_null(strstr(failure.text, "line 1001: there are too many"));
    free(text);
}

/* The server gets them as they are, and nothing where there are none. */
static void test_sending(void **state) {
    struct keys keys = {0};
    struct message message;
    struct key got[2];
    int ends[2], fds[MESSAGE_MAX_FDS];
    (void)state;
    assert_int_equal(message_pair(ends), 0);
    assert_int_equal(keys_send(&keys, ends[0]), 0);
    assert_int_equal(message_receive(ends[1], &message, fds), 1);
    assert_int_equal(message.kind, MESSAGE_KEYS);
    assert_int_equal(message.keys.on, 0);
    assert_int_equal(fds[0], -1);
    keys = (struct keys){.on = true, .list = list, .count = 2};
    for (size_t i = 0; i < 2; i++)
        list[i] = (struct key){.name = "x", .burst = (uint32_t)i + 1};
    assert_int_equal(keys_send(&keys, ends[0]), 0);
    assert_int_equal(message_receive(ends[1], &message, fds), 1);
    assert_int_equal(message.keys.on, 1);
    assert_int_equal(message.keys.count, 2);
    assert_int_equal(fd_read_all(fds[0], got, sizeof got), 0);
    assert_memory_equal(got, list, sizeof got);
    assert_int_equal(fd_read_all(fds[0], got, 1), -EPIPE);
    message_close_fds(fds);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_what_is_wrong),
        cmocka_unit_test(test_long_lines_and_nul),
        cmocka_unit_test(test_how_many),
        cmocka_unit_test(test_sending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
