/* The policy: see policy.h. */
#include "sandbox/policy.h"

void policy_init(struct policy *ret_policy, const struct config *config) {
    *ret_policy = (struct policy){
        .scratch_bytes = config->scratch_mb << 20,
        .scratch_most_bytes = config_limit(config, LIMIT_SCRATCH_MB).most << 20,
        .scratch_files = config->scratch_files,
        .open_files = config->open_files,
        .threads = config->threads,
        .uid_base = config->uid_base,
    };
#ifdef PX_LAYERS_OFF
    layer_parse(config->layers_off, &ret_policy->off, NULL);
#endif
}
