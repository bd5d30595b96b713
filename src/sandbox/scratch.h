/* The scratch space: a private /tmp of bounded size that is gone with its worker.
 *
 * A tmpfs of the worker's own where it can mount one; else a folder that the zygote makes for each worker, watches,
 * and removes when the worker is dead.
 */
#ifndef PX_SANDBOX_SCRATCH_H
#define PX_SANDBOX_SCRATCH_H

#include "base/config.h"
#include "base/failure.h"
#include "sandbox/policy.h"
#include "sandbox/view.h"

#include <stdbool.h>
#include <sys/types.h>

/* The folder that holds one folder for each worker; fd is -1 where workers mount instead. */
struct scratch {
    int fd;
    char path[VIEW_PATH];
    uint64_t keys[CONFIG_SLOTS]; /* of one zygote; in the name of each worker's folder, so that no other knows it */
};

/* Worker, in its own mount namespace: mounts /tmp and makes it the working directory. */
int scratch_mount(const struct policy *policy, uid_t uid, gid_t gid, struct failure *ret_failure);

/* Zygote, once, where no worker can mount: below `base`, or below the first usable of several where it is NULL. */
int scratch_prepare(struct scratch *ret_scratch, const char *base, struct failure *ret_failure);

/* Zygote, once no worker is left: removes what it made. */
void scratch_done(struct scratch *scratch);

/* Manager: removes what zygotes that were killed have left. */
void scratch_sweep(void);

/* Zygote, before the worker is cloned: makes its folder, which belongs to uid. */
int scratch_make(struct scratch *scratch, unsigned slot, uid_t uid, gid_t gid, struct failure *ret_failure);

/* Worker: makes its folder the working directory, and forgets the names of all others; ret_path is where it is. */
int scratch_enter(struct scratch *scratch, unsigned slot, char ret_path[VIEW_PATH], struct failure *ret_failure);

/* Zygote, while the worker runs: whether it keeps more than it may, and how many bytes that are. A file that is open
 * and has no name is not seen. */
bool scratch_is_too_large(const struct scratch *scratch, unsigned slot, const struct policy *policy, uint64_t *ret_bytes);

/* Bytes in use on the file system that the folders are on, by whomever; 0 where there are none. */
uint64_t scratch_used(const struct scratch *scratch);

/* Zygote, when the worker is dead. */
void scratch_remove(const struct scratch *scratch, unsigned slot);

#endif
