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

static void test_too_many_descriptors_are_not_sent(void **state) {
    int ends[2];
    struct message message = {.kind = MESSAGE_RUN};
    const int four[] = {0, 0, 0, 0};
    (void)state;
    make_pair(ends);
    assert_int_equal(message_send(ends[0], &message, four, 4), -EINVAL);
    close_pair(ends);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_with_descriptors),
        cmocka_unit_test(test_wrong_size_is_refused_and_its_descriptors_closed),
        cmocka_unit_test(test_the_end_and_the_empty_socket),
        cmocka_unit_test(test_too_many_descriptors_are_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
