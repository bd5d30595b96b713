/* What a worker may see and use, decided once by the zygote before any script exists. */
#ifndef PX_SANDBOX_POLICY_H
#define PX_SANDBOX_POLICY_H

#include "base/config.h"
#include "base/layer.h"

#include <stdbool.h>
#include <stdint.h>

enum { POLICY_MAX_PATHS = 32 };

/* Identity of every worker, seen from inside. */
enum { POLICY_UID = 65534, POLICY_GID = 65534 };

/* Where a folder for scripts can be made inside /usr, for chroot.h. */
#define SCRATCH_BELOW_USR "/usr/lib/python-executor"

struct policy {
    const char *read_only[POLICY_MAX_PATHS]; /* folders of the host that a worker may read; NULL ends it */
    uint64_t scratch_bytes;      /* of a job that does not say */
    uint64_t scratch_most_bytes; /* of one that asks for the most there is */
    uint64_t scratch_files;
    uint64_t open_files;
    uint64_t threads;
    /* Of all that its control group counts, see cgroup.h: beyond what the keeper allows. 0 for no limit. */
    uint64_t memory_bytes;
    uint64_t uid_base; /* the worker in slot n has the outer uid uid_base + 1 + n */
    uint32_t off;      /* layers that are not to be used, as in layer_bit(); 0 but in a test build */
};

static inline bool policy_uses(const struct policy *policy, enum layer layer) {
    return (policy->off & layer_bit(layer)) == 0;
}

/* What the configuration says; read_only is still empty. */
void policy_init(struct policy *ret_policy, const struct config *config);

#endif
