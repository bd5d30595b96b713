/* What a worker of test_sandbox.c tries, before and behind its layers. Whatever the filter forbids is not
 * needed here but for the socket, and nothing is asserted: the worker only takes notes. */
#include "sandbox_scene.h"

#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

enum { DEPTH_MAX = 4, LOOKS_MAX = 20000 };

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_real(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void note(char *list, size_t size, const char *name) {
    size_t length = strlen(list);
    snprintf(list + length, size - length, "%s ", name); /* cut off where it is full: enough is seen then */
}

static void list(const char *path, char *ret_list, size_t size) {
    struct dirent **entries;
    int count = scandir(path, &entries, is_real, by_name);
    for (int i = 0; i < count; i++) {
        note(ret_list, size, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void try_to_unlock(struct worker_view *view) {
    /* All flags but read-only as they are: giving up another is refused as well, and would hide it. */
    view->remount_root_errno =
        mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NOEXEC, NULL) < 0 ? errno : 0;
    view->remount_bind_errno =
        mount(NULL, "/usr/lib", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV, NULL) < 0 ? errno : 0;
    view->umount_errno = umount2("/usr/lib", MNT_DETACH) < 0 ? errno : 0;
}

/* glibc asks the kernel once and believes itself from then on, so a clone behind its back can mislead it. */
static void see_thread_id(struct worker_view *view) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    view->thread_id = mutex.__data.__owner;
    pthread_mutex_unlock(&mutex);
}

static void see_who_it_is(struct worker_view *view) {
    struct utsname names;
    view->pid = getpid();
    view->parent = getppid();
    getresuid(&view->uids[0], &view->uids[1], &view->uids[2]);
    getresgid(&view->gids[0], &view->gids[1], &view->gids[2]);
    view->groups = getgroups(0, NULL);
    uname(&names);
    memcpy(view->host_name, names.nodename, sizeof view->host_name);
    for (int i = 0; i < RLIM_NLIMITS; i++)
        getrlimit((__rlimit_resource_t)i, &view->limits[i]);
    const struct rlimit more = {SCENE_OPEN_FILES + 1, SCENE_OPEN_FILES + 1};
    view->raise_errno = setrlimit(RLIMIT_NOFILE, &more) < 0 ? errno : 0;
    view->socket_errno = socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static void see_what_is_there(struct worker_view *view) {
    static const char *const never[] = {"/proc", "/sys", "/dev/shm", "/dev/tty", "/dev/ptmx", "/dev/mem", "/root", "/home",
                                        "/var",  "/run", "/boot",    "/etc/shadow", "/usr/sbin", "/usr/bin/python3"};
    struct stat info;
    struct statvfs volume;
    if (statvfs("/", &volume) == 0)
        view->root_flags = volume.f_flag;
    if (statvfs("/usr/lib", &volume) == 0)
        view->bind_flags = volume.f_flag;
    list("/", view->root, sizeof view->root);
    list("/dev", view->dev, sizeof view->dev);
    list("/etc", view->etc, sizeof view->etc);
    fd_read_file(AT_FDCWD, "/etc/hosts", view->hosts, sizeof view->hosts);
    fd_read_file(AT_FDCWD, "/etc/passwd", view->passwd, sizeof view->passwd);
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (lstat(never[i], &info) == 0)
            note(view->visible, sizeof view->visible, never[i]);
    cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    view->null_errno = null < 0 || write(null, "x", 1) != 1 ? errno : 0;
}

/* Tries to write wherever it gets to; the depth keeps /usr/lib within a moment. */
static void try_to_write(struct worker_view *view, const char *folder, int depth) {
    struct dirent **entries;
    char path[1024];
    int count = scandir(folder, &entries, is_real, by_name);
    snprintf(path, sizeof path, "%s/.new", folder);
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 || chmod(folder, 0777) == 0)
        note(view->writable, sizeof view->writable, folder);
    for (int i = 0; i < count; i++) {
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        free(entries[i]);
        if (strcmp(path, "//tmp") == 0 || view->looked_at > LOOKS_MAX || lstat(path, &info) < 0)
            continue;
        view->looked_at++;
        if (S_ISDIR(info.st_mode) && depth < DEPTH_MAX)
            try_to_write(view, path, depth + 1);
        else if (S_ISREG(info.st_mode) && access(path, W_OK) == 0)
            note(view->writable, sizeof view->writable, path);
    }
    if (count >= 0)
        free(entries);
}

static void see_tmp(struct worker_view *view) {
    struct stat info;
    struct statvfs volume;
    if (getcwd(view->folder, sizeof view->folder) == NULL)
        view->folder[0] = '\0';
    list("/tmp", view->tmp_at_first, sizeof view->tmp_at_first);
    if (stat("/tmp", &info) == 0)
        view->tmp_mode = info.st_mode;
    if (statvfs("/tmp", &volume) == 0)
        view->tmp_flags = volume.f_flag;
    cleanup_fd int fd = open("library", O_RDWR | O_CREAT | O_CLOEXEC, 0700);
    if (fd < 0 || ftruncate(fd, 4096) < 0 ||
        mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
        view->map_executable_errno = errno;
    /* Process 1 is not ended by the SIGXFSZ that comes with it. */
    view->long_file_errno = pwrite(fd, "x", 1, SCENE_BYTES) < 0 ? errno : 0;
    unlink("library");
}

static void fill_tmp(struct worker_view *view) {
    static const char block[4096];
    char name[32];
    for (unsigned i = 0; view->bytes_errno == 0 && i < 4; i++) {
        snprintf(name, sizeof name, "bytes%u", i);
        cleanup_fd int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ssize_t n = 0;
        for (unsigned k = 0; k < SCENE_BYTES / 2 / sizeof block && (n = write(fd, block, sizeof block)) > 0; k++)
            view->bytes_written += (unsigned long)n;
        view->bytes_errno = n < 0 ? errno : 0;
    }
    while (view->files_errno == 0 && view->files_made < 10 * SCENE_FILES) {
        snprintf(name, sizeof name, "file%lu", view->files_made);
        cleanup_fd int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
            view->files_errno = errno;
        else
            view->files_made++;
    }
}

void worker_play(struct sandbox *sandbox, struct worker_view *view) {
    try_to_unlock(view);
    see_thread_id(view);
    view->entered = sandbox_enter(sandbox, 3, &view->failure);
    if (view->entered == 0) {
        see_who_it_is(view);
        see_what_is_there(view);
        try_to_write(view, "/", 0);
        see_tmp(view);
        fill_tmp(view);
    }
    view->finished = true;
}
