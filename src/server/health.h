/* GET /healthz and GET /readyz: whether the process lives, and whether scripts should be sent to it. */
#ifndef PX_SERVER_HEALTH_H
#define PX_SERVER_HEALTH_H

#include "server/response.h"
#include "server/run.h"

/* Why nothing should be sent here now, in words for people; NULL where it should.
 *
 * Not before all that is preloaded has been there once: until then a module that cannot be imported ends the service, and
 * whoever replaces another by this one is to notice it in time. From then on a worker without anything imported is
 * enough: what waits for an import waits in the queue. */
const char *health_unready(const struct runs *runs);

/* 0 or -ENOMEM. */
int health_alive(struct response *ret_response);
int health_ready(struct response *ret_response, const struct runs *runs);

#endif
