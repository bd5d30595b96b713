/* cli/listener: a socket that listens where it was told to, or words that say what to do about it. */
#include "unit.h"

#include "base/fd.h"
#include "cli/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_at(const char *host, uint64_t port, char url[128], struct failure *failure) {
    *failure = (struct failure){0};
    return listener_open(host, port, url, 128, failure);
}

static unsigned port_of(const char *url) {
    return (unsigned)strtoul(strrchr(url, ':') + 1, NULL, 10);
}

/* What has come of it after a moment is ret_error. */
static int connect_to(const char *url, int *ret_error) {
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port_of(url)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd done = {.fd = client, .events = POLLOUT};
    socklen_t length = sizeof *ret_error;
    (void)connect(client, (const struct sockaddr *)&address, sizeof address);
    *ret_error = EINPROGRESS;
    if (poll(&done, 1, 100) == 1)
        getsockopt(client, SOL_SOCKET, SO_ERROR, ret_error, &length);
    return client;
}

/* Who is in is in, with all that it has sent; nobody else gets in, or is told, before it is closed. */
static void test_a_door_that_is_shut(void **state) {
    struct failure failure;
    char url[128], text[8];
    int error;
    (void)state;
    int fd = open_at("127.0.0.1", 0, url, &failure);
    cleanup_fd int before = connect_to(url, &error);
    assert_int_equal(error, 0);
    assert_int_equal(send(before, "early", 5, 0), 5);
    listener_shut(fd);
    cleanup_fd int behind = connect_to(url, &error);
    assert_int_equal(error, EINPROGRESS);
    cleanup_fd int accepted = accept(fd, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(recv(accepted, text, sizeof text, 0), 5);
    assert_int_equal(send(before, "later", 5, 0), 5);
    assert_int_equal(recv(accepted, text, sizeof text, 0), 5);
    assert_int_equal(accept(fd, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    fd_close(fd);
    cleanup_fd int refused = connect_to(url, &error);
    assert_int_equal(error, ECONNREFUSED);
    assert_int_equal(send(before, "still", 5, 0), 5);
    assert_int_equal(recv(accepted, text, sizeof text, 0), 5);
}

static void test_the_url_leads_to_it(void **state) {
    struct failure failure;
    char url[128], expected[128];
    (void)state;
    cleanup_fd int fd = open_at("127.0.0.1", 0, url, &failure);
    assert_true(fd >= 0);
    snprintf(expected, sizeof expected, "http://127.0.0.1:%u", port_of(url));
    assert_string_equal(url, expected);
    assert_int_not_equal(port_of(url), 0);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port_of(url)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cleanup_fd int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof address), 0);
    cleanup_fd int accepted = accept(fd, NULL, NULL);
    assert_true(accepted >= 0);
}

/* The manager must never wait in it, and a child gets it at a number of its own. */
static void test_its_flags(void **state) {
    struct failure failure;
    char url[128];
    (void)state;
    cleanup_fd int fd = open_at("127.0.0.1", 0, url, &failure);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(accept(fd, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
}

static void test_ipv6_in_brackets(void **state) {
    struct failure failure;
    char url[128];
    (void)state;
    cleanup_fd int fd = open_at("::1", 0, url, &failure);
    if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT) {
        print_message("# this machine has no IPv6\n");
        skip();
    }
    assert_true(fd >= 0);
    assert_memory_equal(url, "http://[::1]:", strlen("http://[::1]:"));
}

static void test_a_port_in_use_is_named(void **state) {
    struct failure failure;
    char url[128], port[16];
    (void)state;
    cleanup_fd int fd = open_at("127.0.0.1", 0, url, &failure);
    assert_true(fd >= 0);
    assert_int_equal(open_at("127.0.0.1", port_of(url), url, &failure), -EADDRINUSE);
    assert_string_equal(failure.stage, "--port");
    snprintf(port, sizeof port, "%u is in use", port_of(url));
    assert_non_null(strstr(failure.text, port));
}

/* Right after a connection was closed by this side, which then holds its port in TIME_WAIT. */
static void test_a_restart_need_not_wait(void **state) {
    struct failure failure;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char url[128];
    (void)state;
    int fd = open_at("127.0.0.1", 0, url, &failure);
    unsigned port = port_of(url);
    address.sin_port = htons((uint16_t)port);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof address), 0);
    fd_close(accept(fd, NULL, NULL));
    fd_close(client);
    fd_close(fd);
    cleanup_fd int again = open_at("127.0.0.1", port, url, &failure);
    assert_true(again >= 0);
}

static void test_hosts_that_are_none(void **state) {
    struct failure failure;
    char url[128];
    (void)state;
    assert_int_equal(open_at("localhost", 0, url, &failure), -EINVAL); /* no name is looked up */
    assert_string_equal(failure.stage, "--host");
    assert_non_null(strstr(failure.text, "localhost is not a numeric address"));
    assert_int_equal(open_at("", 0, url, &failure), -EINVAL);
    assert_int_equal(open_at("192.0.2.1", 0, url, &failure), -EADDRNOTAVAIL); /* RFC 5737: nobody's */
    assert_string_equal(failure.stage, "--host");
    assert_non_null(strstr(failure.text, "192.0.2.1 is no address of this machine"));
}

/* --- A socket that was handed over --- */

/* Puts fd at 3 as a service manager does, for process `pid`, and says that there are `count`. */
static void hand_over(int fd, pid_t pid, const char *count) {
    char number[16];
    assert_int_equal(dup2(fd, 3), 3); /* cmocka opens nothing that would be lost by it */
    snprintf(number, sizeof number, "%d", (int)pid);
    setenv("LISTEN_PID", number, 1);
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_FDNAMES", "a", 1);
}

static int inherit(char url[128], struct failure *failure) {
    *failure = (struct failure){0};
    int fd = listener_inherit(url, 128, failure);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
    return fd;
}

static int listen_at_once(int domain, int type, bool listens) {
    const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr none = {.sa_family = AF_UNIX}; /* takes a name of the kernel's */
    int fd = socket(domain, type, 0);
    if (domain == AF_INET)
        assert_int_equal(bind(fd, (const struct sockaddr *)&v4, sizeof v4), 0);
    else
        assert_int_equal(bind(fd, &none, sizeof none.sa_family), 0);
    if (listens)
        assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static void test_the_socket_of_a_service_manager(void **state) {
    struct failure failure;
    char url[128], expected[128];
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    (void)state;
    int fd = listen_at_once(AF_INET, SOCK_STREAM, true);
    getsockname(fd, (struct sockaddr *)&address, &size);
    snprintf(expected, sizeof expected, "http://127.0.0.1:%u", ntohs(address.sin_port));
    hand_over(fd, getpid(), "1");
    if (fd != 3)
        close(fd);
    assert_int_equal(inherit(url, &failure), 3);
    assert_string_equal(url, expected);
    assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
    assert_true((fcntl(3, F_GETFL) & O_NONBLOCK) != 0);
    close(3);
}

static void test_none_was_handed_over(void **state) {
    struct failure failure;
    char url[128];
    (void)state;
    assert_int_equal(inherit(url, &failure), -ENOENT);
    hand_over(STDERR_FILENO, getpid(), "0");
    assert_int_equal(inherit(url, &failure), -ENOENT);
    hand_over(STDERR_FILENO, getpid() + 1, "1"); /* meant for somebody else */
    assert_int_equal(inherit(url, &failure), -ENOENT);
    close(3);
}

static void test_sockets_that_cannot_be_served(void **state) {
    static const struct {
        int domain, type;
        bool listens;
    } sockets[] = {{AF_INET, SOCK_STREAM, false}, {AF_INET, SOCK_DGRAM, false}, {AF_UNIX, SOCK_STREAM, true}};
    struct failure failure;
    char url[128];
    (void)state;
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++) {
        int fd = listen_at_once(sockets[i].domain, sockets[i].type, sockets[i].listens);
        hand_over(fd, getpid(), "1");
        assert_int_equal(inherit(url, &failure), -EINVAL);
        assert_non_null(strstr(failure.text, "no listening TCP socket"));
        close(fd);
    }
    hand_over(STDERR_FILENO, getpid(), "1");
    assert_int_equal(inherit(url, &failure), -EINVAL);
    hand_over(STDERR_FILENO, getpid(), "2");
    assert_int_equal(inherit(url, &failure), -EINVAL);
    assert_non_null(strstr(failure.text, "2 sockets"));
    assert_non_null(strstr(failure.text, "one ListenStream="));
    close(3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_url_leads_to_it),
        cmocka_unit_test(test_a_door_that_is_shut),
        cmocka_unit_test(test_its_flags),
        cmocka_unit_test(test_ipv6_in_brackets),
        cmocka_unit_test(test_a_port_in_use_is_named),
        cmocka_unit_test(test_a_restart_need_not_wait),
        cmocka_unit_test(test_hosts_that_are_none),
        cmocka_unit_test(test_the_socket_of_a_service_manager),
        cmocka_unit_test(test_none_was_handed_over),
        cmocka_unit_test(test_sockets_that_cannot_be_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
