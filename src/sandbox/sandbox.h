/* The confinement of a worker, all layers in their order.
 *
 * The zygote prepares once; for each worker it clones and admits; the worker enters, before it has seen
 * its job. Every layer is required: one that fails is an error, and that worker is never used.
 */
#ifndef PX_SANDBOX_SANDBOX_H
#define PX_SANDBOX_SANDBOX_H

#include "base/failure.h"
#include "sandbox/cgroup.h"
#include "sandbox/policy.h"
#include "sandbox/seccomp.h"

#include <stddef.h>
#include <sys/types.h>

struct sandbox {
    struct policy policy;
    struct seccomp_program filter;
    struct cgroup cgroup;          /* without a version where none can be made … */
    struct failure cgroup_refusal; /* … for this reason */
    int cgroup_entered;            /* worker: what became of it, 0 or a negative errno with … */
    struct failure cgroup_failure; /* … its words */
    int proc_fd; /* the host's /proc, opened before it goes out of sight; never a worker's */
};

struct sandbox_layer {
    const char *name;
    const char *detail;
};

/* What is on once the first worker is ready, for people to read. */
extern const struct sandbox_layer sandbox_layers[];
extern const size_t sandbox_layer_count;

/* Zygote, once, as root with all the capabilities it needs; after Python has imported everything,
 * since the host's files are out of reach afterwards. */
int sandbox_prepare(struct sandbox *ret_sandbox, const struct policy *policy, struct failure *ret_failure);
void sandbox_done(struct sandbox *sandbox);

/* Zygote: as fork(2), see namespaces_clone(); into the control group of its slot where there are any. A
 * negative errno comes with words. */
pid_t sandbox_clone(struct sandbox *sandbox, unsigned slot, struct failure *ret_failure);

/* Zygote: gives the worker the identity of its slot and makes it the first to die of memory. */
int sandbox_admit(const struct sandbox *sandbox, pid_t worker, unsigned slot, struct failure *ret_failure);

/* Worker, after it was admitted: goes through every layer. Descriptors are the caller's to close. */
int sandbox_enter(struct sandbox *sandbox, struct failure *ret_failure);

#endif
