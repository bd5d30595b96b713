/* The root file system of the workers: the Python runtime, read-only, and a handful of small files.
 *
 * It is built once, on a tmpfs, and the zygote itself moves into it; a worker's mount namespace is a
 * copy of it in which nothing can be made writable again, since the mounts come from a more privileged
 * user namespace (mount_namespaces(7), locked flags).
 */
#ifndef PX_SANDBOX_ROOTFS_H
#define PX_SANDBOX_ROOTFS_H

#include "base/failure.h"
#include "sandbox/policy.h"

#include <stdbool.h>

/* Zygote, once, as root, in a mount namespace of its own. Afterwards the host's files are gone from
 * this process but for descriptors it holds already. In a user namespace of its own (own_user) the devices are the
 * host's, bound; else nodes of its own. */
int rootfs_prepare(const struct policy *policy, bool own_user, struct failure *ret_failure);

/* Zygote, once, where there are no mounts: the folders and small files of such a root, and the devices if they can
 * be made, below an empty folder. */
int rootfs_copy(int root, struct failure *ret_failure);

#endif
