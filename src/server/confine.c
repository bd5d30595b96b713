/* The server's confinement: see confine.h. Runs in the server before its loop and its HTTP daemon exist: a
 * newer libuv makes an io_uring with every loop (uv__platform_loop_init(), 1.45 and later), and what is
 * asked for through a ring passes no filter.
 *
 * The user id was changed by the manager's child, before this program began (src/cli/children.c).
 */
#include "server/confine.h"

#include "sandbox/credentials.h"
#include "sandbox/landlock.h"
#include "sandbox/seccomp.h"
#include "server/confine_table.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- The empty root --- */

/* Moves this process into an empty folder, without having to make one: the root may be read-only, and what
 * lies in /tmp is others' to touch. /proc/PID/fdinfo of a process that has ended is empty for ever (its
 * inode belongs to that process, not to the number), so a child that shares our root (CLONE_FS, clone(2))
 * makes its own fdinfo the root of both and ends. Needs CAP_SYS_CHROOT and /proc. */
static int enter_empty_root(void) {
    int status;
    long child = syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(chroot("/proc/self/fdinfo") < 0 || chdir("/") < 0 ? errno : 0);
    if (child < 0 || waitpid((pid_t)child, &status, 0) < 0)
        return -errno;
    if (!WIFEXITED(status))
        return -EIO;
    if (WEXITSTATUS(status) != 0)
        return -WEXITSTATUS(status);
    return access("/proc", F_OK) == 0 ? -ENOTEMPTY : 0; /* a witness: it was there a moment ago */
}

/* CAP_SYS_CHROOT is there where the service was started as root, in Docker's default set too. Elsewhere the
 * own user namespace brings it, where the platform lets an ordinary user make one, as gVisor does, which
 * has no Landlock. Only the second needs nothing of the manager, but Docker's profile refuses it; so both. */
static void leave_file_system(struct isolation *layers) {
    int r = enter_empty_root();
    if (r != -EPERM) {
        layer_unused(layers, LAYER_USER, "CAP_SYS_CHROOT was there without it");
    } else if (unshare(CLONE_NEWUSER) < 0) {
        layer_refused(layers, LAYER_USER, "unshare", errno);
    } else {
        layer_active(layers, LAYER_USER, "no ids mapped");
        r = enter_empty_root();
    }
    if (r < 0)
        layer_refused(layers, LAYER_CHROOT, "chroot", -r);
    else
        layer_active(layers, LAYER_CHROOT, "an empty folder");
}

static void enter_landlock(struct isolation *layers) {
    struct failure failure;
    int r = landlock_enter(NULL, 0, &failure);
    if (r < 0)
        layer_refused(layers, LAYER_LANDLOCK, "landlock", -r);
    else
        layer_active(layers, LAYER_LANDLOCK, landlock_describe(landlock_abi()));
}

/* --- Who it is, and how much it may have --- */

static int enter_identity(struct isolation *layers, struct failure *ret_failure) {
    int r = credentials_drop_capabilities(ret_failure);
    if (r == 0)
        layer_active(layers, LAYER_IDENTITY, "no capabilities");
    return r;
}

/* No core, no further process, no byte into a file. The last not where standard error is a file: its log
 * would end with the limit, or the server by SIGXFSZ. */
static void enter_limits(struct isolation *layers) {
    const struct rlimit none = {0, 0};
    struct stat log;
    bool to_file = fstat(STDERR_FILENO, &log) == 0 && S_ISREG(log.st_mode);
    if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0 ||
        (!to_file && setrlimit(RLIMIT_FSIZE, &none) < 0))
        layer_refused(layers, LAYER_RLIMITS, "setrlimit", errno);
    else
        layer_active(layers, LAYER_RLIMITS, to_file ? "core, processes" : "core, processes, file size");
}

/* exec has made it dumpable again: clients' scripts will be in this memory, and no one may read it. */
static int close_ways_back(struct failure *ret_failure) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return failure_set(ret_failure, errno, "server", "no_new_privs was refused: %s", strerror(errno));
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return failure_set(ret_failure, errno, "server", "PR_SET_DUMPABLE was refused: %s", strerror(errno));
    return 0;
}

int confine_server(struct isolation *ret_layers, struct failure *ret_failure) {
    struct seccomp_program program;
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++)
        layer_unused(ret_layers, (enum layer)layer, "of no use to the server");
    int r = seccomp_prepare(confine_rules, confine_rule_count, 0, &program, ret_failure);
    if (r < 0)
        return r;
    leave_file_system(ret_layers);
    if ((r = enter_identity(ret_layers, ret_failure)) < 0) /* behind the root, which needs one of them */
        goto out;
    enter_limits(ret_layers); /* behind the child, which it would refuse */
    if ((r = close_ways_back(ret_failure)) < 0)
        goto out;
    enter_landlock(ret_layers); /* wants no_new_privs */
    if ((r = seccomp_enter(&program, ret_failure)) < 0) /* forbids all of the above */
        goto out;
    layer_active(ret_layers, LAYER_SECCOMP, "the server's own list");
out:
    seccomp_done(&program);
    return r;
}
