/* The system-call filter of the workers: an allow-list, compiled once and installed by each.
 *
 * The list itself, with the reason for each group, is in seccomp_table.c.
 */
#ifndef PX_SANDBOX_SECCOMP_H
#define PX_SANDBOX_SECCOMP_H

#include "base/failure.h"

#include <linux/filter.h>
#include <stddef.h>

/* A compiled filter. Immutable after seccomp_prepare() but for the copy that a worker pins. */
struct seccomp_program {
    struct sock_filter *code;
    unsigned short length;
};

/* Zygote, once: compiles the table for this machine's architecture. */
int seccomp_prepare(struct seccomp_program *ret_program, struct failure *ret_failure);
void seccomp_done(struct seccomp_program *program);

/* Worker, last of all layers: pins the filter to this process's own id, so that signals reach nobody
 * else, and installs it for good. Needs no_new_privs. */
int seccomp_enter(struct seccomp_program *program, struct failure *ret_failure);

#endif
