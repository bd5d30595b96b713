/* System-call filters: an allow-list, compiled once and installed by each process that it is for.
 *
 * The list of the workers, with the reason for each group, is in seccomp_table.c; the server has its own.
 */
#ifndef PX_SANDBOX_SECCOMP_H
#define PX_SANDBOX_SECCOMP_H

#include "base/failure.h"
#include "sandbox/seccomp_table.h"

#include <linux/filter.h>
#include <stddef.h>

/* A compiled filter. Immutable after seccomp_prepare() but for the copy that a worker pins. */
struct seccomp_program {
    struct sock_filter *code;
    unsigned short length;
};

/* How the calls are answered that view.c may stand in for: by the kernel, or by the view; and whether those that
 * Landlock lets pass are done to files which are not the worker's own (SECCOMP_OWN). */
enum seccomp_view {
    SECCOMP_REAL_PATHS = 0,
    SECCOMP_VIEWED_PATHS = 1,
    SECCOMP_REAL_IDS = 0,
    SECCOMP_VIEWED_IDS = 2,
    SECCOMP_SHARED_OWNER = 4,
};

/* Once, before the first process needs it: compiles a table for this machine's architecture. `view` is a sum of
 * enum seccomp_view. */
int seccomp_prepare(const struct seccomp_rule *rules, size_t count, unsigned view, struct seccomp_program *ret_program,
                    struct failure *ret_failure);
void seccomp_done(struct seccomp_program *program);

/* Last of all layers: pins the filter to this process's own id, so that signals reach nobody
 * else, and installs it for good. Needs no_new_privs. */
int seccomp_enter(struct seccomp_program *program, struct failure *ret_failure);

#endif
