/* cli/succession: who has the jobs, and who comes next. The zygotes are processes that do nothing (this program once more);
 * what they say, and what the server gets, is the test's. */
#include "unit.h"

#include "base/fd.h"
#include "cli/succession.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

struct scene {
    struct config config;
    struct programs programs;
    struct succession succession;
    int server;                       /* its end of the manager's channel */
    int ends[SUCCESSION_ZYGOTES];     /* the zygotes' ends of theirs */
    pid_t pids[SUCCESSION_ZYGOTES];   /* of those that have ends */
};

static void begin(struct scene *scene) {
    int pair[2];
    *scene = (struct scene){.programs = {-1, open("/proc/self/exe", O_RDONLY | O_CLOEXEC)}, .ends = {-1, -1}};
    config_init(&scene->config);
    snprintf(scene->config.preload, sizeof scene->config.preload, "numpy");
    scene->config.stall_s = 2;
    scene->config.import_s = 4;
    scene->config.wall_ms = 1000;
    succession_init(&scene->succession, &scene->config, &scene->programs);
    assert_int_equal(message_pair(pair), 0);
    assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    scene->succession.server = pair[0];
    scene->server = pair[1];
}

/* Lets it do what it can; the test speaks for those that it starts. */
static void go_on(struct scene *scene) {
    struct succession *succession = &scene->succession;
    succession_go_on(succession);
    for (size_t i = 0; i < SUCCESSION_ZYGOTES; i++) {
        struct zygote *zygote = &succession->zygotes[i];
        int pair[2];
        if (zygote->stage == ZYGOTE_NONE || zygote->child.pid == scene->pids[i])
            continue;
        assert_int_equal(message_pair(pair), 0);
        fd_close(zygote->child.control);
        child_init(&zygote->child, zygote->child.pid, pair[0]);
        scene->ends[i] = pair[1];
        scene->pids[i] = zygote->child.pid;
    }
}

static void say(struct scene *scene, size_t zygote, enum message_kind kind, unsigned flavour) {
    const struct message message = {.kind = kind, .flavours = {flavour, flavour}};
    assert_int_equal(message_send(scene->ends[zygote], &message, NULL, 0), 0);
    succession_hear(&scene->succession.zygotes[zygote]);
    go_on(scene);
}

/* Ends it, if the succession has not done so, and has it reaped. */
static void end_zygote(struct scene *scene, size_t zygote) {
    int status;
    pid_t pid = scene->pids[zygote];
    scene->ends[zygote] = fd_close(scene->ends[zygote]);
    scene->pids[zygote] = 0;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(succession_reap(&scene->succession, pid, status));
    go_on(scene);
}

/* Ends by itself: the test says so, not it. */
static bool was_killed(const struct scene *scene, size_t zygote) {
    siginfo_t info = {0};
    if (!scene->succession.zygotes[zygote].killed)
        return false;
    assert_int_equal(waitid(P_PID, (id_t)scene->pids[zygote], &info, WEXITED | WNOWAIT), 0);
    return info.si_status == SIGKILL;
}

static void end(struct scene *scene) {
    scene->succession.stopping = true;
    for (size_t i = 0; i < SUCCESSION_ZYGOTES; i++)
        if (scene->pids[i] != 0)
            end_zygote(scene, i);
    fd_close(scene->server);
    fd_close(scene->succession.server);
    fd_close(scene->programs.zygote);
}

/* How many channels the server has got since. */
static unsigned channels(struct scene *scene) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    unsigned count = 0;
    while (message_receive(scene->server, &message, fds) == 1) {
        count += message.kind == MESSAGE_CHANNEL && fds[0] >= 0;
        message_close_fds(fds);
    }
    return count;
}

static enum zygote_stage stage(const struct scene *scene, size_t zygote) {
    return scene->succession.zygotes[zygote].stage;
}

static void begin_complete(struct scene *scene) {
    begin(scene);
    go_on(scene);
    say(scene, 0, MESSAGE_READY, 0);
    say(scene, 0, MESSAGE_READY, 1);
    assert_int_equal(stage(scene, 0), ZYGOTE_PRESENT);
    assert_int_equal(channels(scene), 1);
}

static void tick(struct scene *scene, unsigned count) {
    while (count-- > 0)
        succession_tick(&scene->succession);
}

static void test_the_first_serves_as_soon_as_it_can(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene);
    go_on(&scene);
    assert_int_equal(stage(&scene, 0), ZYGOTE_FRESH);
    assert_int_equal(channels(&scene), 0);
    say(&scene, 0, MESSAGE_READY, 0);
    assert_int_equal(stage(&scene, 0), ZYGOTE_PRESENT);
    assert_true(scene.succession.served && !scene.succession.complete);
    assert_int_equal(channels(&scene), 1);
    say(&scene, 0, MESSAGE_READY, 1);
    assert_true(scene.succession.complete);
    assert_int_equal(channels(&scene), 0);
    assert_int_equal(succession_timeout_ms(&scene.succession), -1);
    end(&scene);
}

static void test_the_next_takes_over_when_it_is_complete(void **state) {
    struct scene scene;
    (void)state;
    begin_complete(&scene);
    succession_renew(&scene.succession);
    go_on(&scene);
    assert_int_equal(stage(&scene, 1), ZYGOTE_FRESH);
    say(&scene, 1, MESSAGE_READY, 0);
    assert_int_equal(channels(&scene), 0);
    assert_int_equal(stage(&scene, 0), ZYGOTE_PRESENT);
    say(&scene, 1, MESSAGE_READY, 1);
    assert_int_equal(channels(&scene), 1);
    assert_int_equal(stage(&scene, 0), ZYGOTE_RETIRING);
    assert_int_equal(stage(&scene, 1), ZYGOTE_PRESENT);
    /* What is asked now waits until there is a place. */
    succession_renew(&scene.succession);
    go_on(&scene);
    assert_int_equal(succession_timeout_ms(&scene.succession), -1);
    end_zygote(&scene, 0);
    assert_int_equal(stage(&scene, 0), ZYGOTE_FRESH);
    end(&scene);
}

static void test_who_wants_to_retire_is_replaced_once(void **state) {
    struct scene scene;
    (void)state;
    begin_complete(&scene);
    say(&scene, 0, MESSAGE_RETIRE, 0);
    assert_int_equal(stage(&scene, 1), ZYGOTE_FRESH);
    say(&scene, 0, MESSAGE_RETIRE, 1); /* another of its flavours */
    say(&scene, 1, MESSAGE_READY, 0);
    say(&scene, 1, MESSAGE_READY, 1);
    say(&scene, 0, MESSAGE_RETIRE, 1);
    end_zygote(&scene, 0);
    assert_int_equal(stage(&scene, 0), ZYGOTE_NONE);
    assert_int_equal(stage(&scene, 1), ZYGOTE_PRESENT);
    end(&scene);
}

static void test_one_that_fails_is_tried_again_later(void **state) {
    struct scene scene;
    (void)state;
    begin_complete(&scene);
    succession_renew(&scene.succession);
    go_on(&scene);
    say(&scene, 1, MESSAGE_READY, 0);
    end_zygote(&scene, 1);
    assert_int_equal(stage(&scene, 0), ZYGOTE_PRESENT);
    assert_int_equal(stage(&scene, 1), ZYGOTE_NONE);
    assert_false(scene.succession.failed);
    assert_int_equal(channels(&scene), 0);
    int ms = succession_timeout_ms(&scene.succession);
    assert_true(ms > 0 && ms <= 1000);
    /* Asked once more, it does not wait. */
    succession_renew(&scene.succession);
    go_on(&scene);
    assert_int_equal(stage(&scene, 1), ZYGOTE_FRESH);
    end(&scene);
}

static void test_the_present_one_dies_while_the_next_begins(void **state) {
    struct scene scene;
    (void)state;
    begin_complete(&scene);
    succession_renew(&scene.succession);
    go_on(&scene);
    say(&scene, 1, MESSAGE_READY, 0);
    assert_int_equal(channels(&scene), 0);
    end_zygote(&scene, 0);
    assert_int_equal(channels(&scene), 1);
    assert_int_equal(stage(&scene, 1), ZYGOTE_PRESENT);
    assert_int_equal(stage(&scene, 0), ZYGOTE_NONE);
    end(&scene);
}

static void test_a_dead_one_is_replaced_at_once_and_slower_where_that_fails(void **state) {
    struct scene scene;
    (void)state;
    begin_complete(&scene);
    end_zygote(&scene, 0);
    assert_int_equal(stage(&scene, 0), ZYGOTE_FRESH);
    end_zygote(&scene, 0);
    assert_int_equal(stage(&scene, 0), ZYGOTE_NONE);
    assert_true(succession_timeout_ms(&scene.succession) > 0);
    end(&scene);
}

static void test_before_it_has_served_a_failure_is_final(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene);
    go_on(&scene);
    end_zygote(&scene, 0);
    assert_true(scene.succession.failed);
    end(&scene);
}

static void test_without_a_server_it_keeps_the_channel(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene);
    int server = scene.succession.server;
    scene.succession.server = -1;
    go_on(&scene);
    say(&scene, 0, MESSAGE_READY, 0);
    assert_int_equal(stage(&scene, 0), ZYGOTE_FRESH);
    scene.succession.server = server;
    go_on(&scene);
    assert_int_equal(stage(&scene, 0), ZYGOTE_PRESENT);
    assert_int_equal(channels(&scene), 1);
    end(&scene);
}

static void test_silence(void **state) {
    struct scene scene;
    (void)state;
    begin_complete(&scene);
    tick(&scene, 2);
    say(&scene, 0, MESSAGE_ALIVE, 0);
    say(&scene, 0, MESSAGE_ALIVE, 1);
    tick(&scene, 2);
    say(&scene, 0, MESSAGE_ALIVE, 0);
    assert_false(was_killed(&scene, 0));
    tick(&scene, 1); /* flavour 1 */
    assert_true(was_killed(&scene, 0));
    end_zygote(&scene, 0);
    assert_int_equal(stage(&scene, 0), ZYGOTE_FRESH);
    end(&scene);
}

static void test_an_import_that_does_not_end(void **state) {
    struct scene scene;
    (void)state;
    begin_complete(&scene);
    succession_renew(&scene.succession);
    go_on(&scene);
    for (unsigned i = 0; i < 4; i++) {
        tick(&scene, 1);
        for (unsigned flavour = 0; flavour < 2; flavour++)
            say(&scene, 0, MESSAGE_ALIVE, flavour);
    }
    assert_false(was_killed(&scene, 1));
    tick(&scene, 1);
    assert_true(was_killed(&scene, 1));
    assert_false(was_killed(&scene, 0));
    assert_false(scene.succession.failed);
    end(&scene);
}

static void test_an_import_that_does_not_end_at_the_start(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene);
    go_on(&scene);
    tick(&scene, 5);
    assert_true(was_killed(&scene, 0));
    assert_true(scene.succession.failed);
    assert_string_equal(scene.succession.failure.stage, "--preload");
    end(&scene);
}

/* Its flavours fall silent one by one; its last job may take a second, and it two more. */
static void test_one_that_does_not_retire(void **state) {
    struct scene scene;
    (void)state;
    begin_complete(&scene);
    succession_renew(&scene.succession);
    go_on(&scene);
    say(&scene, 1, MESSAGE_READY, 0);
    say(&scene, 1, MESSAGE_READY, 1);
    for (unsigned i = 0; i < 3; i++) {
        tick(&scene, 1);
        for (unsigned flavour = 0; flavour < 2; flavour++)
            say(&scene, 1, MESSAGE_ALIVE, flavour);
    }
    assert_false(was_killed(&scene, 0));
    tick(&scene, 1);
    assert_true(was_killed(&scene, 0));
    assert_false(was_killed(&scene, 1));
    end(&scene);
}

static void test_at_the_end_nothing_begins(void **state) {
    struct scene scene;
    (void)state;
    begin_complete(&scene);
    scene.succession.stopping = true;
    succession_renew(&scene.succession);
    go_on(&scene);
    assert_int_equal(stage(&scene, 1), ZYGOTE_NONE);
    end_zygote(&scene, 0);
    assert_int_equal(stage(&scene, 0), ZYGOTE_NONE);
    assert_int_equal(succession_timeout_ms(&scene.succession), -1);
    end(&scene);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_serves_as_soon_as_it_can),
        cmocka_unit_test(test_the_next_takes_over_when_it_is_complete),
        cmocka_unit_test(test_who_wants_to_retire_is_replaced_once),
        cmocka_unit_test(test_one_that_fails_is_tried_again_later),
        cmocka_unit_test(test_the_present_one_dies_while_the_next_begins),
        cmocka_unit_test(test_a_dead_one_is_replaced_at_once_and_slower_where_that_fails),
        cmocka_unit_test(test_before_it_has_served_a_failure_is_final),
        cmocka_unit_test(test_without_a_server_it_keeps_the_channel),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_an_import_that_does_not_end),
        cmocka_unit_test(test_an_import_that_does_not_end_at_the_start),
        cmocka_unit_test(test_one_that_does_not_retire),
        cmocka_unit_test(test_at_the_end_nothing_begins),
    };
    if (argc > 1 && strcmp(argv[0], "python-executor-zygote") == 0)
        for (;;)
            pause();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
