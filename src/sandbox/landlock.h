/* Landlock: which files a process may still reach, whatever its user id could. Also no TCP, no device
 * control, no signals and no abstract sockets to the outside, as far as the kernel knows how.
 *
 * Used for the workers and for the server. Irrevocable, needs no privileges (landlock(7), Linux 5.13).
 */
#ifndef PX_SANDBOX_LANDLOCK_H
#define PX_SANDBOX_LANDLOCK_H

#include "base/failure.h"

#include <stddef.h>

enum landlock_use {
    LANDLOCK_READ,    /* read files and list folders below; nothing executed, nothing written */
    LANDLOCK_DEVICE,  /* read and write this one file */
    LANDLOCK_SCRATCH, /* make, read, write, rename and remove files and folders below */
};

struct landlock_path {
    const char *path; /* one that does not exist is left out */
    enum landlock_use use;
};

/* The kernel's Landlock version, from 1, or a negative errno: -ENOSYS where it is not built in,
 * -EOPNOTSUPP where it is not enabled. */
int landlock_abi(void);

/* Leaves the calling thread, and all it starts, nothing of the file system but these paths, and every
 * other right that this version of Landlock can take away. Needs no_new_privs. */
int landlock_enter(const struct landlock_path *paths, size_t count, struct failure *ret_failure);

/* What landlock_enter() takes away in this version, in words, for people. */
const char *landlock_describe(int abi);

#endif
