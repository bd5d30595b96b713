/* Where control groups may be made: see hierarchy.h. Runs in the zygote, once, and in the manager; reads
 * what the kernel says only. */
#include "sandbox/hierarchy.h"

#include "base/fd.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char layer[] = "cgroup";
static const char prefix[] = "python-executor-";

/* Version 2: where the manager, the server and the zygotes go. Not a number, so it is never swept. */
static const char own_leaf[] = "python-executor-self";

/* --- Where we are --- */

/* Whether `word` is in the list, whose parts end at `separator` or a line's end. */
static bool list_has(const char *list, char separator, const char *word) {
    size_t length = strlen(word);
    for (const char *at = list; *at != '\0';) {
        const char ends[] = {separator, '\n', '\0'};
        size_t part = strcspn(at, ends);
        if (part == length && memcmp(at, word, part) == 0)
            return true;
        at += part;
        at += *at != '\0';
    }
    return false;
}

/* Our path in the hierarchy, from /proc/self/cgroup: `8:pids:/path`, version 2 is `0::/path`. */
static int read_own_path(const char *controller, char ret_path[PATH_MAX]) {
    char line[PATH_MAX + 128];
    int r = -ENOENT;
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL)
        return -errno;
    while (r == -ENOENT && fgets(line, sizeof line, file) != NULL) {
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (controller == NULL ? controllers[1] != '\0' : !list_has(controllers + 1, ',', controller))
            continue;
        /* What is outside our cgroup namespace, or gone, is not to be reached. */
        size_t size = strlen(path) + 1;
        if (size <= PATH_MAX && strstr(path, "/..") == NULL) {
            memcpy(ret_path, path, size);
            r = 0;
        }
    }
    fclose(file);
    return r;
}

/* What of `path` is below `root`, both absolute; NULL where it is elsewhere. */
static const char *below(const char *root, const char *path) {
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(root, path, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return NULL;
    path += length;
    return path[0] == '/' ? path + 1 : path;
}

/* One line of /proc/self/mountinfo, proc(5): the mount of the hierarchy that shows `own`, opened there. */
static int open_in_mount(char *line, const char *controller, const char *own) {
    char root[PATH_MAX], mount[PATH_MAX], type[32], options[256];
    char path[2 * PATH_MAX];
    const char *rest = strstr(line, " - ");
    if (rest == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) != 2 ||
        sscanf(rest, " - %31s %*s %255s", type, options) != 2)
        return -ENOENT;
    if (strcmp(type, controller == NULL ? "cgroup2" : "cgroup") != 0 ||
        (controller != NULL && !list_has(options, ',', controller)))
        return -ENOENT;
    const char *rel = below(root, own);
    if (rel == NULL)
        return -ENOENT;
    snprintf(path, sizeof path, "%s/%s", mount, rel);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* A process that hierarchy_hand_down() has moved is one below its own group. */
static void leave_leaf(char *path) {
    char *last = strrchr(path, '/');
    if (last != NULL && strcmp(last + 1, own_leaf) == 0)
        last[last == path] = '\0';
}

int hierarchy_open(const char *controller, struct failure *ret_failure) {
    char own[PATH_MAX];
    char *line = NULL;
    size_t size = 0;
    const char *name = controller != NULL ? controller : "version 2";
    int r = read_own_path(controller, own);
    if (r < 0)
        return failure_set(ret_failure, -r, layer, "this process is in no control group for %s", name);
    leave_leaf(own);
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (file == NULL)
        return failure_set(ret_failure, errno, layer, "open(/proc/self/mountinfo): %s", strerror(errno));
    r = -ENOENT;
    while (r == -ENOENT && getline(&line, &size, file) > 0)
        r = open_in_mount(line, controller, own);
    free(line);
    fclose(file);
    if (r < 0)
        return failure_set(ret_failure, -r, layer, "no folder for the control group of %s: %s", name, strerror(-r));
    return r;
}

bool hierarchy_has_word(int folder, const char *file, const char *word) {
    char text[512];
    return fd_read_file(folder, file, text, sizeof text) > 0 && list_has(text, ' ', word);
}

/* --- No internal processes (version 2) --- */

static pid_t parent_of(pid_t pid) {
    char path[32], text[512];
    int parent;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const char *at = fd_read_file(AT_FDCWD, path, text, sizeof text) > 0 ? strrchr(text, ')') : NULL;
    return at != NULL && sscanf(at, ") %*c %d", &parent) == 1 ? (pid_t)parent : -1;
}

/* Only the manager's family is ours to move: not the shell that somebody tries a part of it from. By its name, which
 * everybody may read: whose program it runs is hidden, since it is not dumpable (proc(5), ptrace(2)). */
static bool is_child_of_manager(void) {
    char path[32], name[32];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)getppid());
    return fd_read_file(AT_FDCWD, path, name, sizeof name) > 0 && strcmp(name, "python-executor\n") == 0;
}

static bool is_ours(pid_t pid, bool with_family) {
    return pid == getpid() || (with_family && (pid == getppid() || parent_of(pid) == getppid()));
}

/* One pass over cgroup.procs, which moves where leaf is set and else only looks. The number of processes,
 * or -EBUSY where one is not ours. A pid of 0 is outside our pid namespace. */
static int pass_processes(int folder, int leaf, bool with_family) {
    char text[4096];
    int count = 0, r;
    ssize_t n = fd_read_file(folder, "cgroup.procs", text, sizeof text);
    if (n < 0)
        return (int)n;
    char *line = text;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1, count++) {
        *end = '\0';
        if (!is_ours((pid_t)atoi(line), with_family))
            return -EBUSY;
        if (leaf >= 0 && (r = fd_write_file(leaf, "cgroup.procs", line)) < 0 && r != -ESRCH)
            return r;
    }
    return *line == '\0' ? count : -EBUSY;
}

/* Again where the manager has just started another child. */
static int move_processes(int folder) {
    bool with_family = is_child_of_manager();
    int r = pass_processes(folder, -1, with_family);
    if (r <= 0)
        return r;
    if (mkdirat(folder, own_leaf, 0755) < 0 && errno != EEXIST)
        return -errno;
    cleanup_fd int leaf = openat(folder, own_leaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (leaf < 0)
        return -errno;
    for (int tries = 0; tries < 8 && r > 0; tries++)
        r = pass_processes(folder, leaf, with_family);
    return r > 0 ? -EBUSY : r;
}

static bool hands_down(int folder, const char *controllers) {
    char list[128];
    char *rest = list;
    snprintf(list, sizeof list, "%s", controllers);
    for (const char *word; (word = strsep(&rest, " ")) != NULL;)
        if (!hierarchy_has_word(folder, "cgroup.subtree_control", word + 1))
            return false;
    return true;
}

int hierarchy_hand_down(int folder, const char *controllers, struct failure *ret_failure) {
    if (hands_down(folder, controllers))
        return 0;
    /* The root group alone has no cgroup.type, and may hold processes. */
    if (faccessat(folder, "cgroup.type", F_OK, 0) < 0)
        return failure_set(ret_failure, EPERM, layer, "the root group does not hand its controllers down");
    int r = move_processes(folder);
    if (r == -EBUSY)
        return failure_set(ret_failure, EBUSY, layer, "the group is not ours alone: other processes are in it");
    if (r < 0)
        return failure_set(ret_failure, -r, layer, "write(cgroup.procs): %s", strerror(-r));
    r = fd_write_file(folder, "cgroup.subtree_control", controllers);
    if (r < 0)
        return failure_set(ret_failure, -r, layer, "write(cgroup.subtree_control): %s", strerror(-r));
    return 0;
}

/* --- Folders with an owner --- */

/* Whether `folder` is still what the name stands for: a sweep may have been quicker than our lock. */
static bool is_in_place(int parent, const char *name, int folder) {
    struct stat here, there;
    return fstat(folder, &here) == 0 && fstatat(parent, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

/* Entries below `folder` that are groups; the rest are files. NULL at the end. */
static struct dirent *next_group(DIR *folder) {
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            return entry;
    return NULL;
}

/* Groups within are those of workers, one deep. */
static int remove_folder(int parent, const char *name, int folder) {
    DIR *list = fd_list_folder(folder);
    for (struct dirent *entry; list != NULL && (entry = next_group(list)) != NULL;)
        unlinkat(folder, entry->d_name, AT_REMOVEDIR);
    if (list != NULL)
        closedir(list);
    return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* True unless it is dead and cannot be removed yet. */
static bool sweep_one(int parent, const char *name) {
    cleanup_fd int folder = fd_open_folder(parent, name);
    if (folder < 0 || flock(folder, LOCK_EX | LOCK_NB) < 0 || !is_in_place(parent, name, folder))
        return true;
    return remove_folder(parent, name, folder) != -EBUSY;
}

static void make_name(char ret_name[HIERARCHY_NAME]) {
    snprintf(ret_name, HIERARCHY_NAME, "%s%d", prefix, (int)getpid());
}

int hierarchy_make(int parent, int *ret_folder, struct failure *ret_failure) {
    char name[HIERARCHY_NAME];
    make_name(name);
    for (int tries = 0; tries < 4; tries++) {
        if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
            return failure_set(ret_failure, errno, layer, "mkdir(%s): %s", name, strerror(errno));
        cleanup_fd int folder = fd_open_folder(parent, name);
        /* flock(2) belongs to the open file, so it ends with the last process that has it. A sweep holds
         * it for a moment only, but an owner with our pid in another pid namespace for good. */
        if (folder >= 0 && flock(folder, LOCK_EX | LOCK_NB) == 0 && is_in_place(parent, name, folder)) {
            *ret_folder = fd_steal(&folder);
            return 0;
        }
        usleep(1000);
    }
    return failure_set(ret_failure, EEXIST, layer, "the folder %s is somebody else's", name);
}

void hierarchy_remove(int parent, int folder) {
    char name[HIERARCHY_NAME];
    make_name(name);
    /* A sweep can have what is left, whoever else holds the descriptor: a worker that is ending. */
    if (remove_folder(parent, name, folder) < 0)
        flock(folder, LOCK_UN);
}

bool hierarchy_sweep(int parent) {
    bool clean = true;
    DIR *list = fd_list_folder(parent);
    if (list == NULL)
        return true;
    for (struct dirent *entry; (entry = next_group(list)) != NULL;) {
        const char *name = entry->d_name;
        size_t length = sizeof prefix - 1;
        if (strncmp(name, prefix, length) == 0 && isdigit((unsigned char)name[length]))
            clean = sweep_one(parent, name) && clean;
    }
    closedir(list);
    return clean;
}
