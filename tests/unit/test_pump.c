/* cli/pump: every byte arrives, and how it ended is told. */
#include "unit.h"

#include "base/fd.h"
#include "cli/pump.h"
#include "wire/console.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

static void make_pipe(int ends[2]) {
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

static int joined(struct pump *pump) {
    struct pollfd done = {.fd = pump->done};
    assert_int_equal(poll(&done, 1, 10000), 1);
    assert_true((done.revents & POLLHUP) != 0);
    int error = pump_join(pump);
    assert_int_equal(pump->done, -1);
    return error;
}

static void test_bytes_and_their_end(void **state) {
    struct pump pump;
    char got[8];
    int in[2], out[2];
    (void)state;
    make_pipe(in);
    make_pipe(out);
    assert_int_equal(pump_start(&pump, in[0], out[1]), 0);
    assert_int_equal(fd_write_all(in[1], "a\0b", 3), 0);
    assert_int_equal(fd_read_all(out[0], got, 3), 0); /* while it runs */
    assert_memory_equal(got, "a\0b", 3);
    close(in[1]);
    assert_int_equal(read(out[0], got, 1), 0);
    assert_int_equal(joined(&pump), 0);
    close(out[0]);
}

static void test_a_text_that_is_larger_than_a_pipe(void **state) {
    enum { SIZE = 1 << 20 };
    static char got[SIZE];
    struct pump pump;
    struct buf text;
    int out[2];
    (void)state;
    make_pipe(out);
    buf_init(&text, SIZE);
    assert_int_equal(buf_reserve(&text, SIZE), 0);
    memset(text.data, 'x', SIZE);
    text.len = SIZE;
    assert_int_equal(pump_start_text(&pump, &text, out[1]), 0);
    assert_null(text.data);
    assert_int_equal(fd_read_all(out[0], got, SIZE), 0);
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(got[i], 'x');
    assert_int_equal(read(out[0], got, 1), 0);
    assert_int_equal(joined(&pump), 0);
    close(out[0]);
}

static void send_frame(int fd, uint32_t kind, const char *text) {
    const struct iovec piece = {(void *)text, strlen(text)};
    assert_int_equal(frame_write(fd, (enum frame_kind)kind, &piece, 1), 0);
}

/* Standard output and standard error are the pump's while it runs. */
static void test_what_is_printed(void **state) {
    struct pump pump;
    char got[16] = "";
    int in[2], out[2], kept[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    (void)state;
    make_pipe(in);
    make_pipe(out);
    assert_int_equal(pump_start_printed(&pump, in[0]), 0);
    fflush(stdout);
    dup2(out[1], STDOUT_FILENO);
    dup2(out[1], STDERR_FILENO);
    send_frame(in[1], CONSOLE_STDOUT, "ab");
    send_frame(in[1], CONSOLE_STDERR, "c");
    send_frame(in[1], CONSOLE_STDOUT, "d");
    int r = fd_read_all(out[0], got, 4);
    close(in[1]);
    int error = joined(&pump);
    dup2(kept[0], STDOUT_FILENO);
    dup2(kept[1], STDERR_FILENO);
    for (size_t i = 0; i < 2; i++) {
        close(kept[i]);
        close(out[i]);
    }
    assert_int_equal(r, 0);
    assert_string_equal(got, "abcd");
    assert_int_equal(error, 0);
}

/* The server has died, perhaps within what it was about to say. */
static void test_what_is_printed_ends_early(void **state) {
    const struct frame_header header = {.kind = CONSOLE_STDOUT, .length = 100};
    (void)state;
    for (size_t size = 0; size <= sizeof header; size++) {
        struct pump pump;
        int in[2];
        make_pipe(in);
        assert_int_equal(pump_start_printed(&pump, in[0]), 0);
        assert_int_equal(fd_write_all(in[1], &header, size), 0);
        close(in[1]);
        assert_int_equal(joined(&pump), 0);
    }
}

static void test_nobody_reads(void **state) {
    struct pump pump;
    int in[2], out[2];
    (void)state;
    make_pipe(in);
    make_pipe(out);
    close(out[0]);
    assert_int_equal(pump_start(&pump, in[0], out[1]), 0);
    assert_int_equal(fd_write_all(in[1], "a", 1), 0);
    assert_int_equal(joined(&pump), EPIPE);
    close(in[1]);
}

/* Somebody else may have made them so, and wants them so. */
static void test_streams_that_do_not_block(void **state) {
    enum { SIZE = 1 << 20 };
    static char data[SIZE], got[SIZE];
    struct pump first, second;
    struct buf text;
    int in[2], out[2];
    (void)state;
    make_pipe(in);
    make_pipe(out);
    int kept[2] = {dup(in[0]), dup(out[1])};
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 13 / 7);
    buf_init(&text, SIZE);
    assert_int_equal(buf_add(&text, data, SIZE), 0);
    assert_int_equal(fcntl(in[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(out[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(pump_start(&second, in[0], out[1]), 0);
    usleep(50000); /* it waits for the first byte, and then for room */
    assert_int_equal(pump_start_text(&first, &text, in[1]), 0);
    usleep(50000);
    assert_int_equal(fd_read_all(out[0], got, SIZE), 0);
    assert_memory_equal(got, data, SIZE);
    assert_int_equal(joined(&first), 0);
    assert_int_equal(joined(&second), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_true((fcntl(kept[i], F_GETFL) & O_NONBLOCK) != 0);
        close(kept[i]);
    }
    close(out[0]);
}

static void test_what_cannot_be_read(void **state) {
    struct pump pump;
    int out[2];
    (void)state;
    make_pipe(out);
    int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(pump_start(&pump, folder, out[1]), 0);
    assert_int_equal(joined(&pump), EISDIR);
    close(out[0]);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* as `run` does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_and_their_end),
        cmocka_unit_test(test_a_text_that_is_larger_than_a_pipe),
        cmocka_unit_test(test_what_is_printed),
        cmocka_unit_test(test_what_is_printed_ends_early),
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_streams_that_do_not_block),
        cmocka_unit_test(test_what_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
