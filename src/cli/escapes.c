/* Ways out of a sandbox: see escapes.h. Runs in throwaway children of `python-executor doctor`; none of them harms
 * anything if it gets through. */
#include "cli/escapes.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int outcome_of(long r) {
    return r < 0 ? errno : 0;
}

/* --- Files --- */

static int read_host_file(const struct targets *targets) {
    cleanup_fd int fd = open(targets->secret, O_RDONLY | O_CLOEXEC);
    return outcome_of(fd);
}

static int write_host_file(const struct targets *targets) {
    char path[128];
    snprintf(path, sizeof path, "%s/written", targets->folder);
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    unlink(path);
    return 0;
}

static int read_processes(const struct targets *targets) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)targets->victim);
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    return outcome_of(fd);
}

static int write_device(const struct targets *targets) {
    (void)targets;
    cleanup_fd int fd = open("/dev/shm", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
    return outcome_of(fd);
}

/* --- Network --- */

static int connect_tcp(const struct targets *targets) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(targets->tcp_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    int r = connect(fd, (struct sockaddr *)&address, sizeof address);
    return r < 0 && errno != EINPROGRESS ? errno : 0;
}

static socklen_t abstract_address(pid_t doctor, struct sockaddr_un *ret_address) {
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(ret_address->sun_path + 1, sizeof ret_address->sun_path - 1, "python-executor-doctor-%d", (int)doctor);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int connect_abstract(const struct targets *targets) {
    struct sockaddr_un address;
    socklen_t length = sizeof address;
    cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || getsockname(targets->unix_fd, (struct sockaddr *)&address, &length) < 0)
        return errno;
    return outcome_of(connect(fd, (struct sockaddr *)&address, length));
}

/* --- Processes --- */

static int signal_other(const struct targets *targets) {
    return outcome_of(kill(targets->victim, SIGCONT));
}

static int read_memory(const struct targets *targets) {
    char byte;
    struct iovec ours = {&byte, 1};
    struct iovec theirs = {(void *)targets->host_name, 1}; /* a fork has it at the same place */
    return outcome_of(process_vm_readv(targets->victim, &ours, 1, &theirs, 1, 0));
}

static int make_process(const struct targets *targets) {
    (void)targets;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    if (child > 0)
        waitpid(child, NULL, 0);
    return outcome_of(child);
}

static int use_shared_memory(const struct targets *targets) {
    void *at = shmat(targets->shared_memory, NULL, SHM_RDONLY);
    return at == (void *)-1 ? errno : 0;
}

/* --- Privileges --- */

static int become_root(const struct targets *targets) {
    (void)targets;
    return outcome_of(syscall(SYS_setresuid, 0, 0, 0));
}

static int mount_something(const struct targets *targets) {
    /* Read-only where it is already mounted so, or refused; never a change that lasts: in a namespace of its own. */
    return syscall(SYS_unshare, 0x00020000 /* CLONE_NEWNS */) < 0
               ? errno
               : outcome_of(mount("none", targets->folder, "tmpfs", MS_RDONLY, NULL));
}

static int use_rare_call(const struct targets *targets) {
    (void)targets;
    /* userfaultfd, keyctl and io_uring: what holes in the kernel are found in. */
    return outcome_of(syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3 /* session */, 0));
}

/* --- Resources --- */

static int open_many_files(const struct targets *targets) {
    (void)targets;
    for (int i = 0; i < 600; i++)
        if (dup(0) < 0)
            return errno;
    return 0;
}

static int dump_core(const struct targets *targets) {
    struct rlimit_ {
        unsigned long now, most;
    } limit = {1 << 20, 1 << 20};
    (void)targets;
    return outcome_of(syscall(SYS_prlimit64, 0, 4 /* RLIMIT_CORE */, &limit, NULL));
}

/* --- What the host tells --- */

static int learn_uptime(const struct targets *targets) {
    struct sysinfo info;
    if (sysinfo(&info) < 0)
        return errno;
    return (uint64_t)info.uptime + 5 < targets->uptime_s ? ESRCH : 0;
}

static int learn_host_name(const struct targets *targets) {
    char name[64] = "";
    if (gethostname(name, sizeof name - 1) < 0)
        return errno;
    return strcmp(name, targets->host_name) != 0 ? ESRCH : 0;
}

const struct escape escapes[] = {
    {"read a file of the host", false, read_host_file},
    {"write to the host's files", false, write_host_file},
    {"write to shared memory in /dev", false, write_device},
    {"look at other processes", false, read_processes},
    {"connect over TCP", false, connect_tcp},
    {"connect to an abstract socket", false, connect_abstract},
    {"signal another process", false, signal_other},
    {"read another process's memory", false, read_memory},
    {"attach shared memory", false, use_shared_memory},
    {"start a process", false, make_process},
    {"become root", false, become_root},
    {"mount a file system", false, mount_something},
    {"reach rare parts of the kernel", false, use_rare_call},
    {"open many files", false, open_many_files},
    {"dump core", false, dump_core},
    {"learn the host's uptime", true, learn_uptime},
    {"learn the host's name", true, learn_host_name},
};
const size_t escape_count = sizeof escapes / sizeof escapes[0];

/* --- Targets --- */

static int listen_tcp(struct targets *targets) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    targets->tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (targets->tcp_fd < 0 || bind(targets->tcp_fd, (struct sockaddr *)&address, length) < 0 ||
        listen(targets->tcp_fd, 64) < 0 || getsockname(targets->tcp_fd, (struct sockaddr *)&address, &length) < 0)
        return -errno;
    targets->tcp_port = ntohs(address.sin_port);
    return 0;
}

static int listen_abstract(struct targets *targets) {
    struct sockaddr_un address;
    socklen_t length = abstract_address(getpid(), &address);
    targets->unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return targets->unix_fd < 0 || bind(targets->unix_fd, (struct sockaddr *)&address, length) < 0 ||
                   listen(targets->unix_fd, 64) < 0
               ? -errno
               : 0;
}

static int make_files(struct targets *targets) {
    /* Not in /tmp if possible, which the view may translate: see view.h. */
    static const char *const places[] = {"/var/tmp", "/tmp", "/dev/shm"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(targets->folder, sizeof targets->folder, "%s/python-executor-doctor-XXXXXX", places[i]);
        if (mkdtemp(targets->folder) != NULL)
            break;
        targets->folder[0] = '\0';
    }
    if (targets->folder[0] == '\0')
        return -errno;
    snprintf(targets->secret, sizeof targets->secret, "%s/secret", targets->folder);
    cleanup_fd int fd = open(targets->secret, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    /* Nobody is kept out by the user id alone. */
    return fd < 0 || chmod(targets->folder, 0777) < 0 ? -errno : 0;
}

static pid_t start_victim(void) {
    pid_t doctor = getpid();
    pid_t child = fork();
    if (child != 0)
        return child;
    while (getppid() == doctor)
        sleep(1);
    _exit(0);
}

int targets_make(struct targets *ret_targets, struct failure *ret_failure) {
    struct timespec boot;
    int r;
    *ret_targets = (struct targets){.tcp_fd = -1, .unix_fd = -1, .shared_memory = -1};
    gethostname(ret_targets->host_name, sizeof ret_targets->host_name - 1);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    ret_targets->uptime_s = (uint64_t)boot.tv_sec;
    if ((r = make_files(ret_targets)) < 0 || (r = listen_tcp(ret_targets)) < 0 || (r = listen_abstract(ret_targets)) < 0)
        return failure_set(ret_failure, -r, "self-test", "cannot set up what is to be attacked: %s", strerror(-r));
    ret_targets->shared_memory = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0666);
    ret_targets->victim = start_victim();
    return 0;
}

void targets_remove(struct targets *targets) {
    if (targets->victim > 1) {
        kill(targets->victim, SIGKILL);
        waitpid(targets->victim, NULL, 0);
    }
    if (targets->shared_memory >= 0)
        shmctl(targets->shared_memory, IPC_RMID, NULL);
    targets->tcp_fd = fd_close(targets->tcp_fd);
    targets->unix_fd = fd_close(targets->unix_fd);
    if (targets->folder[0] != '\0') {
        unlink(targets->secret);
        rmdir(targets->folder);
    }
}
