/* The routes: which request means what. Knows HTTP by its words only, not the library. */
#ifndef PX_SERVER_API_H
#define PX_SERVER_API_H

#include "server/response.h"
#include "server/run.h"

#include <stddef.h>

struct api {
    const struct config *config;
    struct runs *runs;
    struct isolation isolation; /* of the workers, as the manager has said */
    struct isolation own;       /* of this server */
};

/* By the request line alone. 0: read the body and call api_execute(); 1: the response is made; or
 * -ENOMEM. */
int api_route(const struct api *api, const char *method, const char *path, struct response *ret_response);

/* POST /execute; `streams`: the answer is events where the body says nothing of that. 0: ret_job has been submitted, `finished` will be called with `owner`, and the
 * caller has a reference; 1: the response is made; or -ENOMEM. */
int api_execute(struct api *api, const char *body, size_t size, bool streams, void (*finished)(struct job *job),
                void *owner, struct job **ret_job, struct response *ret_response);

/* The response to a finished job; of one that streams the result's event. 0 or -ENOMEM. */
int api_finish(struct api *api, const struct job *job, struct response *ret_response);

/* 413 for a body that is too large, 503 where the service has too much to hold. 0 or -ENOMEM. */
int api_refuse_body(struct api *api, struct response *ret_response);
int api_refuse_busy(struct api *api, const char *why, struct response *ret_response);

#endif
