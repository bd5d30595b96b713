/* wire/frame: the bytes of a hostile worker cost no more memory than they are long, and only the first
 * frame counts. */
#include "unit.h"

#include "base/fd.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct channel {
    int ours, theirs;
    struct frame_reader reader;
};

static void open_channel(struct channel *channel, size_t max) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *channel = (struct channel){.ours = ends[0], .theirs = ends[1]};
    frame_reader_init(&channel->reader, max);
}

static void close_channel(struct channel *channel) {
    frame_reader_done(&channel->reader);
    fd_close(channel->ours);
    fd_close(channel->theirs);
}

static void put(struct channel *channel, const void *data, size_t size) {
    assert_int_equal(write(channel->theirs, data, size), (int)size);
}

static void test_byte_by_byte(void **state) {
    struct channel channel;
    const char bytes[] = {FRAME_RESULT, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c'};
    (void)state;
    open_channel(&channel, 3);
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(frame_read(&channel.reader, channel.ours), 0);
        put(&channel, &bytes[i], 1);
    }
    assert_int_equal(frame_read(&channel.reader, channel.ours), 1);
    assert_int_equal(channel.reader.header.kind, FRAME_RESULT);
    assert_memory_equal(channel.reader.payload.data, "abc", 3);
    close_channel(&channel);
}

static void test_a_length_beyond_the_maximum_takes_no_memory(void **state) {
    struct channel channel;
    struct frame_header header = {FRAME_RESULT, UINT32_MAX};
    (void)state;
    open_channel(&channel, 1000);
    put(&channel, &header, sizeof header);
    assert_int_equal(frame_read(&channel.reader, channel.ours), -EMSGSIZE);
    assert_int_equal(channel.reader.payload.capacity, 0);
    close_channel(&channel);
}

static void test_a_promise_takes_no_memory_either(void **state) {
    struct channel channel;
    struct frame_header header = {FRAME_RESULT, 1u << 30};
    (void)state;
    open_channel(&channel, 1u << 30);
    put(&channel, &header, sizeof header);
    assert_int_equal(frame_read(&channel.reader, channel.ours), 0);
    assert_true(channel.reader.payload.capacity <= 1 << 17);
    close_channel(&channel);
}

static void test_an_early_end(void **state) {
    struct channel channel;
    struct frame_header header = {FRAME_RESULT, 10};
    (void)state;
    open_channel(&channel, 1000);
    put(&channel, &header, sizeof header);
    put(&channel, "half", 4);
    channel.theirs = fd_close(channel.theirs);
    assert_int_equal(frame_read(&channel.reader, channel.ours), -EPIPE);
    close_channel(&channel);
}

static void test_the_first_frame_counts(void **state) {
    struct channel channel;
    (void)state;
    open_channel(&channel, 1000);
    assert_int_equal(frame_write(channel.theirs, FRAME_RESULT, &(struct iovec){(void *)"1", 1}, 1), 0);
    assert_int_equal(frame_write(channel.theirs, FRAME_NO_MAIN, NULL, 0), 0);
    assert_int_equal(frame_read(&channel.reader, channel.ours), 1);
    assert_int_equal(channel.reader.header.kind, FRAME_RESULT);
    assert_int_equal(channel.reader.payload.len, 1);
    close_channel(&channel);
}

static void test_parts_become_one_payload(void **state) {
    struct channel channel;
    const struct iovec parts[] = {{(void *)"one", 3}, {(void *)"", 1}, {(void *)"two", 3}};
    (void)state;
    open_channel(&channel, 7);
    assert_int_equal(frame_write(channel.theirs, FRAME_EXCEPTION, parts, 3), 0);
    assert_int_equal(frame_read(&channel.reader, channel.ours), 1);
    assert_memory_equal(channel.reader.payload.data, "one\0two", 7);
    close_channel(&channel);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_a_length_beyond_the_maximum_takes_no_memory),
        cmocka_unit_test(test_a_promise_takes_no_memory_either),
        cmocka_unit_test(test_an_early_end),
        cmocka_unit_test(test_the_first_frame_counts),
        cmocka_unit_test(test_parts_become_one_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
