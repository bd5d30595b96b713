/* server/run: which of the places short and long jobs have. The scene plays zygote and workers, and time is what a
 * test says has gone by. */
#include "runs_scene.h"

#include <signal.h>

static struct job *submit(struct runs_scene *scene, const char *script) {
    return runs_scene_submit_script(scene, script, strlen(script));
}

/* As if it had begun so much earlier. */
static void let_run(struct job *job, uint64_t ms) {
    assert_int_equal(job->stage, JOB_RUNNING);
    job->started_us -= ms * 1000;
}

static void end_after(struct runs_scene *scene, struct job *job, enum ending ending, uint64_t ms) {
    struct runs_worker worker;
    assert_int_equal(job->stage, JOB_RUNNING);
    runs_scene_take_unread(scene, 0, job, &worker);
    runs_scene_close_worker(&worker);
    runs_scene_verdict_after(scene, 0, job, ending, ms);
    assert_int_equal(job->stage, JOB_FINISHED);
}

static void end(struct runs_scene *scene, struct job *job) {
    end_after(scene, job, ENDING_EXIT, 1);
}

static void teach(struct runs_scene *scene, const char *script) {
    end_after(scene, submit(scene, script), ENDING_DEADLINE, 5000);
}

static void begin(struct runs_scene *scene, uint64_t workers, uint64_t queue) {
    runs_scene_begin(scene, workers, queue);
    runs_scene_add_zygote(scene, 0);
}

/* What is kept for short ones: a quarter, one at least, nothing where there is one worker only. */
static void test_how_many_places(void **state) {
    static const size_t places[][2] = {{1, 1}, {2, 1}, {3, 2}, {4, 3}, {7, 6}, {8, 6}, {64, 48}, {128, 96}};
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct runs_scene scene;
        runs_scene_begin(&scene, places[i][0], 1);
        assert_int_equal(scene.runs.long_places, places[i][1]);
        runs_scene_end(&scene);
    }
}

static void test_known_long_ones_leave_a_place(void **state) {
    struct runs_scene scene;
    struct job *hogs[4], *quick;
    (void)state;
    begin(&scene, 3, 8);
    teach(&scene, "hog");
    for (size_t i = 0; i < 4; i++)
        hogs[i] = submit(&scene, "hog");
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(hogs[i]->stage, i < 2 ? JOB_RUNNING : JOB_WAITING);
    for (size_t i = 0; i < 2; i++) {
        quick = submit(&scene, "quick");
        assert_int_equal(quick->stage, JOB_RUNNING);
        struct job *next = submit(&scene, "next");
        assert_int_equal(next->stage, JOB_WAITING); /* no more than workers at once */
        if (i == 0) /* the zygote got these first */
            for (size_t k = 0; k < 2; k++) {
                struct runs_worker worker;
                runs_scene_take_unread(&scene, 0, hogs[k], &worker);
                runs_scene_close_worker(&worker);
            }
        end(&scene, quick);
        end(&scene, next); /* which had the place at once, before hogs that are older */
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(hogs[i]->stage, JOB_RUNNING);
        if (i < 2)
            runs_scene_verdict_after(&scene, 0, hogs[i], ENDING_DEADLINE, 5000);
        else
            end(&scene, hogs[i]);
        for (size_t k = i + 1; k < 4; k++) /* in their order */
            assert_int_equal(hogs[k]->stage, k < i + 3 ? JOB_RUNNING : JOB_WAITING);
    }
    assert_int_equal(scene.runs.long_wall_ms, 0);
    runs_scene_end(&scene);
}

static void test_one_worker_keeps_no_place(void **state) {
    struct runs_scene scene;
    (void)state;
    begin(&scene, 1, 2);
    teach(&scene, "hog");
    struct job *hog = submit(&scene, "hog"), *quick = submit(&scene, "quick");
    assert_int_equal(hog->stage, JOB_RUNNING);
    end_after(&scene, hog, ENDING_DEADLINE, 5000);
    end(&scene, quick);
    runs_scene_end(&scene);
}

/* Nobody knows it before it has run; then it counts, is not stopped, and its script is known to all that wait. */
static void test_one_that_turns_long_while_it_runs(void **state) {
    struct runs_scene scene;
    (void)state;
    begin(&scene, 3, 8);
    struct job *hog = submit(&scene, "hog"), *other = submit(&scene, "other");
    let_run(other, 300);
    struct job *again = submit(&scene, "hog");
    assert_int_equal(again->stage, JOB_RUNNING); /* not long enough */
    assert_true(other->is_long && !hog->is_long);
    let_run(hog, 300);
    struct job *waiting[] = {submit(&scene, "hog"), submit(&scene, "other"), submit(&scene, "quick")};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(waiting[i]->is_long, i < 2);
    end(&scene, hog);
    assert_int_equal(waiting[0]->stage, JOB_RUNNING); /* one of two places, since `again` has not run for long */
    assert_int_equal(waiting[2]->stage, JOB_WAITING);
    end(&scene, other);
    assert_int_equal(waiting[1]->stage, JOB_RUNNING);
    end(&scene, again);
    assert_int_equal(waiting[2]->stage, JOB_RUNNING);
    for (size_t i = 0; i < 3; i++)
        end(&scene, waiting[i]);
    runs_scene_end(&scene);
}

/* More than the places of long ones may be taken when they turn out long; the next of them waits until it is less. */
static void test_more_long_ones_than_places(void **state) {
    struct runs_scene scene;
    struct job *hogs[3];
    (void)state;
    begin(&scene, 3, 8);
    for (size_t i = 0; i < 3; i++)
        hogs[i] = submit(&scene, "hog");
    /* Admitted before anybody knew. */
    struct job *turned = submit(&scene, "hog"), *quick = submit(&scene, "quick"), *last = submit(&scene, "hog");
    for (size_t i = 0; i < 3; i++)
        let_run(hogs[i], 1000);
    assert_false(turned->is_long);
    end_after(&scene, hogs[0], ENDING_DEADLINE, 5000);
    assert_true(turned->is_long);
    assert_int_equal(turned->stage, JOB_WAITING); /* two are still running */
    assert_int_equal(quick->stage, JOB_RUNNING);
    struct job *later = submit(&scene, "hog");
    end_after(&scene, hogs[1], ENDING_DEADLINE, 5000);
    assert_int_equal(turned->stage, JOB_RUNNING);
    end_after(&scene, hogs[2], ENDING_DEADLINE, 5000);
    assert_int_equal(last->stage, JOB_RUNNING);
    assert_int_equal(later->stage, JOB_WAITING);
    end(&scene, quick);
    assert_int_equal(later->stage, JOB_WAITING);
    end(&scene, turned);
    assert_int_equal(later->stage, JOB_RUNNING);
    end(&scene, last);
    end(&scene, later);
    runs_scene_end(&scene);
}

/* By its limit a request says how long it can take at most. */
static void test_one_that_may_not_run_long(void **state) {
    struct runs_scene scene;
    (void)state;
    begin(&scene, 2, 2);
    teach(&scene, "hog");
    struct job *hog = submit(&scene, "hog");
    scene.config.wall_ms = HISTORY_LONG_MS;
    struct job *bounded = submit(&scene, "hog");
    assert_true(hog->is_long && !bounded->is_long);
    assert_int_equal(bounded->stage, JOB_RUNNING);
    scene.config.wall_ms = HISTORY_LONG_MS + 1;
    struct job *longer = submit(&scene, "hog");
    assert_true(longer->is_long);
    end(&scene, hog);
    end_after(&scene, bounded, ENDING_DEADLINE, HISTORY_LONG_MS); /* says nothing of how long the next one takes */
    end(&scene, longer);
    runs_scene_end(&scene);
}

/* How it ended says whether it was at its end. */
static void test_what_is_remembered_of_an_end(void **state) {
    static const enum ending by_itself[] = {ENDING_EXIT, ENDING_SIGNAL, ENDING_ANSWERED},
        by_others[] = {ENDING_DEADLINE, ENDING_CPU, ENDING_MEMORY, ENDING_CANCELLED, ENDING_NO_WORKER};
    struct runs_scene scene;
    struct job *job;
    (void)state;
    begin(&scene, 1, 0);
    teach(&scene, "x");
    for (size_t i = 0; i < sizeof by_others / sizeof by_others[0]; i++) {
        job = submit(&scene, "x");
        end_after(&scene, job, by_others[i], 1);
        assert_int_equal(history_usual_ms(&scene.runs.history, job->script_key), 5000);
    }
    for (size_t i = 0; i < sizeof by_itself / sizeof by_itself[0]; i++) {
        job = submit(&scene, "x");
        end_after(&scene, job, by_itself[i], 0);
        assert_int_equal(history_usual_ms(&scene.runs.history, job->script_key), 5000 >> (i + 1));
    }
    runs_scene_end(&scene);
}

/* In both lines, in the order of their coming. */
static void test_waiting_too_long_and_cancelling(void **state) {
    struct runs_scene scene;
    struct job *jobs[4];
    (void)state;
    begin(&scene, 2, 4);
    teach(&scene, "hog");
    struct job *hog = submit(&scene, "hog"), *quick = submit(&scene, "quick");
    for (size_t i = 0; i < 4; i++)
        jobs[i] = submit(&scene, i % 2 == 0 ? "hog" : "quick");
    assert_int_equal(runs_scene_try(&scene), -EBUSY);
    runs_cancel(jobs[2]);
    runs_cancel(jobs[3]);
    runs_scene_assert_finished(&scene, jobs[2], OUTCOME_CANCELLED);
    runs_scene_assert_finished(&scene, jobs[3], OUTCOME_CANCELLED);
    assert_int_equal(scene.runs.queue.length, 2);
    scene.config.queue_ms = 20;
    jobs[2] = submit(&scene, "hog"); /* sets the timer anew */
    while (scene.runs.queue.length > 0)
        uv_run(&scene.loop, UV_RUN_ONCE);
    for (size_t i = 0; i < 3; i++) {
        assert_true(jobs[i]->expired);
        assert_true(jobs[i]->finished_us - jobs[i]->admitted_us >= 20000);
        assert_true(i == 0 || jobs[i]->finished_us >= jobs[i - 1]->finished_us);
    }
    end(&scene, hog);
    end(&scene, quick);
    assert_int_equal(scene.runs.long_wall_ms, 0);
    assert_int_equal(scene.runs.wall_ms, 0);
    runs_scene_end(&scene);
}

/* With no queue, or one that long ones have filled, a short one still has the place that is kept for it. */
static void test_a_full_queue_keeps_nobody_from_a_free_place(void **state) {
    struct runs_scene scene;
    (void)state;
    begin(&scene, 2, 1);
    teach(&scene, "hog");
    struct job *hog = submit(&scene, "hog"), *waiting = submit(&scene, "hog"), *quick = submit(&scene, "quick");
    assert_int_equal(waiting->stage, JOB_WAITING);
    assert_int_equal(quick->stage, JOB_RUNNING);
    assert_int_equal(runs_scene_try(&scene), -EBUSY);
    end(&scene, hog);
    end(&scene, quick);
    end(&scene, waiting);
    runs_scene_end(&scene);
}

/* Without a zygote nobody starts, whoever is asked, and afterwards the order is what it was. */
static void test_order_while_nobody_can_start(void **state) {
    struct runs_scene scene;
    struct job *jobs[4];
    (void)state;
    begin(&scene, 4, 8);
    teach(&scene, "hog");
    scene.zygotes[0] = fd_close(scene.zygotes[0]);
    runs_scene_turn(&scene);
    for (size_t i = 0; i < 4; i++) {
        jobs[i] = submit(&scene, i % 2 == 0 ? "hog" : "quick");
        assert_int_equal(jobs[i]->stage, JOB_WAITING);
    }
    runs_scene_add_zygote(&scene, 0);
    for (size_t i = 0; i < 4; i++)
        end(&scene, jobs[i]);
    runs_scene_end(&scene);
}

static void test_when_to_come_again(void **state) {
    struct runs_scene scene;
    struct job *jobs[4];
    (void)state;
    begin(&scene, 2, 8);
    teach(&scene, "hog");
    scene.config.wall_ms = 4000;
    for (size_t i = 0; i < 3; i++)
        jobs[i] = submit(&scene, "hog");
    assert_int_equal(runs_retry_after(&scene.runs), 12); /* one after the other */
    jobs[3] = submit(&scene, "quick");
    assert_int_equal(runs_retry_after(&scene.runs), 12); /* beside them */
    runs_cancel(jobs[2]);
    assert_int_equal(runs_retry_after(&scene.runs), 8);
    end(&scene, jobs[0]);
    assert_int_equal(runs_retry_after(&scene.runs), 4);
    end(&scene, jobs[3]);
    end(&scene, jobs[1]);
    runs_scene_end(&scene);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* as the server does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_how_many_places),
        cmocka_unit_test(test_known_long_ones_leave_a_place),
        cmocka_unit_test(test_one_worker_keeps_no_place),
        cmocka_unit_test(test_one_that_turns_long_while_it_runs),
        cmocka_unit_test(test_more_long_ones_than_places),
        cmocka_unit_test(test_one_that_may_not_run_long),
        cmocka_unit_test(test_what_is_remembered_of_an_end),
        cmocka_unit_test(test_waiting_too_long_and_cancelling),
        cmocka_unit_test(test_a_full_queue_keeps_nobody_from_a_free_place),
        cmocka_unit_test(test_order_while_nobody_can_start),
        cmocka_unit_test(test_when_to_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
