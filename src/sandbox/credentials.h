/* Who a process is: user, groups, capabilities, and that it can never become more. */
#ifndef PX_SANDBOX_CREDENTIALS_H
#define PX_SANDBOX_CREDENTIALS_H

#include "base/failure.h"

#include <stdbool.h>
#include <sys/types.h>

/* Whether this process has a capability in its user namespace; CAP_SETUID, say. */
bool credentials_have(int capability);

/* Whether it may become other users, and make processes of other users. */
bool credentials_can_change_ids(void);

/* Becomes uid and gid for good, which needs CAP_SETUID and CAP_SETGID where they are others than now: bounding set
 * empty where CAP_SETPCAP is there, no supplementary groups changed (the caller has given them up), all
 * capabilities gone, no_new_privs, not dumpable. -EPERM where that would leave it root. */
int credentials_enter(uid_t uid, gid_t gid, struct failure *ret_failure);

/* Gives up, for this process and all it starts, every capability but those that making and ending workers takes, and
 * the chance to gain any. What the process does not have it need not give up. */
int credentials_keep_for_workers(struct failure *ret_failure);

/* The same, but CAP_SYS_CHROOT, where it is there, is kept over the next exec, and nothing else: for a
 * program that cannot leave the file system before it is loaded from it. */
int credentials_enter_with_chroot(uid_t uid, gid_t gid, struct failure *ret_failure);

/* Keeps who it is and gives up every capability, those of an own user namespace too, and of the bounding set
 * what it may. */
int credentials_drop_capabilities(struct failure *ret_failure);

/* Gives up all supplementary groups. Without CAP_SETGID they are kept, and that is no error. */
int credentials_drop_groups(struct failure *ret_failure);

#endif
