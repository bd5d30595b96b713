/* wire/frame: the bytes of a hostile worker cost no more memory than they are long, and only the first
 * frame counts. */
#include "unit.h"

#include "base/fd.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
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

static void test_the_maximum_is_exact(void **state) {
    (void)state;
    for (size_t size = 99; size <= 101; size++) {
        struct channel channel;
        char payload[101];
        memset(payload, 'p', sizeof payload);
        open_channel(&channel, 100);
        assert_int_equal(frame_write(channel.theirs, FRAME_RESULT, &(struct iovec){payload, size}, 1), 0);
        assert_int_equal(frame_read(&channel.reader, channel.ours), size <= 100 ? 1 : -EMSGSIZE);
        assert_int_equal(channel.reader.payload.len, size <= 100 ? size : 0);
        close_channel(&channel);
    }
}

/* By the header alone, also where the first pieces of the payload would fit. */
static void test_one_too_many_is_refused_by_its_header(void **state) {
    (void)state;
    for (uint32_t size = 200000; size <= 200001; size++) {
        struct channel channel;
        struct frame_header header = {FRAME_RESULT, size};
        open_channel(&channel, 200000);
        put(&channel, &header, sizeof header);
        assert_int_equal(frame_read(&channel.reader, channel.ours), size <= 200000 ? 0 : -EMSGSIZE);
        close_channel(&channel);
    }
}

/* Once whole, asking again neither reads on nor changes what is there; once refused, it stays refused. */
static void test_the_verdict_on_a_frame_stands(void **state) {
    struct channel channel;
    struct frame_header header = {FRAME_RESULT, 4};
    (void)state;
    open_channel(&channel, 3);
    put(&channel, &header, sizeof header);
    put(&channel, "abcdefghijkl", 12);
    for (int i = 0; i < 3; i++)
        assert_int_equal(frame_read(&channel.reader, channel.ours), -EMSGSIZE);
    assert_null(channel.reader.payload.data);
    close_channel(&channel);
    open_channel(&channel, 3);
    assert_int_equal(frame_write(channel.theirs, FRAME_RESULT, &(struct iovec){(void *)"abc", 3}, 1), 0);
    assert_int_equal(frame_write(channel.theirs, FRAME_EXCEPTION, &(struct iovec){(void *)"xyz", 3}, 1), 0);
    channel.theirs = fd_close(channel.theirs);
    for (int i = 0; i < 3; i++)
        assert_int_equal(frame_read(&channel.reader, channel.ours), 1);
    assert_int_equal(channel.reader.header.kind, FRAME_RESULT);
    assert_memory_equal(channel.reader.payload.data, "abc", 3);
    close_channel(&channel);
}

/* At every byte of a frame, its header included. */
static void test_an_end_at_every_byte(void **state) {
    static const char bytes[] = {FRAME_RESULT, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c'};
    (void)state;
    for (size_t size = 0; size <= sizeof bytes; size++) {
        struct channel channel;
        open_channel(&channel, 3);
        put(&channel, bytes, size);
        channel.theirs = fd_close(channel.theirs);
        assert_int_equal(frame_read(&channel.reader, channel.ours), size < sizeof bytes ? -EPIPE : 1);
        close_channel(&channel);
    }
}

static void test_an_empty_payload(void **state) {
    struct channel channel;
    (void)state;
    open_channel(&channel, 0);
    assert_int_equal(frame_write(channel.theirs, FRAME_NO_MAIN, NULL, 0), 0);
    assert_int_equal(frame_read(&channel.reader, channel.ours), 1);
    assert_int_equal(channel.reader.header.kind, FRAME_NO_MAIN);
    assert_int_equal(channel.reader.payload.len, 0);
    close_channel(&channel);
}

/* Larger than the socket's buffer: the writer blocks in the middle, the reader goes round many times. */
static void test_a_large_frame(void **state) {
    enum { SIZE = 3000000 };
    static char payload[SIZE];
    struct channel channel;
    int r = 0, status;
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        payload[i] = (char)(i * 11 / 7);
    open_channel(&channel, SIZE);
    pid_t child = fork();
    if (child == 0) {
        const struct iovec parts[] = {{payload, 1}, {payload + 1, SIZE - 2}, {payload + SIZE - 1, 1}};
        _exit(frame_write(channel.theirs, FRAME_RESULT, parts, 3) == 0 ? 0 : 1);
    }
    channel.theirs = fd_close(channel.theirs);
    struct pollfd ready = {.fd = channel.ours, .events = POLLIN};
    while (r == 0 && poll(&ready, 1, 10000) == 1)
        r = frame_read(&channel.reader, channel.ours);
    assert_int_equal(r, 1);
    assert_int_equal(channel.reader.payload.len, SIZE);
    assert_memory_equal(channel.reader.payload.data, payload, SIZE);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close_channel(&channel);
}

static void interrupt(int number) {
    (void)number;
}

/* A writer whose writev(2) is cut short, also within the header and between the parts. */
static void test_a_writer_that_is_interrupted(void **state) {
    enum { SIZE = 1000000 };
    static char payload[SIZE];
    const struct sigaction action = {.sa_handler = interrupt};
    const struct itimerval often = {{0, 500}, {0, 500}};
    const struct timespec moment = {.tv_nsec = 1000000};
    struct channel channel;
    int r = 0, status;
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        payload[i] = (char)(i * 11 / 7);
    open_channel(&channel, SIZE);
    pid_t child = fork();
    if (child == 0) {
        const struct iovec parts[] = {{payload, 10}, {payload + 10, SIZE - 20}, {payload + SIZE - 10, 10}};
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &often, NULL);
        _exit(frame_write(channel.theirs, FRAME_RESULT, parts, 3) == 0 ? 0 : 1);
    }
    channel.theirs = fd_close(channel.theirs);
    while (r == 0) {
        nanosleep(&moment, NULL); /* so that the socket is full when a signal comes */
        r = frame_read(&channel.reader, channel.ours);
    }
    assert_int_equal(r, 1);
    assert_memory_equal(channel.reader.payload.data, payload, SIZE);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close_channel(&channel);
}

/* A length has 32 bits; what does not fit must not be written shorter. The addresses are never read. */
static void test_too_much_to_write(void **state) {
    struct channel channel;
    const struct iovec huge[] = {{(void *)"", (size_t)UINT32_MAX}, {(void *)"", 1}};
    char byte;
    (void)state;
    open_channel(&channel, 10);
    assert_int_equal(frame_write(channel.theirs, FRAME_RESULT, huge, 2), -EMSGSIZE);
    assert_int_equal(read(channel.ours, &byte, 1), -1); /* not a byte of it */
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
        cmocka_unit_test(test_the_maximum_is_exact),
        cmocka_unit_test(test_one_too_many_is_refused_by_its_header),
        cmocka_unit_test(test_the_verdict_on_a_frame_stands),
        cmocka_unit_test(test_an_end_at_every_byte),
        cmocka_unit_test(test_an_empty_payload),
        cmocka_unit_test(test_a_large_frame),
        cmocka_unit_test(test_a_writer_that_is_interrupted),
        cmocka_unit_test(test_too_much_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
