/* server/confine: what code that runs in the confined server can still do. Each attempt is made in a child
 * that has confined itself, as root and as an ordinary user; it stands for an intruder's code. */
#include "child.h"

#include "server/confine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { ORDINARY_USER = 1987654321, LISTENER = 40, FOLDER, CONNECTION, PIPE };

/* --- The scene --- */

static struct isolation layers;
static char outside[] = "/tmp/test_confine-outside"; /* no one makes it; it must not be there afterwards */
static struct sockaddr_in address = {.sin_family = AF_INET};

/* What the server has open, and a folder besides, as if one had been forgotten. */
static void open_what_there_is(void) {
    socklen_t size = sizeof address;
    int pair[2], ends[2];
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 5) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0 && dup2(listener, LISTENER) == LISTENER);
    CHECK(dup2(open("/etc", O_RDONLY | O_DIRECTORY), FOLDER) == FOLDER);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && dup2(pair[0], CONNECTION) == CONNECTION);
    CHECK(pipe(ends) == 0 && dup2(ends[1], PIPE) == PIPE);
}

static void become_ordinary(void) {
    CHECK(setresgid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER) == 0);
    CHECK(setresuid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER) == 0);
    CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0); /* as exec leaves it */
}

static void stay(void) {
}

static void confine(void) {
    struct failure failure = {0};
    if (confine_server(&layers, &failure) == 0)
        return;
    fprintf(stderr, "# %s: %s\n", failure.stage, failure.text);
    _exit(255);
}

/* --- Attempts --- */

enum end { REFUSED, ENDED }; /* EPERM or ENOSYS; by SIGSYS */

struct attempt {
    const char *name;
    enum end end;
    long number;
    long arguments[6];
};

#define TEXT(text) (long)(text)
#define AT(object) (long)(&(object))

static char page[4096] __attribute__((aligned(4096)));
static char *const arguments[] = {(char[]){"true"}, NULL};
static struct iovec vector = {page, sizeof page};
static struct msghdr to_address = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &vector, .msg_iovlen = 1};
static struct rlimit much = {1 << 20, 1 << 20};
static uint64_t how[3] = {O_RDONLY};
static uint64_t clone_arguments[8] = {0, 0, 0, 0, SIGCHLD};
static int one = 1;

static const struct attempt attempts[] = {
    {"openat", REFUSED, SYS_openat, {AT_FDCWD, TEXT("/etc/passwd"), O_RDONLY}},
    {"openat of its own environment", REFUSED, SYS_openat, {AT_FDCWD, TEXT("/proc/self/environ"), O_RDONLY}},
    {"openat of a folder", REFUSED, SYS_openat, {AT_FDCWD, TEXT("/"), O_RDONLY | O_DIRECTORY}},
    {"openat by descriptor", REFUSED, SYS_openat, {FOLDER, TEXT("passwd"), O_RDONLY}},
    {"openat to make a file", REFUSED, SYS_openat, {AT_FDCWD, TEXT(outside), O_WRONLY | O_CREAT, 0600}},
    {"openat2", REFUSED, SYS_openat2, {AT_FDCWD, TEXT("/etc/passwd"), TEXT(how), sizeof how}},
    {"getdents64", REFUSED, SYS_getdents64, {FOLDER, TEXT(page), sizeof page}},
    {"newfstatat", REFUSED, SYS_newfstatat, {AT_FDCWD, TEXT("/etc/passwd"), TEXT(page), 0}},
    {"readlinkat", REFUSED, SYS_readlinkat, {AT_FDCWD, TEXT("/proc/self/exe"), TEXT(page), sizeof page}},
    {"faccessat", REFUSED, SYS_faccessat, {AT_FDCWD, TEXT("/etc/passwd"), R_OK}},
    {"mkdirat", REFUSED, SYS_mkdirat, {AT_FDCWD, TEXT(outside), 0700}},
    {"mknodat", REFUSED, SYS_mknodat, {AT_FDCWD, TEXT(outside), S_IFIFO | 0600, 0}},
    {"unlinkat", REFUSED, SYS_unlinkat, {AT_FDCWD, TEXT(outside), 0}},
    {"chdir", REFUSED, SYS_chdir, {TEXT("/")}},
    {"fchdir", REFUSED, SYS_fchdir, {FOLDER}},
    {"chroot", REFUSED, SYS_chroot, {TEXT(".")}},
    {"memfd_create", REFUSED, SYS_memfd_create, {TEXT("x"), 0}},
    {"fchmod", REFUSED, SYS_fchmod, {FOLDER, 0755}},

    {"execve", ENDED, SYS_execve, {TEXT("/bin/true"), TEXT(arguments), 0}},
    {"execveat", ENDED, SYS_execveat, {FOLDER, TEXT("../bin/true"), TEXT(arguments), 0, 0}},
    {"clone", REFUSED, SYS_clone, {SIGCHLD}},
    {"clone of a thread", REFUSED, SYS_clone,
     {CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, TEXT(page + sizeof page)}},
    {"clone3", REFUSED, SYS_clone3, {TEXT(clone_arguments), sizeof clone_arguments}},
    {"mmap of code", ENDED, SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
    {"mprotect to code", ENDED, SYS_mprotect, {TEXT(page), sizeof page, PROT_READ | PROT_EXEC}},
    {"pkey_mprotect to code", ENDED, SYS_pkey_mprotect, {TEXT(page), sizeof page, PROT_READ | PROT_EXEC, -1}},
    {"personality", REFUSED, SYS_personality, {0x0400000}},

    {"socket", ENDED, SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"socket of the host", ENDED, SYS_socket, {AF_UNIX, SOCK_DGRAM, 0}},
    {"connect", ENDED, SYS_connect, {CONNECTION, AT(address), sizeof address}},
    {"bind", ENDED, SYS_bind, {CONNECTION, AT(address), sizeof address}},
    {"socketpair of datagrams", REFUSED, SYS_socketpair, {AF_UNIX, SOCK_DGRAM, 0, TEXT(page)}},
    {"sendto with an address", REFUSED, SYS_sendto, {CONNECTION, TEXT("x"), 1, MSG_NOSIGNAL, AT(address), sizeof address}},
    {"sendmsg that connects", REFUSED, SYS_sendmsg, {LISTENER, AT(to_address), MSG_FASTOPEN | MSG_NOSIGNAL}},
    {"setsockopt", REFUSED, SYS_setsockopt, {LISTENER, IPPROTO_TCP, TCP_FASTOPEN, AT(one), sizeof one}},
    {"setsockopt of a filter", REFUSED, SYS_setsockopt, {LISTENER, SOL_SOCKET, SO_REUSEPORT, AT(one), sizeof one}},
    {"ioctl", REFUSED, SYS_ioctl, {LISTENER, FIONREAD, TEXT(page)}},
    {"fcntl that aims signals", REFUSED, SYS_fcntl, {CONNECTION, F_SETOWN, 1}},
    {"pipe2 for notifications", REFUSED, SYS_pipe2, {TEXT(page), O_EXCL}},
    {"dup3", REFUSED, SYS_dup3, {CONNECTION, 60, 0}},

    {"kill of everybody's", REFUSED, SYS_kill, {1, 0}},
    {"ptrace", ENDED, SYS_ptrace, {PTRACE_TRACEME}},
    {"process_vm_readv", ENDED, SYS_process_vm_readv, {1, AT(vector), 1, AT(vector), 1, 0}},
    {"prlimit64 of its own", REFUSED, SYS_prlimit64, {0, RLIMIT_NPROC, AT(much), 0}},
    {"pidfd_open", REFUSED, SYS_pidfd_open, {1, 0}},
    {"prctl", REFUSED, SYS_prctl, {PR_SET_DUMPABLE, 1}},
    {"setresuid", REFUSED, SYS_setresuid, {0, 0, 0}},
    {"unshare", ENDED, SYS_unshare, {CLONE_NEWUSER}},
    {"setns", ENDED, SYS_setns, {FOLDER, 0}},
    {"mount", ENDED, SYS_mount, {TEXT("x"), TEXT("/"), TEXT("tmpfs"), 0, 0}},
    {"io_uring_setup", REFUSED, SYS_io_uring_setup, {8, TEXT(page)}},
    {"bpf", ENDED, SYS_bpf, {0, TEXT(page), 64}},
    {"seccomp", REFUSED, SYS_seccomp, {SECCOMP_GET_ACTION_AVAIL, 0, TEXT(page)}},
    {"perf_event_open", REFUSED, SYS_perf_event_open, {TEXT(page), 0, -1, -1, 0}},
    {"shmget", REFUSED, SYS_shmget, {0, 4096, 01600}},
    {"inotify_init1", REFUSED, SYS_inotify_init1, {0}},
    {"sysinfo", REFUSED, SYS_sysinfo, {TEXT(page)}},
#ifdef SYS_open
    {"open", REFUSED, SYS_open, {TEXT("/etc/passwd"), O_RDONLY}},
    {"mkdir", REFUSED, SYS_mkdir, {TEXT(outside), 0700}},
    {"fork", REFUSED, SYS_fork, {0}},
    {"vfork", REFUSED, SYS_vfork, {0}},
#endif
};

/* In a child: 0 where it was refused as it should be, or the errno, or 254 where it worked. */
static int try(const struct attempt *attempt, void (*become)(void)) {
    const long *a = attempt->arguments;
    become();
    open_what_there_is();
    confine();
    if (syscall(attempt->number, a[0], a[1], a[2], a[3], a[4], a[5]) >= 0)
        return 254;
    return errno == EPERM || errno == ENOSYS ? 0 : errno;
}

static void try_all(void (*become)(void)) {
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        int status = -1;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            _exit(try(&attempts[i], become));
        if (child < 0 || waitpid(child, &status, 0) != child)
            fail_msg("no child");
        bool good = attempts[i].end == ENDED ? WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS : status == 0;
        if (!good)
            fail_msg("%s: status %x", attempts[i].name, (unsigned)status);
    }
    assert_true(access(outside, F_OK) < 0);
}

static void test_an_intruder_as_root(void **state) {
    (void)state;
    need_root("confines a process of root's");
    try_all(stay);
}

static void test_an_intruder_as_an_ordinary_user(void **state) {
    (void)state;
    try_all(geteuid() == 0 ? become_ordinary : stay);
}

/* --- Signals --- */

/* The parent is of the same user: only the confinement stands between. */
static void signal_the_parent(void (*become)(void)) {
    become();
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        confine();
        CHECK(kill(parent, 0) < 0 && errno == EPERM);
        CHECK(kill(parent, SIGKILL) < 0 && errno == EPERM);
        CHECK(kill(-1, 0) < 0 && errno == EPERM);
        CHECK(syscall(SYS_tgkill, parent, parent, SIGABRT) < 0 && errno == EPERM);
        CHECK(syscall(SYS_tgkill, getpid(), getpid(), SIGKILL) < 0 && errno == EPERM);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void signal_as_is(void) {
    signal_the_parent(stay);
}

static void signal_as_ordinary_user(void) {
    signal_the_parent(geteuid() == 0 ? become_ordinary : stay);
}

static void test_no_signal_to_anybody_else(void **state) {
    (void)state;
    in_child(signal_as_is);
    in_child(signal_as_ordinary_user);
}

static void abort_confined(void) {
    signal(SIGABRT, SIG_DFL); /* cmocka has a handler of its own */
    confine();
    abort();
}

static void test_abort_is_an_abort(void **state) {
    (void)state;
    int status = status_of(abort_confined);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* --- From outside --- */

static void see_from_outside(void (*become)(void)) {
    char path[64], text[4096];
    int ends[2], told[2];
    CHECK(pipe(ends) == 0 && pipe(told) == 0);
    pid_t child = fork();
    if (child == 0) {
        become();
        confine();
        CHECK(write(told[1], &layers, sizeof layers) == sizeof layers);
        _exit(read(ends[0], text, 1) == 1 ? 0 : 1);
    }
    CHECK(read(told[0], &layers, sizeof layers) == sizeof layers);
    snprintf(path, sizeof path, "/proc/%d/status", (int)child);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    CHECK(strstr(text, "Seccomp:\t2\n") != NULL);
    CHECK(strstr(text, "NoNewPrivs:") == NULL || strstr(text, "NoNewPrivs:\t1\n") != NULL); /* gVisor does not say */
    CHECK(strstr(text, "CapEff:\t0000000000000000\n") != NULL && strstr(text, "CapPrm:\t0000000000000000\n") != NULL);
    CHECK(strstr(text, "CapInh:\t0000000000000000\n") != NULL);
    CHECK(strstr(text, "CapAmb:") == NULL || strstr(text, "CapAmb:\t0000000000000000\n") != NULL);
    snprintf(path, sizeof path, "/proc/%d/root/etc", (int)child);
    bool chrooted = layers.layers[LAYER_CHROOT].status == LAYER_ACTIVE;
    CHECK(!chrooted || access(path, F_OK) < 0);
    CHECK(write(ends[1], "x", 1) == 1);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    for (unsigned i = 0; i < LAYER_COUNT; i++)
        if (*layers.layers[i].detail != '\0')
            printf("# %s: %s%s\n", layer_name(i), layers.layers[i].status == LAYER_ACTIVE ? "" : "not: ", layers.layers[i].detail);
    fflush(stdout);
}

static void see_as_is(void) {
    see_from_outside(stay);
    CHECK(geteuid() != 0 || layers.layers[LAYER_CHROOT].status == LAYER_ACTIVE);
}

static void see_as_ordinary_user(void) {
    see_from_outside(geteuid() == 0 ? become_ordinary : stay);
}

static void test_what_the_kernel_says_of_it(void **state) {
    (void)state;
    in_child(see_as_is);
    in_child(see_as_ordinary_user);
}

/* --- What it needs --- */

static void work(void) {
    int pair[2], ends[2];
    char got[8];
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    open_what_there_is();
    int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0);
    confine();
    int accepted = accept4(LISTENER, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    CHECK(accepted >= 0 && send(accepted, "hello", 5, MSG_NOSIGNAL) == 5 && recv(client, got, 5, 0) == 5);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 && pipe2(ends, O_CLOEXEC) == 0);
    char *block = malloc(64 << 20);
    CHECK(block != NULL);
    memset(block, 1, 64 << 20);
    CHECK((block = realloc(block, 128 << 20)) != NULL);
    free(block);
    CHECK(write(STDERR_FILENO, "# a line of the log\n", 20) == 20);
}

static void test_it_can_work(void **state) {
    (void)state;
    in_child(work);
}

static void log_to_a_file(void) {
    char path[] = "/tmp/test_confine-log-XXXXXX";
    int file = mkstemp(path);
    CHECK(unlink(path) == 0);
    CHECK(file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    confine();
    _exit(write(STDERR_FILENO, "line\n", 5) == 5 ? 0 : 1);
}

static void test_a_log_that_is_a_file_goes_on(void **state) {
    (void)state;
    in_child(log_to_a_file);
}

/* --- Platforms that grant less --- */

/* The kernel answers these calls as a poorer platform would. */
static void refuse(const long *calls, size_t count, unsigned error) {
    struct sock_filter code[16] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    unsigned short n = 1;
    for (size_t i = 0; i < count; i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {n, code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void with_the_filter_alone(void) {
    static const long calls[] = {SYS_unshare, SYS_chroot, SYS_landlock_create_ruleset, SYS_prlimit64};
    refuse(calls, 4, EPERM);
    confine();
    for (unsigned i = 0; i < LAYER_COUNT; i++)
        CHECK((layers.layers[i].status == LAYER_ACTIVE) == (i == LAYER_SECCOMP || i == LAYER_IDENTITY));
    CHECK(layers.layers[LAYER_CHROOT].error == EPERM && layers.layers[LAYER_USER].error == EPERM);
    CHECK(open("/etc/passwd", O_RDONLY) < 0 && errno == EPERM);
    CHECK(fork() < 0);
}

static void test_the_filter_alone_is_enough_to_begin(void **state) {
    (void)state;
    in_child(with_the_filter_alone);
}

static void without_the_filter(void) {
    static const long calls[] = {SYS_seccomp};
    struct failure failure = {0};
    refuse(calls, 1, EACCES);
    CHECK(confine_server(&layers, &failure) < 0);
    CHECK(failure.error > 0 && strcmp(failure.stage, "seccomp") == 0 && *failure.text != '\0');
}

static void test_without_the_filter_it_fails(void **state) {
    (void)state;
    in_child(without_the_filter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_intruder_as_root),
        cmocka_unit_test(test_an_intruder_as_an_ordinary_user),
        cmocka_unit_test(test_no_signal_to_anybody_else),
        cmocka_unit_test(test_abort_is_an_abort),
        cmocka_unit_test(test_what_the_kernel_says_of_it),
        cmocka_unit_test(test_it_can_work),
        cmocka_unit_test(test_a_log_that_is_a_file_goes_on),
        cmocka_unit_test(test_the_filter_alone_is_enough_to_begin),
        cmocka_unit_test(test_without_the_filter_it_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
