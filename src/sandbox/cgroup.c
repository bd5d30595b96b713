/* Control groups: see cgroup.h. Runs in the zygote, and for one call each in a worker and the manager. */
#include "sandbox/cgroup.h"

#include "base/fd.h"
#include "sandbox/hierarchy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char layer[] = "cgroup";

enum { MEMORY, PIDS, CPU };
static const char *const controller_names[CGROUP_CONTROLLERS] = {"memory", "pids", "cpu"};

/* CPU: no quota, since a job has its seconds from RLIMIT_CPU and an idle CPU is of no use to anybody. But
 * without groups a script of 64 threads gets 64 times the share of its neighbour. In a group each gets the
 * same, however many threads it has. All workers of a zygote together weigh as much as one ordinary process on
 * every CPU: the server and the zygote, which are outside, get their share beside them, and what else the machine
 * has to do does not starve them. */
enum { SHARES_PER_CPU = 1024, SHARES_MAX = 262144, WEIGHT_PER_CPU = 100, WEIGHT_MAX = 10000 };

static void forget(struct cgroup *cgroup) {
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
        cgroup->folders[i] = fd_close(cgroup->folders[i]);
        cgroup->parents[i] = fd_close(cgroup->parents[i]);
    }
    cgroup->version = CGROUP_NONE;
}

static int write_number(int folder, const char *file, uint64_t value, struct failure *ret_failure) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    int r = fd_write_file(folder, file, text);
    return r < 0 ? failure_set(ret_failure, -r, layer, "%s was refused: %s", file, strerror(-r)) : 0;
}

/* For files that a kernel may be built or booted without. */
static int write_if_there(int folder, const char *file, uint64_t value, struct failure *ret_failure) {
    return faccessat(folder, file, F_OK, 0) < 0 ? 0 : write_number(folder, file, value, ret_failure);
}

static uint64_t for_all_cpus(uint64_t each, uint64_t max) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t sum = each * (count > 0 ? (uint64_t)count : 1);
    return sum < max ? sum : max;
}

/* --- Workers --- */

static int limit_memory_v1(const struct cgroup *cgroup, int group, struct failure *ret_failure) {
    /* Memory and swap together, which may not be less than memory alone, so it comes second. */
    int r = write_number(group, "memory.limit_in_bytes", cgroup->limits.memory_bytes, ret_failure);
    return r < 0 ? r : write_if_there(group, "memory.memsw.limit_in_bytes", cgroup->limits.memory_bytes, ret_failure);
}

static int limit_memory_v2(const struct cgroup *cgroup, int group, struct failure *ret_failure) {
    int r;
    if ((r = write_number(group, "memory.max", cgroup->limits.memory_bytes, ret_failure)) < 0 ||
        (r = write_if_there(group, "memory.swap.max", 0, ret_failure)) < 0)
        return r;
    /* All threads or none (Linux 4.19). */
    return write_if_there(group, "memory.oom.group", 1, ret_failure);
}

static int limit(const struct cgroup *cgroup, size_t index, int group, struct failure *ret_failure) {
    const struct cgroup_limits *limits = &cgroup->limits;
    int r = 0;
    if (index == MEMORY && limits->memory_bytes != 0)
        r = cgroup->version == CGROUP_V2 ? limit_memory_v2(cgroup, group, ret_failure)
                                         : limit_memory_v1(cgroup, group, ret_failure);
    /* In version 2 the one folder has the files of all. */
    if (r == 0 && limits->pids != 0 && (index == PIDS || cgroup->version == CGROUP_V2))
        r = write_if_there(group, "pids.max", limits->pids, ret_failure);
    return r;
}

static void name_group(unsigned slot, char ret_name[32]) {
    snprintf(ret_name, 32, "worker-%u", slot);
}

static int make_group(struct cgroup *cgroup, unsigned slot, struct failure *ret_failure) {
    char name[32];
    name_group(slot, name);
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
        if (cgroup->folders[i] < 0)
            continue;
        if (mkdirat(cgroup->folders[i], name, 0755) < 0 && errno != EEXIST)
            return failure_set(ret_failure, errno, layer, "cannot make a group for a worker: %s", strerror(errno));
        cleanup_fd int group = openat(cgroup->folders[i], name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (group < 0)
            return failure_set(ret_failure, errno, layer, "cannot open a worker's group: %s", strerror(errno));
        int r = limit(cgroup, i, group, ret_failure);
        if (r < 0)
            return r;
    }
    cgroup->made[slot / 64] |= UINT64_C(1) << slot % 64;
    return 0;
}

int cgroup_admit(struct cgroup *cgroup, unsigned slot, int *ret_fd, struct failure *ret_failure) {
    char name[32];
    if (cgroup->version == CGROUP_NONE) {
        *ret_fd = -1;
        return 0;
    }
    if (slot >= CGROUP_SLOTS)
        return failure_set(ret_failure, ERANGE, layer, "there is no slot %u", slot);
    if ((cgroup->made[slot / 64] >> slot % 64 & 1) == 0) {
        int r = make_group(cgroup, slot, ret_failure);
        if (r < 0)
            return r;
    }
    if (cgroup->version == CGROUP_V1) {
        *ret_fd = -1;
        return 0;
    }
    name_group(slot, name);
    int fd = openat(cgroup->folders[0], name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failure_set(ret_failure, errno, layer, "cannot open a worker's group: %s", strerror(errno));
    *ret_fd = fd;
    return 0;
}

int cgroup_enter(const struct cgroup *cgroup, unsigned slot, struct failure *ret_failure) {
    char path[64];
    if (cgroup->version != CGROUP_V1)
        return 0;
    snprintf(path, sizeof path, "worker-%u/tasks", slot);
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
        if (cgroup->folders[i] < 0)
            continue;
        /* 0 is the thread that writes, and the only one there is; `tasks` moves a thread, cgroup.procs a
         * process. For a thread that moves itself the kernel leaves out the lock that keeps others from
         * forking (cgroup_procs_write_start(), since Linux 5.6). */
        int r = fd_write_file(cgroup->folders[i], path, "0");
        if (r < 0)
            return failure_set(ret_failure, -r, layer, "cannot enter the group of %s: %s", controller_names[i],
                               strerror(-r));
    }
    return 0;
}

/* --- A first try --- */

static pid_t clone_into(int fd) {
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (__u64)fd};
    long pid = fd >= 0 ? syscall(SYS_clone3, &args, sizeof args) : fork();
    return pid < 0 ? -errno : (pid_t)pid;
}

/* A child that lives for a moment in the group of slot 0. */
static int put_child_in(struct cgroup *cgroup, struct failure *ret_failure) {
    cleanup_fd int fd = -1;
    int status = -1;
    int r = cgroup_admit(cgroup, 0, &fd, ret_failure);
    if (r < 0)
        return r;
    pid_t pid = clone_into(fd);
    if (pid == 0)
        _exit(-cgroup_enter(cgroup, 0, NULL));
    if (pid < 0)
        return failure_set(ret_failure, (int)-pid, layer, "clone() into a group was refused: %s", strerror((int)-pid));
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return failure_set(ret_failure, EIO, layer, "a child did not live in its group");
    r = WEXITSTATUS(status);
    return r != 0 ? failure_set(ret_failure, r, layer, "a child cannot enter its group: %s", strerror(r)) : 0;
}

bool cgroup_shares_cpu(const struct cgroup *cgroup) {
    return strstr(cgroup->controllers, controller_names[CPU]) != NULL;
}

/* --- The end --- */

void cgroup_done(struct cgroup *cgroup) {
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
        if (cgroup->folders[i] >= 0)
            hierarchy_remove(cgroup->parents[i], cgroup->folders[i]);
    forget(cgroup);
}

/* Workers die with their zygote, but a moment after it. */
static void sweep(const char *controller) {
    enum { TRIES = 20, PAUSE_US = 5000 };
    cleanup_fd int parent = hierarchy_open(controller, NULL);
    if (parent < 0)
        return;
    for (int tries = 0; tries < TRIES && !hierarchy_sweep(parent); tries++)
        usleep(PAUSE_US);
}

void cgroup_sweep(void) {
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
        sweep(controller_names[i]);
    sweep(NULL);
}

/* --- Prepare --- */

static void note(struct cgroup *cgroup, size_t controller) {
    size_t length = strlen(cgroup->controllers);
    snprintf(cgroup->controllers + length, sizeof cgroup->controllers - length, "%s%s", length > 0 ? ", " : "",
             controller_names[controller]);
}

/* One folder in the hierarchy of one controller, or, without a name, of version 2. */
static int make_folder(struct cgroup *cgroup, size_t index, int *take_parent, struct failure *ret_failure) {
    int r = hierarchy_make(*take_parent, &cgroup->folders[index], ret_failure);
    if (r == 0)
        cgroup->parents[index] = fd_steal(take_parent);
    return r;
}

static int prepare_v2(struct cgroup *cgroup, struct failure *ret_failure) {
    char wanted[32] = "";
    cleanup_fd int parent = hierarchy_open(NULL, ret_failure);
    int r;
    if (parent < 0)
        return parent;
    if (!hierarchy_has_word(parent, "cgroup.controllers", "memory"))
        return failure_set(ret_failure, ENOENT, layer, "the memory controller is not delegated to this group");
    cgroup->version = CGROUP_V2;
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
        if (!hierarchy_has_word(parent, "cgroup.controllers", controller_names[i]))
            continue;
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%s+%s", *wanted != '\0' ? " " : "",
                 controller_names[i]);
        note(cgroup, i);
    }
    if ((r = hierarchy_hand_down(parent, wanted, ret_failure)) < 0 ||
        (r = make_folder(cgroup, 0, &parent, ret_failure)) < 0 ||
        (r = hierarchy_hand_down(cgroup->folders[0], wanted, ret_failure)) < 0)
        return r;
    return write_if_there(cgroup->folders[0], "cpu.weight", for_all_cpus(WEIGHT_PER_CPU, WEIGHT_MAX), ret_failure);
}

/* Each controller has a hierarchy of its own. Memory is what this layer is for; pids and cpu are taken
 * where they can be had. */
static int prepare_v1(struct cgroup *cgroup, struct failure *ret_failure) {
    cgroup->version = CGROUP_V1;
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
        struct failure failure = {0};
        cleanup_fd int parent = hierarchy_open(controller_names[i], &failure);
        int r = parent < 0 ? parent : make_folder(cgroup, i, &parent, &failure);
        if (r < 0 && i == MEMORY) {
            if (ret_failure != NULL)
                *ret_failure = failure;
            return r;
        }
        if (r == 0)
            note(cgroup, i);
    }
    if (cgroup->folders[CPU] < 0)
        return 0;
    return write_number(cgroup->folders[CPU], "cpu.shares", for_all_cpus(SHARES_PER_CPU, SHARES_MAX), ret_failure);
}

int cgroup_prepare(struct cgroup *ret_cgroup, const struct cgroup_limits *limits, struct failure *ret_failure) {
    struct failure unwanted;
    *ret_cgroup = (struct cgroup){.limits = *limits, .parents = {-1, -1, -1}, .folders = {-1, -1, -1}};
    /* Where both are mounted a controller belongs to one of them. */
    cleanup_fd int v1 = hierarchy_open(controller_names[MEMORY], &unwanted);
    int r = v1 < 0 ? prepare_v2(ret_cgroup, ret_failure) : prepare_v1(ret_cgroup, ret_failure);
    /* Tried here, where a refusal costs this layer; later it would cost the workers. */
    if (r == 0)
        r = put_child_in(ret_cgroup, ret_failure);
    if (r < 0)
        cgroup_done(ret_cgroup);
    return r;
}
