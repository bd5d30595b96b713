/* python-executor health: asks a service whether it is ready, or lives. For probes where there is no other HTTP client. */
#ifndef PX_CLI_HEALTH_H
#define PX_CLI_HEALTH_H

#include "base/config.h"

#include <stdbool.h>

/* Where a question goes. */
struct health_target {
    char host[256]; /* without brackets */
    char port[8];
    char path[256];
};

/* Of http://HOST[:PORT][/PATH], of which all but HOST may be left out: then it is 80 and default_path. -EINVAL. */
int health_parse_url(const char *url, const char *default_path, struct health_target *ret_target);

/* The service that these options start, as this machine reaches it. */
void health_default_target(const struct config *config, const char *path, struct health_target *ret_target);

/* Prints what it says, and returns the exit status: 0 where it answers 200 in time, 1 otherwise. */
int health_ask(const struct health_target *target);

#endif
