/* wire/message: what one process says to another arrives whole, with its descriptors, or is refused
 * without a descriptor left behind. */
#include "unit.h"

#include "base/fd.h"
#include "wire/message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t count_fds(void) {
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void make_pair(int ends[2]) {
    assert_int_equal(message_pair(ends), 0);
}

static void close_pair(int ends[2]) {
    fd_close(ends[0]);
    fd_close(ends[1]);
}

static void test_round_trip_with_descriptors(void **state) {
    int ends[2], pipes[2], fds[MESSAGE_MAX_FDS];
    char byte = 0;
    struct message got, sent = {.kind = MESSAGE_RUN, .job = 77, .run = {.wall_ms = 5}};
    (void)state;
    make_pair(ends);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(message_send(ends[0], &sent, (int[]){pipes[1]}, 1), 0);
    assert_int_equal(message_receive(ends[1], &got, fds), 1);
    assert_memory_equal(&got, &sent, sizeof sent);
    assert_true(fds[0] >= 0);
    assert_int_equal(fds[1], -1);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(fds[0], "x", 1), 1);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    fd_close(fds[0]);
    close_pair(pipes);
    close_pair(ends);
}

static void test_every_descriptor_arrives_close_on_exec(void **state) {
    int ends[2], sent[MESSAGE_MAX_FDS], fds[MESSAGE_MAX_FDS];
    struct message message = {.kind = MESSAGE_RUN};
    (void)state;
    make_pair(ends);
    for (size_t i = 0; i < MESSAGE_MAX_FDS; i++)
        assert_true((sent[i] = open("/dev/null", O_RDONLY)) >= 0);
    for (size_t count = 0; count <= MESSAGE_MAX_FDS; count++) {
        size_t before = count_fds();
        assert_int_equal(message_send(ends[0], &message, sent, count), 0);
        assert_int_equal(message_receive(ends[1], &message, fds), 1);
        assert_int_equal(count_fds(), before + count);
        for (size_t i = 0; i < MESSAGE_MAX_FDS; i++) {
            assert_int_equal(fcntl(fds[i], F_GETFD), i < count ? FD_CLOEXEC : -1);
            fds[i] = fd_close(fds[i]);
        }
        assert_int_equal(count_fds(), before);
    }
    for (size_t i = 0; i < MESSAGE_MAX_FDS; i++)
        fd_close(sent[i]);
    close_pair(ends);
}

static void test_both_ends_are_close_on_exec(void **state) {
    int ends[2];
    (void)state;
    make_pair(ends);
    assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
    close_pair(ends);
}

static void test_messages_keep_their_order_and_borders(void **state) {
    int ends[2], fds[MESSAGE_MAX_FDS];
    struct message message = {.kind = MESSAGE_CANCEL};
    (void)state;
    make_pair(ends);
    for (message.job = 1; message.job <= 5; message.job++)
        assert_int_equal(message_send(ends[0], &message, NULL, 0), 0);
    for (uint64_t i = 1; i <= 5; i++) {
        assert_int_equal(message_receive(ends[1], &message, fds), 1);
        assert_int_equal(message.job, i);
        assert_int_equal(fds[0], -1);
    }
    close_pair(ends);
}

/* The server hands over jobs without blocking; a zygote that does not read must not stop it. */
static void test_a_full_socket_says_so(void **state) {
    int ends[2], r = 0;
    struct message message = {.kind = MESSAGE_CANCEL};
    (void)state;
    make_pair(ends);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 100000 && r == 0; i++)
        r = message_send(ends[0], &message, NULL, 0);
    assert_int_equal(r, -EAGAIN);
    assert_int_equal(message_send(ends[0], &message, ends, 1), -EAGAIN);
    close_pair(ends);
}

static void test_wrong_size_is_refused_and_its_descriptors_closed(void **state) {
    int ends[2], fds[MESSAGE_MAX_FDS];
    struct message got;
    char bytes[sizeof(struct message) + 1] = {0};
    char control[CMSG_SPACE(sizeof(int))] = {0};
    (void)state;
    make_pair(ends);
    size_t before = count_fds();
    for (size_t size = 0; size <= sizeof bytes; size += size == 0 ? sizeof bytes - 2 : 2) {
        struct iovec part = {bytes, size};
        struct msghdr header = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        struct cmsghdr *item = CMSG_FIRSTHDR(&header);
        *item = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(item), &ends[0], sizeof(int));
        assert_true(sendmsg(ends[0], &header, 0) >= 0);
        assert_int_equal(message_receive(ends[1], &got, fds), -EBADMSG);
        assert_int_equal(fds[0], -1);
        assert_int_equal(count_fds(), before);
    }
    close_pair(ends);
}

static void test_the_end_and_the_empty_socket(void **state) {
    int ends[2], fds[MESSAGE_MAX_FDS];
    struct message message = {.kind = MESSAGE_READY};
    (void)state;
    make_pair(ends);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    assert_int_equal(message_receive(ends[1], &message, fds), -EAGAIN);
    ends[0] = fd_close(ends[0]);
    assert_int_equal(message_receive(ends[1], &message, fds), 0);
    assert_int_equal(message_send(ends[1], &message, NULL, 0), -EPIPE);
    close_pair(ends);
}

/* Sends as many descriptors as asked for beside a whole message, which message_send() refuses to do. */
static void send_descriptors(int fd, size_t count) {
    struct message message = {.kind = MESSAGE_RUN};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * 16)];
    } control = {0};
    struct iovec part = {&message, sizeof message};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.space,
                            .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *item = CMSG_FIRSTHDR(&header);
    *item = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int) * count)};
    for (size_t i = 0; i < count; i++)
        memcpy(CMSG_DATA(item) + i * sizeof(int), &fd, sizeof fd);
    assert_int_equal(sendmsg(fd, &header, 0), (int)sizeof message);
}

static void test_too_many_descriptors_are_refused(void **state) {
    int ends[2], fds[MESSAGE_MAX_FDS];
    struct message got = {.kind = 99};
    (void)state;
    make_pair(ends);
    size_t before = count_fds();
    for (size_t count = MESSAGE_MAX_FDS + 1; count <= 16; count++) {
        send_descriptors(ends[0], count);
        assert_int_equal(message_receive(ends[1], &got, fds), -EBADMSG);
        assert_int_equal(got.kind, 99);
        for (size_t i = 0; i < MESSAGE_MAX_FDS; i++)
            assert_int_equal(fds[i], -1);
        assert_int_equal(count_fds(), before);
    }
    close_pair(ends);
}

/* recvmsg(2) cannot tell an empty packet from the end; whoever sends one might as well close. */
static void test_an_empty_packet_counts_as_the_end(void **state) {
    int ends[2], fds[MESSAGE_MAX_FDS];
    struct message got = {.kind = 99};
    (void)state;
    make_pair(ends);
    assert_int_equal(send(ends[0], "", 0, 0), 0);
    assert_int_equal(message_receive(ends[1], &got, fds), 0);
    assert_int_equal(got.kind, 99);
    close_pair(ends);
}

static void test_too_many_descriptors_are_not_sent(void **state) {
    int ends[2];
    struct message message = {.kind = MESSAGE_RUN};
    const int many[MESSAGE_MAX_FDS + 1] = {0};
    (void)state;
    make_pair(ends);
    assert_int_equal(message_send(ends[0], &message, many, MESSAGE_MAX_FDS + 1), -EINVAL);
    close_pair(ends);
}

static void test_descriptors_are_counted_up_to_the_first_that_is_unset(void **state) {
    const int sets[][MESSAGE_MAX_FDS] = {{-1, -1, -1, -1}, {0, -1, 2, 3}, {5, 6, 7, -1}, {0, 0, 0, 0}};
    const size_t counts[] = {0, 1, 3, 4};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        assert_int_equal(message_count_fds(sets[i]), counts[i]);
}

/* A process that cannot work says why and ends, whatever was on the way to it. */
static void test_last_words_are_heard(void **state) {
    int ends[2], fds[MESSAGE_MAX_FDS];
    struct message got, sent = {.kind = MESSAGE_FAILED, .failure = {.error = 7}};
    (void)state;
    assert_int_equal(message_pair(ends), 0);
    assert_int_equal(message_send(ends[0], &(struct message){.kind = MESSAGE_CHANNEL}, NULL, 0), 0);
    assert_int_equal(message_send(ends[1], &sent, NULL, 0), 0);
    close(ends[1]); /* and has not read it */
    assert_int_equal(message_receive(ends[0], &got, fds), 1);
    assert_int_equal(got.kind, MESSAGE_FAILED);
    assert_int_equal(got.failure.error, 7);
    assert_int_equal(message_receive(ends[0], &got, fds), 0);
    close(ends[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_with_descriptors),
        cmocka_unit_test(test_every_descriptor_arrives_close_on_exec),
        cmocka_unit_test(test_both_ends_are_close_on_exec),
        cmocka_unit_test(test_messages_keep_their_order_and_borders),
        cmocka_unit_test(test_a_full_socket_says_so),
        cmocka_unit_test(test_too_many_descriptors_are_refused),
        cmocka_unit_test(test_wrong_size_is_refused_and_its_descriptors_closed),
        cmocka_unit_test(test_the_end_and_the_empty_socket),
        cmocka_unit_test(test_an_empty_packet_counts_as_the_end),
        cmocka_unit_test(test_too_many_descriptors_are_not_sent),
        cmocka_unit_test(test_descriptors_are_counted_up_to_the_first_that_is_unset),
        cmocka_unit_test(test_last_words_are_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
