/* The order of the layers, in straight calls: see sandbox.h. */
#include "sandbox/sandbox.h"

#include "base/fd.h"
#include "sandbox/credentials.h"
#include "sandbox/namespaces.h"
#include "sandbox/rlimits.h"
#include "sandbox/rootfs.h"
#include "sandbox/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

const struct sandbox_layer sandbox_layers[] = {
    {"user namespace", "one per worker, a distinct outer uid each"},
    {"pid namespace", "one per worker"},
    {"mount namespace", "one per worker, a private tmpfs on /tmp"},
    {"root file system", "read-only, pivot_root, Python runtime only"},
    {"network namespace", "empty, shared by the workers"},
    {"IPC namespace", "empty, shared by the workers"},
    {"UTS namespace", "shared by the workers"},
    {"rlimits", "address space, CPU, files, threads, core"},
    {"identity", "uid and gid 65534, no capabilities, no_new_privs"},
    {"seccomp", "allow-list, pinned to the worker's own pid"},
};
const size_t sandbox_layer_count = sizeof sandbox_layers / sizeof sandbox_layers[0];

static int prepare_layers(struct sandbox *ret_sandbox, const struct policy *policy, struct failure *ret_failure) {
    const struct cgroup_limits limits = {.memory_bytes = policy->memory_bytes, .pids = policy->threads};
    int r;
    cleanup_fd int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc_fd < 0)
        return failure_set(ret_failure, errno, "user namespace", "cannot open /proc: %s", strerror(errno));
    /* While its folders can be seen; where none can be made the other layers have to do. */
    cgroup_prepare(&ret_sandbox->cgroup, &limits, &ret_sandbox->cgroup_refusal);
    /* Groups are inherited by every worker, whose user namespace could not give them up. */
    if ((r = credentials_drop_groups(ret_failure)) < 0)
        return r;
    /* A mount namespace before the root file system, or the host would see it built. */
    if ((r = namespaces_prepare(ret_failure)) < 0)
        return r;
    if ((r = rootfs_prepare(policy, ret_failure)) < 0)
        return r;
    if ((r = seccomp_prepare(&ret_sandbox->filter, ret_failure)) < 0)
        return r;
    ret_sandbox->proc_fd = fd_steal(&proc_fd);
    return 0;
}

int sandbox_prepare(struct sandbox *ret_sandbox, const struct policy *policy, struct failure *ret_failure) {
    *ret_sandbox = (struct sandbox){.policy = *policy, .proc_fd = -1};
    int r = prepare_layers(ret_sandbox, policy, ret_failure);
    if (r < 0)
        cgroup_done(&ret_sandbox->cgroup);
    return r;
}

void sandbox_done(struct sandbox *sandbox) {
    cgroup_done(&sandbox->cgroup);
    seccomp_done(&sandbox->filter);
    sandbox->proc_fd = fd_close(sandbox->proc_fd);
}

pid_t sandbox_clone(struct sandbox *sandbox, unsigned slot, struct failure *ret_failure) {
    cleanup_fd int group = -1;
    int r = cgroup_admit(&sandbox->cgroup, slot, &group, ret_failure);
    if (r < 0)
        return r;
    pid_t pid = namespaces_clone(group);
    if (pid < 0)
        return failure_set(ret_failure, (int)-pid, "user namespace",
                           "clone() with new user, pid and mount namespaces was refused: %s",
                           strerror((int)-pid));
    /* At once, since the folders are among the descriptors that it is about to close. */
    if (pid == 0)
        sandbox->cgroup_entered = cgroup_enter(&sandbox->cgroup, slot, &sandbox->cgroup_failure);
    return pid;
}

int sandbox_admit(const struct sandbox *sandbox, pid_t worker, unsigned slot, struct failure *ret_failure) {
    char path[64];
    int r = namespaces_map(sandbox->proc_fd, worker, (uint32_t)(sandbox->policy.uid_base + 1 + slot), ret_failure);
    if (r < 0)
        return r;
    snprintf(path, sizeof path, "%d/oom_score_adj", (int)worker);
    r = fd_write_file(sandbox->proc_fd, path, "1000");
    if (r < 0)
        return failure_set(ret_failure, -r, "rlimits", "cannot raise oom_score_adj: %s", strerror(-r));
    return 0;
}

int sandbox_enter(struct sandbox *sandbox, struct failure *ret_failure) {
    const struct policy *policy = &sandbox->policy;
    int r;
    if (sandbox->cgroup_entered < 0) {
        *ret_failure = sandbox->cgroup_failure;
        return sandbox->cgroup_entered;
    }
    /* Mounting needs the capabilities that credentials_enter() drops. */
    if ((r = scratch_enter(policy, ret_failure)) < 0)
        return r;
    if ((r = rlimits_enter(policy, ret_failure)) < 0)
        return r;
    if ((r = credentials_enter(POLICY_UID, POLICY_GID, ret_failure)) < 0)
        return r;
    /* After the change of user, which resets it (prctl(2)). The signal reaches a process 1 as well, since
     * it comes from outside its namespace. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return failure_set(ret_failure, errno, "identity", "PR_SET_PDEATHSIG was refused: %s", strerror(errno));
    /* Last, since it forbids everything above. */
    return seccomp_enter(&sandbox->filter, ret_failure);
}
