/* What the server may ask of the kernel, and why.
 *
 * Everything not named here fails with EPERM, which the C library bears: it opens /etc/localtime and reads
 * files of /sys and /proc where nobody would expect it. What no library below the server ever does, and an
 * intruder does first, ends the process instead: he must come in again, into another address layout, and
 * the manager's log says so (signal 31).
 *
 * Deliberately not here: open in any form, and every call that takes a path; clone, fork and threads (libuv
 * starts its own only for files and names); signals to others; descriptors made out of nothing but a
 * connection accepted, an unnamed stream pair, a pipe; executable pages; io_uring, which a newer libuv
 * asks for and can do without; sendfile and splice; memfd_create; prctl; anything about users.
 */
#include "server/confine_table.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* As in src/sandbox/seccomp_table.c: the kernel takes these arguments as int, and so must we. */
#define INT 0xffffffffu
#define IS(index, value) {(index), INT, (value)}
#define IS_BESIDE(index, flags, value) {(index), INT & ~(unsigned)(flags), (value)}
#define HAS(index, flag) {(index), (flag), (flag)}
#define HAS_NOT(index, flags) {(index), (flags), 0}
#define IS_NULL(index) {(index), ~0ull, 0}
#define ALLOW(name) {.call = (name), .action = SECCOMP_ALLOW}
#define ALLOW_IF(name, ...) {.call = (name), .action = SECCOMP_ALLOW, .conditions = {__VA_ARGS__}}
#define ABSENT(name) {.call = (name), .action = SECCOMP_ABSENT}
#define KILL(name) {.call = (name), .action = SECCOMP_KILL}
#define KILL_IF(name, ...) {.call = (name), .action = SECCOMP_KILL, .conditions = {__VA_ARGS__}}

const struct seccomp_rule confine_rules[] = {
    /* The loop of libuv and the daemon of libmicrohttpd, each with an epoll of its own. libuv sets
     * descriptors non-blocking by ioctl, reads the kernel's version, and has a pipe and an eventfd for
     * wakening itself. */
    ALLOW("epoll_create1"), ALLOW("epoll_ctl"), ALLOW("epoll_wait"), ALLOW("epoll_pwait"), ABSENT("epoll_pwait2"),
    ALLOW("eventfd2"), ALLOW_IF("ioctl", IS(1, FIONBIO)), ALLOW("uname"), ABSENT("io_uring_setup"),

    /* Clients: accepted, read, answered, ended. MSG_FASTOPEN is connect() in disguise: shutdown() unlistens
     * the listening socket, and sendmsg() with an address would then call out. MSG_OOB has been a kernel bug
     * on stream pairs. Of options the two that the library sets on a connection. */
    ALLOW("accept4"), ALLOW_IF("recvfrom", HAS_NOT(3, MSG_OOB), IS_NULL(4)), ALLOW("shutdown"),
    ALLOW_IF("sendto", HAS_NOT(3, MSG_OOB | MSG_FASTOPEN), IS_NULL(4)),
    ALLOW_IF("sendmsg", HAS_NOT(2, MSG_OOB | MSG_FASTOPEN)),
    ALLOW_IF("setsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)),
    ALLOW_IF("setsockopt", IS(1, IPPROTO_TCP), IS(2, TCP_CORK)), ALLOW_IF("getsockopt", IS(1, SOL_SOCKET)),
    ALLOW("getsockname"), ALLOW("getpeername"),

    /* Jobs: a channel and two pipes each, handed to the zygote by sendmsg(); what the manager says, with the
     * channels of zygotes, comes by recvmsg(). A datagram pair could address other sockets of the host, a
     * notification pipe (O_EXCL) listens to the kernel's keys. */
    ALLOW_IF("socketpair", IS(0, AF_UNIX), IS_BESIDE(1, SOCK_CLOEXEC | SOCK_NONBLOCK, SOCK_STREAM), IS(2, 0)),
    ALLOW_IF("pipe2", IS_BESIDE(1, O_CLOEXEC | O_NONBLOCK, 0)), ALLOW_IF("recvmsg", HAS_NOT(2, MSG_OOB)),
    ALLOW("read"), ALLOW("write"), ALLOW("readv"), ALLOW("writev"), ALLOW("close"),
    ALLOW_IF("fcntl", IS(1, F_GETFL)), ALLOW_IF("fcntl", IS(1, F_SETFL)), ALLOW_IF("fcntl", IS(1, F_GETFD)),
    ALLOW_IF("fcntl", IS(1, F_SETFD)),

    /* The log, which is looked at before it is written to where it would block (log_write()). */
    ALLOW("poll"), ALLOW("ppoll"),

    /* Memory, for malloc, and never a page to execute from: what an intruder brings stays data. */
    ALLOW("brk"), ALLOW("munmap"), ALLOW("mremap"), ALLOW_IF("mmap", HAS_NOT(2, PROT_EXEC)),
    ALLOW_IF("mprotect", HAS_NOT(2, PROT_EXEC)), ALLOW_IF("madvise", IS(2, MADV_DONTNEED)),
    KILL_IF("mmap", HAS(2, PROT_EXEC)), KILL_IF("mprotect", HAS(2, PROT_EXEC)), KILL("pkey_mprotect"),

    /* Time, where the vDSO does not answer; the limit of descriptors; once-only initialisers, which wake
     * nobody. */
    ALLOW("clock_gettime"), ALLOW("clock_getres"), ALLOW("gettimeofday"), ALLOW("time"), ALLOW("getrandom"),
    ALLOW_IF("prlimit64", IS(0, 0), IS_NULL(2)), ALLOW("getrlimit"), ALLOW("futex"),

    /* What this process has used, for GET /metrics. */
    ALLOW_IF("getrusage", IS(0, RUSAGE_SELF)),

    /* Its end, also by assert() and abort(), which sends itself SIGABRT; AddressSanitizer asks for the stack of
     * its signal handlers before every end. */
    ALLOW("exit"), ALLOW("exit_group"), ALLOW("getpid"), ALLOW("gettid"), ALLOW("rt_sigprocmask"), ALLOW("rt_sigaction"),
    ALLOW("rt_sigreturn"), ALLOW("sigaltstack"), ALLOW("restart_syscall"),
    ALLOW_IF("tgkill", IS(0, SECCOMP_SELF), IS(2, SIGABRT)),

    /* Nothing innocent ever gets here. */
    KILL("execve"), KILL("execveat"), KILL("socket"), KILL("connect"), KILL("bind"), KILL("ptrace"),
    KILL("process_vm_readv"), KILL("process_vm_writev"), KILL("bpf"), KILL("userfaultfd"), KILL("unshare"), KILL("setns"),
    KILL("mount"), KILL("keyctl"), KILL("add_key"), KILL("init_module"), KILL("finit_module"),
};
const size_t confine_rule_count = sizeof confine_rules / sizeof confine_rules[0];
