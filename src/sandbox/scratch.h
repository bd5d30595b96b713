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

/* The folder that holds one folder for each worker; fd is -1 where workers mount instead. In such a worker tmpfs_fd is
 * what it has mounted, until it has told the zygote. */
struct scratch {
    int fd;
    char path[VIEW_PATH];
    uint64_t keys[CONFIG_SLOTS]; /* of one zygote; in the name of each worker's folder, so that no other knows it */
    int tmpfs_fd;
    uint64_t tmpfs_bytes; /* that it holds */
};

/* Worker, in its own mount namespace: mounts /tmp and makes it the working directory. It holds what a job that does not
 * say may keep, or where it cannot be resized, the most that any may. */
int scratch_mount(struct scratch *scratch, const struct policy *policy, uid_t uid, gid_t gid, struct failure *ret_failure);

/* Zygote, with the tmpfs of a worker that has no job yet: from now on it holds so many bytes, which are not 0. 0, or a
 * negative errno where the kernel refuses (fspick(2) came with Linux 5.2, and gVisor has none). */
int scratch_resize(int tmpfs_fd, uint64_t bytes);

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

/* Zygote, while the worker runs: whether it keeps more than so many bytes or files, and how many bytes that are. A file
 * that is open and has no name is not seen. */
bool scratch_is_too_large(const struct scratch *scratch, unsigned slot, uint64_t bytes, uint64_t files, uint64_t *ret_bytes);

/* The same of a tmpfs, whose files the kernel counts; one without a name is seen. */
bool scratch_tmpfs_is_too_large(int tmpfs_fd, uint64_t bytes);

/* Bytes in use on the file system that the folders are on, by whomever; 0 where there are none. */
uint64_t scratch_used(const struct scratch *scratch);

/* Bytes in all of the folders. Takes as long as there are files. */
uint64_t scratch_visible(const struct scratch *scratch);

/* Zygote, when the worker is dead. */
void scratch_remove(const struct scratch *scratch, unsigned slot);

#endif
