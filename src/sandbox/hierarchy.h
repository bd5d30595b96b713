/* Where control groups may be made: below the group this process is in, nowhere else, so that whatever
 * bounds this process goes on to bound its workers. Also the folders with this project's name there, and
 * which of them are left by the dead.
 *
 * Used by the zygote before it leaves the host's file system, and by the manager. cgroups(7).
 */
#ifndef PX_SANDBOX_HIERARCHY_H
#define PX_SANDBOX_HIERARCHY_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>

enum { HIERARCHY_NAME = 32 };

/* A descriptor of the own group's folder: in version 2 where controller is NULL, else in the version 1
 * hierarchy of that controller. -ENOENT where there is none that can be seen. */
int hierarchy_open(const char *controller, struct failure *ret_failure);

/* Whether the words in a file such as cgroup.controllers, parted by blanks, have this one. */
bool hierarchy_has_word(int folder, const char *file, const char *word);

/* Version 2: has `controllers` ("+memory +pids") handed down from `folder`. A group that holds processes
 * cannot do that ("no internal processes"), so where those are the manager, its server and its zygotes
 * alone they are moved into a group of their own below. -EBUSY where there are others, -EPERM in the root
 * group, whose settings are the host's. */
int hierarchy_hand_down(int folder, const char *controllers, struct failure *ret_failure);

/* Makes the folder python-executor-<pid> below `parent`; the descriptor holds the lock that says that its
 * owner lives. */
int hierarchy_make(int parent, int *ret_folder, struct failure *ret_failure);

/* Removes it with all groups below, but for those that processes are left in, and gives up the lock. */
void hierarchy_remove(int parent, int folder);

/* Removes folders of this project below `parent` that nobody holds the lock of. True when none is left. */
bool hierarchy_sweep(int parent);

#endif
