/* base/buf: a buffer never grows beyond its maximum, and an append is whole or not at all. */
#include "unit.h"

#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>

static void test_maximum_is_exact(void **state) {
    struct buf buf;
    (void)state;
    buf_init(&buf, 10);
    assert_int_equal(buf_add(&buf, "0123456789", 10), 0);
    assert_int_equal(buf_add(&buf, "x", 1), -EMSGSIZE);
    assert_int_equal(buf.len, 10);
    assert_true(buf.capacity <= 10);
    buf_done(&buf);
}

static void test_a_refused_append_leaves_it_as_it_was(void **state) {
    struct buf buf;
    (void)state;
    buf_init(&buf, 5);
    assert_int_equal(buf_add_text(&buf, "abc"), 0);
    assert_int_equal(buf_add_text(&buf, "def"), -EMSGSIZE);
    assert_memory_equal(buf.data, "abc", 3);
    assert_int_equal(buf_reserve(&buf, SIZE_MAX), -EMSGSIZE);
    assert_int_equal(buf.len, 3);
    buf_done(&buf);
}

static void test_it_grows_in_steps_and_keeps_content(void **state) {
    struct buf buf;
    (void)state;
    buf_init(&buf, 100000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buf_add_format(&buf, "%05d ", i), 0);
    assert_int_equal(buf.len, 60000);
    assert_memory_equal(buf.data + 6 * 1234, "01234 ", 6);
    buf_done(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.max, 100000);
}

static void test_steal_gives_all_away(void **state) {
    struct buf buf;
    size_t size;
    (void)state;
    buf_init(&buf, 8);
    buf_add_text(&buf, "abc");
    char *data = buf_steal(&buf, &size);
    assert_int_equal(size, 3);
    assert_memory_equal(data, "abc", 3);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf_add_text(&buf, "12345678"), 0);
    free(data);
    buf_done(&buf);
}

static void test_nothing_can_be_added_to_nothing(void **state) {
    struct buf buf;
    size_t size = 7;
    (void)state;
    buf_init(&buf, 0);
    assert_int_equal(buf_add(&buf, NULL, 0), 0);
    assert_int_equal(buf_add_text(&buf, ""), 0);
    assert_int_equal(buf_add(&buf, "x", 1), -EMSGSIZE);
    assert_null(buf_steal(&buf, &size));
    assert_int_equal(size, 0);
    buf_done(&buf);
}

static void test_reserve_adds_nothing(void **state) {
    struct buf buf;
    (void)state;
    buf_init(&buf, 1000);
    assert_int_equal(buf_add_text(&buf, "abc"), 0);
    assert_int_equal(buf_reserve(&buf, 997), 0);
    assert_int_equal(buf.len, 3);
    assert_int_equal(buf.capacity, 1000);
    char *data = buf.data;
    memset(buf.data + 3, 'x', 997); /* the room is real: a sanitizer would see */
    assert_int_equal(buf_reserve(&buf, 997), 0);
    assert_int_equal(buf_reserve(&buf, 0), 0);
    assert_ptr_equal(buf.data, data);
    assert_int_equal(buf_reserve(&buf, 998), -EMSGSIZE);
    assert_memory_equal(buf.data, "abc", 3);
    buf_done(&buf);
}

/* Every maximum around the steps it grows in. */
static void test_capacity_stays_below_the_maximum(void **state) {
    (void)state;
    for (size_t max = 505; max < 1100; max++) {
        struct buf buf;
        buf_init(&buf, max);
        while (buf_add(&buf, "1234567", 7) == 0)
            assert_true(buf.len <= buf.capacity && buf.capacity <= max);
        assert_int_equal(buf.len, max / 7 * 7);
        buf_done(&buf);
    }
}

static void test_a_format_is_whole_or_not_at_all(void **state) {
    struct buf buf;
    (void)state;
    buf_init(&buf, 2000);
    assert_int_equal(buf_add_format(&buf, "%s=%d", "a", 5), 0);
    assert_int_equal(buf_add_format(&buf, "%511d", 1), 0);
    assert_int_equal(buf.len, 3 + 511);
    assert_int_equal(buf_add_format(&buf, "%512d", 1), -EMSGSIZE);
    assert_int_equal(buf.len, 3 + 511);
    assert_memory_equal(buf.data, "a=5", 3);
    buf_done(&buf);
}

static void test_done_twice(void **state) {
    struct buf buf;
    (void)state;
    buf_init(&buf, 10);
    assert_int_equal(buf_add_text(&buf, "abc"), 0);
    buf_done(&buf);
    buf_done(&buf);
    assert_int_equal(buf_add_text(&buf, "0123456789"), 0); /* and of use again */
    buf_done(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maximum_is_exact),
        cmocka_unit_test(test_a_refused_append_leaves_it_as_it_was),
        cmocka_unit_test(test_it_grows_in_steps_and_keeps_content),
        cmocka_unit_test(test_steal_gives_all_away),
        cmocka_unit_test(test_nothing_can_be_added_to_nothing),
        cmocka_unit_test(test_reserve_adds_nothing),
        cmocka_unit_test(test_capacity_stays_below_the_maximum),
        cmocka_unit_test(test_a_format_is_whole_or_not_at_all),
        cmocka_unit_test(test_done_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
