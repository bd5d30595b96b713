/* How to get a layer that is refused: see grants.h. */
#include "cli/grants.h"

#include "base/layer.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct grant {
    const char *needs, *docker, *kubernetes, *cloud_run, *systemd;
};

static const struct grant seccomp = {
    "Linux 4.14 or later with CONFIG_SECCOMP_FILTER, or gVisor",
    "nothing, every profile allows it",
    "nothing",
    "nothing, both generations have it",
    "allow seccomp and prctl in SystemCallFilter=",
};

static const struct grant rlimits = {
    "nothing but a kernel that keeps them",
    "--ulimit may not be lower than what --open-files and --threads ask for",
    "nothing",
    "nothing",
    "nothing",
};

static const struct grant identity = {
    "a user that is not root, or root with CAP_SETUID and CAP_SETGID",
    "docker run --user 65532, or do not drop SETUID and SETGID",
    "securityContext: {runAsUser: 65532, runAsNonRoot: true}",
    "nothing",
    "User=, or AmbientCapabilities=CAP_SETUID CAP_SETGID",
};

static const struct grant filesystem = {
    "one of: Landlock (Linux 5.13 or later, 'landlock' in /sys/kernel/security/lsm); user namespaces; root with\n"
    "              CAP_SYS_CHROOT and a writable /usr",
    "a host with Landlock, or run as root with the default capabilities",
    "nodes with Landlock, or hostUsers: false, or run as root with CAP_SYS_CHROOT, CAP_SETUID and CAP_SETGID",
    "--execution-environment gen2, or run as root",
    "run as root, or do not set RestrictNamespaces=yes",
};

static const struct grant namespaces = {
    "root with CAP_SYS_ADMIN, or user namespaces for ordinary users\n"
    "              (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone,\n"
    "              kernel.apparmor_restrict_unprivileged_userns=0)",
    "--security-opt seccomp=unconfined --security-opt apparmor=unconfined, or --privileged",
    "securityContext: {seccompProfile: {type: Unconfined}} on nodes that allow user namespaces",
    "nothing, where it is refused the others stand in",
    "do not set RestrictNamespaces=yes",
};

static const struct grant landlock = {
    "Linux 5.13 or later, CONFIG_SECURITY_LANDLOCK=y and 'landlock' in /sys/kernel/security/lsm (kernel option lsm=)",
    "a profile that lets landlock_* through, as Docker's own does",
    "nodes with such a kernel",
    "--execution-environment gen2",
    "allow @sandbox in SystemCallFilter=",
};

static const struct grant chroot_ = {
    "root with CAP_SYS_CHROOT, CAP_SETUID and CAP_SETGID, a writable /usr or a link /usr/usr -> . in the image, and\n"
    "              a file system that is not mounted nodev",
    "run as root with the default capabilities",
    "securityContext: {runAsUser: 0, capabilities: {add: [SYS_CHROOT, SETUID, SETGID]}}",
    "run as root",
    "AmbientCapabilities=CAP_SYS_CHROOT CAP_SETUID CAP_SETGID",
};

static const struct grant cgroup = {
    "a control group of our own that may be written to, with the memory, pids and cpu controllers",
    "--privileged, or a writable mount of the container's own group",
    "not granted to pods; set resources.limits instead",
    "not granted; set --memory and --cpu instead",
    "Delegate=memory pids cpu",
};

static const struct grant *find(unsigned word) {
    switch (word) {
    case LAYER_SECCOMP:
    case LAYER_ANY_NETWORK: return &seccomp;
    case LAYER_RLIMITS: return &rlimits;
    case LAYER_IDENTITY: return &identity;
    case LAYER_ANY_FILESYSTEM: return &filesystem;
    case LAYER_LANDLOCK: return &landlock;
    case LAYER_CHROOT: return &chroot_;
    case LAYER_CGROUP: return &cgroup;
    default: return &namespaces;
    }
}

void grants_print(FILE *to, unsigned word) {
    const struct grant *grant = find(word);
    fprintf(to, "  it needs    %s\n  Docker      %s\n  Kubernetes  %s\n  Cloud Run   %s\n  systemd     %s\n", grant->needs,
            grant->docker, grant->kubernetes, grant->cloud_run, grant->systemd);
}

void grants_print_for(FILE *to, const struct failure *failure) {
    for (unsigned word = 0; word < LAYER_WORDS; word++)
        if (strncmp(failure->stage, layer_name(word), sizeof failure->stage) == 0) {
            fprintf(to, "Nothing is served below the floor that --require names. To get %s:\n", layer_name(word));
            grants_print(to, word);
            fprintf(to, "python-executor doctor shows all layers.\n");
        }
}

void grants_tell_for(const struct failure *failure) {
    char *text = NULL;
    size_t size = 0;
    FILE *to = log_is_json() ? open_memstream(&text, &size) : NULL;
    grants_print_for(to != NULL ? to : stderr, failure);
    if (to != NULL && fclose(to) == 0 && size > 0)
        log_error("%s", text);
    free(text);
}
