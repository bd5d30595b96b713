/* Resource limits. One process is a whole job, since a worker cannot fork, so they are complete. */
#ifndef PX_SANDBOX_RLIMITS_H
#define PX_SANDBOX_RLIMITS_H

#include "base/failure.h"
#include "sandbox/policy.h"

#include <stdbool.h>
#include <stdint.h>

/* Worker, while idle: everything that does not depend on the job. Threads are counted per user, so they are
 * limited only where the worker is a user of its own. */
int rlimits_enter(const struct policy *policy, bool own_user, struct failure *ret_failure);

/* A job gets so many times its memory in address space: numpy.zeros() and threads reserve much that they never touch;
 * what is touched is what the keeper watches. */
enum { RLIMITS_ADDRESS_FACTOR = 2 };

struct job_rlimits {
    uint64_t cpu_seconds;   /* of the process's whole life */
    uint64_t address_bytes; /* of the whole address space */
    uint64_t file_bytes;    /* of one file */
};

/* Worker, behind its filter, before it reads the script. Hard and soft alike: nothing can be raised.
 * 0 or a negative errno. */
int rlimits_job(const struct job_rlimits *limits);

#endif
