/* The workers' root file system: see rootfs.h. Runs in the zygote, as root, once. */
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
static const char *const copied_files[] = {"etc/ld.so.cache"};

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

static int bind_read_only(int root, const char *path) {
    char target[PATH_MAX];
    int r = make_folders(root, path + 1);
    if (r < 0)
        return r;
    snprintf(target, sizeof target, "%s%s", staging, path);
    /* Not recursive: what else is mounted below stays outside. A bind mount takes its flags only
     * when it is remounted (mount(2)). */
    if (mount(path, target, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0)
        return -errno;
    return 0;
}

static int make_devices(int root) {
    if (mkdirat(root, "dev", 0755) < 0)
        return -errno;
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        char path[32];
        char target[64];
        char source[64];
        snprintf(path, sizeof path, "dev/%s", devices[i].name);
        /* A node costs a worker nothing, a bind mount a little; a devices cgroup may refuse the node. */
        if (mknodat(root, path, S_IFCHR | 0666, makedev(1, devices[i].minor)) == 0) {
            if (fchmodat(root, path, 0666, 0) < 0)
                return -errno;
            continue;
        }
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

static int fill(int root, const struct policy *policy, const char **ret_what) {
    int r;
    *ret_what = "folders";
    if ((r = make_folders(root, "etc")) < 0 || (r = make_folders(root, "tmp")) < 0 ||
        (r = make_folders(root, "usr/bin")) < 0 || (r = make_links(root)) < 0)
        return r;
    *ret_what = "/dev";
    if ((r = make_devices(root)) < 0)
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
    for (size_t i = 0; i < POLICY_MAX_PATHS && policy->read_only[i] != NULL; i++) {
        *ret_what = policy->read_only[i];
        if ((r = bind_read_only(root, policy->read_only[i])) < 0)
            return r;
    }
    return 0;
}

int rootfs_prepare(const struct policy *policy, struct failure *ret_failure) {
    const char *what = "";
    /* The zygote's umask must not decide what a worker can read. */
    mode_t mask = umask(0);
    if (mount("root", staging, "tmpfs", MS_NOSUID | MS_NOEXEC, "size=4m,nr_inodes=512,mode=0755") < 0) {
        umask(mask);
        return failure_set(ret_failure, errno, "root file system", "mounting a tmpfs was refused: %s",
                           strerror(errno));
    }
    cleanup_fd int root = open(staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = root < 0 ? -errno : fill(root, policy, &what);
    umask(mask);
    if (r < 0)
        return failure_set(ret_failure, -r, "root file system", "cannot make %.80s: %s", what, strerror(-r));
    /* pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one and is
     * let go; after this no path leads to the host. */
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
        chdir("/") < 0)
        return failure_set(ret_failure, errno, "root file system", "pivot_root() was refused: %s",
                           strerror(errno));
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL) < 0)
        return failure_set(ret_failure, errno, "root file system", "remounting read-only was refused: %s",
                           strerror(errno));
    return 0;
}
