/* Namespaces. The zygote makes once what workers may share (an empty network, no IPC objects, a
 * host name of no meaning, a mount table of its own); each worker gets a user, a pid and a mount
 * namespace, and the ids of its own that the zygote maps into it.
 */
#ifndef PX_SANDBOX_NAMESPACES_H
#define PX_SANDBOX_NAMESPACES_H

#include "base/failure.h"

#include <stdint.h>
#include <sys/types.h>

/* Zygote, once, as root: leaves the host's network, IPC, UTS and mount namespaces. */
int namespaces_prepare(struct failure *ret_failure);

/* Zygote: forks a worker into new user, pid and mount namespaces, and where cgroup_fd is set into that
 * control group (CLONE_INTO_CGROUP, Linux 5.7). Returns as fork(2) does: 0 in the
 * worker, its pid in the zygote, a negative errno. One thread must be running, and what
 * pthread_atfork(3) would do is the caller's, since this goes past glibc. */
pid_t namespaces_clone(int cgroup_fd);

/* Zygote: makes the inner POLICY_UID of the worker the outer uid. proc_fd is the zygote's /proc.
 * user_namespaces(7): a map can be written once, and by a process with CAP_SETUID outside. */
int namespaces_map(int proc_fd, pid_t worker, uint32_t outer_uid, struct failure *ret_failure);

#endif
