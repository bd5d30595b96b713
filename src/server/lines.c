/* Lines to a worker: see lines.h. */
#include "server/lines.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Our end only: the flag belongs to the open file, and the worker's blocks. */
static int keep(const int ends[2], int ours, int *ret_ours, int *ret_theirs) {
    *ret_ours = ends[ours];
    *ret_theirs = ends[1 - ours];
    if (fcntl(ends[ours], F_SETFL, O_NONBLOCK) == 0)
        return 0;
    int r = -errno;
    *ret_ours = fd_close(*ret_ours);
    *ret_theirs = fd_close(*ret_theirs);
    return r;
}

int lines_pipe(int ours, int *ret_ours, int *ret_theirs) {
    int ends[2];
    return pipe2(ends, O_CLOEXEC) < 0 ? -errno : keep(ends, ours, ret_ours, ret_theirs);
}

static int open_channel(int *ret_ours, int *ret_theirs) {
    int ends[2];
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : keep(ends, 0, ret_ours, ret_theirs);
}

void lines_init(struct lines *ret_lines) {
    for (size_t i = 0; i < LINES; i++)
        ret_lines->ours[i] = ret_lines->theirs[i] = -1;
}

int lines_open(struct lines *ret_lines) {
    int *ours = ret_lines->ours, *theirs = ret_lines->theirs;
    int r;
    lines_init(ret_lines);
    if ((r = open_channel(&ours[RUN_CHANNEL], &theirs[RUN_CHANNEL])) < 0 ||
        (r = lines_pipe(0, &ours[RUN_STDOUT], &theirs[RUN_STDOUT])) < 0 ||
        (r = lines_pipe(0, &ours[RUN_STDERR], &theirs[RUN_STDERR])) < 0)
        lines_close(ret_lines);
    return r;
}

void lines_close(struct lines *lines) {
    for (size_t i = 0; i < LINES; i++) {
        lines->ours[i] = fd_close(lines->ours[i]);
        lines->theirs[i] = fd_close(lines->theirs[i]);
    }
}

/* A client that opens connections must not take the descriptors that runs need: six each, and some for
 * the process itself. */
unsigned lines_leave(const struct config *config) {
    struct rlimit files;
    uint64_t kept = 64 + 6 * config->workers;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= config->connections + kept)
        return (unsigned)config->connections;
    return files.rlim_cur > 2 * kept ? (unsigned)(files.rlim_cur - kept) : (unsigned)(files.rlim_cur / 2);
}
