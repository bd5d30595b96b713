/* server/job, its capture: printed output is kept up to the limit, counted beyond, and never read for
 * longer than a pipe is deep. */
#include "unit.h"

#include "base/fd.h"
#include "server/job.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct printed {
    int ours, theirs;
    struct capture capture;
};

static void begin(struct printed *printed, size_t max) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    *printed = (struct printed){.ours = ends[0], .theirs = ends[1]};
    buf_init(&printed->capture.kept, max);
}

static void end(struct printed *printed) {
    buf_done(&printed->capture.kept);
    fd_close(printed->ours);
    fd_close(printed->theirs);
}

static void print(struct printed *printed, const char *text) {
    assert_int_equal(write(printed->theirs, text, strlen(text)), (int)strlen(text));
}

static void test_nothing_yet_and_the_end(void **state) {
    struct printed printed;
    (void)state;
    begin(&printed, 10);
    assert_int_equal(capture_read(&printed.capture, printed.ours), 1);
    printed.theirs = fd_close(printed.theirs);
    assert_int_equal(capture_read(&printed.capture, printed.ours), 0);
    assert_int_equal(printed.capture.total, 0);
    assert_false(capture_truncated(&printed.capture));
    end(&printed);
}

static void test_the_limit_is_exact(void **state) {
    struct printed printed;
    (void)state;
    begin(&printed, 10);
    print(&printed, "0123456789");
    assert_int_equal(capture_read(&printed.capture, printed.ours), 1);
    assert_int_equal(printed.capture.kept.len, 10);
    assert_false(capture_truncated(&printed.capture));
    print(&printed, "x");
    assert_int_equal(capture_read(&printed.capture, printed.ours), 1);
    assert_int_equal(printed.capture.kept.len, 10);
    assert_int_equal(printed.capture.total, 11);
    assert_true(capture_truncated(&printed.capture));
    end(&printed);
}

static void test_what_crosses_the_limit_is_cut_there(void **state) {
    struct printed printed;
    (void)state;
    begin(&printed, 5);
    print(&printed, "abc");
    assert_int_equal(capture_read(&printed.capture, printed.ours), 1);
    print(&printed, "defg");
    printed.theirs = fd_close(printed.theirs);
    assert_int_equal(capture_read(&printed.capture, printed.ours), 0);
    assert_memory_equal(printed.capture.kept.data, "abcde", 5);
    assert_int_equal(printed.capture.total, 7);
    end(&printed);
}

/* /dev/zero floods without end: one call must come back, and keep no more than the limit. */
static void test_a_flood_does_not_hold_us(void **state) {
    struct printed printed;
    (void)state;
    begin(&printed, 1000);
    int flood = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(capture_read(&printed.capture, flood), 1);
        assert_true(printed.capture.total <= (uint64_t)i << 20);
    }
    assert_int_equal(printed.capture.kept.len, 1000);
    assert_true(printed.capture.kept.capacity <= 1000);
    fd_close(flood);
    end(&printed);
}

static void add(struct capture *capture, const char *data, size_t size) {
    assert_int_equal(buf_add(capture->owner, data, size), 0);
}

static void test_what_is_taken_is_not_kept(void **state) {
    struct printed printed;
    struct buf taken;
    (void)state;
    begin(&printed, 5);
    buf_init(&taken, 100);
    printed.capture.take = add;
    printed.capture.owner = &taken;
    print(&printed, "abc");
    assert_int_equal(capture_read(&printed.capture, printed.ours), 1);
    assert_int_equal(taken.len, 3);
    assert_false(capture_truncated(&printed.capture));
    print(&printed, "defg");
    assert_int_equal(capture_read(&printed.capture, printed.ours), 1);
    print(&printed, "h");
    assert_int_equal(capture_read(&printed.capture, printed.ours), 1);
    assert_int_equal(taken.len, 5);
    assert_memory_equal(taken.data, "abcde", 5);
    assert_int_equal(printed.capture.total, 8);
    assert_int_equal(printed.capture.kept.len, 0);
    assert_true(capture_truncated(&printed.capture));
    buf_done(&taken);
    end(&printed);
}

/* Whoever has enough gets no more than a pipe holds. */
static void test_a_flood_that_is_held(void **state) {
    struct printed printed;
    (void)state;
    begin(&printed, 1 << 20);
    int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC); /* never empty, as a pipe whose writer is quick */
    assert_true(zeros >= 0);
    printed.capture.held = true;
    assert_int_equal(capture_read(&printed.capture, zeros), 1);
    assert_int_equal(printed.capture.total, 65536);
    printed.capture.held = false;
    assert_int_equal(capture_read(&printed.capture, zeros), 1);
    assert_int_equal(printed.capture.total, 5 * 65536);
    fd_close(zeros);
    end(&printed);
}

static void test_a_read_error_is_passed_on(void **state) {
    struct printed printed;
    (void)state;
    begin(&printed, 10);
    assert_int_equal(capture_read(&printed.capture, -1), -EBADF);
    end(&printed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_yet_and_the_end),
        cmocka_unit_test(test_the_limit_is_exact),
        cmocka_unit_test(test_what_crosses_the_limit_is_cut_there),
        cmocka_unit_test(test_a_flood_does_not_hold_us),
        cmocka_unit_test(test_what_is_taken_is_not_kept),
        cmocka_unit_test(test_a_flood_that_is_held),
        cmocka_unit_test(test_a_read_error_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
