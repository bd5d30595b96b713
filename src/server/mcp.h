/* POST /mcp: the Model Context Protocol over streamable HTTP, for language models. JSON-RPC 2.0, one message a request,
 * answered with application/json; nothing is kept from one request to the next, so there are no sessions and no
 * streams. What the one tool there is does is in server/tool.h.
 *
 * Version 2025-03-26 is spoken but for its batches, which came with it and went with 2025-06-18: they would be many runs
 * behind one place in the queue. */
#ifndef PX_SERVER_MCP_H
#define PX_SERVER_MCP_H

#include "base/config.h"
#include "server/json.h"
#include "server/response.h"

/* Bytes of a request's id, as it is written. */
enum { MCP_ID = 256 };

/* JSON-RPC's codes, and the one for what it has none for. */
enum mcp_code {
    MCP_PARSE_ERROR = -32700,
    MCP_INVALID_REQUEST = -32600,
    MCP_METHOD_NOT_FOUND = -32601,
    MCP_INVALID_PARAMS = -32602,
    MCP_INTERNAL_ERROR = -32603,
    MCP_REFUSED = -32000,
};

/* By the headers Origin and MCP-Protocol-Version, NULL where they are missing. 0 to go on, 1 where the response is
 * made, or -ENOMEM. */
int mcp_check_headers(const struct config *config, const char *origin, const char *version,
                      struct response *ret_response);

/* A message. 0: the tool is to be called with ret_arguments, an object in the body, and the answer goes to ret_id;
 * 1: the response is made; or -ENOMEM. ret_id is JSON, and empty where it could not be read. */
int mcp_receive(const struct config *config, const char *body, size_t size, char ret_id[MCP_ID + 1],
                struct json_span *ret_arguments, struct response *ret_response);

/* An error of the protocol; an empty id is null. 0 or -ENOMEM. */
int mcp_error(struct response *ret_response, unsigned status, const char *id, enum mcp_code code, const char *text);

/* An error of the tool, which its caller is to see and can do something about. 0 or -ENOMEM. */
int mcp_tool_error(struct response *ret_response, const char *id, const char *text);

/* What came of a finished job. 0 or -ENOMEM. */
int mcp_result(struct response *ret_response, const char *id, const struct job *job);

#endif
