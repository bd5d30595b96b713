/* The policy: see policy.h. */
#include "sandbox/policy.h"

void policy_init(struct policy *ret_policy, const struct config *config) {
    *ret_policy = (struct policy){
        .scratch_bytes = config->scratch_mb << 20,
        .scratch_files = config->scratch_files,
        .open_files = config->open_files,
        .threads = config->threads,
        .uid_base = config->uid_base,
    };
}
