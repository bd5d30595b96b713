/* base/log: one line a call, at most as much as was asked for. */
#include "unit.h"

#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static char written[8192];

/* What log_line() writes to standard error while `speak` runs. */
static const char *hear(void (*speak)(void)) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    dup2(ends[1], STDERR_FILENO);
    speak();
    dup2(kept, STDERR_FILENO);
    fd_close(kept);
    ssize_t n = read(ends[0], written, sizeof written - 1);
    written[n < 0 ? 0 : n] = '\0';
    fd_close(ends[0]);
    fd_close(ends[1]);
    return written;
}

static void speak_on_every_level(void) {
    log_error("%d", 1);
    log_warning("%d", 2);
    log_info("%d", 3);
    log_debug("%d", 4);
}

static void test_levels(void **state) {
    static const struct {
        const char *level, *expected;
    } cases[] = {
        {"error", "me: error: 1\n"},
        {"warning", "me: error: 1\nme: warning: 2\n"},
        {"info", "me: error: 1\nme: warning: 2\nme: 3\n"},
        {"debug", "me: error: 1\nme: warning: 2\nme: 3\nme: debug: 4\n"},
        {"loud", "me: error: 1\nme: warning: 2\nme: 3\nme: debug: 4\n"}, /* no level: as before */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        log_start("me", cases[i].level);
        assert_string_equal(hear(speak_on_every_level), cases[i].expected);
    }
}

static void speak_too_long(void) {
    static char text[5000];
    memset(text, 'a', sizeof text - 1);
    log_error("%s", text);
}

/* More than a pipe takes in one piece would mix with the lines of other processes. */
static void test_a_line_is_cut_and_ended(void **state) {
    (void)state;
    log_start("me", "info");
    const char *line = hear(speak_too_long);
    size_t length = strlen(line);
    assert_in_range(length, 900, 1024);
    assert_ptr_equal(strchr(line, '\n'), line + length - 1);
    assert_int_equal(strspn(line + strlen("me: error: "), "a"), length - strlen("me: error: ") - 1);
}

static void speak_to_nobody(void) {
    close(STDERR_FILENO);
    log_error("lost");
}

static void test_a_log_that_cannot_be_written_does_no_harm(void **state) {
    (void)state;
    assert_string_equal(hear(speak_to_nobody), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_a_line_is_cut_and_ended),
        cmocka_unit_test(test_a_log_that_cannot_be_written_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
