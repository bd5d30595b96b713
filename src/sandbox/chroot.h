/* chroot, for where no mount is granted but root is: the root of all workers is /usr, which holds the Python
 * runtime and hides everything else, made whole by a link to itself, so that /usr/lib is found in there too.
 */
#ifndef PX_SANDBOX_CHROOT_H
#define PX_SANDBOX_CHROOT_H

#include "base/failure.h"

#include <stdbool.h>

/* Zygote, once, with CAP_SYS_CHROOT: makes the link where it is missing, and moves in. Nothing outside /usr is in
 * reach afterwards but by descriptors it holds already. */
int chroot_enter(struct failure *ret_failure);

/* Whether a folder is in there. */
bool chroot_holds(const char *path);

/* A path below /usr as it is called in there. */
const char *chroot_path(const char *path);

#endif
