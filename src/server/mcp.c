/* The Model Context Protocol: see mcp.h. Runs in the server, on hostile input. */
#include "server/mcp.h"

#include "server/origin.h"
#include "server/tool.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The latest first. */
static const char *const versions[] = {"2025-11-25", "2025-06-18", "2025-03-26"};
enum { VERSIONS = sizeof versions / sizeof versions[0] };

/* --- Answers --- */

static int begin(struct buf *body, const char *id, const char *member) {
    buf_init(body, RESPONSE_MAX);
    int r = buf_add_text(body, "{\"jsonrpc\": \"2.0\", \"id\": ");
    if (r == 0)
        r = buf_add_text(body, *id != '\0' ? id : "null");
    return r < 0 ? r : buf_add_format(body, ", \"%s\": ", member);
}

static int end(struct response *ret_response, struct buf *body, int r) {
    return response_take(ret_response, body, r < 0 ? r : buf_add_text(body, "}"));
}

int mcp_error(struct response *ret_response, unsigned status, const char *id, enum mcp_code code, const char *text) {
    struct buf body;
    *ret_response = (struct response){.status = status};
    int r = begin(&body, id, "error");
    if (r == 0)
        r = buf_add_format(&body, "{\"code\": %d, \"message\": ", (int)code);
    if (r == 0)
        r = utf8_add_json_string(&body, text, strlen(text));
    if (r == 0)
        r = buf_add_text(&body, "}");
    return end(ret_response, &body, r);
}

int mcp_tool_error(struct response *ret_response, const char *id, const char *text) {
    struct buf body;
    *ret_response = (struct response){.status = 200};
    int r = begin(&body, id, "result");
    if (r == 0)
        r = tool_add_error(&body, text);
    return end(ret_response, &body, r);
}

int mcp_result(struct response *ret_response, const char *id, const struct job *job) {
    struct buf body;
    response_set_run(ret_response, 200, job);
    int r = begin(&body, id, "result");
    if (r == 0)
        r = tool_add_result(&body, job);
    return end(ret_response, &body, r);
}

static int refuse(struct response *ret_response, unsigned status, const char *id, enum mcp_code code,
                  const char *text) {
    int r = mcp_error(ret_response, status, id, code, text);
    return r < 0 ? r : 1;
}

int mcp_check_headers(const struct config *config, const char *origin, const char *version,
                      struct response *ret_response) {
    if (origin != NULL && !origin_allowed(origin, config->origins))
        return refuse(ret_response, 403, "", MCP_REFUSED, "Pages of this origin are not allowed (--origins).");
    /* Without one it may be of a client that was made before there was this header. */
    for (size_t i = 0; version != NULL && i < VERSIONS; i++)
        if (strcmp(version, versions[i]) == 0)
            version = NULL;
    return version == NULL ? 0
                           : refuse(ret_response, 400, "", MCP_REFUSED,
                                    "Unknown MCP-Protocol-Version, there are 2025-11-25, 2025-06-18 and 2025-03-26.");
}

/* --- Methods --- */

struct request {
    const struct config *config;
    const char *id;
    struct json_span params; /* an object */
    struct json_span *ret_arguments;
    struct response *ret_response;
};

static int refuse_params(const struct request *request, const char *text) {
    return refuse(request->ret_response, 200, request->id, MCP_INVALID_PARAMS, text);
}

static bool is_string(struct json_span value) {
    return value.data != NULL && value.data[0] == '"';
}

struct params {
    struct json_span version, cursor, name, arguments;
};

static int take_param(struct json_span key, struct json_span value, void *context) {
    struct params *params = context;
    if (json_string_is(key, "protocolVersion"))
        params->version = value;
    else if (json_string_is(key, "cursor"))
        params->cursor = value;
    else if (json_string_is(key, "name"))
        params->name = value;
    else if (json_string_is(key, "arguments"))
        params->arguments = value;
    return 0;
}

static struct params read_params(const struct request *request) {
    struct params params = {0};
    (void)json_members(request->params.data, request->params.size, JSON_MAX_DEPTH, take_param, &params, NULL);
    return params;
}

static int initialize(const struct request *request) {
    struct json_span wanted = read_params(request).version;
    const char *version = versions[0];
    struct buf body;
    if (!is_string(wanted))
        return refuse_params(request, "initialize needs a string 'protocolVersion'.");
    for (size_t i = 0; i < VERSIONS; i++)
        if (json_string_is(wanted, versions[i]))
            version = versions[i];
    *request->ret_response = (struct response){.status = 200};
    int r = begin(&body, request->id, "result");
    if (r == 0)
        r = buf_add_format(&body, "{\"protocolVersion\": \"%s\", \"capabilities\": {\"tools\": {}}, "
                                  "\"serverInfo\": {\"name\": \"python-executor\", \"version\": \"" PX_VERSION "\"}, "
                                  "\"instructions\": \"run_python runs a script that defines main() in a sandbox, and "
                                  "answers with what main() returned and what was printed. Every call starts afresh.\"}",
                           version);
    r = end(request->ret_response, &body, r);
    return r < 0 ? r : 1;
}

static int ping(const struct request *request) {
    struct buf body;
    *request->ret_response = (struct response){.status = 200};
    int r = begin(&body, request->id, "result");
    if (r == 0)
        r = buf_add_text(&body, "{}");
    r = end(request->ret_response, &body, r);
    return r < 0 ? r : 1;
}

static int list_tools(const struct request *request) {
    struct buf body;
    if (read_params(request).cursor.data != NULL)
        return refuse_params(request, "tools/list has one page, and no 'cursor'.");
    *request->ret_response = (struct response){.status = 200};
    int r = begin(&body, request->id, "result");
    if (r == 0)
        r = buf_add_text(&body, "{\"tools\": [");
    if (r == 0)
        r = tool_add_description(&body, request->config);
    if (r == 0)
        r = buf_add_text(&body, "]}");
    r = end(request->ret_response, &body, r);
    return r < 0 ? r : 1;
}

static int call_tool(const struct request *request) {
    struct params params = read_params(request);
    if (!is_string(params.name))
        return refuse_params(request, "tools/call needs a string 'name'.");
    if (!json_string_is(params.name, TOOL_NAME))
        return refuse_params(request, "Unknown tool, there is " TOOL_NAME ".");
    if (params.arguments.data == NULL)
        params.arguments = (struct json_span){"{}", 2};
    if (params.arguments.data[0] != '{')
        return refuse_params(request, "The 'arguments' of a tool are an object.");
    *request->ret_arguments = params.arguments;
    return 0;
}

static const struct {
    const char *name;
    int (*answer)(const struct request *request);
} methods[] = {
    {"initialize", initialize},
    {"ping", ping},
    {"tools/list", list_tools},
    {"tools/call", call_tool},
};

/* --- Messages --- */

struct rpc {
    struct json_span jsonrpc, id, method, params, result, error;
};

/* The last of duplicate keys wins, as everywhere. */
static int take_member(struct json_span key, struct json_span value, void *context) {
    struct rpc *rpc = context;
    if (json_string_is(key, "jsonrpc"))
        rpc->jsonrpc = value;
    else if (json_string_is(key, "id"))
        rpc->id = value;
    else if (json_string_is(key, "method"))
        rpc->method = value;
    else if (json_string_is(key, "params"))
        rpc->params = value;
    else if (json_string_is(key, "result"))
        rpc->result = value;
    else if (json_string_is(key, "error"))
        rpc->error = value;
    return 0;
}

/* A string or an integer, which goes back as it came. */
static bool keep_id(struct json_span id, char ret_id[MCP_ID + 1]) {
    if (id.size > MCP_ID)
        return false;
    for (size_t i = id.data[0] == '-' ? 1 : 0; !is_string(id) && i < id.size; i++)
        if (id.data[i] < '0' || id.data[i] > '9')
            return false;
    memcpy(ret_id, id.data, id.size);
    ret_id[id.size] = '\0';
    return true;
}

static int accept_silently(struct response *ret_response) {
    *ret_response = (struct response){.status = 202};
    return 1;
}

static int dispatch(const struct config *config, const struct rpc *rpc, const char *id,
                    struct json_span *ret_arguments, struct response *ret_response) {
    struct request request = {config, id, rpc->params, ret_arguments, ret_response};
    if (request.params.data == NULL)
        request.params = (struct json_span){"{}", 2};
    if (request.params.data[0] != '{')
        return refuse_params(&request, "'params' must be an object.");
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (json_string_is(rpc->method, methods[i].name))
            return methods[i].answer(&request);
    return refuse(ret_response, 200, id, MCP_METHOD_NOT_FOUND,
                  "Method not found, there are initialize, ping, tools/list and tools/call.");
}

static int refuse_text(const struct json_error *error, struct response *ret_response) {
    char text[128];
    if (strcmp(error->reason, "not an object") == 0)
        return refuse(ret_response, 400, "", MCP_INVALID_REQUEST, "A message is an object; there are no batches.");
    snprintf(text, sizeof text, "Parse error: %s at byte %zu.", error->reason, error->offset);
    return refuse(ret_response, 400, "", MCP_PARSE_ERROR, text);
}

int mcp_receive(const struct config *config, const char *body, size_t size, char ret_id[MCP_ID + 1],
                struct json_span *ret_arguments, struct response *ret_response) {
    enum { ENVELOPE = 2 }; /* levels around the arguments, which have their own bound */
    struct rpc rpc = {0};
    struct json_error error;
    *ret_id = '\0';
    if (json_members(body, size, config->json_depth + ENVELOPE, take_member, &rpc, &error) < 0)
        return refuse_text(&error, ret_response);
    if (rpc.id.data != NULL && !keep_id(rpc.id, ret_id))
        return refuse(ret_response, 400, "", MCP_INVALID_REQUEST,
                      "'id' must be a string or an integer, of 256 bytes at most.");
    if (!is_string(rpc.jsonrpc) || !json_string_is(rpc.jsonrpc, "2.0"))
        return refuse(ret_response, 400, ret_id, MCP_INVALID_REQUEST, "'jsonrpc' must be \"2.0\".");
    /* An answer, though we never ask. */
    if (rpc.method.data == NULL && (rpc.result.data != NULL || rpc.error.data != NULL))
        return accept_silently(ret_response);
    if (!is_string(rpc.method))
        return refuse(ret_response, 400, ret_id, MCP_INVALID_REQUEST, "'method' must be a string.");
    if (rpc.id.data == NULL) /* a notification, of which there is none that we could do anything about */
        return accept_silently(ret_response);
    return dispatch(config, &rpc, ret_id, ret_arguments, ret_response);
}
