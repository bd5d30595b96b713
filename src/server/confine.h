/* What the server may still do: nearly nothing. An intruder who came in through the HTTP parser finds no
 * file system, no other process, no network but the connections there are, and a short list of system
 * calls.
 */
#ifndef PX_SERVER_CONFINE_H
#define PX_SERVER_CONFINE_H

#include "base/failure.h"
#include "base/layer.h"

/* Once, before the server opens anything of its own, with one thread and no child: confines this process
 * for good, with whatever the platform grants, and says in ret_layers what that was. The filter,
 * no_new_privs and "not dumpable" are granted everywhere and required: without one of them it is a negative
 * errno with ret_failure filled in, the process is half confined, and must end. */
int confine_server(struct isolation *ret_layers, struct failure *ret_failure);

#endif
