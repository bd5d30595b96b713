/* Who a process is: see credentials.h. Runs in a worker before its job, and in the manager's child
 * that becomes the server. */
#include "sandbox/credentials.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int refused(const char *call, struct failure *ret_failure) {
    return failure_set(ret_failure, errno, "identity", "%s was refused: %s", call, strerror(errno));
}

bool credentials_have(int capability) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {0};
    return syscall(SYS_capget, &header, sets) == 0 &&
           (sets[capability / 32].effective & 1u << capability % 32) != 0;
}

int credentials_drop_groups(struct failure *ret_failure) {
    /* In a user namespace of an ordinary user it is refused with the capability as well. */
    return setgroups(0, NULL) < 0 && errno != EPERM ? refused("setgroups()", ret_failure) : 0;
}

/* namespaces, mounts and chroot; ids, and the files and folders of workers; their priority and their end. */
static const int for_workers[] = {CAP_SYS_ADMIN,    CAP_SYS_CHROOT, CAP_MKNOD, CAP_SETUID,   CAP_SETGID, CAP_SETPCAP,
                                  CAP_DAC_OVERRIDE, CAP_CHOWN,      CAP_FOWNER, CAP_SYS_NICE, CAP_KILL};

static bool is_for_workers(int capability) {
    for (size_t i = 0; i < sizeof for_workers / sizeof for_workers[0]; i++)
        if (for_workers[i] == capability)
            return true;
    return false;
}

int credentials_keep_for_workers(struct failure *ret_failure) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {0};
    /* EPERM without CAP_SETPCAP, EINVAL behind the last there is (capabilities(7)). */
    for (int capability = 0; capability < 64; capability++)
        if (!is_for_workers(capability) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EPERM && errno != EINVAL)
            return refused("dropping the bounding set", ret_failure);
    if (syscall(SYS_capget, &header, sets) < 0)
        return refused("capget()", ret_failure);
    for (int capability = 0; capability < 64; capability++)
        if (!is_for_workers(capability)) {
            sets[capability / 32].effective &= ~(1u << capability % 32);
            sets[capability / 32].permitted &= ~(1u << capability % 32);
        }
    sets[0].inheritable = sets[1].inheritable = 0;
    if (syscall(SYS_capset, &header, sets) < 0)
        return refused("capset()", ret_failure);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return refused("no_new_privs", ret_failure);
    return 0;
}

int credentials_enter(uid_t uid, gid_t gid, struct failure *ret_failure) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    /* The bounding set first, while CAP_SETPCAP is there; where it is not, no_new_privs keeps the set from ever
     * mattering. The kernel says EINVAL behind the last capability it knows (capabilities(7)). */
    for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
        continue;
    if (errno != EINVAL && errno != EPERM)
        return refused("dropping the bounding set", ret_failure);
    if (setresgid(gid, gid, gid) < 0)
        return refused("setresgid()", ret_failure);
    if (setresuid(uid, uid, uid) < 0)
        return refused("setresuid()", ret_failure);
    /* Root without capabilities still owns the files of root. */
    if (uid == 0) {
        errno = EPERM;
        return refused("staying root", ret_failure);
    }
    /* Becoming an ordinary user clears them only when coming from uid 0, which a worker in a user
     * namespace without a root is not. */
    if (syscall(SYS_capset, &header, none) < 0)
        return refused("capset()", ret_failure);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return refused("clearing ambient capabilities", ret_failure);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return refused("no_new_privs", ret_failure);
    /* After the change of user, which resets it (prctl(2)): others of the same uid cannot attach,
     * read our memory through /proc, nor is a core piped anywhere, which RLIMIT_CORE does not stop. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return refused("PR_SET_DUMPABLE", ret_failure);
    return 0;
}
