/* The workers' root file system: see rootfs.h. Runs in the zygote, as root of its mount namespace, once. */
#include "sandbox/rootfs.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Built here: a folder that exists on every system, that nothing is bound from, and whose old
 * content the zygote holds a descriptor of. It works on a read-only host as well. */
static const char staging[] = "/proc";

static const struct {
    const char *path;
    const char *text;
} small_files[] = {
    {"etc/passwd", "root:x:0:0:root:/:/usr/sbin/nologin\n"
                   "nobody:x:65534:65534:nobody:/tmp:/usr/sbin/nologin\n"},
    {"etc/group", "root:x:0:\nnogroup:x:65534:\n"},
    {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
    {"etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"},
};

/* Files of the host that are copied, since a bind mount each would be paid for by every worker. */
static const char *const copied_files[] = {"etc/ld.so.cache", "etc/matplotlibrc"};

static const struct {
    const char *name;
    unsigned minor;
} devices[] = {{"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9}};

/* mkdir -p below the staging folder; path begins without a slash. */
static int make_folders(int root, const char *path) {
    char part[PATH_MAX];
    for (size_t i = 1; i < sizeof part - 1; i++) {
        bool last = path[i] == '\0';
        if (path[i] != '/' && !last)
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdirat(root, part, 0755) < 0 && errno != EEXIST)
            return -errno;
        if (last)
            return 0;
    }
    return -ENAMETOOLONG;
}

static int make_file(int root, const char *path, const char *text, size_t size) {
    cleanup_fd int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    return fd < 0 ? -errno : fd_write_all(fd, text, size);
}

static int copy_file(int root, const char *path) {
    char buffer[65536];
    char source[PATH_MAX];
    snprintf(source, sizeof source, "/%s", path);
    cleanup_fd int from = open(source, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return errno == ENOENT ? 0 : -errno;
    cleanup_fd int to = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (to < 0)
        return -errno;
    for (;;) {
        ssize_t n = read(from, buffer, sizeof buffer);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        int r = fd_write_all(to, buffer, (size_t)n);
        if (r < 0)
            return r;
    }
}

/* What a user namespace may not take off a mount that it has from outside (mount_namespaces(7)). */
static unsigned long locked_flags(const char *path) {
    struct statvfs status;
    if (statvfs(path, &status) < 0)
        return 0;
    return ((status.f_flag & ST_NOEXEC) != 0 ? MS_NOEXEC : 0) | ((status.f_flag & ST_NOATIME) != 0 ? MS_NOATIME : 0) |
           ((status.f_flag & ST_NODIRATIME) != 0 ? MS_NODIRATIME : 0) |
           ((status.f_flag & ST_RELATIME) != 0 ? MS_RELATIME : 0);
}

static int bind_read_only(int root, const char *path) {
    char target[PATH_MAX];
    int r = make_folders(root, path + 1);
    if (r < 0)
        return r;
    snprintf(target, sizeof target, "%s%s", staging, path);
    /* Not recursive: what else is mounted below stays outside. A bind mount takes its flags only
     * when it is remounted (mount(2)). */
    if (mount(path, target, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | locked_flags(target), NULL) < 0)
        return -errno;
    return 0;
}

/* A node costs a worker nothing, a bind mount a little. A devices cgroup refuses the node, Linux does in a user
 * namespace; gVisor makes it there and then calls it read-only like the root it is in. */
static int make_node(int root, const char *path, unsigned minor) {
    if (mknodat(root, path, S_IFCHR | 0666, makedev(1, minor)) < 0)
        return -errno;
    return fchmodat(root, path, 0666, 0) < 0 ? -errno : 0;
}

static int bind_devices(int root, bool own_user) {
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        char path[32];
        char target[64];
        char source[64];
        snprintf(path, sizeof path, "dev/%s", devices[i].name);
        if (!own_user && make_node(root, path, devices[i].minor) == 0)
            continue;
        int r = make_file(root, path, "", 0);
        if (r < 0)
            return r;
        snprintf(target, sizeof target, "%s/%s", staging, path);
        snprintf(source, sizeof source, "/%s", path);
        if (mount(source, target, NULL, MS_BIND, NULL) < 0)
            return -errno;
    }
    return 0;
}

/* On a merged /usr, which Debian 12 and later have, /lib and its kin are links; keep them so. */
static int make_links(int root) {
    static const char *const names[] = {"lib", "lib32", "lib64", "libx32"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char source[16];
        char target[64];
        snprintf(source, sizeof source, "/%s", names[i]);
        ssize_t n = readlink(source, target, sizeof target - 1);
        if (n < 0)
            continue;
        target[n] = '\0';
        if (symlinkat(target, root, names[i]) < 0)
            return -errno;
    }
    return 0;
}

static int fill(int root, const char **ret_what) {
    int r;
    *ret_what = "folders";
    if ((r = make_folders(root, "etc")) < 0 || (r = make_folders(root, "tmp")) < 0 ||
        (r = make_folders(root, "usr/bin")) < 0 || (r = make_folders(root, "dev")) < 0 || (r = make_links(root)) < 0)
        return r;
    for (size_t i = 0; i < sizeof small_files / sizeof small_files[0]; i++) {
        *ret_what = small_files[i].path;
        if ((r = make_file(root, small_files[i].path, small_files[i].text, strlen(small_files[i].text))) < 0)
            return r;
    }
    for (size_t i = 0; i < sizeof copied_files / sizeof copied_files[0]; i++) {
        *ret_what = copied_files[i];
        if ((r = copy_file(root, copied_files[i])) < 0)
            return r;
    }
    return 0;
}

static int fill_with_mounts(int root, const struct policy *policy, bool own_user, const char **ret_what) {
    int r = fill(root, ret_what);
    if (r < 0)
        return r;
    *ret_what = "/dev";
    if ((r = bind_devices(root, own_user)) < 0)
        return r;
    for (size_t i = 0; i < POLICY_MAX_PATHS && policy->read_only[i] != NULL; i++) {
        *ret_what = policy->read_only[i];
        if ((r = bind_read_only(root, policy->read_only[i])) < 0)
            return r;
    }
    return 0;
}

int rootfs_copy(int root, struct failure *ret_failure) {
    const char *what = "";
    mode_t mask = umask(0);
    int r = fill(root, &what);
    for (size_t i = 0; r == 0 && i < sizeof devices / sizeof devices[0]; i++) {
        char path[32];
        snprintf(path, sizeof path, "dev/%s", devices[i].name);
        make_node(root, path, devices[i].minor); /* where not, the host's own are used */
    }
    umask(mask);
    return r < 0 ? failure_set(ret_failure, -r, "scratch", "cannot make %.80s: %s", what, strerror(-r)) : 0;
}

/* Old gVisors have no pivot_root(2). A worker has no capability to leave a chroot. */
static int move_in(int root) {
    if (fchdir(root) < 0)
        return -errno;
    /* pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one and is
     * let go; after this no path leads to the host. */
    int r = syscall(SYS_pivot_root, ".", ".") < 0 ? -errno : umount2(".", MNT_DETACH) < 0 ? -errno : 0;
    if (r == -ENOSYS)
        r = chroot(".") < 0 ? -errno : 0;
    return r == 0 && chdir("/") < 0 ? -errno : r;
}

int rootfs_prepare(const struct policy *policy, bool own_user, struct failure *ret_failure) {
    const char *what = "";
    /* The zygote's umask must not decide what a worker can read. */
    mode_t mask = umask(0);
    if (mount("root", staging, "tmpfs", MS_NOSUID | MS_NOEXEC, "size=4m,mode=0755") < 0) {
        umask(mask);
        return failure_set(ret_failure, errno, "mount-namespace", "mount(tmpfs): %s", strerror(errno));
    }
    cleanup_fd int root = open(staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = root < 0 ? -errno : fill_with_mounts(root, policy, own_user, &what);
    umask(mask);
    if (r < 0)
        return failure_set(ret_failure, -r, "mount-namespace", "cannot make %.80s in the workers' root: %s", what, strerror(-r));
    if ((r = move_in(root)) < 0)
        return failure_set(ret_failure, -r, "mount-namespace", "pivot_root(): %s", strerror(-r));
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL) < 0)
        return failure_set(ret_failure, errno, "mount-namespace", "mount(MS_REMOUNT|MS_RDONLY): %s", strerror(errno));
    return 0;
}
