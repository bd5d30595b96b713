/* Namespaces: see namespaces.h. Runs in the zygote, before and between jobs. */
#include "sandbox/namespaces.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/fd.h"
#include "sandbox/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80 /* Linux 5.6 */
#endif

static const struct {
    int flag;
    enum layer layer;
    const char *call;
    const char *link; /* in /proc/PID */
    const char *detail;
} namespaces[] = {
    {CLONE_NEWUSER, LAYER_USER, "unshare(NEWUSER)", "ns/user", ""},
    {CLONE_NEWNS, LAYER_MOUNT, "unshare(NEWNS)", "ns/mnt", ""},
    {CLONE_NEWPID, LAYER_PID, "unshare(NEWPID)", "ns/pid_for_children", ""},
    {CLONE_NEWNET, LAYER_NET, "unshare(NEWNET)", "ns/net", "empty, shared by the workers"},
    {CLONE_NEWIPC, LAYER_IPC, "unshare(NEWIPC)", "ns/ipc", "empty, shared by the workers"},
    {CLONE_NEWUTS, LAYER_UTS, "unshare(NEWUTS)", "ns/uts", "host name 'sandbox', shared by the workers"},
    {CLONE_NEWTIME, LAYER_TIME, "unshare(NEWTIME)", "ns/time_for_children", "uptime begins with the zygote"},
    {CLONE_NEWCGROUP, LAYER_CGROUP_NAMESPACE, "unshare(NEWCGROUP)", "ns/cgroup", "shared by the workers"},
};
enum { NAMESPACES = sizeof namespaces / sizeof namespaces[0], FIRST_SHARED = 3 };

/* --- A user namespace for the zygote --- */

static int write_maps(int proc_fd, pid_t process, const char *map) {
    char path[64];
    static const char *const files[] = {"uid_map", "gid_map"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%d/%s", (int)process, files[i]);
        int r = fd_write_file(proc_fd, path, map);
        if (r < 0)
            return r;
    }
    return 0;
}

/* By a child that stays outside, since who is inside has no right to map the ids of others. Exit status: 0 with the
 * slots mapped, 1 with one id mapped, 2 with none. */
static _Noreturn void map_parent(const struct policy *policy, int go) {
    char map[96];
    char path[64];
    char byte;
    pid_t zygote = getppid();
    cleanup_fd int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc_fd < 0 || read(go, &byte, 1) != 1)
        _exit(2);
    if (credentials_can_change_ids()) {
        snprintf(map, sizeof map, "0 0 1\n%llu %llu %d\n", (unsigned long long)policy->uid_base,
                 (unsigned long long)policy->uid_base, (int)CONFIG_UIDS);
        if (write_maps(proc_fd, zygote, map) == 0)
            _exit(0);
    }
    /* Without the capability, only behind this (user_namespaces(7)). */
    snprintf(path, sizeof path, "%d/setgroups", (int)zygote);
    fd_write_file(proc_fd, path, "deny");
    snprintf(path, sizeof path, "%d/uid_map", (int)zygote);
    snprintf(map, sizeof map, "%d %u 1\n", (int)POLICY_UID, (unsigned)geteuid());
    if (fd_write_file(proc_fd, path, map) < 0)
        _exit(2);
    snprintf(path, sizeof path, "%d/gid_map", (int)zygote);
    snprintf(map, sizeof map, "%d %u 1\n", (int)POLICY_GID, (unsigned)getegid());
    _exit(fd_write_file(proc_fd, path, map) < 0 ? 2 : 1);
}

int namespaces_own_user(const struct policy *policy, bool *ret_has_slots, struct failure *ret_failure) {
    int go[2];
    int status = 0;
    if (pipe2(go, O_CLOEXEC) < 0)
        return failure_set(ret_failure, errno, "user-namespace", "pipe(): %s", strerror(errno));
    pid_t helper = fork();
    if (helper == 0) {
        close(go[1]);
        map_parent(policy, go[0]);
    }
    int error = helper < 0 || unshare(CLONE_NEWUSER) < 0 ? errno : 0;
    if (error == 0 && write(go[1], "", 1) != 1)
        error = EIO;
    close(go[0]);
    close(go[1]);
    if (helper > 0 && waitpid(helper, &status, 0) != helper)
        status = 2 << 8;
    if (error != 0)
        return failure_set(ret_failure, error, "user-namespace", "unshare(NEWUSER): %s", strerror(error));
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
        return failure_set(ret_failure, EPERM, "user-namespace", "write(uid_map): the ids could not be mapped");
    *ret_has_slots = WEXITSTATUS(status) == 0;
    return 0;
}

/* --- What workers share --- */

int namespaces_own_mounts(struct failure *ret_failure) {
    if (unshare(CLONE_NEWNS) < 0)
        return failure_set(ret_failure, errno, "mount-namespace", "unshare(NEWNS): %s", strerror(errno));
    /* Without this every mount below would appear on the host: systemd makes / shared. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return failure_set(ret_failure, errno, "mount-namespace", "mount(MS_PRIVATE): %s", strerror(errno));
    return 0;
}

/* A clock of the host's tells how long it has been up, and is the same for all who look at it. A time namespace
 * takes its offsets before the first process is in it (time_namespaces(7)). */
static int begin_time(int proc_fd) {
    char offsets[96];
    struct timespec monotonic, boot;
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    snprintf(offsets, sizeof offsets, "monotonic -%lld 0\nboottime -%lld 0\n", (long long)monotonic.tv_sec,
             (long long)boot.tv_sec);
    return fd_write_file(proc_fd, "self/timens_offsets", offsets);
}

/* gVisor says yes to flags that it does not know: only another link is another namespace. */
static int leave(int proc_fd, size_t which) {
    char path[64];
    char before[64] = "";
    char after[64] = "";
    snprintf(path, sizeof path, "self/%s", namespaces[which].link);
    ssize_t n = readlinkat(proc_fd, path, before, sizeof before - 1);
    if (unshare(namespaces[which].flag) < 0)
        return -errno;
    ssize_t m = readlinkat(proc_fd, path, after, sizeof after - 1);
    return n > 0 && m > 0 && strcmp(before, after) != 0 ? 0 : -ENOSYS;
}

void namespaces_share(int proc_fd, uint32_t off, struct isolation *isolation) {
    static const char name[] = "sandbox";
    for (size_t i = FIRST_SHARED; i < NAMESPACES; i++) {
        if ((off & layer_bit(namespaces[i].layer)) != 0) {
            layer_unused(isolation, namespaces[i].layer, "switched off");
            continue;
        }
        int r = leave(proc_fd, i);
        if (r == 0 && namespaces[i].flag == CLONE_NEWUTS && sethostname(name, sizeof name - 1) < 0)
            r = -errno;
        if (r == 0 && namespaces[i].flag == CLONE_NEWTIME)
            r = begin_time(proc_fd);
        if (r < 0) {
            layer_refused(isolation, namespaces[i].layer, namespaces[i].call, -r);
            continue;
        }
        layer_active(isolation, namespaces[i].layer, namespaces[i].detail);
    }
}

/* --- Workers --- */

pid_t namespaces_clone(int flags, int cgroup_fd) {
    struct clone_args args = {.flags = (__u64)flags, .exit_signal = SIGCHLD};
    uint64_t thread_id_at = 0;
    /* glibc keeps the thread id in its thread block and trusts it for recursive locks. Its own fork()
     * has the kernel write the new id there; the address is where the kernel was told to clear it
     * (PR_GET_TID_ADDRESS, prctl(2), Linux 3.5, needs CONFIG_CHECKPOINT_RESTORE). Where it is not to
     * be had the id stays the zygote's, which no thread of this worker is likely to reach. */
    if (prctl(PR_GET_TID_ADDRESS, &thread_id_at, 0, 0, 0) == 0 && thread_id_at != 0) {
        args.flags |= (__u64)(CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID);
        args.child_tid = thread_id_at;
    }
    if (cgroup_fd >= 0) {
        args.flags |= (__u64)CLONE_INTO_CGROUP;
        args.cgroup = (__u64)cgroup_fd;
        long pid = syscall(SYS_clone3, &args, sizeof args);
        return pid < 0 ? -errno : (pid_t)pid;
    }
    /* Docker's profile and old gVisors have no clone3(). */
#if defined(__x86_64__)
    long pid = syscall(SYS_clone, args.flags | SIGCHLD, 0L, 0L, thread_id_at, 0L);
#else
    long pid = syscall(SYS_clone, args.flags | SIGCHLD, 0L, 0L, 0L, thread_id_at);
#endif
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
            return failure_set(ret_failure, -r, "user-namespace", "write(%s): %s", maps[i].file, strerror(-r));
    }
    return 0;
}

/* --- The probe --- */

void namespaces_probe(struct isolation *isolation) {
    for (size_t i = 0; i < NAMESPACES; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0)
            _exit(unshare(namespaces[i].flag) < 0 ? errno : 0);
        if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
            layer_refused(isolation, namespaces[i].layer, "fork", EAGAIN);
        else if (WEXITSTATUS(status) != 0)
            layer_refused(isolation, namespaces[i].layer, namespaces[i].call, WEXITSTATUS(status));
        else
            layer_unused(isolation, namespaces[i].layer, "granted");
    }
}
