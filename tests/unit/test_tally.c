/* zygote/tally: when the server is told of the crew, and when not. */
#include "unit.h"

#include "base/fd.h"
#include "zygote/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

struct scene {
    int ends[2]; /* the zygote's, the server's */
    struct tally tally;
    struct crew crew;
};

static void begin(struct scene *scene) {
    memset(scene, 0, sizeof *scene);
    assert_int_equal(message_pair(scene->ends), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(fcntl(scene->ends[i], F_SETFL, O_NONBLOCK), 0);
    scene->crew.forks = scene->crew.idle = 1;
}

static void end(struct scene *scene) {
    fd_close(scene->ends[0]);
    fd_close(scene->ends[1]);
}

static void tell(struct scene *scene) {
    tally_tell(&scene->tally, &scene->crew, scene->ends[0]);
}

/* As if the time had come. */
static void tell_in_time(struct scene *scene) {
    tell(scene);
    if (scene->tally.due_us != 0)
        scene->tally.due_us = 1;
    tell(scene);
}

static bool hears(struct scene *scene, struct crew_report *ret_report) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    int r = message_receive(scene->ends[1], &message, fds);
    if (r == -EAGAIN)
        return false;
    assert_int_equal(r, 1);
    assert_int_equal(message.kind, MESSAGE_CREW);
    assert_int_equal(message.job, 0);
    *ret_report = message.crew;
    return true;
}

static void test_the_first_time_is_at_once(void **state) {
    struct scene scene;
    struct crew_report report;
    (void)state;
    begin(&scene);
    scene.crew.starting = 2;
    tell(&scene);
    assert_true(hears(&scene, &report));
    assert_int_equal(report.idle, 1);
    assert_int_equal(report.starting, 2);
    assert_int_equal(report.forks, 1);
    assert_true(report.python >= 0x030b0000 && report.python < 0x04000000);
    assert_int_equal(tally_timeout_ms(&scene.tally), -1);
    end(&scene);
}

static void test_no_news_is_not_told(void **state) {
    struct scene scene;
    struct crew_report report;
    (void)state;
    begin(&scene);
    tell(&scene);
    assert_true(hears(&scene, &report));
    for (int i = 0; i < 10; i++)
        tell_in_time(&scene);
    assert_false(hears(&scene, &report));
    assert_int_equal(tally_timeout_ms(&scene.tally), -1);
    end(&scene);
}

static void test_news_wait_and_are_told_once(void **state) {
    struct scene scene;
    struct crew_report report;
    (void)state;
    begin(&scene);
    tell(&scene);
    assert_true(hears(&scene, &report));
    for (uint64_t i = 2; i < 50; i++) {
        scene.crew.forks = i;
        tell(&scene);
    }
    assert_false(hears(&scene, &report));
    int ms = tally_timeout_ms(&scene.tally);
    assert_true(ms >= 0 && ms <= 200);
    scene.tally.due_us = 1;
    assert_int_equal(tally_timeout_ms(&scene.tally), 0);
    tell(&scene);
    assert_true(hears(&scene, &report));
    assert_int_equal(report.forks, 49);
    assert_false(hears(&scene, &report));
    end(&scene);
}

/* A crew that is again what it was: there is nothing to tell any more. */
static void test_news_that_are_none_in_the_end(void **state) {
    struct scene scene;
    struct crew_report report;
    (void)state;
    begin(&scene);
    tell(&scene);
    assert_true(hears(&scene, &report));
    scene.crew.idle = 0;
    tell(&scene);
    assert_true(tally_timeout_ms(&scene.tally) >= 0);
    scene.crew.idle = 1;
    tell(&scene);
    assert_int_equal(tally_timeout_ms(&scene.tally), -1);
    end(&scene);
}

static void test_who_does_not_read_is_told_no_more(void **state) {
    struct scene scene;
    struct crew_report report;
    (void)state;
    begin(&scene);
    for (uint64_t i = 1; i < 1000; i++) {
        scene.crew.forks = i;
        tell_in_time(&scene);
    }
    assert_true(hears(&scene, &report));
    assert_int_equal(report.forks, 1);
    assert_false(hears(&scene, &report)); /* there is room for verdicts */
    scene.tally.due_us = 1;
    tell(&scene);
    assert_true(hears(&scene, &report));
    assert_int_equal(report.forks, 999);
    end(&scene);
}

static void test_nobody_is_there(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene);
    scene.ends[1] = fd_close(scene.ends[1]);
    tell_in_time(&scene);
    assert_int_equal(scene.tally.told.forks, 0);
    end(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_time_is_at_once),
        cmocka_unit_test(test_no_news_is_not_told),
        cmocka_unit_test(test_news_wait_and_are_told_once),
        cmocka_unit_test(test_news_that_are_none_in_the_end),
        cmocka_unit_test(test_who_does_not_read_is_told_no_more),
        cmocka_unit_test(test_nobody_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
