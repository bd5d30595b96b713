/* server/journal: every request has its line, unless there are too many of them or nobody reads the log; nobody waits. */
#include "unit.h"

#include "base/clock.h"
#include "base/fd.h"
#include "server/journal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static char said[1 << 20];

struct scene {
    uv_loop_t loop;
    uv_timer_t alive;
    struct journal journal;
    struct config config;
    int reader, kept;
    struct access access;
};

static void set_up(struct scene *scene, const char *format) {
    int ends[2];
    *scene = (struct scene){0};
    config_init(&scene->config);
    uv_loop_init(&scene->loop);
    uv_timer_init(&scene->loop, &scene->alive);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    scene->reader = ends[0];
    scene->kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    dup2(ends[1], STDERR_FILENO);
    fd_close(ends[1]);
    log_start("server", "info", format);
    assert_int_equal(journal_start(&scene->journal, &scene->loop, &scene->config), 0);
    scene->access = (struct access){.method = "GET", .path = "/x", .id = "abc", .status = 200, .begun_us = clock_us()};
}

static void close_handle(uv_handle_t *handle, void *context) {
    (void)context;
    uv_close(handle, NULL);
}

static void tear_down(struct scene *scene) {
    log_divert(NULL, NULL);
    dup2(scene->kept, STDERR_FILENO);
    fd_close(scene->kept);
    fd_close(scene->reader);
    uv_walk(&scene->loop, close_handle, NULL);
    uv_run(&scene->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    buf_done(&scene->journal.waiting);
}

/* What the reader finds; it reads all there is. */
static const char *hear(const struct scene *scene) {
    size_t length = 0;
    ssize_t n;
    while ((n = read(scene->reader, said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)n;
    said[length] = '\0';
    return said;
}

static size_t count(const char *text, const char *words) {
    size_t found = 0;
    for (; (text = strstr(text, words)) != NULL; text++)
        found++;
    return found;
}

static void nothing(uv_timer_t *timer) {
    (void)timer;
}

/* The journal keeps no loop alive, and one that is not alive does nothing. */
static void loop_once(struct scene *scene) {
    uv_timer_start(&scene->alive, nothing, 3600000, 0);
    uv_run(&scene->loop, UV_RUN_NOWAIT);
    uv_timer_stop(&scene->alive);
}

static void add(struct scene *scene, size_t times) {
    for (size_t i = 0; i < times; i++)
        journal_add(&scene->journal, &scene->access);
}

static void test_lines_are_written_together_before_the_loop_sleeps(void **state) {
    struct scene scene;
    (void)state;
    set_up(&scene, "text");
    add(&scene, 3);
    log_info("between");
    assert_string_equal(hear(&scene), "");
    loop_once(&scene);
    hear(&scene);
    assert_int_equal(count(said, " GET /x 200 "), 3);
    assert_true(strncmp(said + strlen(said) - strlen("server: between\n"), "server: between\n", 16) == 0);
    tear_down(&scene);
}

/* It may be the last thing that the process does. */
static void test_a_warning_is_written_at_once_with_all_before_it(void **state) {
    struct scene scene;
    (void)state;
    set_up(&scene, "text");
    add(&scene, 2);
    log_warning("now");
    hear(&scene);
    assert_int_equal(count(said, " GET /x 200 "), 2);
    assert_non_null(strstr(said, "server: warning: now\n"));
    tear_down(&scene);
}

static void test_off_and_levels(void **state) {
    struct scene scene;
    (void)state;
    set_up(&scene, "text");
    scene.journal.access = false;
    add(&scene, 2);
    scene.journal.access = true;
    log_start("server", "warning", "text");
    add(&scene, 2);
    scene.access.status = 503;
    add(&scene, 1);
    log_start("server", "error", "text");
    add(&scene, 1);
    scene.access.status = 500;
    scene.access.outcome = "lost";
    add(&scene, 1);
    journal_flush(&scene.journal);
    hear(&scene);
    assert_int_equal(count(said, "\n"), 2);
    assert_non_null(strstr(said, "server: warning: "));
    assert_non_null(strstr(said, "server: error: "));
    tear_down(&scene);
}

static void test_no_more_in_a_second_than_asked_for(void **state) {
    struct scene scene;
    uint64_t left_out = 0;
    (void)state;
    set_up(&scene, "text");
    scene.config.log_rate = 10;
    add(&scene, 25);
    assert_int_equal(scene.journal.left_out, 15);
    uv_run(&scene.loop, UV_RUN_DEFAULT); /* until the second is over: nothing else keeps the loop alive */
    hear(&scene);
    assert_int_equal(count(said, " GET /x 200 "), 10);
    const char *told = strstr(said, "server: warning: ");
    assert_non_null(told);
    assert_int_equal(sscanf(told, "server: warning: %" SCNu64 " requests have no line, there were more than 10 in a second", &left_out), 1);
    assert_int_equal(left_out, 15);
    add(&scene, 1);
    journal_flush(&scene.journal);
    assert_int_equal(count(hear(&scene), " GET /x 200 "), 1);
    tear_down(&scene);
}

/* Full pipe, full buffer: lines are lost and counted, and what the server says of itself still has room. */
static void test_nobody_reads(void **state) {
    enum { REQUESTS = 5000 };
    struct scene scene;
    uint64_t lost = 0;
    (void)state;
    set_up(&scene, "json");
    scene.config.log_rate = 1000000;
    alarm(20); /* would wait for ever if it ever waited */
    for (size_t i = 0; i < REQUESTS; i++) {
        add(&scene, 1);
        loop_once(&scene);
    }
    log_error("important");
    alarm(0);
    assert_true(scene.journal.stuck);
    assert_in_range(scene.journal.waiting.len, 40 << 10, 64 << 10);
    hear(&scene); /* one pipe of it */
    size_t lines = count(said, "\n"), errors = count(said, "important");
    uv_run(&scene.loop, UV_RUN_DEFAULT); /* its timer looks again */
    assert_int_equal(scene.journal.waiting.len, 0);
    hear(&scene);
    lines += count(said, "\n");
    errors += count(said, "\"message\":\"important\"");
    assert_int_equal(errors, 1);
    const char *told = strstr(said, " lines of the log were lost");
    assert_non_null(told);
    while (told[-1] != '"')
        told--;
    assert_int_equal(sscanf(told, "%" SCNu64, &lost), 1);
    assert_int_equal(lines, REQUESTS - lost + 2);
    assert_in_range(lost, REQUESTS / 2, REQUESTS);
    tear_down(&scene);
}

static void test_nobody_is_left_to_read(void **state) {
    struct scene scene;
    (void)state;
    set_up(&scene, "text");
    signal(SIGPIPE, SIG_IGN);
    scene.reader = fd_close(scene.reader);
    add(&scene, 1000);
    loop_once(&scene);
    assert_int_equal(scene.journal.waiting.len, 0);
    assert_false(scene.journal.stuck);
    tear_down(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_written_together_before_the_loop_sleeps),
        cmocka_unit_test(test_a_warning_is_written_at_once_with_all_before_it),
        cmocka_unit_test(test_off_and_levels),
        cmocka_unit_test(test_no_more_in_a_second_than_asked_for),
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_nobody_is_left_to_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
