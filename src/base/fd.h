/* File descriptors: ownership, and the few operations every process needs.
 *
 * An unset descriptor is -1. Every descriptor the project makes is close-on-exec.
 */
#ifndef PX_BASE_FD_H
#define PX_BASE_FD_H

#include <dirent.h>
#include <stddef.h>
#include <sys/types.h>

/* Closes fd where it is set; keeps errno. Returns -1, so that `fd = fd_close(fd)` unsets it. */
int fd_close(int fd);

/* Takes the descriptor out of *fd, which becomes unset. */
int fd_steal(int *fd);

static inline void fd_cleanup(int *fd) {
    *fd = fd_close(*fd);
}
#define cleanup_fd __attribute__((cleanup(fd_cleanup)))

/* Writes all of it to a blocking descriptor; restarts after signals. 0 or a negative errno. */
int fd_write_all(int fd, const void *data, size_t size);

/* Reads exactly size bytes from a blocking descriptor. 0, -EPIPE at an early end, or another errno. */
int fd_read_all(int fd, void *ret_data, size_t size);

/* Reads a small file below dir_fd into text, which is always ended by NUL; bytes beyond size - 1 are
 * left out. Returns the length or a negative errno. */
ssize_t fd_read_file(int dir_fd, const char *path, char *ret_text, size_t size);

/* Writes a small file below dir_fd in one write(2), as /proc files want it. */
int fd_write_file(int dir_fd, const char *path, const char *text);

/* Duplicates fd onto number and clears close-on-exec there, as the start of a child wants it. */
int fd_install(int fd, int number);

/* Opens a folder below `parent`, following no link at its name. A descriptor or a negative errno. */
int fd_open_folder(int parent, const char *name);

/* A folder to be read, with a position of its own; closed by closedir(3). NULL with errno set. */
DIR *fd_list_folder(int fd);

/* Closes every descriptor from `first` on. 0 or a negative errno. */
int fd_close_from(int first);

#endif
