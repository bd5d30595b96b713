/* The witness: see witness.h. Platforms exist that accept a limit or a filter and do nothing with it. */
#include "sandbox/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int let_through(const char *layer, const char *what, struct failure *ret_failure) {
    return failure_set(ret_failure, EPROTO, layer, "witness: %s was not stopped", what);
}

static int witness_seccomp(struct failure *ret_failure) {
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return let_through("seccomp", "socket()", ret_failure);
    if (syscall(SYS_unshare, 0) == 0 || errno != EPERM)
        return let_through("seccomp", "unshare()", ret_failure);
    if (syscall(SYS_getppid) > 1 && (kill(getppid(), 0) == 0 || errno != EPERM))
        return let_through("seccomp", "kill() of another", ret_failure);
    return 0;
}

static int witness_identity(struct failure *ret_failure) {
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return let_through("identity", "gaining privileges", ret_failure);
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return let_through("identity", "a core dump", ret_failure);
    return 0;
}

static int witness_rlimits(struct failure *ret_failure) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_max != 0)
        return let_through("rlimits", "RLIMIT_CORE", ret_failure);
    limit.rlim_max = 1;
    if (setrlimit(RLIMIT_CORE, &limit) == 0)
        return let_through("rlimits", "raising RLIMIT_CORE", ret_failure);
    return 0;
}

static bool opens(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int witness_files(const char *layer, struct failure *ret_failure) {
    static const char *const hidden[] = {"/proc/self/environ", "/proc/1/cmdline", "/sys/kernel", "/root", "/home", "/var/lib",
                                         "/usr/local/../../var"};
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        if (opens(hidden[i], O_RDONLY))
            return let_through(layer, hidden[i], ret_failure);
    if (opens("/usr/lib/.python-executor-witness", O_WRONLY | O_CREAT))
        return let_through(layer, "writing to /usr/lib", ret_failure);
    return 0;
}

/* What a script needs wherever it runs. Devices can be had behind a chroot only where nodes can be made and used. */
static int witness_scratch(bool needs_devices, struct failure *ret_failure) {
    const char *missing = !opens("/tmp/witness", O_RDWR | O_CREAT)   ? "writing to /tmp"
                          : unlink("/tmp/witness") < 0               ? "removing a file"
                          : !opens("/", O_RDONLY | O_DIRECTORY)      ? "opening /"
                          : needs_devices && !opens("/dev/null", O_WRONLY) ? "opening /dev/null"
                                                                     : NULL;
    if (missing != NULL)
        return failure_set(ret_failure, errno, "scratch", "witness: %s failed: %s", missing, strerror(errno));
    return 0;
}

static bool is_on(const struct isolation *isolation, enum layer layer) {
    return isolation->layers[layer].status == LAYER_ACTIVE;
}

int witness_layers(const struct isolation *isolation, struct failure *ret_failure) {
    static const enum layer files[] = {LAYER_MOUNT, LAYER_CHROOT, LAYER_LANDLOCK};
    bool last_resort = is_on(isolation, LAYER_CHROOT) && !is_on(isolation, LAYER_LANDLOCK);
    int r;
    if ((is_on(isolation, LAYER_SECCOMP) && (r = witness_seccomp(ret_failure)) < 0) ||
        (is_on(isolation, LAYER_IDENTITY) && (r = witness_identity(ret_failure)) < 0) ||
        (is_on(isolation, LAYER_RLIMITS) && (r = witness_rlimits(ret_failure)) < 0))
        return r;
    /* Without mounts it is the filter that calls the view, which knows what /tmp means; off in test builds only. */
    if ((is_on(isolation, LAYER_SECCOMP) || is_on(isolation, LAYER_MOUNT)) && (r = witness_scratch(!last_resort, ret_failure)) < 0)
        return r;
    /* chroot hides everything but /usr and lets that be written to by whom it belongs to, which is no worker. */
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (is_on(isolation, files[i]))
            return witness_files(layer_name(files[i]), ret_failure);
    return 0;
}
