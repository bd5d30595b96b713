/* The tool run_python, as the Model Context Protocol has it: what tools/list says of it, and what came of a call. */
#ifndef PX_SERVER_TOOL_H
#define PX_SERVER_TOOL_H

#include "base/buf.h"
#include "base/config.h"
#include "server/job.h"

#define TOOL_NAME "run_python"

/* Appends openapi/tool.json, with the numbers of this configuration in it. 0, or as buf_add(). */
int tool_add_description(struct buf *body, const struct config *config);

/* Appends the result of a call: `content` for models (a text, and the images among the outputs), `structuredContent`
 * for programs (what POST /execute answers with details) and `isError`. The job was made with details. 0, or as
 * buf_add(). */
int tool_add_result(struct buf *body, const struct job *job);

/* The same for a call that was not run: a text alone. */
int tool_add_error(struct buf *body, const char *text);

#endif
