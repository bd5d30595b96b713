/* server/pool: the zygotes come and go, and each job belongs to the one that has it. */
#include "runs_scene.h"

#include <errno.h>
#include <fcntl.h>

/* Recycling: the old zygote finishes what it has, and is let go with its last verdict. */
static void test_a_fresh_zygote_takes_over(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    (void)state;
    runs_scene_begin(&scene, 4, 4);
    runs_scene_add_zygote(&scene, 0);
    struct job *before = runs_scene_submit(&scene, false);
    runs_scene_take(&scene, 0, before, &worker);
    runs_scene_close_worker(&worker);
    runs_scene_add_zygote(&scene, 1);
    struct job *after = runs_scene_submit(&scene, false);
    runs_scene_take(&scene, 1, after, &worker);
    runs_scene_close_worker(&worker);
    assert_int_equal(message_receive(scene.zygotes[0], &message, fds), -EAGAIN);
    /* More than there is to say, all of it there when the server comes to read. */
    for (int i = 0; i < 3; i++)
        runs_scene_send_verdict(&scene, 0, before, ENDING_EXIT);
    runs_scene_turn(&scene);
    runs_scene_assert_finished(&scene, before, OUTCOME_EXITED);
    assert_int_equal(message_receive(scene.zygotes[0], &message, fds), 0); /* though some was not read */
    assert_int_equal(after->stage, JOB_RUNNING);
    runs_scene_verdict(&scene, 1, after, ENDING_EXIT);
    assert_int_equal(message_receive(scene.zygotes[1], &message, fds), -EAGAIN); /* it stays for the next */
    runs_scene_end(&scene);
}

static void test_an_idle_zygote_is_let_go_at_once(void **state) {
    struct runs_scene scene;
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    runs_scene_add_zygote(&scene, 1);
    runs_scene_turn(&scene);
    assert_int_equal(message_receive(scene.zygotes[0], &message, fds), 0);
    assert_int_equal(message_receive(scene.zygotes[1], &message, fds), -EAGAIN);
    runs_scene_end(&scene);
}

/* Its jobs are answered, none hangs; those that wait are for the next one. */
static void test_a_dead_zygote_loses_its_jobs(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    struct job *jobs[3];
    (void)state;
    runs_scene_begin(&scene, 2, 1);
    runs_scene_add_zygote(&scene, 0);
    for (size_t i = 0; i < 3; i++)
        jobs[i] = runs_scene_submit(&scene, false);
    scene.zygotes[0] = fd_close(scene.zygotes[0]);
    runs_scene_turn(&scene);
    runs_scene_assert_finished(&scene, jobs[0], OUTCOME_LOST);
    runs_scene_assert_finished(&scene, jobs[1], OUTCOME_LOST);
    assert_int_equal(jobs[2]->stage, JOB_WAITING);
    for (unsigned i = 0; i < FLAVOUR_MAX; i++)
        assert_null(scene.runs.pool.current[i]);
    runs_scene_add_zygote(&scene, 1);
    runs_scene_take(&scene, 1, jobs[2], &worker);
    runs_scene_verdict(&scene, 1, jobs[2], ENDING_EXIT);
    runs_scene_assert_finished(&scene, jobs[2], OUTCOME_EXITED);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

static void test_of_two_zygotes_only_the_dead_ones_jobs_are_lost(void **state) {
    struct runs_scene scene;
    (void)state;
    runs_scene_begin(&scene, 2, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *first = runs_scene_submit(&scene, false);
    runs_scene_add_zygote(&scene, 1);
    struct job *second = runs_scene_submit(&scene, false);
    scene.zygotes[0] = fd_close(scene.zygotes[0]);
    runs_scene_turn(&scene);
    runs_scene_assert_finished(&scene, first, OUTCOME_LOST);
    assert_int_equal(second->stage, JOB_RUNNING);
    scene.zygotes[1] = fd_close(scene.zygotes[1]);
    runs_scene_turn(&scene);
    runs_scene_assert_finished(&scene, second, OUTCOME_LOST);
    runs_scene_end(&scene);
}

/* A verdict counts once, and only from the zygote that has the job. */
static void test_a_verdict_of_another_is_none(void **state) {
    struct runs_scene scene;
    (void)state;
    runs_scene_begin(&scene, 2, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *first = runs_scene_submit(&scene, false);
    runs_scene_add_zygote(&scene, 1);
    struct job *second = runs_scene_submit(&scene, false);
    runs_scene_verdict(&scene, 1, first, ENDING_EXIT);
    runs_scene_verdict(&scene, 0, second, ENDING_EXIT);
    runs_scene_verdict(&scene, 0, &(struct job){.number = 99}, ENDING_EXIT);
    assert_int_equal(scene.finished, 0);
    runs_scene_verdict(&scene, 1, second, ENDING_SIGNAL);
    runs_scene_verdict(&scene, 1, second, ENDING_EXIT);
    runs_scene_assert_finished(&scene, second, OUTCOME_KILLED);
    runs_scene_verdict(&scene, 0, first, ENDING_DEADLINE);
    runs_scene_assert_finished(&scene, first, OUTCOME_TIMEOUT);
    runs_scene_end(&scene);
}

static void test_other_messages_mean_nothing(void **state) {
    struct runs_scene scene;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit(&scene, false);
    for (uint32_t kind = 0; kind <= MESSAGE_GO + 1; kind++) {
        const struct message message = {.kind = kind, .job = job->number};
        if (kind != MESSAGE_VERDICT && kind != MESSAGE_CHANNEL)
            assert_int_equal(message_send(scene.zygotes[0], &message, &scene.zygotes[0], 1), 0);
    }
    runs_scene_turn(&scene);
    assert_int_equal(scene.finished, 0);
    runs_scene_verdict(&scene, 0, job, ENDING_EXIT);
    runs_scene_assert_finished(&scene, job, OUTCOME_EXITED);
    runs_scene_end(&scene);
}

/* Its other end may still read: the next job must not be given to it all the same. */
static void test_a_broken_packet_ends_the_channel(void **state) {
    struct runs_scene scene;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit(&scene, false);
    struct job *next = runs_scene_submit(&scene, false);
    runs_scene_print(scene.zygotes[0], "rubbish");
    runs_scene_turn(&scene);
    runs_scene_assert_finished(&scene, job, OUTCOME_LOST);
    assert_int_equal(next->stage, JOB_WAITING);
    runs_scene_add_zygote(&scene, 1);
    runs_scene_verdict(&scene, 1, next, ENDING_EXIT);
    runs_scene_assert_finished(&scene, next, OUTCOME_EXITED);
    runs_scene_end(&scene);
}

/* A file cannot be waited for; it is taken all the same, and nobody is let go for it. */
static void test_a_channel_that_is_none(void **state) {
    struct runs_scene scene;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(pool_add(&scene.runs.pool, file, (struct flavours){0, 0}) < 0);
    assert_int_equal(fcntl(file, F_GETFD), -1);
    struct job *job = runs_scene_submit(&scene, false);
    runs_scene_verdict(&scene, 0, job, ENDING_EXIT);
    runs_scene_assert_finished(&scene, job, OUTCOME_EXITED);
    runs_scene_end(&scene);
}

/* A zygote that does not read stops nobody: jobs wait until it does or another comes. */
static void test_a_zygote_that_does_not_read(void **state) {
    struct runs_scene scene;
    const struct message cancel = {.kind = MESSAGE_CANCEL};
    (void)state;
    runs_scene_begin(&scene, 4, 4);
    int ends[2];
    assert_int_equal(message_pair(ends), 0);
    scene.zygotes[0] = ends[1];
    assert_int_equal(pool_add(&scene.runs.pool, ends[0], (struct flavours){0, 0}), 0); /* which makes it non-blocking */
    while (message_send(ends[0], &cancel, NULL, 0) == 0)
        continue;
    struct job *job = runs_scene_submit(&scene, false);
    assert_int_equal(job->stage, JOB_WAITING);
    for (size_t i = 0; i < WATCH_CLIENT; i++)
        assert_int_equal(job->fds[i], -1);
    runs_scene_add_zygote(&scene, 1);
    runs_scene_turn(&scene);
    assert_int_equal(job->stage, JOB_RUNNING);
    runs_scene_verdict(&scene, 1, job, ENDING_EXIT);
    runs_scene_assert_finished(&scene, job, OUTCOME_EXITED);
    runs_scene_end(&scene);
}

static struct job *submit(struct runs_scene *scene, const char *script) {
    return runs_scene_submit_script(scene, script, strlen(script));
}

/* The zygote hands the server the channel to one that is a fork of it. */
static void hand_over(struct runs_scene *scene, size_t zygote, size_t next, struct flavours flavours) {
    const struct message message = {.kind = MESSAGE_CHANNEL, .flavours = flavours};
    int ends[2];
    assert_int_equal(message_pair(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(message_send(scene->zygotes[zygote], &message, &ends[0], 1), 0);
    fd_close(ends[0]);
    scene->zygotes[next] = ends[1];
    runs_scene_turn(scene);
}

/* A script that mentions what is not there yet waits for the zygote that has it; others do not wait for it. */
static void test_each_flavour_has_its_zygote(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 4, 4);
    runs_scene_add_flavours(&scene, 0, (struct flavours){0, 0});
    struct job *plain = submit(&scene, "def main(): return 1");
    struct job *pandas = submit(&scene, "import pandas");
    assert_int_equal(plain->stage, JOB_RUNNING);
    assert_int_equal(pandas->stage, JOB_WAITING);
    hand_over(&scene, 0, 1, (struct flavours){1, FLAVOUR_MAX - 1});
    assert_int_equal(pandas->stage, JOB_RUNNING);
    runs_scene_take_unread(&scene, 0, plain, &worker);
    runs_scene_close_worker(&worker);
    runs_scene_take_unread(&scene, 1, pandas, &worker);
    runs_scene_close_worker(&worker);
    struct job *numpy = submit(&scene, "import numpy");
    runs_scene_take_unread(&scene, 1, numpy, &worker);
    runs_scene_close_worker(&worker);
    runs_scene_verdict(&scene, 0, plain, ENDING_EXIT);
    runs_scene_verdict(&scene, 1, pandas, ENDING_EXIT);
    runs_scene_verdict(&scene, 1, numpy, ENDING_EXIT);
    runs_scene_end(&scene);
}

/* One that takes over is let have a flavour when it is ready for it, and not before. */
static void test_flavours_are_taken_over_one_by_one(void **state) {
    struct runs_scene scene;
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    (void)state;
    runs_scene_begin(&scene, 4, 4);
    runs_scene_add_flavours(&scene, 0, (struct flavours){0, 1});
    runs_scene_add_flavours(&scene, 1, (struct flavours){0, 0});
    runs_scene_turn(&scene);
    assert_int_equal(message_receive(scene.zygotes[0], &message, fds), -EAGAIN); /* it still has the other one */
    struct job *numpy = submit(&scene, "import numpy");
    runs_scene_add_flavours(&scene, 2, (struct flavours){1, 1});
    runs_scene_verdict(&scene, 0, numpy, ENDING_EXIT);
    runs_scene_assert_finished(&scene, numpy, OUTCOME_EXITED);
    assert_int_equal(message_receive(scene.zygotes[0], &message, fds), 1); /* its job */
    message_close_fds(fds);
    assert_int_equal(message_receive(scene.zygotes[0], &message, fds), 0);
    runs_scene_end(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fresh_zygote_takes_over),
        cmocka_unit_test(test_an_idle_zygote_is_let_go_at_once),
        cmocka_unit_test(test_a_dead_zygote_loses_its_jobs),
        cmocka_unit_test(test_of_two_zygotes_only_the_dead_ones_jobs_are_lost),
        cmocka_unit_test(test_a_verdict_of_another_is_none),
        cmocka_unit_test(test_other_messages_mean_nothing),
        cmocka_unit_test(test_a_broken_packet_ends_the_channel),
        cmocka_unit_test(test_a_channel_that_is_none),
        cmocka_unit_test(test_a_zygote_that_does_not_read),
        cmocka_unit_test(test_each_flavour_has_its_zygote),
        cmocka_unit_test(test_flavours_are_taken_over_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
