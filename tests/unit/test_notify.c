/* cli/notify: what the service manager hears, read from a socket of ours in its place. */
#include "unit.h"

#include "base/clock.h"
#include "base/fd.h"
#include "cli/notify.h"

#include <stdlib.h>
#include <sys/socket.h>

/* A socket under that name, as $NOTIFY_SOCKET has it. */
static int listen_as(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    else
        length++;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static const char *hear(int fd) {
    static char text[1024];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static int forget_all(void **state) {
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return 0;
}

static void say_everything(struct notify *notify, int fd) {
    notify_ready(notify, "Serving on %s", "http://127.0.0.1:8080");
    assert_string_equal(hear(fd), "READY=1\nSTATUS=Serving on http://127.0.0.1:8080");
    notify_status(notify, "%d", 7);
    assert_string_equal(hear(fd), "STATUS=7");
    notify_stopping(notify, 9000000);
    assert_string_equal(hear(fd), "STOPPING=1\nEXTEND_TIMEOUT_USEC=9000000\nSTATUS=Finishing what runs");
    uint64_t before = clock_us();
    notify_reloading(notify);
    const char *text = hear(fd);
    assert_memory_equal(text, "RELOADING=1\nMONOTONIC_USEC=", 27);
    uint64_t at = strtoull(text + 27, NULL, 10);
    assert_true(at >= before && at <= clock_us());
}

static void test_an_abstract_socket(void **state) {
    char name[64];
    struct notify notify;
    (void)state;
    snprintf(name, sizeof name, "@px-notify-%d", (int)getpid());
    cleanup_fd int fd = listen_as(name);
    notify_init(&notify);
    say_everything(&notify, fd);
    notify_done(&notify);
    notify_status(&notify, "nobody hears this");
    assert_string_equal(hear(fd), "");
}

static void test_a_path(void **state) {
    char folder[] = "/tmp/px-notify-XXXXXX", name[64];
    struct notify notify;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/socket", folder);
    cleanup_fd int fd = listen_as(name);
    notify_init(&notify);
    say_everything(&notify, fd);
    /* It comes and goes with the service manager, and we stay. */
    unlink(name);
    notify_status(&notify, "lost");
    fd_close(fd);
    fd = listen_as(name);
    notify_status(&notify, "heard");
    assert_string_equal(hear(fd), "STATUS=heard");
    notify_done(&notify);
    unlink(name);
    rmdir(folder);
}

/* What a child says is among the words. */
static void test_words_are_no_assignments(void **state) {
    char name[64], words[2048];
    struct notify notify;
    (void)state;
    snprintf(name, sizeof name, "@px-notify-words-%d", (int)getpid());
    cleanup_fd int fd = listen_as(name);
    notify_init(&notify);
    notify_status(&notify, "%s", "failed\nMAINPID=1\r\nREADY=1");
    assert_string_equal(hear(fd), "STATUS=failed MAINPID=1  READY=1");
    memset(words, 'w', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    notify_ready(&notify, "%s", words);
    const char *text = hear(fd);
    assert_memory_equal(text, "READY=1\nSTATUS=www", 18);
    assert_true(strlen(text) < 512 && text[strlen(text) - 1] == 'w');
    notify_done(&notify);
}

static void test_no_socket_or_none_of_ours(void **state) {
    static const char *const names[] = {NULL, "", "@", "/", "relative", "vsock:2:1234", "/there/is/no/such/socket"};
    char long_name[300];
    (void)state;
    memset(long_name, '@', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (size_t i = 0; i <= sizeof names / sizeof names[0]; i++) {
        const char *name = i < sizeof names / sizeof names[0] ? names[i] : long_name;
        struct notify notify;
        name == NULL ? unsetenv("NOTIFY_SOCKET") : setenv("NOTIFY_SOCKET", name, 1);
        notify_init(&notify);
        notify_ready(&notify, "well");
        notify_watchdog(&notify, 1);
        notify_done(&notify);
    }
}

static void test_signs_of_life(void **state) {
    char name[64], pid[32];
    struct notify notify;
    (void)state;
    snprintf(name, sizeof name, "@px-notify-dog-%d", (int)getpid());
    cleanup_fd int fd = listen_as(name);
    notify_init(&notify);
    assert_true(notify_watchdog(&notify, 5) == UINT64_MAX);
    notify_done(&notify);

    setenv("WATCHDOG_USEC", "3000000", 1);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    notify_init(&notify);
    assert_int_equal(notify_watchdog(&notify, 1000), 1501000);
    assert_string_equal(hear(fd), "WATCHDOG=1");
    assert_int_equal(notify_watchdog(&notify, 1500999), 1501000);
    assert_string_equal(hear(fd), "");
    assert_int_equal(notify_watchdog(&notify, 1600000), 3100000);
    assert_string_equal(hear(fd), "WATCHDOG=1");
    notify_done(&notify);

    setenv("WATCHDOG_PID", "1", 1);
    notify_init(&notify);
    assert_true(notify_watchdog(&notify, 5) == UINT64_MAX);
    assert_string_equal(hear(fd), "");
    notify_done(&notify);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_an_abstract_socket, forget_all),
        cmocka_unit_test_teardown(test_a_path, forget_all),
        cmocka_unit_test_teardown(test_words_are_no_assignments, forget_all),
        cmocka_unit_test_teardown(test_no_socket_or_none_of_ours, forget_all),
        cmocka_unit_test_teardown(test_signs_of_life, forget_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
