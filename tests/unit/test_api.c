/* server/api: which request means what, without HTTP. */
#include "runs_scene.h"

#include "server/api.h"
#include "server/document.h"

#include <errno.h>
#include <stdlib.h>

static struct config no_page = {.page = "off"};
static const struct api no_api = {.config = &no_page};
static struct call call = {.route = ROUTE_EXECUTE};

static void assert_body(struct response *response, unsigned status, const char *body) {
    assert_int_equal(response->status, status);
    assert_int_equal(response->size, strlen(body));
    assert_memory_equal(response->body, body, response->size);
    assert_null(response->outcome); /* nothing ran */
    free(response->body);
}

static void test_routes(void **state) {
    static const char *const wrong[] = {"GET", "HEAD", "PUT", "DELETE", "PATCH", "post", ""};
    static const char *const nowhere[] = {"/", "", "/execute/", "/execute2", "/Execute", "//execute", "/execut"};
    struct response response = {0};
    (void)state;
    assert_int_equal(api_route(&no_api, "POST", "/execute", NULL, &response), 0);
    assert_int_equal(response.status, 0); /* untouched */
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(api_route(&no_api, wrong[i], "/execute", NULL, &response), 1);
        assert_string_equal(response.allow, "POST, OPTIONS");
        assert_body(&response, 405, "{\"error\": \"Method not allowed, use POST.\"}");
    }
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        assert_int_equal(api_route(&no_api, "POST", nowhere[i], NULL, &response), 1);
        assert_null(response.allow);
        assert_body(&response, 404, "{\"error\": \"Not found, the service is at POST /execute.\"}");
    }
}

static void test_options_have_no_body(void **state) {
    struct response response = {0};
    (void)state;
    assert_int_equal(api_route(&no_api, "OPTIONS", "/execute", NULL, &response), 1);
    assert_int_equal(response.status, 204);
    assert_null(response.body);
    assert_int_equal(response.size, 0);
    assert_string_equal(response.allow, "POST, OPTIONS");
}

static void test_isolation_says_what_the_manager_said(void **state) {
    struct config config;
    struct api api = {.config = &config};
    struct response response;
    (void)state;
    config_init(&config);
    layer_active(&api.isolation, LAYER_SECCOMP, "on \"and\" pinned");
    layer_refused(&api.isolation, LAYER_LANDLOCK, "landlock_create_ruleset", ENOSYS);
    assert_int_equal(api_route(&api, "GET", "/isolation", NULL, &response), 1);
    assert_int_equal(response.status, 200);
    assert_non_null(strstr(response.body, "\"required\": [\"seccomp\", \"rlimits\", \"identity\", \"filesystem\", \"network\"]"));
    assert_non_null(strstr(response.body, "{\"name\": \"seccomp\", \"status\": \"on\", \"active\": true, "
                                          "\"detail\": \"on ?and? pinned\"}"));
    assert_non_null(strstr(response.body, "\"errno\": \"ENOSYS\", \"call\": \"landlock_create_ruleset\"}"));
    free(response.body);
    assert_int_equal(api_route(&api, "POST", "/isolation", NULL, &response), 1);
    assert_string_equal(response.allow, "GET, HEAD, OPTIONS");
    assert_body(&response, 405, "{\"error\": \"Method not allowed, use GET.\"}");
}

static void test_the_document_is_served_as_it_was_built_in(void **state) {
    static const char *const wrong[] = {"POST", "PUT", "DELETE", "PATCH", "get", ""};
    static const char *const reading[] = {"GET", "HEAD"};
    struct response response;
    (void)state;
    assert_string_equal(embedded_documents[0].name, "openapi");
    assert_string_equal(embedded_documents[1].name, "tool");
    assert_null(embedded_documents[2].name);
    for (size_t i = 0; i < sizeof reading / sizeof reading[0]; i++) {
        assert_int_equal(api_route(&no_api, reading[i], "/openapi.json", NULL, &response), 1);
        assert_null(response.allow);
        assert_body(&response, 200, embedded_documents[0].text);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(api_route(&no_api, wrong[i], "/openapi.json", NULL, &response), 1);
        assert_string_equal(response.allow, "GET, HEAD, OPTIONS");
        assert_body(&response, 405, "{\"error\": \"Method not allowed, use GET.\"}");
    }
    assert_int_equal(api_route(&no_api, "OPTIONS", "/openapi.json", NULL, &response), 1);
    assert_int_equal(response.status, 204);
    assert_string_equal(response.allow, "GET, HEAD, OPTIONS");
    assert_null(response.body);
    assert_int_equal(api_route(&no_api, "GET", "/openapi.json/", NULL, &response), 1);
    assert_int_equal(response.status, 404);
    free(response.body);
}

static void test_a_body_that_is_too_large(void **state) {
    struct runs_scene scene;
    struct response response;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    scene.config.body_kb = 3;
    struct api api = {.config = &scene.config, .runs = &scene.runs};
    assert_int_equal(api_refuse_body(&api, &call, &response), 0);
    assert_body(&response, 413, "{\"error\": \"Body is too large, the limit is 3072 bytes.\"}");
    runs_scene_end(&scene);
}

static void finished(struct job *job) {
    ++*(unsigned *)job->owner;
}

static int execute(struct api *api, const char *body, unsigned *count, struct job **job, struct response *response) {
    *response = (struct response){0};
    return api_submit(api, &call, body, strlen(body), finished, count, job, response);
}

static void test_what_is_refused_never_becomes_a_job(void **state) {
    struct runs_scene scene;
    struct response response;
    struct job *job = NULL;
    unsigned count = 0;
    (void)state;
    runs_scene_begin(&scene, 1, 0);
    struct api api = {.config = &scene.config, .runs = &scene.runs};
    assert_int_equal(execute(&api, "{}", &count, &job, &response), 1);
    assert_body(&response, 400, "{\"error\": \"Invalid input: the key 'script' is missing.\"}");
    assert_int_equal(execute(&api, "{\"script\": \"\"}", &count, &job, &response), 1);
    assert_int_equal(response.retry_after, 1);
    assert_body(&response, 503, "{\"error\": \"Too busy, the queue is full.\"}");
    runs_end(&scene.runs);
    assert_int_equal(execute(&api, "{\"script\": \"\"}", &count, &job, &response), 1);
    assert_int_equal(response.retry_after, 1);
    assert_body(&response, 503, "{\"error\": \"Shutting down.\"}");
    assert_null(job);
    assert_int_equal(count, 0);
    runs_scene_end(&scene);
}

static void test_a_job_that_no_worker_was_free_for(void **state) {
    struct runs_scene scene;
    struct response response;
    struct job *job = NULL;
    unsigned count = 0;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    scene.config.queue_ms = 1;
    struct api api = {.config = &scene.config, .runs = &scene.runs};
    assert_int_equal(execute(&api, "{\"script\": \"\"}", &count, &job, &response), 0);
    assert_non_null(job);
    while (count == 0)
        uv_run(&scene.loop, UV_RUN_ONCE);
    assert_int_equal(api_finish(&api, &call, job, &response), 0);
    assert_true(response.retry_after > 0);
    assert_body(&response, 503, "{\"error\": \"Too busy, no worker was free in time.\"}");
    job_unref(job);
    assert_int_equal(count, 1);
    runs_scene_end(&scene);
}

static void test_a_job_that_ran(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    struct response response;
    struct job *job = NULL;
    unsigned count = 0;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct api api = {.config = &scene.config, .runs = &scene.runs};
    assert_int_equal(execute(&api, "{\"script\": \"script\"}", &count, &job, &response), 0);
    runs_scene_take(&scene, 0, job, &worker);
    runs_scene_answer(&worker, FRAME_RESULT, "[]");
    runs_scene_verdict(&scene, 0, job, ENDING_EXIT);
    assert_int_equal(count, 1);
    assert_int_equal(api_finish(&api, &call, job, &response), 0);
    assert_string_equal(response.outcome, "ok");
    response.outcome = NULL;
    assert_body(&response, 200, "{\"result\": [], \"stdout\": \"\"}");
    job_unref(job);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

static void test_a_call_over_the_model_context_protocol(void **state) {
    static const char body[] = "{\"jsonrpc\": \"2.0\", \"id\": \"i\", \"method\": \"tools/call\", \"params\": "
                               "{\"name\": \"run_python\", \"arguments\": {\"script\": \"script\", \"details\": false}}}";
    static const char begins[] = "{\"jsonrpc\": \"2.0\", \"id\": \"i\", \"result\": {\"content\": [{\"type\": \"text\", "
                                 "\"text\": \"Result: []\"}], \"structuredContent\": {\"result\": [], ";
    struct runs_scene scene;
    struct runs_worker worker;
    struct response response;
    struct call mcp = {.route = api_find_route("/mcp")};
    struct job *job = NULL;
    unsigned count = 0;
    (void)state;
    assert_int_equal(mcp.route, ROUTE_MCP);
    assert_int_equal(api_route(&no_api, "POST", "/mcp", NULL, &response), 0);
    assert_int_equal(api_route(&no_api, "GET", "/mcp", NULL, &response), 1);
    assert_string_equal(response.allow, "POST, OPTIONS");
    assert_body(&response, 405, "{\"error\": \"Method not allowed, use POST.\"}");
    runs_scene_begin(&scene, 1, 0);
    struct api api = {.config = &scene.config, .runs = &scene.runs};
    response = (struct response){0};
    assert_int_equal(api_submit(&api, &mcp, body, sizeof body - 1, finished, &count, &job, &response), 1);
    assert_int_equal(response.retry_after, 1);
    assert_body(&response, 503, "{\"jsonrpc\": \"2.0\", \"id\": \"i\", \"error\": {\"code\": -32000, "
                                "\"message\": \"Too busy, the queue is full.\"}}");
    scene.config.queue = 1;
    runs_scene_add_zygote(&scene, 0);
    assert_int_equal(api_submit(&api, &mcp, body, sizeof body - 1, finished, &count, &job, &response), 0);
    assert_true(job->wants_details);
    runs_scene_take(&scene, 0, job, &worker);
    runs_scene_answer(&worker, FRAME_RESULT, "[]");
    runs_scene_verdict(&scene, 0, job, ENDING_EXIT);
    assert_int_equal(count, 1);
    assert_int_equal(api_finish(&api, &mcp, job, &response), 0);
    assert_string_equal(response.outcome, "ok");
    assert_int_equal(response.status, 200);
    assert_memory_equal(response.body, begins, sizeof begins - 1);
    free(response.body);
    job_unref(job);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_options_have_no_body),
        cmocka_unit_test(test_isolation_says_what_the_manager_said),
        cmocka_unit_test(test_the_document_is_served_as_it_was_built_in),
        cmocka_unit_test(test_a_body_that_is_too_large),
        cmocka_unit_test(test_what_is_refused_never_becomes_a_job),
        cmocka_unit_test(test_a_job_that_no_worker_was_free_for),
        cmocka_unit_test(test_a_job_that_ran),
        cmocka_unit_test(test_a_call_over_the_model_context_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
