/* The probe: finds out in throwaway children what this platform grants, and makes the best plan of it.
 *
 * Nothing is inferred from names, versions or files: a plan is good when a worker made by it has gone through all its
 * layers and seen for itself that they hold (witness.h).
 */
#ifndef PX_SANDBOX_PROBE_H
#define PX_SANDBOX_PROBE_H

#include "base/failure.h"
#include "base/layer.h"
#include "sandbox/policy.h"
#include "sandbox/sandbox.h"

struct probe {
    struct plan plan;
    struct isolation isolation; /* by that plan; and why the rest is not */
};

/* As the calling process is, which must have one thread and is not changed. A negative errno with the reason where
 * no plan works at all. */
int probe_platform(const struct policy *policy, struct probe *ret_probe, struct failure *ret_failure);

/* Completes what sandbox_prepare() noted with the reasons for what it did not use. */
void probe_explain(const struct probe *probe, struct isolation *isolation);

#endif
