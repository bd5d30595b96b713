/* The listening socket, bound by the manager while it has the right to. */
#ifndef PX_CLI_LISTENER_H
#define PX_CLI_LISTENER_H

#include "base/failure.h"

#include <stddef.h>
#include <stdint.h>

/* Binds and listens on a numeric address. Returns the descriptor, close-on-exec and non-blocking, and
 * the address as a URL; or a negative errno with the reason and what to do about it. */
int listener_open(const char *host, uint64_t port, char *ret_url, size_t url_size, struct failure *ret_failure);

#endif
