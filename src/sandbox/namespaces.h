/* Namespaces. The zygote makes once what workers may share (an empty network, no IPC objects, a host name of no
 * meaning, a clock that begins with it, a mount table of its own); each worker gets a user, a pid and a mount
 * namespace, and the ids of its own that the zygote maps into it.
 *
 * Who may not make them as he is may make a user namespace first, and has the right in there (user_namespaces(7)).
 */
#ifndef PX_SANDBOX_NAMESPACES_H
#define PX_SANDBOX_NAMESPACES_H

#include "base/failure.h"
#include "base/layer.h"
#include "sandbox/policy.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Zygote, once: moves into a user namespace of its own and holds all capabilities there. The ids from uid_base on
 * are mapped where the caller may map them, and ret_has_slots says so; else there is but one id, POLICY_UID inside.
 * The calling process must have one thread. */
int namespaces_own_user(const struct policy *policy, bool *ret_has_slots, struct failure *ret_failure);

/* Zygote, once: a mount namespace of its own, from which nothing comes back to the host. */
int namespaces_own_mounts(struct failure *ret_failure);

/* Zygote, once: leaves the host's network, IPC, UTS, time and cgroup namespaces as far as that is granted, and notes
 * for each what came of it. proc_fd is the zygote's /proc. */
void namespaces_share(int proc_fd, uint32_t off, struct isolation *isolation);

/* Zygote: forks a worker into the namespaces of `flags` (CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNS), and where
 * cgroup_fd is set into that control group (CLONE_INTO_CGROUP, Linux 5.7). Returns as
 * fork(2) does: 0 in the worker, its pid in the zygote, a negative errno. One thread must be running, and what
 * pthread_atfork(3) would do is the caller's, since this goes past glibc. */
pid_t namespaces_clone(int flags, int cgroup_fd);

/* Zygote: makes the inner POLICY_UID of the worker the outer uid.
 * user_namespaces(7): a map can be written once, and by a process with CAP_SETUID outside. */
int namespaces_map(int proc_fd, pid_t worker, uint32_t outer_uid, struct failure *ret_failure);

/* Tries each namespace in a throwaway child, as the process is, and notes those that are refused. */
void namespaces_probe(struct isolation *isolation);

#endif
