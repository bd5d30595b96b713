/* base/log: one line a call, at most as much as was asked for, in either format, and never a wait for its reader. */
#include "unit.h"

#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static char written[1 << 20];

static const char *read_all(int fd) {
    size_t length = 0;
    ssize_t n;
    while (length < sizeof written - 1 && (n = recv(fd, written + length, sizeof written - 1 - length, MSG_DONTWAIT)) != 0) {
        if (n < 0 && errno == ENOTSOCK)
            n = read(fd, written + length, sizeof written - 1 - length);
        if (n <= 0)
            break;
        length += (size_t)n;
    }
    written[length] = '\0';
    return written;
}

/* What is written to standard error, which is this pipe or socket, while `speak` runs. */
static const char *hear_at(const int ends[2], const char *level, const char *format, void (*speak)(int reader)) {
    int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    dup2(ends[1], STDERR_FILENO);
    log_start("me", level, format);
    speak(ends[0]);
    dup2(kept, STDERR_FILENO);
    fd_close(kept);
    read_all(ends[0]);
    fd_close(ends[0]);
    fd_close(ends[1]);
    return written;
}

/* A pipe that blocks whoever writes, as those that services get; its reader, which is we, does not wait. */
static void open_pipe(int ret_ends[2]) {
    assert_int_equal(pipe2(ret_ends, O_CLOEXEC), 0);
    fcntl(ret_ends[0], F_SETFL, O_NONBLOCK);
}

static const char *hear(const char *level, const char *format, void (*speak)(int reader)) {
    int ends[2];
    open_pipe(ends);
    return hear_at(ends, level, format, speak);
}

/* --- What it looks like --- */

static void speak_on_every_level(int reader) {
    (void)reader;
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
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(hear(cases[i].level, "text", speak_on_every_level), cases[i].expected);
}

static void test_json(void **state) {
    static const char *const severities[] = {"ERROR", "WARNING", "INFO", "DEBUG"};
    char pid[32];
    (void)state;
    snprintf(pid, sizeof pid, "\"pid\":%d,", (int)getpid());
    char *line = (char *)hear("debug", "json", speak_on_every_level);
    for (int i = 0; i < 4; i++) {
        char rest[128];
        int year, month, day, hour, minute, second, ms, end = 0;
        sscanf(line, "{\"time\":\"%4d-%2d-%2dT%2d:%2d:%2d.%3dZ\",%n", &year, &month, &day, &hour, &minute, &second, &ms, &end);
        assert_true(end > 0 && year >= 2024);
        snprintf(rest, sizeof rest, "\"severity\":\"%s\",\"component\":\"me\",%s\"message\":\"%d\"}\n", severities[i], pid, i + 1);
        assert_int_equal(strncmp(line + end, rest, strlen(rest)), 0);
        line += (size_t)end + strlen(rest);
    }
    assert_string_equal(line, "");
}

static void speak_too_long(int reader) {
    static char text[9000];
    (void)reader;
    memset(text, 'a', sizeof text - 1);
    log_error("%s", text);
    memset(text, '\n', sizeof text - 1);
    log_error("%s", text);
    memset(text, '\x80', sizeof text - 1);
    log_error("%s", text);
}

/* More than a pipe takes in one piece would mix with the lines of other processes. */
static void test_a_line_is_cut_and_ended(void **state) {
    static const char *const formats[] = {"text", "json"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *line = hear("info", formats[i], speak_too_long);
        for (size_t n = 0; n < 3; n++) {
            const char *end = strchr(line, '\n');
            assert_in_range(end - line, 2000, LINE_BYTES - 1);
            assert_int_equal(end[-1] == '}', i == 1);
            line = end + 1;
        }
        assert_string_equal(line, "");
    }
}

static void speak_to_forge(int reader) {
    (void)reader;
    log_info("%s", "a\nme: error: b\x1b[2J\xc2\x9b\xff\"");
}

static void test_nobody_forges_a_line(void **state) {
    static const char escaped[] = "a\\nme: error: b\\u001b[2J\\u009b\\ufffd\\\"";
    char expected[128];
    (void)state;
    snprintf(expected, sizeof expected, "me: %s\n", escaped);
    assert_string_equal(hear("info", "text", speak_to_forge), expected);
    snprintf(expected, sizeof expected, "\"message\":\"%s\"}\n", escaped);
    const char *line = hear("info", "json", speak_to_forge);
    assert_string_equal(line + strlen(line) - strlen(expected), expected);
}

static void announce(int reader) {
    (void)reader;
    log_announce("ready %d", 7);
}

static void test_an_announcement(void **state) {
    (void)state;
    int out[2], kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    fflush(stdout);
    open_pipe(out);
    dup2(out[1], STDOUT_FILENO);
    assert_string_equal(hear("error", "text", announce), "");
    assert_string_equal(read_all(out[0]), "ready 7\n");
    assert_string_equal(hear("error", "json", announce), "");
    dup2(kept, STDOUT_FILENO);
    fd_close(kept);
    const char *said = read_all(out[0]);
    assert_non_null(strstr(said, "\"severity\":\"INFO\""));
    assert_non_null(strstr(said, "\"message\":\"ready 7\"}\n"));
    fd_close(out[0]);
    fd_close(out[1]);
}

/* --- Where it goes --- */

static void speak_to_nobody(int reader) {
    (void)reader;
    close(STDERR_FILENO);
    log_error("lost");
}

static void test_a_log_that_cannot_be_written_does_no_harm(void **state) {
    (void)state;
    assert_string_equal(hear("info", "text", speak_to_nobody), "");
}

/* Would wait for ever if it ever waited; the alarm then ends the test. */
static void speak_to_a_deaf_reader(int reader) {
    char text[1000];
    memset(text, 'x', sizeof text);
    alarm(20);
    for (int i = 0; i < 2000; i++)
        log_info("%.*s", (int)sizeof text, text);
    alarm(0);
    read_all(reader);
    log_info("back");
}

static void speak_detached(int reader) {
    int before = fcntl(STDERR_FILENO, F_GETFL);
    int shared = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    log_detach();
    log_start("me", "info", "text");
    assert_true((fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(fcntl(shared, F_GETFL), before); /* those who share it with us go on as before */
    fd_close(shared);
    speak_to_a_deaf_reader(reader);
}

static void expect_loss(const char *said) {
    uint64_t lost = 0;
    assert_int_equal(sscanf(said, "me: warning: %" SCNu64 " lines of the log were lost", &lost), 1);
    assert_in_range(lost, 1000, 1990);
    assert_string_equal(strchr(said, '\n') + 1, "me: back\n");
}

static void test_nobody_waits_for_a_pipe(void **state) {
    (void)state;
    expect_loss(hear("info", "text", speak_to_a_deaf_reader));
    expect_loss(hear("info", "text", speak_detached));
}

static void test_nobody_waits_for_a_socket(void **state) {
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    expect_loss(hear_at(ends, "info", "text", speak_to_a_deaf_reader));
}

static void speak_into_a_file(int reader) {
    (void)reader;
    log_detach();
    log_start("me", "info", "text");
    assert_int_equal(dprintf(STDERR_FILENO, "by another\n"), 11);
    log_info("by me");
}

/* Opened a second time it would have a second position, and the lines of its writers would overwrite each other. */
static void test_a_file_is_not_detached(void **state) {
    char path[] = "/tmp/test_log_XXXXXX";
    int file = mkstemp(path);
    (void)state;
    unlink(path);
    int again = fcntl(file, F_DUPFD_CLOEXEC, 0);
    hear_at((int[]){fcntl(file, F_DUPFD_CLOEXEC, 0), file}, "info", "text", speak_into_a_file);
    lseek(again, 0, SEEK_SET);
    assert_string_equal(read_all(again), "by another\nme: by me\n");
    fd_close(again);
}

static enum log_level taken_level;
static char taken[LINE_BYTES];

static void take(void *context, enum log_level level, const struct line *line) {
    *(int *)context += 1;
    taken_level = level;
    snprintf(taken, sizeof taken, "%.*s", (int)line->len, line->data);
}

static void speak_elsewhere(int reader) {
    int count = 0;
    (void)reader;
    log_divert(take, &count);
    log_warning("there");
    log_debug("nowhere");
    log_divert(NULL, NULL);
    log_info("here");
    assert_int_equal(count, 1);
}

static void test_diverted(void **state) {
    (void)state;
    assert_string_equal(hear("info", "text", speak_elsewhere), "me: here\n");
    assert_string_equal(taken, "me: warning: there\n");
    assert_int_equal(taken_level, LOG_LEVEL_WARNING);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_a_line_is_cut_and_ended),
        cmocka_unit_test(test_nobody_forges_a_line),
        cmocka_unit_test(test_an_announcement),
        cmocka_unit_test(test_a_log_that_cannot_be_written_does_no_harm),
        cmocka_unit_test(test_nobody_waits_for_a_pipe),
        cmocka_unit_test(test_nobody_waits_for_a_socket),
        cmocka_unit_test(test_a_file_is_not_detached),
        cmocka_unit_test(test_diverted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
