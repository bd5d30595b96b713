/* What the container grants: see container.h. */
#include "cli/container.h"

#include "base/fd.h"
#include "sandbox/hierarchy.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MILLI = 1000, LEVELS_MAX = 64 };

/* The processors this process may use: cpuset and taskset show here, the machine's other ones do not. */
static uint64_t count_cpus(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (uint64_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more than a set of the usual size has places for */
    return online < 1 ? 1 : (uint64_t)online;
}

void container_machine(struct container *ret_container) {
    long pages = sysconf(_SC_PHYS_PAGES);
    *ret_container = (struct container){
        .memory_bytes = pages < 1 ? UINT64_MAX : (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE),
        .cpu_milli = count_cpus() * MILLI,
    };
}

static void bound_memory(struct container *container, uint64_t bytes) {
    if (bytes >= container->memory_bytes)
        return; /* version 1 says "no limit" as a number beyond all memory */
    container->memory_bytes = bytes;
    container->memory_limited = true;
}

static void bound_cpu(struct container *container, uint64_t quota, uint64_t period) {
    if (period == 0 || quota > UINT64_MAX / MILLI)
        return;
    uint64_t milli = quota * MILLI / period;
    if (milli < container->cpu_milli)
        container->cpu_milli = milli > 0 ? milli : 1;
}

/* Reads whole numbers at the start of a file: how many there are. Words such as "max" and -1 are none. */
static int read_numbers(int group, const char *file, uint64_t *ret_first, uint64_t *ret_second) {
    char text[64];
    if (fd_read_file(group, file, text, sizeof text) <= 0 || strchr(text, '-') != NULL)
        return 0;
    int count = sscanf(text, "%" SCNu64 " %" SCNu64, ret_first, ret_second);
    return count < 0 ? 0 : count;
}

static void bound_by_one(struct container *container, int group) {
    uint64_t value = 0;
    uint64_t period = 0;
    if (read_numbers(group, "memory.max", &value, &period) == 1)
        bound_memory(container, value);
    if (read_numbers(group, "memory.limit_in_bytes", &value, &period) == 1)
        bound_memory(container, value);
    if (read_numbers(group, "cpu.max", &value, &period) == 2)
        bound_cpu(container, value, period);
    if (read_numbers(group, "cpu.cfs_quota_us", &value, &period) == 1 &&
        read_numbers(group, "cpu.cfs_period_us", &period, &(uint64_t){0}) == 1)
        bound_cpu(container, value, period);
}

void container_bound(struct container *container, int group) {
    struct stat first;
    struct stat here;
    cleanup_fd int at = fcntl(group, F_DUPFD_CLOEXEC, 0);
    if (at < 0 || fstat(at, &first) < 0)
        return;
    /* As far as the mount goes; above it are no groups. A root is its own parent, hence the number. */
    for (int level = 0; level < LEVELS_MAX && fstat(at, &here) == 0 && here.st_dev == first.st_dev; level++) {
        bound_by_one(container, at);
        int above = openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fd_close(at);
        at = above;
    }
}

void container_find(struct container *ret_container) {
    static const char *const hierarchies[] = {NULL, "memory", "cpu"}; /* NULL: version 2 */
    container_machine(ret_container);
    for (size_t i = 0; i < sizeof hierarchies / sizeof hierarchies[0]; i++) {
        cleanup_fd int group = hierarchy_open(hierarchies[i], NULL);
        if (group >= 0)
            container_bound(ret_container, group);
    }
}

unsigned container_cpus(const struct container *container) {
    return (unsigned)((container->cpu_milli + MILLI - 1) / MILLI);
}
