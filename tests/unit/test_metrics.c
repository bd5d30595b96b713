/* server/metrics and exposition: what is counted, and how it is written. */
#include "runs_scene.h"

#include "server/exposition.h"
#include "server/health.h"

#include <errno.h>
#include <stdlib.h>

/* The metrics of a scene as text, to be freed. */
static char *exposed_for(struct runs_scene *scene, const struct isolation *layers, const struct callers *callers) {
    struct response response;
    assert_int_equal(exposition_respond(&response, &scene->runs, callers, layers), 0);
    assert_int_equal(response.status, 200);
    assert_string_equal(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
    char *text = strndup(response.body, response.size);
    free(response.body);
    assert_non_null(text);
    return text;
}

static char *exposed(struct runs_scene *scene, const struct isolation *layers) {
    static const struct callers anybody = {.state = CALLERS_ANYBODY};
    return exposed_for(scene, layers, &anybody);
}

/* A line of its own. */
static bool has_line(const char *text, const char *line) {
    const char *at = text;
    size_t length = strlen(line);
    while ((at = strstr(at, line)) != NULL) {
        if ((at == text || at[-1] == '\n') && at[length] == '\n')
            return true;
        at += length;
    }
    return false;
}

static void assert_exposed(struct runs_scene *scene, const char *line) {
    struct isolation none = {0};
    char *text = exposed(scene, &none);
    if (!has_line(text, line))
        print_error("%s\nis not in:\n%s", line, text);
    assert_true(has_line(text, line));
    free(text);
}

static uint64_t count(const struct histogram *histogram) {
    uint64_t all = 0;
    for (size_t i = 0; i <= METRICS_BOUNDS; i++)
        all += histogram->buckets[i];
    return all;
}

static void test_bounds_are_above_what_they_bound(void **state) {
    struct histogram histogram = {0};
    (void)state;
    for (size_t i = 0; i < METRICS_BOUNDS; i++) {
        assert_true(i == 0 || metrics_bounds_us[i] > metrics_bounds_us[i - 1]);
        metrics_observe(&histogram, metrics_bounds_us[i]);
        assert_int_equal(histogram.buckets[i], 1);
        metrics_observe(&histogram, metrics_bounds_us[i] + 1);
        assert_int_equal(histogram.buckets[i + 1], 1);
        histogram.buckets[i + 1] = 0;
    }
    metrics_observe(&histogram, UINT64_MAX);
    assert_int_equal(histogram.buckets[METRICS_BOUNDS], 1);
}

static void test_every_name_is_there(void **state) {
    size_t kills = 0;
    (void)state;
    for (unsigned i = 0; i < REJECTED_COUNT; i++)
        assert_non_null(metrics_rejection_name(i));
    for (unsigned i = 0; i < ENDING_COUNT; i++)
        kills += metrics_kill_reason(i) != NULL;
    assert_int_equal(kills, 7);
    assert_null(metrics_kill_reason(ENDING_EXIT));
    assert_null(metrics_kill_reason(ENDING_ANSWERED));
    assert_null(metrics_kill_reason(ENDING_COUNT));
    for (unsigned i = 0; i + 1 < OUTCOME_COUNT; i++)
        assert_string_not_equal(outcome_name(i), "lost");
    assert_string_equal(outcome_name(OUTCOME_COUNT - 1), "lost");
}

static void test_a_run_is_counted_once_everywhere(void **state) {
    struct metrics metrics;
    struct job job = {.outcome = OUTCOME_TIMEOUT, .admitted_us = 1000, .started_us = 1400, .finished_us = 6001400};
    (void)state;
    metrics_init(&metrics);
    job.verdict = (struct verdict){.ending = ENDING_DEADLINE, .wall_us = 5000100};
    metrics_count_run(&metrics, &job);
    assert_int_equal(metrics.runs[OUTCOME_TIMEOUT], 1);
    assert_int_equal(metrics.kills[ENDING_DEADLINE], 1);
    assert_int_equal(metrics.queue.buckets[0], 1);
    assert_int_equal(metrics.queue.sum_us, 400);
    assert_int_equal(metrics.run.sum_us, 5000100);
    assert_int_equal(metrics.total.sum_us, 6000400);
    job.verdict.ending = UINT32_MAX; /* whoever says so has no place among the counters */
    metrics_count_run(&metrics, &job);
    assert_int_equal(count(&metrics.queue), 2);
    assert_int_equal(count(&metrics.run), 2);
    assert_int_equal(count(&metrics.total), 2);
}

static void test_a_status_that_is_none_is_not_counted(void **state) {
    static const unsigned wrong[] = {0, 99, 600, UINT32_MAX};
    struct metrics metrics;
    uint64_t all = 0;
    (void)state;
    metrics_init(&metrics);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        metrics_count_response(&metrics, wrong[i], 1);
    metrics_count_response(&metrics, 100, 5);
    metrics_count_response(&metrics, 599, 6);
    for (size_t i = 0; i < METRICS_STATUS_END - METRICS_STATUS_FIRST; i++)
        all += metrics.responses[i];
    assert_int_equal(all, 2);
    assert_int_equal(metrics.sent_bytes, 15);
}

static void test_what_runs_do_shows(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 1, 2);
    assert_exposed(&scene, "python_executor_ready 0");
    assert_string_equal(health_unready(&scene.runs), "No worker is ready yet.");
    runs_scene_add_zygote(&scene, 0);
    assert_null(health_unready(&scene.runs));
    assert_exposed(&scene, "python_executor_ready 1");
    struct job *first = runs_scene_submit(&scene, false);
    struct job *second = runs_scene_submit(&scene, false);
    struct job *third = runs_scene_submit(&scene, false);
    assert_int_equal(runs_scene_try(&scene), -EBUSY);
    assert_exposed(&scene, "python_executor_workers{state=\"busy\",flavour=\"python\"} 1");
    assert_exposed(&scene, "python_executor_running 1");
    assert_exposed(&scene, "python_executor_queue_depth 2");
    assert_exposed(&scene, "python_executor_queue_limit 2");
    runs_scene_take(&scene, 0, first, &worker);
    runs_scene_close_worker(&worker);
    runs_cancel(third); /* that waits */
    assert_exposed(&scene, "python_executor_runs_total{outcome=\"cancelled\"} 1");
    assert_exposed(&scene, "python_executor_kills_total{reason=\"cancelled\"} 0");
    runs_scene_verdict(&scene, 0, first, ENDING_MEMORY);
    runs_scene_verdict(&scene, 0, second, ENDING_SIGNAL);
    assert_exposed(&scene, "python_executor_runs_total{outcome=\"memory\"} 1");
    assert_exposed(&scene, "python_executor_runs_total{outcome=\"killed\"} 1");
    assert_exposed(&scene, "python_executor_kills_total{reason=\"memory\"} 1");
    assert_exposed(&scene, "python_executor_kills_total{reason=\"signal\"} 1");
    assert_exposed(&scene, "python_executor_queue_seconds_count 3");
    assert_exposed(&scene, "python_executor_running 0");
    runs_drain(&scene.runs);
    assert_string_equal(health_unready(&scene.runs), "Shutting down.");
    assert_exposed(&scene, "python_executor_ready 0");
    assert_exposed(&scene, "python_executor_draining 1");
    runs_scene_end(&scene);
}

static void report(struct runs_scene *scene, size_t zygote, struct crew_report crew) {
    const struct message message = {.kind = MESSAGE_CREW, .crew = crew};
    assert_int_equal(message_send(scene->zygotes[zygote], &message, NULL, 0), 0);
    runs_scene_turn(scene);
}

static void test_what_zygotes_say_shows(void **state) {
    struct runs_scene scene;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    assert_exposed(&scene, "python_executor_build_info{version=\"" PX_VERSION "\",python=\"\"} 1");
    runs_scene_add_flavours(&scene, 0, (struct flavours){0, 0});
    runs_scene_add_flavours(&scene, 1, (struct flavours){1, FLAVOUR_MAX - 1});
    report(&scene, 0, (struct crew_report){.idle = 2, .starting = 1, .forks = 3, .python = 0x030b02f0});
    report(&scene, 1, (struct crew_report){.idle = 4, .forks = 4, .python = 0x030b02f0});
    assert_exposed(&scene, "python_executor_build_info{version=\"" PX_VERSION "\",python=\"3.11.2\"} 1");
    assert_exposed(&scene, "python_executor_workers{state=\"idle\",flavour=\"python\"} 2");
    assert_exposed(&scene, "python_executor_workers{state=\"starting\",flavour=\"python\"} 1");
    assert_exposed(&scene, "python_executor_workers{state=\"idle\",flavour=\"numpy\"} 4");
    /* Nobody is counted twice where one zygote has several flavours. */
    assert_exposed(&scene, "python_executor_workers{state=\"idle\",flavour=\"pandas\"} 0");
    assert_exposed(&scene, "python_executor_flavour_ready{flavour=\"pandas\"} 1");
    report(&scene, 1, (struct crew_report){.idle = 3, .forks = 9});
    assert_exposed(&scene, "python_executor_forks_total 12");
    report(&scene, 1, (struct crew_report){.forks = 1}); /* a counter never goes back */
    assert_exposed(&scene, "python_executor_forks_total 12");
    runs_scene_end(&scene);
}

static void test_starts_of_zygotes(void **state) {
    struct runs_scene scene;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_flavours(&scene, 0, (struct flavours){0, 0});
    runs_scene_add_flavours(&scene, 1, (struct flavours){1, FLAVOUR_MAX - 1}); /* of the same tree */
    assert_exposed(&scene, "python_executor_zygote_starts_total{reason=\"first\"} 1");
    runs_scene_add_zygote(&scene, 2);
    assert_exposed(&scene, "python_executor_zygote_starts_total{reason=\"takeover\"} 1");
    for (size_t i = 0; i < RUNS_SCENE_ZYGOTES; i++)
        scene.zygotes[i] = fd_close(scene.zygotes[i]);
    runs_scene_turn(&scene);
    assert_exposed(&scene, "python_executor_flavour_ready{flavour=\"python\"} 0");
    runs_scene_add_zygote(&scene, 0);
    assert_exposed(&scene, "python_executor_zygote_starts_total{reason=\"restart\"} 1");
    assert_exposed(&scene, "python_executor_zygote_starts_total{reason=\"first\"} 1");
    runs_scene_end(&scene);
}

static void test_ready_is_when_all_was_there_once(void **state) {
    struct runs_scene scene;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_flavours(&scene, 0, (struct flavours){0, 0});
    assert_string_equal(health_unready(&scene.runs), "Not all that is preloaded is there yet.");
    assert_exposed(&scene, "python_executor_ready 0");
    runs_scene_add_flavours(&scene, 1, (struct flavours){1, FLAVOUR_MAX - 1});
    assert_null(health_unready(&scene.runs));
    scene.zygotes[1] = fd_close(scene.zygotes[1]);
    runs_scene_turn(&scene);
    assert_null(health_unready(&scene.runs)); /* what needs it waits */
    scene.zygotes[0] = fd_close(scene.zygotes[0]);
    runs_scene_turn(&scene);
    assert_string_equal(health_unready(&scene.runs), "No worker is ready yet.");
    runs_scene_add_flavours(&scene, 2, (struct flavours){0, 0});
    assert_null(health_unready(&scene.runs));
    runs_scene_end(&scene);
}

static void test_layers(void **state) {
    struct runs_scene scene;
    struct isolation layers = {0};
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    layer_active(&layers, LAYER_SECCOMP, "\"\n");
    layer_unused(&layers, LAYER_CHROOT, "");
    char *text = exposed(&scene, &layers);
    assert_true(has_line(text, "python_executor_layer{layer=\"seccomp\",status=\"on\"} 1"));
    assert_true(has_line(text, "python_executor_layer{layer=\"chroot\",status=\"unused\"} 1"));
    assert_true(has_line(text, "python_executor_layer{layer=\"landlock\",status=\"refused\"} 1"));
    free(text);
    runs_scene_end(&scene);
}

static void test_callers_are_named(void **state) {
    struct runs_scene scene;
    struct callers callers = {0};
    struct isolation layers = {0};
    const struct key keys[] = {{.name = "alice", .concurrent = KEY_ANY}, {.name = "b.o_b-1", .concurrent = 1}};
    char *text;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    text = exposed(&scene, &layers);
    assert_null(strstr(text, "key"));
    assert_null(strstr(text, "unauthorized"));
    free(text);
    assert_int_equal(callers_set(&callers, keys, 2), 0);
    callers.wrong_key = 3;
    callers.list[0]->too_fast = 4;
    callers.list[1]->displaced = 5;
    callers.list[1]->requests = 6;
    text = exposed_for(&scene, &layers, &callers);
    assert_true(has_line(text, "python_executor_unauthorized_total{reason=\"wrong\"} 3"));
    assert_true(has_line(text, "python_executor_key_refused_total{key=\"alice\",reason=\"rate\"} 4"));
    assert_true(has_line(text, "python_executor_key_refused_total{key=\"b.o_b-1\",reason=\"displaced\"} 5"));
    assert_true(has_line(text, "python_executor_key_requests_total{key=\"b.o_b-1\"} 6"));
    assert_true(has_line(text, "python_executor_key_runs{key=\"alice\"} 0"));
    free(text);
    callers_done(&callers);
    runs_scene_end(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_are_above_what_they_bound),
        cmocka_unit_test(test_every_name_is_there),
        cmocka_unit_test(test_a_run_is_counted_once_everywhere),
        cmocka_unit_test(test_a_status_that_is_none_is_not_counted),
        cmocka_unit_test(test_what_runs_do_shows),
        cmocka_unit_test(test_what_zygotes_say_shows),
        cmocka_unit_test(test_starts_of_zygotes),
        cmocka_unit_test(test_ready_is_when_all_was_there_once),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_callers_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
