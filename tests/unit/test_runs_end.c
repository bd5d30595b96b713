/* server/run: the end of all runs, when the service is told to stop. The test plays the zygote and its workers. */
#include "runs_scene.h"

#include <errno.h>

static void test_draining_finishes_what_there_is(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *jobs[2] = {runs_scene_submit(&scene, false), runs_scene_submit(&scene, false)};
    runs_drain(&scene.runs);
    assert_int_equal(runs_scene_try(&scene), -EBUSY); /* for want of room alone */
    for (size_t i = 0; i < 2; i++) {
        runs_scene_take(&scene, 0, jobs[i], &worker);
        runs_scene_verdict(&scene, 0, jobs[i], ENDING_EXIT);
        runs_scene_assert_finished(&scene, jobs[i], OUTCOME_EXITED);
        runs_scene_close_worker(&worker);
    }
    runs_scene_end(&scene);
}

static void test_the_end_finishes_what_runs_and_what_waits(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *jobs[2] = {runs_scene_submit(&scene, false), runs_scene_submit(&scene, false)};
    runs_scene_take(&scene, 0, jobs[0], &worker);
    assert_int_equal(runs_end(&scene.runs), 2);
    runs_scene_assert_finished(&scene, jobs[0], OUTCOME_LOST);
    runs_scene_assert_finished(&scene, jobs[1], OUTCOME_LOST);
    assert_false(jobs[0]->expired);
    assert_true(jobs[1]->expired); /* it has not begun, and may be sent elsewhere */
    assert_int_equal(scene.runs.metrics.rejected[REJECTED_DRAINING], 1);
    assert_int_equal(runs_scene_try(&scene), -ESHUTDOWN);
    assert_int_equal(runs_end(&scene.runs), 0);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draining_finishes_what_there_is),
        cmocka_unit_test(test_the_end_finishes_what_runs_and_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
