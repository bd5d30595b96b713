/* What somebody at a terminal may do first, once the service is ready: the page to open and a line to paste into a shell.
 * Called by the manager. Where nobody looks, in a file or a log collector, nothing is written. */
#ifndef PX_CLI_WELCOME_H
#define PX_CLI_WELCOME_H

#include "base/config.h"

#include <stdbool.h>

/* `url` is where we listen; `wants_key`: requests must have one. */
void welcome(const struct config *config, const char *url, bool wants_key);

#endif
