/* User ids for a run that nobody else on this machine uses at the same time, without asking anybody. */
#ifndef PX_CLI_CLAIM_H
#define PX_CLI_CLAIM_H

#include "base/failure.h"

#include <stdint.h>

/* How many ids below --uid-base are for runs, and how many of them one run uses: its server's, its worker's, and two
 * that workers which are just being made may have. */
enum { CLAIM_IDS = 400, CLAIM_EACH = 4 };

/* ret_base is what the run has for its --uid-base: its own until the end of this process. -EUSERS where all are taken,
 * with the reason. */
int claim_ids(uint64_t uid_base, uint64_t *ret_base, struct failure *ret_failure);

#endif
