/* The routes: which request means what. Knows HTTP by its words only, not the library. */
#ifndef PX_SERVER_API_H
#define PX_SERVER_API_H

#include "server/access.h"
#include "server/callers.h"
#include "server/mcp.h"
#include "server/response.h"
#include "server/run.h"

#include <stddef.h>

struct api {
    const struct config *config;
    struct runs *runs;
    struct callers *callers;
    struct isolation isolation; /* of the workers, as the manager has said */
    struct isolation own;       /* of this server */
};

/* Those that take a body. */
enum route { ROUTE_EXECUTE, ROUTE_MCP };

/* What is kept of a request until its job is finished. */
struct call {
    enum route route;
    char id[MCP_ID + 1]; /* of ROUTE_MCP, as soon as it was read */
    bool streams;        /* of ROUTE_EXECUTE: the answer is events where the body says nothing of that */
    struct access access; /* what the log will tell of it */
    struct caller *caller; /* whose key it came with, a reference; NULL where there are no keys */
    const char *shared_with; /* which web pages may read the answer: origin.h; borrowed, NULL for none */
    bool varies;             /* the answer with the origin that asks */
    bool turned_away;      /* for its key, so that its body is not worth reading */
};

/* ROUTE_EXECUTE also where it is none. */
enum route api_find_route(const char *path);

/* By the headers, NULL where they are missing; they stay the caller's for as long as the call lasts. Only the route /mcp
 * refuses any. 0 to go on, 1: the response is made; or -ENOMEM. */
int api_check_headers(const struct api *api, struct call *call, const char *origin, const char *protocol_version,
                      struct response *ret_response);

/* Whether it comes with a key, where there are keys and it asks for something that not everybody may; `authorization` is
 * that header, NULL where it is missing. 0 to go on, 1: the response is made; or -ENOMEM. */
int api_check_key(struct api *api, struct call *call, const char *method, const char *path, const char *authorization,
                  struct response *ret_response);

/* Whether its caller may send it now, a request that api_route() lets pass. 0 to go on, 1: the response is made; or
 * -ENOMEM. */
int api_check_pace(const struct api *api, struct call *call, struct response *ret_response);

/* The request is over. */
void api_forget(struct call *call);

/* By the request line, and by the types that are accepted, NULL for no word of it. 0: read the body and call api_submit(); 1: the response is made; or
 * -ENOMEM. */
int api_route(const struct api *api, const char *method, const char *path, const char *accept, struct response *ret_response);

/* The body of a POST. 0: ret_job has been submitted, `finished` will be called with `owner`, and the
 * caller has a reference; 1: the response is made; or -ENOMEM. */
int api_submit(struct api *api, struct call *call, const char *body, size_t size, void (*finished)(struct job *job),
               void *owner, struct job **ret_job, struct response *ret_response);

/* The response to a finished job; of one that streams the result's event. 0 or -ENOMEM. */
int api_finish(struct api *api, const struct call *call, const struct job *job, struct response *ret_response);

/* 413 for a body that is too large, 400 for one whose end is not clear, 503 where the service has too much to hold. 0 or
 * -ENOMEM. */
int api_refuse_framing(const struct call *call, struct response *ret_response);
int api_refuse_body(struct api *api, const struct call *call, struct response *ret_response);
int api_refuse_bytes(struct api *api, const struct call *call, struct response *ret_response);

#endif
