/* The zygote's loop: jobs in, verdicts out, the crew kept full. */
#ifndef PX_ZYGOTE_ZYGOTE_H
#define PX_ZYGOTE_ZYGOTE_H

#include "base/config.h"
#include "base/failure.h"
#include "sandbox/sandbox.h"

/* Serves until the server or the manager closes its end: returns 0 then, with no worker left. A
 * negative errno with the reason where it cannot go on. Descriptors as in wire/inherit.h. */
int zygote_serve(const struct config *config, struct sandbox *sandbox, unsigned first_slot,
                 struct failure *ret_failure);

#endif
