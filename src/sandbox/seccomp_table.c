/* What a worker may ask of the kernel, and why.
 *
 * Everything not named here fails with EPERM, so that Python raises an ordinary PermissionError. A
 * foreign architecture (i386, x32) ends the process, since no honest script gets there.
 *
 * Deliberately not here: fork, vfork and every exec (one process is the job); every socket but an
 * unnamed stream pair; sendmsg (passing descriptors has been a source of kernel bugs); ptrace,
 * process_vm_*, pidfd_*, kcmp; io_uring, bpf, userfaultfd, perf_event_open, keyctl, add_key; mount,
 * pivot_root, chroot, unshare, setns; memfd_create (memory outside the address-space limit); SysV and
 * POSIX IPC; splice, vmsplice and tee; set*id, capset, prctl but to name a thread; seccomp, landlock;
 * sched_set*, setpriority, mbind; timers with a file or signal of their own; name_to_handle_at;
 * mknod; chown but of what is one's own.
 */
#include "sandbox/seccomp_table.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/socket.h>

#define INT 0xffffffffu
#define IS(index, value) {(index), INT, (value)}
#define IS_BESIDE(index, flags, value) {(index), INT & ~(unsigned)(flags), (value)}
#define HAS_NOT(index, flags) {(index), (flags), 0}
#define IS_NULL(index) {(index), ~0ull, 0}
/* One of `count` values from `first` on: a power of two, and a multiple of it. */
#define IS_AMONG(index, first, count) {(index), ~((count) - 1ull), (first)}
#define ALLOW(name) {.call = (name), .action = SECCOMP_ALLOW}
#define PATH(name) {.call = (name), .action = SECCOMP_PATH}
#define OPEN_PATH(name) {.call = (name), .action = SECCOMP_OPEN_PATH}
#define OWN(name) {.call = (name), .action = SECCOMP_OWN}
#define OWN_PATH(name) {.call = (name), .action = SECCOMP_OWN_PATH}
#define ID(name) {.call = (name), .action = SECCOMP_ID}
#define ALLOW_IF(name, ...) {.call = (name), .action = SECCOMP_ALLOW, .conditions = {__VA_ARGS__}}
#define KILL_IF(name, ...) {.call = (name), .action = SECCOMP_KILL, .conditions = {__VA_ARGS__}}
#define NOTHING(name) {.call = (name), .action = SECCOMP_NOTHING}
#define NOTHING_IF(name, ...) {.call = (name), .action = SECCOMP_NOTHING, .conditions = {__VA_ARGS__}}
#define ABSENT(name) {.call = (name), .action = SECCOMP_ABSENT}
#define UNSUPPORTED(name) {.call = (name), .action = SECCOMP_UNSUPPORTED}

/* What glibc's pthread_create() passes, 2.34 and later, to the bit. */
#define THREAD_FLAGS                                                                                       \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |     \
     CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

/* To oneself, all 64 signals but SIGKILL, which is 9, in blocks that a mask can tell. Each is compared over the
 * whole argument: junk above a 9 must not make another signal of it, since the kernel sees SIGKILL. */
#define ALLOW_SIGNALS(name, index)                                                                         \
    ALLOW_IF(name, IS(0, SECCOMP_SELF), IS_AMONG(index, 0, 8)),                                            \
        ALLOW_IF(name, IS(0, SECCOMP_SELF), IS_AMONG(index, 8, 1)),                                        \
        ALLOW_IF(name, IS(0, SECCOMP_SELF), IS_AMONG(index, 10, 2)),                                       \
        ALLOW_IF(name, IS(0, SECCOMP_SELF), IS_AMONG(index, 12, 4)),                                       \
        ALLOW_IF(name, IS(0, SECCOMP_SELF), IS_AMONG(index, 16, 16)),                                      \
        ALLOW_IF(name, IS(0, SECCOMP_SELF), IS_AMONG(index, 32, 32)),                                      \
        ALLOW_IF(name, IS(0, SECCOMP_SELF), IS_AMONG(index, 64, 1))

const struct seccomp_rule seccomp_rules[] = {
    /* Files: the mounts say what is there and what can be written. */
    PATH("open"), PATH("openat"), ALLOW("close"), ALLOW("close_range"), ALLOW("read"),
    ALLOW("write"), ALLOW("readv"), ALLOW("writev"), ALLOW("pread64"), ALLOW("pwrite64"), ALLOW("preadv"),
    ALLOW("pwritev"), ALLOW("preadv2"), ALLOW("pwritev2"), ALLOW("lseek"), PATH("stat"), PATH("lstat"),
    ALLOW("fstat"), PATH("newfstatat"), PATH("statx"), PATH("statfs"), ALLOW("fstatfs"), PATH("access"),
    PATH("faccessat"), PATH("faccessat2"), PATH("readlink"), PATH("readlinkat"), ALLOW("getdents64"),
    PATH("getcwd"), PATH("chdir"), ALLOW("fchdir"), PATH("mkdir"), PATH("mkdirat"), PATH("rmdir"),
    PATH("unlink"), PATH("unlinkat"), PATH("rename"), PATH("renameat"), PATH("renameat2"),
    PATH("link"), PATH("linkat"), PATH("symlink"), PATH("symlinkat"),
    ALLOW("ftruncate"), ALLOW("fallocate"), ALLOW("fsync"), ALLOW("fdatasync"),
    ALLOW("umask"), ALLOW("fchown"), ALLOW("fadvise64"), ALLOW("sendfile"), ALLOW("copy_file_range"),
    /* Landlock knows it from version 3 on; before, only that a file is opened for writing. */
    OPEN_PATH("truncate"),
    /* Landlock does not know these (landlock(7)): with the service's user id a script could open its files to others,
     * or close its neighbours' folders to them. */
    OWN_PATH("utimensat"), OWN_PATH("utimes"), OWN_PATH("chmod"), OWN("fchmod"), OWN_PATH("fchmodat"),
    /* sqlite asks for fchown; shutil.copy2 wants to hear that there are no extended attributes. */
    UNSUPPORTED("listxattr"), UNSUPPORTED("llistxattr"), UNSUPPORTED("flistxattr"), UNSUPPORTED("getxattr"),
    UNSUPPORTED("lgetxattr"), UNSUPPORTED("fgetxattr"),

    /* Descriptors. Of fcntl not the commands that aim signals at others, take leases or use up the
     * user's share of pipe memory; of ioctl the ones that Python's files and sockets ask for. */
    ALLOW("dup"), ALLOW("dup2"), ALLOW("dup3"), ALLOW("pipe"), ALLOW("pipe2"), ALLOW("eventfd2"),
    ALLOW_IF("fcntl", IS(1, F_DUPFD)), ALLOW_IF("fcntl", IS(1, F_DUPFD_CLOEXEC)),
    ALLOW_IF("fcntl", IS(1, F_GETFD)), ALLOW_IF("fcntl", IS(1, F_SETFD)),
    ALLOW_IF("fcntl", IS(1, F_GETFL)), ALLOW_IF("fcntl", IS(1, F_SETFL)),
    ALLOW_IF("fcntl", IS(1, F_GETLK)), ALLOW_IF("fcntl", IS(1, F_GETPIPE_SZ)),
    ALLOW_IF("ioctl", IS(1, TCGETS)), ALLOW_IF("ioctl", IS(1, TIOCGWINSZ)),
    ALLOW_IF("ioctl", IS(1, FIONREAD)), ALLOW_IF("ioctl", IS(1, FIONBIO)),
    ALLOW_IF("ioctl", IS(1, FIOCLEX)), ALLOW_IF("ioctl", IS(1, FIONCLEX)),

    /* Locks: one process is the job, so there is nobody to keep out, and every lock is granted without being
     * taken. A real one on a file of the runtime would be seen by other workers and hold up programs of the host. */
    NOTHING("flock"), NOTHING_IF("fcntl", IS(1, F_SETLK)), NOTHING_IF("fcntl", IS(1, F_SETLKW)),

    /* Waiting: select, selectors, asyncio. */
    ALLOW("poll"), ALLOW("ppoll"), ALLOW("select"), ALLOW("pselect6"),
    ALLOW("epoll_create1"), ALLOW("epoll_ctl"), ALLOW("epoll_wait"), ALLOW("epoll_pwait"),
    ABSENT("epoll_pwait2"),

    /* asyncio's self-pipe is a pair of unnamed stream sockets. A datagram pair could address other
     * sockets of the host; MSG_OOB on such a pair was a kernel bug in 2025. The worker receives its
     * job over recvmsg. */
    ALLOW_IF("socketpair", IS(0, AF_UNIX), IS_BESIDE(1, SOCK_CLOEXEC | SOCK_NONBLOCK, SOCK_STREAM),
             IS(2, 0)),
    ALLOW_IF("sendto", IS_NULL(4), HAS_NOT(3, MSG_OOB)), ALLOW_IF("recvfrom", HAS_NOT(3, MSG_OOB)),
    ALLOW_IF("recvmsg", HAS_NOT(2, MSG_OOB)), ALLOW("shutdown"), ALLOW("getsockopt"), ALLOW("getsockname"),
    ALLOW("getpeername"),

    /* Memory: bounded by RLIMIT_AS. Executable pages are allowed, since ctypes callbacks and imports
     * need them and native code is what a script is taken for in the first place. */
    ALLOW("brk"), ALLOW("mmap"), ALLOW("munmap"), ALLOW("mremap"), ALLOW("mprotect"), ALLOW("madvise"),
    ALLOW("msync"), ALLOW("membarrier"),

    /* Threads of one's own process. The flags of clone3 lie behind a pointer that no filter can
     * follow, so glibc is told to use clone. pthread_getattr_np() asks for the affinity of a thread by
     * its number. */
    ALLOW_IF("clone", IS(0, THREAD_FLAGS)), ABSENT("clone3"), ALLOW("futex"), ALLOW("set_robust_list"),
    ALLOW("rseq"), ALLOW("gettid"), ALLOW("sched_yield"), ALLOW("sched_getaffinity"),
    ALLOW("getcpu"), ALLOW("exit"), ALLOW("exit_group"),

    /* Signals to oneself. Process 1 of a pid namespace survives its own SIGKILL (pid_namespaces(7)); the
     * filter ends it in the kernel's stead. */
    ALLOW("rt_sigaction"), ALLOW("rt_sigprocmask"), ALLOW("rt_sigreturn"), ALLOW("rt_sigpending"),
    ALLOW("rt_sigtimedwait"), ALLOW("sigaltstack"), ALLOW("pause"),
    ALLOW("restart_syscall"),
    ALLOW_SIGNALS("kill", 1),
    KILL_IF("kill", IS(0, SECCOMP_SELF), IS(1, SIGKILL)),
    ALLOW_SIGNALS("tgkill", 2),
    KILL_IF("tgkill", IS(0, SECCOMP_SELF), IS(2, SIGKILL)),

    /* Time. */
    ALLOW("clock_gettime"), ALLOW("clock_getres"), ALLOW("clock_nanosleep"), ALLOW("nanosleep"),
    ALLOW("gettimeofday"), ALLOW("time"), ALLOW("alarm"), ALLOW("setitimer"), ALLOW("getitimer"),
    ALLOW("times"),

    /* What a process may know of itself and its machine. */
    ALLOW("getpid"), ALLOW("getppid"), ID("getuid"), ID("geteuid"), ID("getgid"), ID("getegid"),
    ID("getresuid"), ID("getresgid"), ID("getgroups"), ALLOW("getpgrp"), ID("uname"),
    ALLOW("sysinfo"), ALLOW("getrusage"), ALLOW("getrlimit"), ALLOW("setrlimit"),
    ALLOW_IF("prlimit64", IS(0, 0)), ALLOW("getrandom"),
    ALLOW_IF("getpriority", IS(0, 0), IS(1, 0)),
    ALLOW_IF("prctl", IS(0, PR_SET_NAME)), ALLOW_IF("prctl", IS(0, PR_GET_NAME)),
    ALLOW_IF("prctl", IS(0, PR_SET_VMA)), ALLOW_IF("prctl", IS(0, PR_GET_DUMPABLE)),
    ALLOW_IF("prctl", IS(0, PR_GET_NO_NEW_PRIVS)),

    /* Newer calls that libraries try first and can do without. */
    ABSENT("openat2"), ABSENT("fchmodat2"), ABSENT("futex_waitv"), ABSENT("cachestat"),
};
const size_t seccomp_rule_count = sizeof seccomp_rules / sizeof seccomp_rules[0];
