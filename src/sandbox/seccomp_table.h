/* The table of system calls that a worker may make: see seccomp_table.c. */
#ifndef PX_SANDBOX_SECCOMP_TABLE_H
#define PX_SANDBOX_SECCOMP_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* Stands for the worker's own process id until the filter is pinned. Larger than any pid
 * (/proc/sys/kernel/pid_max is 2^22 at most, proc(5)). */
enum { SECCOMP_SELF = 0x7ffe5e1f };

/* What the view puts into the sixth argument, which no call that it stands in for has. It is no secret: with it a
 * script reaches what it names by its real path, and the layers below decide. */
#define SECCOMP_VIEW_MARK 0x7669657777656976ull

enum seccomp_action {
    SECCOMP_ALLOW, /* do it */
    SECCOMP_PATH, /* do it; in a worker without a root of its own the view translates the path first */
    SECCOMP_OPEN_PATH, /* do it; where the view translates paths it opens the file first, and nobody gets past it */
    SECCOMP_OWN, /* do it; say that it is done where a worker sees the host's files with the user id of the service */
    SECCOMP_OWN_PATH, /* the same, and the view translates the path */
    SECCOMP_ID, /* do it; in a worker whose user id is not POLICY_UID the view answers */
    SECCOMP_NOTHING, /* say that it is done, and do nothing */
    SECCOMP_ABSENT, /* ENOSYS: libraries know what to do on a kernel without it */
    SECCOMP_UNSUPPORTED, /* ENOTSUP: likewise for a file system without it */
    SECCOMP_KILL, /* end the process */
};

/* argument `index`, as far as the mask goes, equals value. The mask is 32 bits wide where the kernel
 * takes an int: it looks at the low half only, and so must we (CVE-2019-10063). */
struct seccomp_condition {
    uint8_t index;
    uint64_t mask; /* 0: no condition */
    uint64_t value;
};

struct seccomp_rule {
    const char *call;
    enum seccomp_action action;
    struct seccomp_condition conditions[3]; /* all must hold */
};

extern const struct seccomp_rule seccomp_rules[];
extern const size_t seccomp_rule_count;

#endif
