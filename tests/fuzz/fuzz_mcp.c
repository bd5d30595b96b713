/* server/mcp: whatever comes to /mcp, the answer is a JSON-RPC response with the id that was sent, or the tool is called
 * with an object that stands in the body. */
#include "fuzz.h"

#include "server/mcp.h"
#include "server/request.h"

struct answer {
    struct json_span jsonrpc, id, result, error;
    size_t members;
};

static int take_member(struct json_span key, struct json_span value, void *context) {
    struct answer *answer = context;
    struct json_span *places[] = {&answer->jsonrpc, &answer->id, &answer->result, &answer->error};
    static const char *const names[] = {"jsonrpc", "id", "result", "error"};
    for (size_t i = 0; i < 4; i++)
        if (json_string_is(key, names[i]))
            *places[i] = value;
    answer->members++;
    return 0;
}

static int find_id(struct json_span key, struct json_span value, void *context) {
    if (json_string_is(key, "id"))
        *(struct json_span *)context = value;
    return 0;
}

static void check_id(const char *id, const char *body, size_t size) {
    struct json_span sent = {0};
    if (*id == '\0')
        return;
    assert(json_check(id, strlen(id), 1, NULL) == 0 && strlen(id) <= MCP_ID);
    assert(json_members(body, size, JSON_MAX_DEPTH, find_id, &sent, NULL) == 0);
    assert(sent.size == strlen(id) && memcmp(sent.data, id, sent.size) == 0);
}

static void check_response(const struct response *response, const char *id) {
    struct answer answer = {0};
    if (response->status == 202) {
        assert(response->body == NULL);
        return;
    }
    assert(json_members(response->body, response->size, JSON_MAX_DEPTH, take_member, &answer, NULL) == 0);
    assert(answer.members == 3 && json_string_is(answer.jsonrpc, "2.0"));
    assert((answer.result.data != NULL) != (answer.error.data != NULL));
    assert(answer.result.data == NULL || response->status == 200);
    assert(input_is((struct input){answer.id.data, answer.id.size}, *id != '\0' ? id : "null"));
}

/* What is wrong with a script's keys is told to a model. */
static void check_call(const struct config *config, const char *id, struct json_span arguments) {
    struct request_error error = {0};
    struct response response = {0};
    struct job *job;
    assert(arguments.data[0] == '{' && json_check(arguments.data, arguments.size, JSON_MAX_DEPTH, NULL) == 0);
    if (request_parse_detailed(config, arguments.data, arguments.size, &job, &error) == 0) {
        job_unref(job);
        return;
    }
    assert(*error.text != '\0' && mcp_tool_error(&response, id, error.text) == 0);
    check_response(&response, id);
    free(response.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char id[MCP_ID + 1];
    struct json_span arguments = {0};
    struct response response = {0};
    struct config config;
    config_init(&config);
    config.json_depth = 5;
    int r = mcp_receive(&config, (const char *)data, size, id, &arguments, &response);
    assert(r == 0 || r == 1);
    check_id(id, (const char *)data, size);
    if (r == 1)
        check_response(&response, id);
    else
        check_call(&config, id, arguments);
    free(response.body);
    return 0;
}
