/* chroot: see chroot.h. Runs in the zygote. A worker has no capability to leave it by another chroot(2), and no
 * descriptor of a folder outside. */
#include "sandbox/chroot.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define ROOT "/usr"

int chroot_enter(struct failure *ret_failure) {
    char target[8];
    if (symlink(".", ROOT ROOT) < 0) {
        /* Made by an earlier start, or by whoever built an image that cannot be written to. */
        int error = errno;
        if (readlink(ROOT ROOT, target, sizeof target) != 1 || target[0] != '.')
            return failure_set(ret_failure, error, "chroot", "symlink(" ROOT ROOT "): %s", strerror(error));
    }
    if (chroot(ROOT) < 0)
        return failure_set(ret_failure, errno, "chroot", "chroot(): %s", strerror(errno));
    if (chdir("/") < 0)
        return failure_set(ret_failure, errno, "chroot", "chdir(): %s", strerror(errno));
    return 0;
}

bool chroot_holds(const char *path) {
    return strncmp(path, ROOT "/", strlen(ROOT "/")) == 0;
}

const char *chroot_path(const char *path) {
    return chroot_holds(path) ? path + strlen(ROOT) : path;
}
