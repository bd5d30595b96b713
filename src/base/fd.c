/* File descriptors: see fd.h. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int fd_close(int fd) {
    if (fd >= 0) {
        int kept = errno;
        close(fd);
        errno = kept;
    }
    return -1;
}

int fd_steal(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

int fd_write_all(int fd, const void *data, size_t size) {
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int fd_read_all(int fd, void *ret_data, size_t size) {
    char *at = ret_data;
    while (size > 0) {
        ssize_t n = read(fd, at, size);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (n == 0)
            return -EPIPE;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

ssize_t fd_read_file(int dir_fd, const char *path, char *ret_text, size_t size) {
    cleanup_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    if (fd < 0)
        return -errno;
    while (length < size - 1) {
        ssize_t n = read(fd, ret_text + length, size - 1 - length);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (n == 0)
            break;
        length += (size_t)n;
    }
    ret_text[length] = '\0';
    return (ssize_t)length;
}

int fd_write_file(int dir_fd, const char *path, const char *text) {
    size_t length = strlen(text);
    cleanup_fd int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text, length);
    if (n < 0)
        return -errno;
    return (size_t)n == length ? 0 : -EIO;
}

int fd_install(int fd, int number) {
    if (fd == number) {
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0)
            return -errno;
        return 0;
    }
    return dup2(fd, number) < 0 ? -errno : 0;
}

int fd_close_from(int first) {
    struct rlimit files;
    /* gVisor takes the end for a signed number and refuses ~0u. */
    if (syscall(SYS_close_range, first, INT_MAX, 0) == 0)
        return 0;
    /* Before Linux 5.9, and in old gVisors. */
    if (errno != ENOSYS || getrlimit(RLIMIT_NOFILE, &files) < 0)
        return -errno;
    for (rlim_t fd = (rlim_t)first; fd < files.rlim_cur; fd++)
        close((int)fd);
    return 0;
}

int fd_open_folder(int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

DIR *fd_list_folder(int fd) {
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (folder == NULL)
        fd_close(copy);
    return folder;
}
