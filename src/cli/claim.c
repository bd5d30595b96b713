/* Claiming user ids: see claim.h. Runs in the command line's process, as root.
 *
 * Who holds an id holds an abstract socket by its name (unix(7)), which ends with the process and leaves nothing on any
 * file system. It says nothing and accepts nobody. Network namespaces have names of their own, so two containers with
 * the same ids do not see each other, as they do not with `serve`.
 */
#include "cli/claim.h"

#include "base/fd.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The descriptor is kept open on purpose; the end of the process closes it. */
static int claim(uint64_t base) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "python-executor-ids-%llu", (unsigned long long)base);
    cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address,
                       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) < 0)
        return -errno;
    fd_steal(&fd);
    return 0;
}

int claim_ids(uint64_t uid_base, uint64_t *ret_base, struct failure *ret_failure) {
    enum { PLACES = CLAIM_IDS / CLAIM_EACH };
    if (uid_base < 1000 + CLAIM_IDS)
        return failure_set(ret_failure, EINVAL, "--uid-base", "the %d ids below are for runs, so it must be %d at least",
                           (int)CLAIM_IDS, 1000 + (int)CLAIM_IDS);
    uint64_t first = (uint64_t)getpid() % PLACES; /* most find theirs free at once */
    for (uint64_t i = 0; i < PLACES; i++) {
        *ret_base = uid_base - CLAIM_IDS + (first + i) % PLACES * CLAIM_EACH;
        int r = claim(*ret_base);
        if (r != -EADDRINUSE) /* or there are no such sockets here, and nothing to be had from them */
            return 0;
    }
    return failure_set(ret_failure, EUSERS, "--uid-base", "all %d places for runs below %llu are taken, choose another",
                       (int)PLACES, (unsigned long long)uid_base);
}
