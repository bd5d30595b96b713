/* The listening socket: inherited from who started us, or bound by the manager while it has the right to. */
#ifndef PX_CLI_LISTENER_H
#define PX_CLI_LISTENER_H

#include "base/failure.h"

#include <stddef.h>
#include <stdint.h>

/* Binds and listens on a numeric address. Returns the descriptor, close-on-exec and non-blocking, and
 * the address as a URL; or a negative errno with the reason and what to do about it. */
int listener_open(const char *host, uint64_t port, char *ret_url, size_t url_size, struct failure *ret_failure);

/* Nobody new gets a connection, while those who have one can still be accepted, until the last descriptor of the socket
 * is closed. Who asks in between hears nothing and asks again, a second later as a rule, and is refused then. Not for a
 * socket that others go on listening on. A best effort: not every kernel has it (gVisor). */
void listener_shut(int fd);

/* A socket that the service manager holds and hands to every start, by sd_listen_fds(3). Returns its descriptor, with
 * flags and address as above; -ENOENT without a word where none was handed over; or a negative errno with the
 * reason where it is not the one listening TCP socket that is wanted. Nobody else finds it by the environment then. */
int listener_inherit(char *ret_url, size_t url_size, struct failure *ret_failure);

#endif
