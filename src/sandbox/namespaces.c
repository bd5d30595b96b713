/* Namespaces: see namespaces.h. Runs in the zygote, as root, before and between jobs. */
#include "sandbox/namespaces.h"

#include "base/fd.h"
#include "sandbox/policy.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int namespaces_prepare(struct failure *ret_failure) {
    static const char name[] = "sandbox";
    static const struct {
        int flag;
        const char *layer;
    } shared[] = {{CLONE_NEWNS, "mount namespace"},
                  {CLONE_NEWNET, "network namespace"},
                  {CLONE_NEWIPC, "IPC namespace"},
                  {CLONE_NEWUTS, "UTS namespace"}};
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
        if (unshare(shared[i].flag) < 0)
            return failure_set(ret_failure, errno, shared[i].layer, "unshare() was refused: %s",
                               strerror(errno));
    /* Without this every mount below would appear on the host: systemd makes / shared. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return failure_set(ret_failure, errno, "mount namespace", "mount(MS_PRIVATE) was refused: %s",
                           strerror(errno));
    if (sethostname(name, sizeof name - 1) < 0)
        return failure_set(ret_failure, errno, "UTS namespace", "sethostname() was refused: %s",
                           strerror(errno));
    return 0;
}

pid_t namespaces_clone(int cgroup_fd) {
    struct clone_args args = {
        .flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS,
        .exit_signal = SIGCHLD,
    };
    uint64_t thread_id_at = 0;
    /* glibc keeps the thread id in its thread block and trusts it for recursive locks. Its own fork()
     * has the kernel write the new id there; the address is where the kernel was told to clear it
     * (PR_GET_TID_ADDRESS, prctl(2), Linux 3.5, needs CONFIG_CHECKPOINT_RESTORE). Where it is not to
     * be had the id stays the zygote's, which no thread of this worker is likely to reach. */
    if (prctl(PR_GET_TID_ADDRESS, &thread_id_at, 0, 0, 0) == 0 && thread_id_at != 0) {
        args.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
        args.child_tid = thread_id_at;
    }
    if (cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (__u64)cgroup_fd;
    }
    long pid = syscall(SYS_clone3, &args, sizeof args);
    return pid < 0 ? -errno : (pid_t)pid;
}

int namespaces_map(int proc_fd, pid_t worker, uint32_t outer_uid, struct failure *ret_failure) {
    char path[64];
    char map[64];
    static const struct {
        const char *file;
        uint32_t inner;
    } maps[] = {{"uid_map", POLICY_UID}, {"gid_map", POLICY_GID}};
    int r;
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        snprintf(path, sizeof path, "%d/%s", (int)worker, maps[i].file);
        snprintf(map, sizeof map, "%u %u 1\n", maps[i].inner, outer_uid);
        r = fd_write_file(proc_fd, path, map);
        if (r < 0)
            return failure_set(ret_failure, -r, "user namespace", "cannot write %s: %s", maps[i].file,
                               strerror(-r));
    }
    return 0;
}
