/* Ways out of a sandbox, for the self-test of `python-executor doctor`: each does in C what a hostile script would,
 * against targets that the doctor has set up, and says how far it got.
 */
#ifndef PX_CLI_ESCAPES_H
#define PX_CLI_ESCAPES_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What there is to reach. */
struct targets {
    char folder[64]; /* of the doctor's, on the host's file system */
    char secret[96]; /* a file in it that everybody may read */
    int tcp_fd;
    uint16_t tcp_port; /* listens on 127.0.0.1 */
    int unix_fd;       /* listens on an abstract address */
    pid_t victim;      /* a process of the doctor's own user */
    int shared_memory; /* System V, open to all */
    uint64_t uptime_s; /* of the host */
    char host_name[64];
};

/* Sets the targets up, before any layer is on. 0 or a negative errno. */
int targets_make(struct targets *ret_targets, struct failure *ret_failure);
void targets_remove(struct targets *targets);

struct escape {
    const char *name;
    bool fact; /* something to know, not a way out: where no layer hides it, that is no failure */
    /* 0 where it got out, or the positive errno that stopped it. */
    int (*attempt)(const struct targets *targets);
};

extern const struct escape escapes[];
extern const size_t escape_count;

#endif
