/* Control groups: bounds on memory, tasks and CPU that the kernel keeps by itself for each worker, where
 * groups can be made below the one we are in. Everywhere else the service goes on without this layer.
 *
 * There is one group for each slot, made when the slot is first used and used again by every worker of
 * that slot: to make and limit one takes longer than to fork. A worker is never moved by somebody else,
 * which needs a lock that all forks of the machine wait for. Version 2: it is born there
 * (CLONE_INTO_CGROUP). Version 1: it writes itself into `tasks`, which takes no such lock.
 *
 * What is charged to a worker's group: pages that it has written to or mapped anew, its copies of the
 * zygote's pages among them (the originals are the zygote's); what it keeps in /tmp, until the tmpfs goes
 * with it; page tables, pipes and other kernel objects; files that it was the first on the machine to
 * read. These last stay charged to the slot, and are given back when memory is short.
 */
#ifndef PX_SANDBOX_CGROUP_H
#define PX_SANDBOX_CGROUP_H

#include "base/config.h"
#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CGROUP_SLOTS = 2 * CONFIG_FLAVOURS * CONFIG_SLOTS, CGROUP_CONTROLLERS = 3 };

enum cgroup_version { CGROUP_NONE, CGROUP_V1, CGROUP_V2 };

/* For each worker. The CPU is not bounded but shared: see cgroup.c. */
struct cgroup_limits {
    uint64_t memory_bytes; /* of everything listed above; 0 for no limit */
    uint64_t pids;         /* its own process and its threads; 0 for no limit */
};

struct cgroup {
    enum cgroup_version version;
    struct cgroup_limits limits;
    /* In the order memory, pids, cpu. Version 2: the first alone. -1 where there is none. */
    int parents[CGROUP_CONTROLLERS];
    int folders[CGROUP_CONTROLLERS]; /* ours; locked, so that a sweep leaves it alone */
    char controllers[32];            /* "memory, pids, cpu": what is bounded, for people */
    uint64_t made[CGROUP_SLOTS / 64];
};

/* Zygote, once, before it leaves the host's file system: makes the folder python-executor-<pid>. A negative
 * errno where nothing is delegated (-ENOENT, -EROFS, -EACCES, -EPERM, -EBUSY …): go on without it. In every
 * case *ret_cgroup can be used: without a version all calls below do nothing and return 0. */
int cgroup_prepare(struct cgroup *ret_cgroup, const struct cgroup_limits *limits, struct failure *ret_failure);

/* Zygote, before a worker is cloned: makes sure that the slot has a group. *ret_fd is what clone3(2) wants
 * with CLONE_INTO_CGROUP, to be closed by the caller, or -1 where cgroup_enter() does it all. */
int cgroup_admit(struct cgroup *cgroup, unsigned slot, int *ret_fd, struct failure *ret_failure);

/* Worker, first of all, while it has the zygote's descriptors and ids: into the group of its slot. */
int cgroup_enter(const struct cgroup *cgroup, unsigned slot, struct failure *ret_failure);

/* Whether a worker gets no more CPU for having more threads. */
bool cgroup_shares_cpu(const struct cgroup *cgroup);

/* Zygote, when its workers are gone: removes what it made. */
void cgroup_done(struct cgroup *cgroup);

/* Manager: removes what zygotes left that were killed. Waits a moment for their last workers. */
void cgroup_sweep(void);

#endif
