/* Resource limits: see rlimits.h. Runs in a worker. */
#include "sandbox/rlimits.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

/* Lower than now, or as it is: only root may raise a limit, and a container may have set it lower. */
static int set(int resource, uint64_t value) {
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
        return -errno;
    limit.rlim_max = value < limit.rlim_max ? value : limit.rlim_max;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno : 0;
}

int rlimits_enter(const struct policy *policy, bool own_user, struct failure *ret_failure) {
    const struct {
        int resource;
        uint64_t value;
        const char *name;
        bool second; /* the filter forbids what it limits, and gVisor refuses to set it */
    } limits[] = {
        {RLIMIT_CORE, 0, "RLIMIT_CORE", false},
        {RLIMIT_NOFILE, policy->open_files, "RLIMIT_NOFILE", false},
        /* The kernel counts the process itself as one of its threads. Where the user is the whole service's, the
         * address space bounds them, which each takes a MiB of. */
        {RLIMIT_NPROC, own_user ? policy->threads : RLIM_INFINITY, "RLIMIT_NPROC", false},
        {RLIMIT_STACK, 8u << 20, "RLIMIT_STACK", false},
        {RLIMIT_MEMLOCK, 0, "RLIMIT_MEMLOCK", false},
        {RLIMIT_FSIZE, policy->scratch_most_bytes, "RLIMIT_FSIZE", false},
        {RLIMIT_MSGQUEUE, 0, "RLIMIT_MSGQUEUE", true},
        {RLIMIT_SIGPENDING, 128, "RLIMIT_SIGPENDING", true},
        {RLIMIT_RTPRIO, 0, "RLIMIT_RTPRIO", true},
        {RLIMIT_NICE, 0, "RLIMIT_NICE", true},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        int r = limits[i].value == RLIM_INFINITY ? 0 : set(limits[i].resource, limits[i].value);
        if (r < 0 && !limits[i].second)
            return failure_set(ret_failure, -r, "rlimits", "%s was refused: %s", limits[i].name, strerror(-r));
    }
    return 0;
}

int rlimits_job(const struct job_rlimits *limits) {
    int r;
    /* No soft limit below the hard one: a worker is process 1 of its namespace, and the kernel does
     * not deliver SIGXCPU to such a one; the SIGKILL of the hard limit it does. */
    if ((r = set(RLIMIT_CPU, limits->cpu_seconds)) < 0 || (r = set(RLIMIT_AS, limits->address_bytes)) < 0 ||
        (r = set(RLIMIT_FSIZE, limits->file_bytes)) < 0)
        return r;
    return 0;
}
