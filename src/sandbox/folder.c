/* Folders of our own: see folder.h. Runs in the zygote and the manager, on what dead scripts left behind. */
#include "sandbox/folder.h"

#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "python-executor-"
enum { LEVELS_MAX = 64, NAMES_MAX = 16, PIDS_MAX = 1 << 22 /* proc(5), pid_max */ };

/* To remove what is in it: a script may have closed its own folder to us, who have the same user id. To open a link
 * fails as well, but not with EACCES, so that none is followed by the change of mode. */
static int open_closed_folder(int parent, const char *name) {
    int fd = fd_open_folder(parent, name);
    if (fd == -EACCES && fchmodat(parent, name, 0700, 0) == 0)
        fd = fd_open_folder(parent, name);
    if (fd >= 0)
        fchmod(fd, 0700); /* where that fails, so does the removing */
    return fd;
}

static bool is_entry(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* Left by a process that had our id, a sweep has not come by yet; but where its owner lives, in another pid namespace
 * that shares the base, it stays. */
static void remove_stale(const char *path) {
    cleanup_fd int fd = fd_open_folder(AT_FDCWD, path);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        folder_remove(AT_FDCWD, path);
}

static bool is_same(int a, int b) {
    struct stat one, other;
    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Whether the name still means the folder that we have opened, and locked, meanwhile. */
static bool is_in_place(int parent, const char *name, int fd) {
    cleanup_fd int there = fd_open_folder(parent, name);
    return there >= 0 && is_same(there, fd);
}

/* Locks what we have just made. -EEXIST where the sweep of another manager was quicker: to it a folder that nobody holds
 * yet is one that nobody holds any more. */
static int take_folder(const char *path, mode_t mode) {
    cleanup_fd int fd = fd_open_folder(AT_FDCWD, path);
    int r = fd == -ENOENT ? -EEXIST : fd;
    if (r >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
        r = errno == EWOULDBLOCK ? -EEXIST : -errno;
    if (r >= 0 && !is_in_place(AT_FDCWD, path, fd))
        r = -EEXIST;
    if (r >= 0 && fchmod(fd, mode) < 0)
        r = -errno;
    if (r < 0 && r != -EEXIST)
        rmdir(path);
    return r < 0 ? r : fd_steal(&fd);
}

int folder_make(const char *base, mode_t mode, char *ret_path, size_t size) {
    int r = -EEXIST;
    for (int i = 0; i < NAMES_MAX && r == -EEXIST; i++) {
        snprintf(ret_path, size, "%s/" PREFIX "%d", base, (int)getpid() + i * PIDS_MAX);
        remove_stale(ret_path);
        r = mkdir(ret_path, 0700) < 0 ? -errno : take_folder(ret_path, mode);
    }
    return r;
}

/* Removes what can go at once, and enters the first folder that cannot: 1 with its descriptor, 0 when this one is
 * empty, or a negative errno. */
static int remove_flat(int fd, int *ret_deeper) {
    DIR *folder = fd_list_folder(fd);
    int r = folder == NULL ? -errno : 0;
    for (struct dirent *entry; folder != NULL && r == 0 && (entry = readdir(folder)) != NULL;) {
        if (!is_entry(entry) || unlinkat(fd, entry->d_name, 0) == 0 || unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0)
            continue;
        /* Anything else would be the same when it is empty, and we would come back to it for ever. */
        if (errno != ENOTEMPTY && errno != EEXIST) {
            r = -errno;
            break;
        }
        int deeper = open_closed_folder(fd, entry->d_name);
        r = deeper < 0 ? deeper : 1;
        *ret_deeper = deeper;
    }
    if (folder != NULL)
        closedir(folder);
    return r;
}

/* Down and up again without a stack, however deep a script has nested; a folder that has become empty is removed
 * from above. */
int folder_empty(int fd) {
    cleanup_fd int at = fd_open_folder(fd, ".");
    while (at >= 0) {
        int next = -1;
        int r = remove_flat(at, &next);
        if (r < 0 || (r == 0 && is_same(at, fd)))
            return r;
        if (r == 0)
            next = fd_open_folder(at, "..");
        fd_close(at);
        at = next;
    }
    return at;
}

int folder_remove(int parent, const char *name) {
    cleanup_fd int fd = open_closed_folder(parent, name);
    if (fd < 0)
        return fd;
    int r = folder_empty(fd);
    return unlinkat(parent, name, AT_REMOVEDIR) < 0 && r == 0 ? -errno : r;
}

struct measure {
    uint64_t bytes, files, files_max;
};

/* What a script has closed to us, who have the same user id, counts as too much: it could be filled unseen. */
static void hide(struct measure *measure_, int error) {
    if (error == EACCES)
        measure_->files = measure_->files_max + 1;
}

static void measure(struct measure *measure_, int fd, unsigned level) {
    DIR *folder = fd_list_folder(fd);
    struct stat status;
    if (folder == NULL) {
        hide(measure_, errno);
        return;
    }
    for (struct dirent *entry; measure_->files <= measure_->files_max && (entry = readdir(folder)) != NULL;) {
        if (!is_entry(entry) || fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        measure_->files++;
        measure_->bytes += (uint64_t)status.st_blocks * 512;
        if (!S_ISDIR(status.st_mode))
            continue;
        /* What is hidden so deep counts as too much. */
        cleanup_fd int deeper = level >= LEVELS_MAX ? -1 : fd_open_folder(fd, entry->d_name);
        if (level >= LEVELS_MAX)
            measure_->files = measure_->files_max + 1;
        else if (deeper >= 0)
            measure(measure_, deeper, level + 1);
        else
            hide(measure_, -deeper);
    }
    closedir(folder);
}

int folder_measure(int parent, const char *name, uint64_t files_max, uint64_t *ret_bytes, uint64_t *ret_files) {
    struct measure all = {.files_max = files_max};
    cleanup_fd int fd = fd_open_folder(parent, name);
    if (fd < 0 && fd != -EACCES)
        return fd;
    if (fd < 0)
        hide(&all, -fd);
    else
        measure(&all, fd, 0);
    *ret_bytes = all.bytes;
    *ret_files = all.files;
    return 0;
}

/* Others may have folders by our name: the doctor, an operator. */
static bool is_made_here(const char *name) {
    size_t prefix = strlen(PREFIX);
    return strncmp(name, PREFIX, prefix) == 0 && name[prefix] != '\0' &&
           name[prefix + strspn(name + prefix, "0123456789")] == '\0';
}

void folder_sweep(const char *base) {
    cleanup_fd int fd = fd_open_folder(AT_FDCWD, base);
    DIR *folder = fd < 0 ? NULL : fd_list_folder(fd);
    struct stat status;
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (!is_made_here(entry->d_name))
            continue;
        cleanup_fd int stale = fd_open_folder(fd, entry->d_name);
        if (stale < 0 || fstat(stale, &status) < 0 || status.st_uid != geteuid() || flock(stale, LOCK_EX | LOCK_NB) < 0 ||
            !is_in_place(fd, entry->d_name, stale))
            continue;
        folder_empty(stale);
        unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    }
    closedir(folder);
}
