/* server/api and run: who is let in, how much of it, and who has to leave a full queue, without HTTP. */
#include "runs_scene.h"

#include "server/api.h"

#include <errno.h>
#include <stdlib.h>

struct gate {
    struct runs_scene scene;
    struct callers callers;
    struct api api;
};

static struct key make_key(const char *name, uint32_t concurrent) {
    struct key key = {.concurrent = concurrent};
    snprintf(key.name, sizeof key.name, "%s", name);
    key_hash(name, strlen(name), key.digest); /* whose secret is his name */
    return key;
}

static void begin(struct gate *gate, uint64_t queue) {
    const struct key keys[] = {make_key("alice", KEY_ANY), make_key("bob", 2), make_key("reader", 0)};
    runs_scene_begin(&gate->scene, 1, queue);
    gate->callers = (struct callers){0};
    gate->api = (struct api){.config = &gate->scene.config, .runs = &gate->scene.runs, .callers = &gate->callers};
    assert_int_equal(callers_set(&gate->callers, keys, 3), 0);
}

static void end(struct gate *gate) {
    callers_done(&gate->callers);
    runs_scene_end(&gate->scene);
}

/* The status of what comes with this key, 0 where it may go on. */
static unsigned enter(struct gate *gate, struct call *call, const char *path, const char *authorization,
                      struct response *ret_response) {
    *ret_response = (struct response){0};
    *call = (struct call){.route = api_find_route(path)};
    int r = api_check_key(&gate->api, call, "POST", path, authorization, ret_response);
    if (r == 0)
        r = api_check_pace(&gate->api, call, ret_response);
    assert_int_equal(r, ret_response->status != 0);
    assert_int_equal(call->turned_away, r);
    free(ret_response->body);
    return ret_response->status;
}

static void test_before_anybody_is_known(void **state) {
    struct gate gate;
    struct call call;
    struct response response;
    (void)state;
    begin(&gate, 1);
    callers_done(&gate.callers);
    assert_int_equal(gate.callers.state, CALLERS_UNKNOWN);
    assert_int_equal(enter(&gate, &call, "/execute", "Bearer alice", &response), 503);
    assert_int_equal(response.retry_after, 1);
    assert_int_equal(enter(&gate, &call, "/metrics", NULL, &response), 503);
    assert_int_equal(enter(&gate, &call, "/readyz", NULL, &response), 0);
    callers_set_anybody(&gate.callers);
    assert_int_equal(enter(&gate, &call, "/execute", NULL, &response), 0);
    assert_null(call.caller);
    end(&gate);
}

static void test_who_is_let_in(void **state) {
    struct gate gate;
    struct call call;
    struct response response;
    (void)state;
    begin(&gate, 1);
    assert_int_equal(enter(&gate, &call, "/execute", "Bearer alice", &response), 0);
    assert_string_equal(call.caller->key.name, "alice");
    assert_string_equal(call.access.key, "alice");
    api_forget(&call);
    assert_null(call.caller);
    assert_int_equal(enter(&gate, &call, "/mcp", NULL, &response), 401);
    assert_string_equal(response.challenge, "Bearer realm=\"python-executor\"");
    assert_int_equal(enter(&gate, &call, "/nowhere", "Bearer Alice", &response), 401);
    assert_string_equal(response.challenge, "Bearer realm=\"python-executor\", error=\"invalid_token\"");
    assert_string_equal(call.access.key, "");
    assert_int_equal(enter(&gate, &call, "/execute", "Bearer reader", &response), 403);
    api_forget(&call);
    end(&gate);
}

static struct job *submit(struct gate *gate, size_t caller, int result) {
    struct job_request request = {.script = {"x", 1}};
    struct job *job = job_new(&gate->scene.config, &request);
    assert_non_null(job);
    job->finished = runs_scene_finished;
    job->owner = &gate->scene;
    assert_int_equal(runs_submit(&gate->scene.runs, job, gate->callers.list[caller]), result);
    if (result == 0) {
        gate->scene.jobs[gate->scene.submitted++] = job;
        return job;
    }
    job_unref(job);
    return NULL;
}

static void test_runs_at_once(void **state) {
    struct gate gate;
    struct call call;
    struct response response;
    struct job *jobs[2];
    (void)state;
    begin(&gate, 5);
    gate.scene.config.wall_ms = 3000;
    for (size_t i = 0; i < 2; i++)
        jobs[i] = submit(&gate, 1, 0);
    submit(&gate, 1, -EDQUOT);
    assert_int_equal(enter(&gate, &call, "/execute", "Bearer bob", &response), 429);
    assert_int_equal(response.retry_after, 6); /* they wait, so it may take as long as both of them */
    assert_int_equal(gate.callers.list[1]->too_many, 1);
    api_forget(&call);
    assert_int_equal(enter(&gate, &call, "/execute", "Bearer alice", &response), 0);
    api_forget(&call);
    for (size_t i = 0; i < 2; i++) {
        runs_cancel(jobs[i]);
        assert_int_equal(enter(&gate, &call, "/execute", "Bearer bob", &response), 0);
        api_forget(&call);
    }
    assert_int_equal(gate.callers.list[1]->runs, 0);
    end(&gate);
}

/* Its end comes from the loop, and not from inside of another's admission. */
static void test_one_is_displaced(void **state) {
    struct gate gate;
    struct job *alices[3], *bobs;
    (void)state;
    begin(&gate, 3);
    for (size_t i = 0; i < 3; i++)
        alices[i] = submit(&gate, 0, 0);
    submit(&gate, 0, -EBUSY);
    bobs = submit(&gate, 1, 0);
    assert_int_equal(gate.scene.finished, 0);
    runs_scene_turn(&gate.scene);
    assert_int_equal(gate.scene.finished, 1);
    assert_true(alices[2]->expired && alices[2]->displaced);
    assert_int_equal(response_status(alices[2]), 503);
    assert_int_equal(gate.callers.list[0]->displaced, 1);
    assert_int_equal(gate.callers.list[0]->runs, 2);
    assert_int_equal(gate.scene.runs.metrics.rejected[REJECTED_DISPLACED], 1);
    assert_int_equal(gate.scene.runs.metrics.rejected[REJECTED_QUEUE_TIMEOUT], 0);
    runs_cancel(alices[0]);
    runs_cancel(alices[1]);
    runs_cancel(bobs);
    assert_int_equal(gate.scene.runs.queue.length, 0);
    end(&gate);
}

/* Whose client goes in the same moment is finished once. */
static void test_one_that_is_displaced_is_cancelled(void **state) {
    struct gate gate;
    struct job *alices[3], *bobs;
    (void)state;
    begin(&gate, 3);
    for (size_t i = 0; i < 3; i++)
        alices[i] = submit(&gate, 0, 0);
    bobs = submit(&gate, 1, 0);
    runs_cancel(alices[2]);
    assert_int_equal(gate.scene.finished, 1);
    runs_scene_turn(&gate.scene);
    assert_int_equal(gate.scene.finished, 1);
    runs_end(&gate.scene.runs); /* and all the others with it */
    assert_int_equal(gate.scene.finished, 4);
    assert_true(bobs->expired && !bobs->displaced);
    end(&gate);
}

/* Nor is one forgotten that was displaced when the end comes. */
static void test_the_end_of_all(void **state) {
    struct gate gate;
    (void)state;
    begin(&gate, 2);
    submit(&gate, 0, 0);
    submit(&gate, 0, 0);
    submit(&gate, 1, 0);
    assert_int_equal(gate.scene.finished, 0);
    runs_end(&gate.scene.runs);
    assert_int_equal(gate.scene.finished, 3);
    assert_int_equal(gate.callers.list[0]->runs + gate.callers.list[1]->runs, 0);
    end(&gate);
}

/* A caller who is taken out of the keys stays for as long as his jobs do. */
static void test_a_caller_goes_while_his_jobs_wait(void **state) {
    struct gate gate;
    struct job *job;
    const struct key key = make_key("carol", KEY_ANY);
    (void)state;
    begin(&gate, 2);
    job = submit(&gate, 1, 0);
    submit(&gate, 0, 0);
    assert_int_equal(callers_set(&gate.callers, &key, 1), 0);
    assert_string_equal(job->caller->key.name, "bob");
    assert_ptr_equal(queue_next(&gate.scene.runs.queue, true), job);
    queue_put_back(&gate.scene.runs.queue, job);
    runs_end(&gate.scene.runs);
    assert_int_equal(gate.scene.finished, 2);
    end(&gate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_anybody_is_known),
        cmocka_unit_test(test_who_is_let_in),
        cmocka_unit_test(test_runs_at_once),
        cmocka_unit_test(test_one_is_displaced),
        cmocka_unit_test(test_one_that_is_displaced_is_cancelled),
        cmocka_unit_test(test_the_end_of_all),
        cmocka_unit_test(test_a_caller_goes_while_his_jobs_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
