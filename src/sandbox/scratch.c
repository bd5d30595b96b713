/* The scratch space: see scratch.h. */
#include "sandbox/scratch.h"

#include "base/fd.h"
#include "sandbox/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Where a folder may be made: in memory if possible, and writable in a container whose root is not. The last one is
 * for a chroot. */
static const char *const bases[] = {"/tmp", "/dev/shm", "/var/tmp", "/run", SCRATCH_BELOW_USR};

static int mount_tmpfs(const struct policy *policy, uint64_t bytes, uid_t uid, gid_t gid) {
    char options[128];
    /* noexec: no library of the script's own making is mapped executable from here. */
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    int n = snprintf(options, sizeof options, "size=%llu,mode=0700,uid=%u,gid=%u",
                     (unsigned long long)bytes, (unsigned)uid, (unsigned)gid);
    snprintf(options + n, sizeof options - (size_t)n, ",nr_inodes=%llu", (unsigned long long)policy->scratch_files);
    int r = mount("scratch", "/tmp", "tmpfs", flags, options);
    if (r < 0 && errno == EINVAL) {
        options[n] = '\0'; /* gVisor knows no nr_inodes; the size bounds them there */
        r = mount("scratch", "/tmp", "tmpfs", flags, options);
    }
    if (r < 0)
        return -errno;
    r = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return r < 0 ? -errno : r;
}

int scratch_resize(int tmpfs_fd, uint64_t bytes) {
    char size[24];
    snprintf(size, sizeof size, "%llu", (unsigned long long)bytes);
    cleanup_fd int context = fspick(tmpfs_fd, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC);
    if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
        fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
        return -errno;
    return 0;
}

int scratch_mount(struct scratch *scratch, const struct policy *policy, uid_t uid, gid_t gid, struct failure *ret_failure) {
    uint64_t bytes = policy->scratch_bytes;
    int fd = mount_tmpfs(policy, bytes, uid, gid);
    /* What the kernel refuses us it would refuse the zygote, which has the same rights over it. */
    if (fd >= 0 && policy->scratch_most_bytes > bytes && scratch_resize(fd, bytes) < 0) {
        fd_close(fd);
        bytes = policy->scratch_most_bytes;
        fd = umount("/tmp") < 0 ? -errno : mount_tmpfs(policy, bytes, uid, gid);
    }
    if (fd < 0)
        return failure_set(ret_failure, -fd, "mount-namespace", "mounting a tmpfs on /tmp was refused: %s", strerror(-fd));
    scratch->tmpfs_fd = fd;
    scratch->tmpfs_bytes = bytes;
    if (fchdir(fd) < 0)
        return failure_set(ret_failure, errno, "mount-namespace", "cannot enter /tmp: %s", strerror(errno));
    return 0;
}

int scratch_prepare(struct scratch *ret_scratch, const char *base, struct failure *ret_failure) {
    int r = -ENOENT;
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        const char *here = base != NULL ? base : bases[i];
        folder_sweep(here);
        /* Workers of other user ids pass through, and see no names. */
        r = folder_make(here, 0711, ret_scratch->path, sizeof ret_scratch->path);
        if (r >= 0 || base != NULL)
            break;
    }
    ret_scratch->fd = r < 0 ? -1 : r;
    return r < 0 ? failure_set(ret_failure, -r, "scratch", "no writable folder for scripts, the last tried was %.60s: %s",
                               ret_scratch->path, strerror(-r))
                 : 0;
}

void scratch_done(struct scratch *scratch) {
    if (scratch->fd < 0)
        return;
    folder_empty(scratch->fd);
    rmdir(scratch->path);
    scratch->fd = fd_close(scratch->fd);
}

void scratch_sweep(void) {
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++)
        folder_sweep(bases[i]);
}

enum { NAME = 32 };

static const char *name_of(const struct scratch *scratch, unsigned slot, char space[NAME]) {
    snprintf(space, NAME, "%u-%016llx", slot, (unsigned long long)scratch->keys[slot % CONFIG_SLOTS]);
    return space;
}

int scratch_make(struct scratch *scratch, unsigned slot, uid_t uid, gid_t gid, struct failure *ret_failure) {
    char name[NAME];
    /* Landlock keeps nobody from asking for a file by its name. */
    if (getrandom(&scratch->keys[slot % CONFIG_SLOTS], sizeof scratch->keys[slot % CONFIG_SLOTS], 0) != sizeof scratch->keys[slot % CONFIG_SLOTS])
        return failure_set(ret_failure, EIO, "scratch", "getrandom() has nothing");
    name_of(scratch, slot, name);
    if (mkdirat(scratch->fd, name, 0700) < 0 || (uid != geteuid() && fchownat(scratch->fd, name, uid, gid, 0) < 0))
        return failure_set(ret_failure, errno, "scratch", "cannot make %.80s/%s: %s", scratch->path, name, strerror(errno));
    return 0;
}

int scratch_enter(struct scratch *scratch, unsigned slot, char ret_path[VIEW_PATH], struct failure *ret_failure) {
    char name[NAME];
    snprintf(ret_path, VIEW_PATH, "%.80s/%s", scratch->path, name_of(scratch, slot, name));
    explicit_bzero(scratch->keys, sizeof scratch->keys);
    return chdir(ret_path) < 0
               ? failure_set(ret_failure, errno, "scratch", "cannot enter %.80s: %s", ret_path, strerror(errno))
               : 0;
}

bool scratch_is_too_large(const struct scratch *scratch, unsigned slot, uint64_t bytes, uint64_t files, uint64_t *ret_bytes) {
    char name[NAME];
    uint64_t count;
    *ret_bytes = 0;
    return scratch->fd >= 0 &&
           folder_measure(scratch->fd, name_of(scratch, slot, name), files, ret_bytes, &count) == 0 &&
           (*ret_bytes > bytes || count > files);
}

/* Bytes in use on the file system of a folder; 0 where there is none. */
static uint64_t used_on(int fd) {
    struct statvfs status;
    if (fd < 0 || fstatvfs(fd, &status) < 0)
        return 0;
    return (uint64_t)(status.f_blocks - status.f_bfree) * status.f_frsize;
}

bool scratch_tmpfs_is_too_large(int tmpfs_fd, uint64_t bytes) {
    return used_on(tmpfs_fd) > bytes;
}

uint64_t scratch_used(const struct scratch *scratch) {
    return used_on(scratch->fd);
}

uint64_t scratch_visible(const struct scratch *scratch) {
    uint64_t bytes = 0, files;
    return folder_measure(scratch->fd, ".", UINT64_MAX - 1, &bytes, &files) == 0 ? bytes : 0;
}

void scratch_remove(const struct scratch *scratch, unsigned slot) {
    char name[NAME];
    if (scratch->fd >= 0)
        folder_remove(scratch->fd, name_of(scratch, slot, name));
}
