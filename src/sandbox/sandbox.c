/* The order of the layers, in straight calls: see sandbox.h. */
#include "sandbox/sandbox.h"

#include "base/fd.h"
#include "sandbox/chroot.h"
#include "sandbox/credentials.h"
#include "sandbox/folder.h"
#include "sandbox/landlock.h"
#include "sandbox/namespaces.h"
#include "sandbox/rlimits.h"
#include "sandbox/rootfs.h"
#include "sandbox/view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Zygote --- */

/* Where scripts keep files without a tmpfs of their own, and the small root that their view shows. */
static int prepare_folders(struct sandbox *sandbox, struct failure *ret_failure) {
    struct scratch *scratch = &sandbox->scratch;
    if (sandbox->plan.chroot && mkdir(SCRATCH_BELOW_USR, 0755) < 0 && errno != EEXIST)
        return failure_set(ret_failure, errno, "chroot", "mkdir(" SCRATCH_BELOW_USR "): %s", strerror(errno));
    int r = scratch_prepare(scratch, sandbox->plan.chroot ? SCRATCH_BELOW_USR : NULL, ret_failure);
    if (r < 0)
        return r;
    if (mkdirat(scratch->fd, "root", 0700) < 0 || fchmodat(scratch->fd, "root", 0755, 0) < 0)
        return failure_set(ret_failure, errno, "scratch", "mkdir(): %s", strerror(errno));
    cleanup_fd int root = openat(scratch->fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root < 0 ? failure_set(ret_failure, errno, "scratch", "open(): %s", strerror(errno)) : rootfs_copy(root, ret_failure);
}

static int prepare_files(struct sandbox *sandbox, struct failure *ret_failure) {
    int r;
    if (sandbox->plan.mounts) {
        /* A mount namespace before the root file system, or the host would see it built. */
        if ((r = namespaces_own_mounts(ret_failure)) < 0)
            return r;
        return rootfs_prepare(&sandbox->policy, sandbox->plan.own_user, ret_failure);
    }
    return prepare_folders(sandbox, ret_failure);
}

/* Which calls of the worker the view answers. */
static unsigned seen_by_view(const struct sandbox *sandbox) {
    return (sandbox->plan.mounts ? SECCOMP_REAL_PATHS : SECCOMP_VIEWED_PATHS) |
           ((sandbox->plan.clone_flags & CLONE_NEWUSER) != 0 ? SECCOMP_REAL_IDS : SECCOMP_VIEWED_IDS) |
           (sandbox->plan.mounts || sandbox->has_slots ? 0 : SECCOMP_SHARED_OWNER);
}

/* Whether the kernel counts each worker as a user of its own. */
static bool is_own_user(const struct sandbox *sandbox) {
    return sandbox->has_slots || (sandbox->plan.clone_flags & CLONE_NEWUSER) != 0;
}

static void note_layers(struct sandbox *sandbox) {
    struct isolation *isolation = &sandbox->isolation;
    const struct plan *plan = &sandbox->plan;
    char text[64];
    if (policy_uses(&sandbox->policy, LAYER_SECCOMP))
        layer_active(isolation, LAYER_SECCOMP, "allow-list, pinned to the worker's own pid");
    if (policy_uses(&sandbox->policy, LAYER_RLIMITS))
        layer_active(isolation, LAYER_RLIMITS,
                     is_own_user(sandbox) ? "address space, CPU, files, threads, core"
                                          : "address space, CPU, files, core; threads by address space alone");
    if (policy_uses(&sandbox->policy, LAYER_IDENTITY))
        layer_active(isolation, LAYER_IDENTITY,
                     sandbox->has_slots ? "a user id for each worker, no capabilities, no_new_privs"
                                        : "the service's user id, no capabilities, no_new_privs");
    if (plan->mounts)
        layer_active(isolation, LAYER_MOUNT, "one per worker: read-only Python runtime, a private tmpfs on /tmp");
    if (plan->chroot)
        layer_active(isolation, LAYER_CHROOT, "/usr is all there is");
    else if (plan->mounts)
        layer_unused(isolation, LAYER_CHROOT, "the mount namespace does its work");
    if ((plan->clone_flags & CLONE_NEWUSER) != 0)
        layer_active(isolation, LAYER_USER, sandbox->has_slots ? "one per worker, a distinct outer uid each"
                                                               : "one per worker, inside one of the zygote's");
    else if (plan->own_user)
        layer_active(isolation, LAYER_USER, "one for the zygote and its workers");
    if ((plan->clone_flags & CLONE_NEWPID) != 0)
        layer_active(isolation, LAYER_PID, "one per worker");
    if (plan->landlock) {
        int abi = landlock_abi();
        snprintf(text, sizeof text, "version %d: ", abi);
        layer_active(isolation, LAYER_LANDLOCK, "");
        snprintf(isolation->layers[LAYER_LANDLOCK].detail, sizeof isolation->layers[0].detail, "%s%s", text,
                 landlock_describe(abi));
    }
}

/* While the host's folders can be seen; where no group can be made the other layers have to do. */
static void prepare_cgroups(struct sandbox *sandbox) {
    const struct cgroup_limits limits = {.memory_bytes = sandbox->policy.memory_bytes, .pids = sandbox->policy.threads};
    struct failure failure = {0};
    char text[64];
    if (!policy_uses(&sandbox->policy, LAYER_CGROUP)) {
        layer_unused(&sandbox->isolation, LAYER_CGROUP, "switched off");
        return;
    }
    if (cgroup_prepare(&sandbox->cgroup, &limits, &failure) < 0) {
        layer_refused_because(&sandbox->isolation, LAYER_CGROUP, &failure);
        return;
    }
    snprintf(text, sizeof text, "version %d, one per worker: %s", (int)sandbox->cgroup.version, sandbox->cgroup.controllers);
    layer_active(&sandbox->isolation, LAYER_CGROUP, text);
}

static int prepare(struct sandbox *sandbox, struct failure *ret_failure) {
    const struct plan *plan = &sandbox->plan;
    int r;
    sandbox->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (sandbox->proc_fd < 0)
        return failure_set(ret_failure, errno, "identity", "open(/proc): %s", strerror(errno));
    prepare_cgroups(sandbox);
    sandbox->has_slots = credentials_can_change_ids();
    if (plan->own_user && (r = namespaces_own_user(&sandbox->policy, &sandbox->has_slots, ret_failure)) < 0)
        return r;
    /* Groups are inherited by every worker, whose user namespace could not give them up. */
    if ((r = credentials_drop_groups(ret_failure)) < 0)
        return r;
    /* With version 2 the zygote is in a group beside the workers'. A cgroup namespace would have that one for its root, and
     * where the hierarchy is mounted with nsdelegate, as by systemd, nobody gets a worker out of it (cgroups(7)). */
    bool beside = sandbox->cgroup.version == CGROUP_V2;
    namespaces_share(sandbox->proc_fd, sandbox->policy.off | (beside ? layer_bit(LAYER_CGROUP_NAMESPACE) : 0), &sandbox->isolation);
    if (beside)
        layer_unused(&sandbox->isolation, LAYER_CGROUP_NAMESPACE, "the workers' groups would be outside of it");
    if ((r = prepare_files(sandbox, ret_failure)) < 0)
        return r;
    if ((r = seccomp_prepare(seccomp_rules, seccomp_rule_count, seen_by_view(sandbox), &sandbox->filter, ret_failure)) < 0)
        return r;
    /* Workers of the same user id are kept from the zygote's memory by this as well. Where they have user namespaces
     * the zygote must write to files in /proc that would then be root's. */
    if ((plan->clone_flags & CLONE_NEWUSER) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return failure_set(ret_failure, errno, "identity", "prctl(PR_SET_DUMPABLE): %s", strerror(errno));
    note_layers(sandbox);
    return 0;
}

int sandbox_prepare(struct sandbox *ret_sandbox, const struct policy *policy, const struct plan *plan,
                    struct failure *ret_failure) {
    *ret_sandbox = (struct sandbox){.policy = *policy, .plan = *plan, .proc_fd = -1, .scratch = {.fd = -1, .tmpfs_fd = -1}};
    ret_sandbox->cgroup = (struct cgroup){.parents = {-1, -1, -1}, .folders = {-1, -1, -1}};
    int r = prepare(ret_sandbox, ret_failure);
    if (r < 0)
        sandbox_done(ret_sandbox);
    return r;
}

int sandbox_move_in(const struct sandbox *sandbox, struct failure *ret_failure) {
    return sandbox->plan.chroot ? chroot_enter(ret_failure) : 0;
}

void sandbox_done(struct sandbox *sandbox) {
    cgroup_done(&sandbox->cgroup);
    seccomp_done(&sandbox->filter);
    scratch_done(&sandbox->scratch);
    sandbox->proc_fd = fd_close(sandbox->proc_fd);
}

int sandbox_lend_folder(struct sandbox *sandbox, char ret_path[VIEW_PATH], struct failure *ret_failure) {
    const struct scratch *scratch = &sandbox->scratch;
    if (!sandbox->plan.mounts) {
        snprintf(ret_path, VIEW_PATH, "%.100s/import", scratch->path);
        return mkdirat(scratch->fd, "import", 0700) < 0
                   ? failure_set(ret_failure, errno, "scratch", "cannot make %.100s: %s", ret_path, strerror(errno))
                   : 0;
    }
    /* Where workers have theirs, and in a namespace of its own: there may be workers already. */
    snprintf(ret_path, VIEW_PATH, "/tmp");
    int r = namespaces_own_mounts(ret_failure);
    if (r < 0)
        return r;
    return mount("import", ret_path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=16m,mode=0700") < 0
               ? failure_set(ret_failure, errno, "mount-namespace", "mounting a tmpfs on /tmp was refused: %s", strerror(errno))
               : 0;
}

void sandbox_take_folder(const struct sandbox *sandbox) {
    if (sandbox->plan.mounts)
        umount2("/tmp", MNT_DETACH);
    else
        folder_remove(sandbox->scratch.fd, "import");
}

/* Who the worker is as the zygote sees it. */
static uid_t uid_of(const struct sandbox *sandbox, unsigned slot) {
    return sandbox->has_slots ? (uid_t)(sandbox->policy.uid_base + 1 + slot) : geteuid();
}

/* The layer to blame where a clone is refused. */
static const char *layer_of_clone(int flags) {
    return layer_name((flags & CLONE_NEWUSER) != 0 ? LAYER_USER : (flags & CLONE_NEWPID) != 0 ? LAYER_PID : LAYER_MOUNT);
}

pid_t sandbox_clone(struct sandbox *sandbox, unsigned slot, struct failure *ret_failure) {
    int flags = sandbox->plan.clone_flags;
    cleanup_fd int group = -1;
    uid_t uid = uid_of(sandbox, slot);
    gid_t gid = sandbox->has_slots ? (gid_t)uid : getegid();
    int r = cgroup_admit(&sandbox->cgroup, slot, &group, ret_failure);
    if (r < 0 || (!sandbox->plan.mounts && (r = scratch_make(&sandbox->scratch, slot, uid, gid, ret_failure)) < 0))
        return r;
    pid_t pid = namespaces_clone(flags, group);
    if (pid < 0)
        sandbox_release(sandbox, slot);
    if (pid < 0)
        return failure_set(ret_failure, (int)-pid, layer_of_clone(flags), "clone(): %s", strerror((int)-pid));
    /* At once, since the folders are among the descriptors that it is about to close. */
    if (pid == 0)
        sandbox->cgroup_entered = cgroup_enter(&sandbox->cgroup, slot, &sandbox->cgroup_failure);
    return pid;
}

int sandbox_admit(const struct sandbox *sandbox, pid_t worker, unsigned slot, struct failure *ret_failure) {
    char path[64];
    uid_t uid = uid_of(sandbox, slot);
    int r;
    if ((sandbox->plan.clone_flags & CLONE_NEWUSER) != 0 && (r = namespaces_map(sandbox->proc_fd, worker, uid, ret_failure)) < 0)
        return r;
    snprintf(path, sizeof path, "%d/oom_score_adj", (int)worker);
    r = fd_write_file(sandbox->proc_fd, path, "1000");
    /* The file of a process that cannot be dumped is root's (proc(5)); see sandbox_enter(). */
    if (r < 0 && !(r == -EACCES && !sandbox->has_slots))
        return failure_set(ret_failure, -r, "rlimits", "write(oom_score_adj): %s", strerror(-r));
    return 0;
}

bool sandbox_is_full(const struct sandbox *sandbox, unsigned slot, uint64_t bytes, uint64_t *ret_bytes) {
    return scratch_is_too_large(&sandbox->scratch, slot, bytes, sandbox->policy.scratch_files, ret_bytes);
}

void sandbox_release(const struct sandbox *sandbox, unsigned slot) {
    scratch_remove(&sandbox->scratch, slot);
}

/* --- Worker --- */

int sandbox_enter_scratch(struct sandbox *sandbox, unsigned slot, struct failure *ret_failure) {
    struct view *view = &sandbox->view;
    *view = (struct view){.scratch = ""};
    if (sandbox->cgroup_entered < 0) {
        *ret_failure = sandbox->cgroup_failure;
        return sandbox->cgroup_entered;
    }
    /* Mounting needs the capabilities that enter_identity() drops. */
    if (sandbox->plan.mounts) {
        bool inner = (sandbox->plan.clone_flags & CLONE_NEWUSER) != 0;
        uid_t uid = inner ? POLICY_UID : uid_of(sandbox, slot);
        return scratch_mount(&sandbox->scratch, &sandbox->policy, uid, uid, ret_failure);
    }
    struct scratch *scratch = &sandbox->scratch;
    if (sandbox->plan.chroot) /* as it is called in there */
        memmove(scratch->path, chroot_path(scratch->path), strlen(chroot_path(scratch->path)) + 1);
    snprintf(view->root, sizeof view->root, "%.100s/root", scratch->path);
    view->devices = sandbox->plan.chroot;
    return scratch_enter(scratch, slot, view->scratch, ret_failure);
}

static int enter_landlock(const struct sandbox *sandbox, const struct view *view, struct failure *ret_failure) {
    static const char *const devices[] = {"null", "zero", "full", "random", "urandom"};
    enum { DEVICES = sizeof devices / sizeof devices[0] };
    struct landlock_path paths[2 + DEVICES + POLICY_MAX_PATHS];
    char names[DEVICES][VIEW_PATH + 16];
    size_t count = 0;
    for (size_t i = 0; i < DEVICES; i++) {
        snprintf(names[i], sizeof names[i], "%s/dev/%s", view->devices ? view->root : "", devices[i]);
        paths[count++] = (struct landlock_path){names[i], LANDLOCK_DEVICE};
    }
    if (sandbox->plan.mounts) {
        paths[count++] = (struct landlock_path){"/", LANDLOCK_READ};
        paths[count++] = (struct landlock_path){"/tmp", LANDLOCK_SCRATCH};
        return landlock_enter(paths, count, ret_failure);
    }
    for (size_t i = 0; i < POLICY_MAX_PATHS && sandbox->policy.read_only[i] != NULL; i++) {
        const char *path = sandbox->policy.read_only[i];
        paths[count++] = (struct landlock_path){sandbox->plan.chroot ? chroot_path(path) : path, LANDLOCK_READ};
    }
    paths[count++] = (struct landlock_path){view->root, LANDLOCK_READ};
    paths[count++] = (struct landlock_path){view->scratch, LANDLOCK_SCRATCH};
    return landlock_enter(paths, count, ret_failure);
}

static int enter_identity(const struct sandbox *sandbox, unsigned slot, struct failure *ret_failure) {
    bool inner = (sandbox->plan.clone_flags & CLONE_NEWUSER) != 0;
    uid_t uid = inner ? POLICY_UID : uid_of(sandbox, slot);
    gid_t gid = inner || sandbox->has_slots ? (gid_t)uid : getegid();
    /* Where the zygote could not, since we could not be dumped; that comes back at once. */
    if (!inner && !sandbox->has_slots && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0)
        fd_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "1000");
    return credentials_enter(uid, gid, ret_failure);
}

/* A test build without the layer: every capability of the user namespace is kept, and an id that can own files. */
static int enter_no_identity(const struct sandbox *sandbox, struct failure *ret_failure) {
    if ((sandbox->plan.clone_flags & CLONE_NEWUSER) == 0)
        return 0;
    if (setresgid(POLICY_GID, POLICY_GID, POLICY_GID) < 0 || setresuid(POLICY_UID, POLICY_UID, POLICY_UID) < 0 ||
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
        return failure_set(ret_failure, errno, "identity", "setresuid() was refused: %s", strerror(errno));
    return 0;
}

int sandbox_enter_layers(struct sandbox *sandbox, unsigned slot, struct failure *ret_failure) {
    const struct view *view = &sandbox->view;
    int r;
    if (policy_uses(&sandbox->policy, LAYER_RLIMITS) &&
        (r = rlimits_enter(&sandbox->policy, is_own_user(sandbox), ret_failure)) < 0)
        return r;
    if ((r = policy_uses(&sandbox->policy, LAYER_IDENTITY) ? enter_identity(sandbox, slot, ret_failure)
                                                           : enter_no_identity(sandbox, ret_failure)) < 0)
        return r;
    /* After the change of user, which resets it (prctl(2)). The signal reaches a process 1 as well, since
     * it comes from outside its namespace. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return failure_set(ret_failure, errno, "identity", "prctl(PR_SET_PDEATHSIG): %s", strerror(errno));
    /* Came with the identity; the next two need it. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return failure_set(ret_failure, errno, "identity", "prctl(PR_SET_NO_NEW_PRIVS): %s", strerror(errno));
    if (sandbox->plan.landlock && (r = enter_landlock(sandbox, view, ret_failure)) < 0)
        return r;
    if (seen_by_view(sandbox) != 0 && (r = view_enter(view, ret_failure)) < 0)
        return r;
    /* Last, since it forbids everything above. */
    if (!policy_uses(&sandbox->policy, LAYER_SECCOMP))
        return 0;
    return seccomp_enter(&sandbox->filter, ret_failure);
}

int sandbox_enter(struct sandbox *sandbox, unsigned slot, struct failure *ret_failure) {
    int r = sandbox_enter_scratch(sandbox, slot, ret_failure);
    sandbox->scratch.tmpfs_fd = fd_close(sandbox->scratch.tmpfs_fd);
    return r < 0 ? r : sandbox_enter_layers(sandbox, slot, ret_failure);
}
