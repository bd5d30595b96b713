/* The confinement of a worker, all layers in their order.
 *
 * What a platform grants is found out first (probe.h) and makes a plan. The zygote prepares by it once; for each
 * worker it clones and admits; the worker enters, before it has seen its job. Every layer of the plan is required:
 * one that fails is an error, and that worker is never used.
 */
#ifndef PX_SANDBOX_SANDBOX_H
#define PX_SANDBOX_SANDBOX_H

#include "base/failure.h"
#include "base/layer.h"
#include "sandbox/cgroup.h"
#include "sandbox/policy.h"
#include "sandbox/scratch.h"
#include "sandbox/seccomp.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* How workers are made on this platform. */
struct plan {
    bool own_user; /* the zygote moves into a user namespace first, for the capabilities in there */
    bool mounts;   /* a root of mounts and a tmpfs for each worker; else a folder and a view */
    bool chroot;   /* without mounts: /usr is all there is */
    bool landlock;
    int clone_flags; /* the namespaces of each worker: CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNS */
};

struct sandbox {
    struct policy policy;
    struct plan plan;
    struct isolation isolation; /* what the plan comes to, once a worker is ready */
    struct seccomp_program filter;
    struct scratch scratch;
    struct cgroup cgroup;          /* without a version where none can be made */
    int cgroup_entered;            /* worker: what became of it, 0 or a negative errno with … */
    struct failure cgroup_failure; /* … its words */
    struct view view;              /* worker: what it is to see */
    bool has_slots; /* each worker has an outer user id of its own */
    int proc_fd;    /* the host's /proc, opened before it goes out of sight; never a worker's */
};

/* Zygote, once; behind it no more is in reach than what a worker has, but where that is a chroot. */
int sandbox_prepare(struct sandbox *ret_sandbox, const struct policy *policy, const struct plan *plan,
                    struct failure *ret_failure);

/* Zygote, before its first worker: moves into the chroot, if there is to be one. Python is behind its imports then, since
 * links of /etc/alternatives lead nowhere in there. */
int sandbox_move_in(const struct sandbox *sandbox, struct failure *ret_failure);
void sandbox_done(struct sandbox *sandbox);

/* Zygote: a folder to write to that is nobody else's, and what becomes of it. Its path is good for VIEW_PATH bytes. */
int sandbox_lend_folder(struct sandbox *sandbox, char ret_path[VIEW_PATH], struct failure *ret_failure);
void sandbox_take_folder(const struct sandbox *sandbox);

/* Zygote: as fork(2), see namespaces_clone(); into the control group and with the folder of its slot where there are
 * any. A negative errno comes with words. */
pid_t sandbox_clone(struct sandbox *sandbox, unsigned slot, struct failure *ret_failure);

/* Zygote: gives the worker the identity of its slot and makes it the first to die of memory. */
int sandbox_admit(const struct sandbox *sandbox, pid_t worker, unsigned slot, struct failure *ret_failure);

/* Worker, after it was admitted: goes through every layer. Descriptors are the caller's to close. */
int sandbox_enter(struct sandbox *sandbox, unsigned slot, struct failure *ret_failure);

/* The same in two steps, for who has something to do while it may pass descriptors: its /tmp, of which a mounted one is
 * open as scratch.tmpfs_fd, the caller's to close; then every other layer. */
int sandbox_enter_scratch(struct sandbox *sandbox, unsigned slot, struct failure *ret_failure);
int sandbox_enter_layers(struct sandbox *sandbox, unsigned slot, struct failure *ret_failure);

/* Zygote: whether the worker of this slot keeps more than so many bytes, or more files than it may, and how many bytes
 * that are. Where it has a tmpfs of its own the kernel sees to that. */
bool sandbox_is_full(const struct sandbox *sandbox, unsigned slot, uint64_t bytes, uint64_t *ret_bytes);

/* Zygote: the worker of this slot is dead. */
void sandbox_release(const struct sandbox *sandbox, unsigned slot);

#endif
