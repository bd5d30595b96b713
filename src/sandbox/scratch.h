/* The scratch space: a private /tmp of bounded size that dies with its worker. */
#ifndef PX_SANDBOX_SCRATCH_H
#define PX_SANDBOX_SCRATCH_H

#include "base/failure.h"
#include "sandbox/policy.h"

/* Worker, in its own mount namespace: mounts /tmp and makes it the working directory. */
int scratch_enter(const struct policy *policy, struct failure *ret_failure);

#endif
