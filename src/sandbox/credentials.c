/* Who a process is: see credentials.h. Runs in a worker before its job, and in the manager's child
 * that becomes the server. */
#include "sandbox/credentials.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
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

bool credentials_can_change_ids(void) {
    return credentials_have(CAP_SETUID) && credentials_have(CAP_SETGID);
}

int credentials_drop_groups(struct failure *ret_failure) {
    /* In a user namespace of an ordinary user it is refused with the capability as well. */
    return setgroups(0, NULL) < 0 && errno != EPERM ? refused("setgroups()", ret_failure) : 0;
}

/* 0 or -1 with errno set. Not an error is EPERM, without CAP_SETPCAP, where no_new_privs keeps the set from ever
 * mattering; and EINVAL is behind the last capability that the kernel knows (capabilities(7)). */
static int drop_bounding_set(uint32_t kept) {
    for (int capability = 0; capability < 64; capability++) {
        bool stays = capability < 32 && (kept & 1u << capability) != 0;
        if (!stays && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
            return errno == EINVAL || errno == EPERM ? 0 : -1;
    }
    return 0;
}

/* In every set but the bounding one; all of them are below 32. */
static int set_capabilities(uint32_t kept, uint32_t inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{.effective = kept, .permitted = kept, .inheritable = inheritable}};
    return (int)syscall(SYS_capset, &header, sets);
}

/* Namespaces, mounts and chroot; ids, and the files and folders of workers; their priority and their end. SYS_TIME is
 * what the offsets of a time namespace take (time_namespaces(7)); without SETFCAP nobody maps user id 0, root itself
 * included (user_namespaces(7), since Linux 5.12). */
#define FOR_WORKERS                                                                                                  \
    (1u << CAP_SYS_ADMIN | 1u << CAP_SYS_CHROOT | 1u << CAP_MKNOD | 1u << CAP_SETUID | 1u << CAP_SETGID |            \
     1u << CAP_SETPCAP | 1u << CAP_DAC_OVERRIDE | 1u << CAP_CHOWN | 1u << CAP_FOWNER | 1u << CAP_SYS_NICE | 1u << CAP_KILL |    \
     1u << CAP_SYS_TIME | 1u << CAP_SETFCAP)

int credentials_keep_for_workers(struct failure *ret_failure) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {0};
    if (drop_bounding_set(FOR_WORKERS) < 0)
        return refused("dropping the bounding set", ret_failure);
    if (syscall(SYS_capget, &header, sets) < 0 || set_capabilities(sets[0].permitted & FOR_WORKERS, 0) < 0)
        return refused("capset()", ret_failure);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? refused("no_new_privs", ret_failure) : 0;
}

/* What of these it has, made to last over the change of user. An inheritable capability must be in the
 * bounding set when it becomes one, so this is before that is dropped. */
static uint32_t keep(uint32_t wanted) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {0};
    if (syscall(SYS_capget, &header, sets) < 0)
        return 0;
    uint32_t kept = wanted & sets[0].permitted;
    sets[0].inheritable |= kept;
    if (kept == 0 || syscall(SYS_capset, &header, sets) < 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return 0;
    return kept;
}

static int enter(uid_t uid, gid_t gid, uint32_t kept, struct failure *ret_failure) {
    /* The bounding set first, while CAP_SETPCAP is there. */
    if (drop_bounding_set(0) < 0)
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
    if (set_capabilities(kept, kept) < 0)
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

int credentials_enter(uid_t uid, gid_t gid, struct failure *ret_failure) {
    return enter(uid, gid, 0, ret_failure);
}

int credentials_enter_with_chroot(uid_t uid, gid_t gid, struct failure *ret_failure) {
    uint32_t kept = keep(1u << CAP_SYS_CHROOT);
    int r = enter(uid, gid, kept, ret_failure);
    /* An ambient capability is the one kind that an exec without privileges leaves; a platform that does not
     * know them (old gVisor) goes without. */
    if (r == 0 && kept != 0)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_CHROOT, 0, 0);
    return r;
}

int credentials_drop_capabilities(struct failure *ret_failure) {
    if (drop_bounding_set(0) < 0)
        return refused("dropping the bounding set", ret_failure);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return refused("clearing ambient capabilities", ret_failure);
    return set_capabilities(0, 0) < 0 ? refused("capset()", ret_failure) : 0;
}
