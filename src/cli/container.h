/* What the container grants: memory, and time on CPUs. The least of what the own control group and all above it that
 * can be seen allow, and of what the machine has. cgroups(7), sched_setaffinity(2).
 *
 * Runs in the command before anything else is started, as whoever started it; reads what the kernel says only.
 */
#ifndef PX_CLI_CONTAINER_H
#define PX_CLI_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>

struct container {
    uint64_t memory_bytes;
    bool memory_limited; /* by a control group, not by the machine */
    uint64_t cpu_milli;  /* thousandths of a CPU's time */
};

/* What there is without control groups. */
void container_machine(struct container *ret_container);

/* Lowers it to what the group in this folder and those above it allow, of either version. */
void container_bound(struct container *container, int group);

/* All of it: of this process. */
void container_find(struct container *ret_container);

/* Whole CPUs, rounded up: part of one is one. */
unsigned container_cpus(const struct container *container);

#endif
