/* The zygote program: python-executor-zygote FIRST_SLOT tree|alone [options].
 *
 * Started by the manager with the privileges that making workers needs, and with the environment that
 * scripts will see. Starts Python, moves into the workers' root file system, forks a zygote for each flavour, which imports
 * what is to be preloaded, and serves.
 */
#include "base/config.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/chroot.h"
#include "sandbox/probe.h"
#include "sandbox/sandbox.h"
#include "wire/inherit.h"
#include "wire/message.h"
#include "zygote/python.h"
#include "zygote/zygote.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { MEMORY_SPARE_MB = 64 };

/* Where the system keeps what imports need besides sys.path; those that do not exist are left out. */
static const char *const system_folders[] = {
    "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/share/zoneinfo", "/usr/lib/locale/C.utf8",
    "/etc/alternatives",
    /* matplotlib's, and what its list of fonts names */
    "/usr/share/matplotlib", "/usr/share/fonts",
};

#ifdef __SANITIZE_ADDRESS__
/* A sanitized build behaves as the real one where scripts can tell: memory that is refused is a MemoryError,
 * a crash is a signal. CPython keeps memory at its end, so leaks are not looked for here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0:allocator_may_return_null=1:handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:"
           "handle_sigill=0";
}
#endif

/* Tells the manager why, if it still listens, and ends. */
static int fail(const struct failure *failure) {
    struct message message = {.kind = MESSAGE_FAILED, .failure = *failure};
    message_send(INHERIT_CONTROL, &message, NULL, 0);
    return EXIT_FAILURE;
}

/* Threads and fork do not mix: the BLAS that numpy brings would start some at import. */
static void keep_libraries_single_threaded(void) {
    static const char *const names[] = {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
                                        "NUMEXPR_NUM_THREADS", "BLIS_NUM_THREADS"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        setenv(names[i], "1", 1);
}

/* What a worker's threads take of its address space: glibc would reserve 8 MiB of stack and 64 MiB of
 * heap for each. The main thread keeps its 8 MiB. */
static void keep_threads_small(void) {
    pthread_attr_t attributes;
    mallopt(M_ARENA_MAX, 1);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1u << 20);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

static int count_threads(int proc_fd) {
    int count = 0;
    cleanup_fd int fd = openat(proc_fd, "self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL)
        return -errno;
    (void)fd_steal(&fd);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static int start_python(const struct config *config, struct failure *ret_failure) {
    keep_threads_small();
    return python_start(config->venv, ret_failure);
}

/* What is imported may want to write: settings, caches. It gets a folder that is gone afterwards. */
static int import(struct sandbox *sandbox, const char *modules, struct failure *ret_failure) {
    char folder[VIEW_PATH];
    int r = sandbox_lend_folder(sandbox, folder, ret_failure);
    if (r < 0)
        return r;
    keep_libraries_single_threaded();
    r = python_import(modules, folder, ret_failure);
    sandbox_take_folder(sandbox);
    if (r < 0)
        return r;
    int threads = count_threads(sandbox->proc_fd);
    if (threads != 1)
        return failure_set(ret_failure, EBUSY, "Python",
                           "%d threads run after the imports, and only one may when workers are forked", threads);
    return 0;
}

/* What a worker may be charged with in the worst case that is innocent: it has its memory, has copied all
 * that it shares with us, and has filled its /tmp. Then some for the kernel's own, and for what it gets in
 * the time that the keeper, which shall be the first to see it, needs to look. */
static uint64_t worker_memory(const struct config *config, int proc_fd) {
    char text[128];
    unsigned long long pages = 0;
    if (fd_read_file(proc_fd, "self/statm", text, sizeof text) > 0)
        sscanf(text, "%*u %llu", &pages);
    uint64_t ours = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return ours + ((config_limit(config, LIMIT_MEMORY_MB).most + config_limit(config, LIMIT_SCRATCH_MB).most +
                    MEMORY_SPARE_MB) << 20);
}

/* What Python has to say to it: where it is. */
static int complete_policy(struct policy *policy, struct failure *ret_failure) {
    enum { SYSTEM = sizeof system_folders / sizeof system_folders[0] };
    int count = python_folders(policy->read_only, POLICY_MAX_PATHS - SYSTEM - 1);
    if (count <= 0)
        return failure_set(ret_failure, EIO, "Python", "sys.path names no folder");
    for (size_t i = 0; i < SYSTEM; i++)
        if (access(system_folders[i], F_OK) == 0)
            policy->read_only[count++] = system_folders[i];
        else if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) /* scripts would miss it for a moment's trouble */
            return failure_set(ret_failure, errno, "Python", "access(%s): %s", system_folders[i], strerror(errno));
    return 0;
}

/* Layers that a test build was told to do without; a release build has no such option. */
static uint32_t left_out(const struct config *config) {
    struct policy policy;
    policy_init(&policy, config);
    return policy.off;
}

/* Before anything is loaded: what this platform grants, and whether that is enough. */
static int probe(const struct config *config, const struct policy *policy, struct probe *ret_probe,
                 struct failure *ret_failure) {
    uint32_t floor;
    int r = layer_parse(config->require, &floor, ret_failure);
    if (r < 0 || (r = probe_platform(policy, ret_probe, ret_failure)) < 0)
        return r;
    unsigned missing = layer_missing(&ret_probe->isolation, floor & ~left_out(config));
    if (missing == LAYER_WORDS)
        return 0;
    return layer_explain(&ret_probe->isolation, missing, ret_failure);
}

/* Python may have folders that a chroot would hide, and nobody knew before it started. */
static int keep_folders_in_sight(const struct config *config, struct policy *policy, struct probe *found,
                                 struct failure *ret_failure) {
    for (size_t i = 0; found->plan.chroot && i < POLICY_MAX_PATHS && policy->read_only[i] != NULL; i++) {
        if (chroot_holds(policy->read_only[i]) || strcmp(policy->read_only[i], "/etc/alternatives") == 0)
            continue;
        policy->off |= layer_bit(LAYER_CHROOT);
        int r = probe(config, policy, found, ret_failure);
        layer_unused(&found->isolation, LAYER_CHROOT, "Python has folders outside /usr");
        return r;
    }
    return 0;
}

/* --- The tree --- */

/* In a fork of the zygote of the flavour before: becomes the zygote of this one. */
static int become(struct branch *branch, unsigned flavour, const int channel[2], pid_t before) {
    char name[24];
    snprintf(name, sizeof name, "zygote-%u", flavour);
    prctl(PR_SET_NAME, name, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != before)
        return -ESRCH;
    /* Its own: as long as we held them it would not hear of its server's end. */
    fd_close(branch->announce);
    fd_close(branch->channel);
    *branch = (struct branch){.flavours = {flavour, flavour},
                              .first_slot = branch->first_slot + CONFIG_SLOTS,
                              .suspicion = branch->suspicion,
                              .announce = fcntl(INHERIT_CHANNEL, F_DUPFD_CLOEXEC, INHERIT_END),
                              .channel = channel[0]};
    return branch->announce < 0 ? -errno : fd_install(channel[1], INHERIT_CHANNEL);
}

/* Forks a zygote for each flavour that is left, one from the other, while this one can begin to work. Returns in all
 * of them. */
static int grow(const struct config *config, struct sandbox *sandbox, struct branch *branch, struct failure *ret_failure) {
    unsigned count = flavour_count(config->preload);
    for (unsigned flavour = branch->flavours.last + 1; flavour < count; flavour++) {
        char modules[CONFIG_TEXT];
        int channel[2];
        flavour_modules(config->preload, flavour, modules);
        if (!python_wants(modules)) {
            branch->flavours.last = flavour;
            continue;
        }
        pid_t self = getpid();
        int r = message_pair(channel);
        pid_t pid = r < 0 ? r : python_fork();
        if (pid < 0)
            return failure_set(ret_failure, -pid, "start", "cannot fork: %s", strerror(-pid));
        if (pid > 0) {
            fd_close(channel[0]);
            fd_close(channel[1]);
            branch->next = pid;
            return 0;
        }
        if ((r = become(branch, flavour, channel, self)) < 0)
            return failure_set(ret_failure, -r, "start", "no zygote for another flavour: %s", strerror(-r));
        if ((r = import(sandbox, modules, ret_failure)) < 0)
            return r;
    }
    return 0;
}

/* A page that the zygotes of a tree share. Without it each would judge by itself. */
static struct suspicion *share_suspicion(void) {
    void *page = mmap(NULL, sizeof(struct suspicion), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}

static int serve(const struct config *config, bool alone, struct sandbox *sandbox, struct branch *branch,
                 struct failure *ret_failure) {
    int r = alone ? import(sandbox, config->preload, ret_failure) : grow(config, sandbox, branch, ret_failure);
    if (r < 0 || (r = sandbox_move_in(sandbox, ret_failure)) < 0)
        return r;
    /* Workers must not have it. */
    if (branch->suspicion != NULL && madvise(branch->suspicion, sizeof(struct suspicion), MADV_DONTFORK) < 0)
        return failure_set(ret_failure, errno, "start", "madvise(MADV_DONTFORK): %s", strerror(errno));
    python_settle();
    sandbox->policy.memory_bytes = sandbox->cgroup.limits.memory_bytes = worker_memory(config, sandbox->proc_fd);
    return zygote_serve(config, sandbox, branch, ret_failure);
}

int main(int argc, char **argv) {
    struct config config;
    struct failure failure = {0};
    struct policy policy;
    struct probe found;
    struct sandbox sandbox;
    config_init(&config);
    if (argc < 3 || config_from_args(&config, argc - 3, argv + 3, &failure) < 0) {
        log_error("python-executor-zygote is started by python-executor, not by hand");
        return EXIT_FAILURE;
    }
    log_start("zygote", config.log, config.log_format);
    /* What a script's C code prints has its place among the rest, and must not be lost with the process. */
    setvbuf(stdout, NULL, _IONBF, 0);
    policy_init(&policy, &config);
    if (probe(&config, &policy, &found, &failure) < 0 || start_python(&config, &failure) < 0 ||
        complete_policy(&policy, &failure) < 0 || keep_folders_in_sight(&config, &policy, &found, &failure) < 0 ||
        sandbox_prepare(&sandbox, &policy, &found.plan, &failure) < 0)
        return fail(&failure);
    probe_explain(&found, &sandbox.isolation);
    struct branch branch = {.first_slot = (unsigned)strtoul(argv[1], NULL, 10), .announce = -1, .channel = -1, .suspicion = share_suspicion()};
    int r = serve(&config, strcmp(argv[2], "alone") == 0, &sandbox, &branch, &failure);
    /* The first one is the last to end. */
    if (branch.flavours.first == 0)
        sandbox_done(&sandbox);
    return r < 0 ? fail(&failure) : branch.broken ? EXIT_FAILURE : EXIT_SUCCESS;
}
