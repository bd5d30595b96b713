/* The scratch space: see scratch.h. Runs in a worker that still has the capabilities of its own user
 * namespace and has not seen its job. */
#include "sandbox/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

int scratch_enter(const struct policy *policy, struct failure *ret_failure) {
    char options[128];
    snprintf(options, sizeof options, "size=%llu,nr_inodes=%llu,mode=0700,uid=%d,gid=%d",
             (unsigned long long)policy->scratch_bytes, (unsigned long long)policy->scratch_files,
             (int)POLICY_UID, (int)POLICY_GID);
    /* noexec: no library of the script's own making is mapped executable from here. */
    if (mount("scratch", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
        return failure_set(ret_failure, errno, "scratch", "mounting /tmp was refused: %s", strerror(errno));
    if (chdir("/tmp") < 0)
        return failure_set(ret_failure, errno, "scratch", "cannot enter /tmp: %s", strerror(errno));
    return 0;
}
