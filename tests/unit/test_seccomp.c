/* sandbox/seccomp: the filter as a process feels it. Each call is made in a child behind the filter. */
#include "unit.h"

#include "sandbox/seccomp.h"
#include "sandbox/seccomp_table.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct seccomp_program program;

static int prepare(void **state) {
    struct failure failure;
    (void)state;
    return seccomp_prepare(&program, &failure);
}

static int release(void **state) {
    (void)state;
    seccomp_done(&program);
    return 0;
}

/* The wait status of a child that runs `body` behind the filter and exits with what it returns. */
static int behind(int (*body)(const void *), const void *argument) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct failure failure;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_enter(&program, &failure) < 0)
            _exit(255);
        _exit(body(argument));
    }
    waitpid(child, &status, 0);
    return status;
}

struct call {
    const char *name;
    long number;
    long arguments[5];
    int expected; /* errno, 0 where it must work or fail for another reason than the filter */
};

static int make_call(const void *argument) {
    const struct call *call = argument;
    const long *a = call->arguments;
    errno = 0;
    long r = syscall(call->number, a[0], a[1], a[2], a[3], a[4]);
    return r < 0 ? errno : 0;
}

static void assert_calls(const struct call *calls, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int status = behind(make_call, &calls[i]);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != calls[i].expected)
            fail_msg("%s: status %x, errno %d expected", calls[i].name, (unsigned)status, calls[i].expected);
    }
}

static void test_denied(void **state) {
    static const struct call calls[] = {
        {"fork", SYS_clone, {SIGCHLD}, EPERM},
        {"vfork", SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}, EPERM},
        {"clone into a user namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD}, EPERM},
        {"a thread in a user namespace", SYS_clone, {0x3d0f00 | CLONE_NEWUSER}, EPERM},
        {"clone3", SYS_clone3, {0}, ENOSYS},
        {"openat2", SYS_openat2, {0}, ENOSYS},
        {"execve", SYS_execve, {0}, EPERM},
        {"execveat", SYS_execveat, {0}, EPERM},
        {"sendmsg", SYS_sendmsg, {0}, EPERM},
        {"bind", SYS_bind, {0}, EPERM},
        {"connect", SYS_connect, {0}, EPERM},
        {"ptrace", SYS_ptrace, {0}, EPERM},
        {"process_vm_readv", SYS_process_vm_readv, {1}, EPERM},
        {"mount", SYS_mount, {0}, EPERM},
        {"unshare", SYS_unshare, {0}, EPERM},
        {"setns", SYS_setns, {0}, EPERM},
        {"chroot", SYS_chroot, {0}, EPERM},
        {"memfd_create", SYS_memfd_create, {0}, EPERM},
        {"keyctl", SYS_keyctl, {0}, EPERM},
        {"bpf", SYS_bpf, {0}, EPERM},
        {"io_uring_setup", SYS_io_uring_setup, {1}, EPERM},
        {"userfaultfd", SYS_userfaultfd, {0}, EPERM},
        {"perf_event_open", SYS_perf_event_open, {0}, EPERM},
        {"shmget", SYS_shmget, {0}, EPERM},
        {"mq_open", SYS_mq_open, {0}, EPERM},
        {"seccomp", SYS_seccomp, {0}, EPERM},
        {"setpriority", SYS_setpriority, {0}, EPERM},
        {"sched_setaffinity", SYS_sched_setaffinity, {0}, EPERM},
        {"PR_SET_DUMPABLE", SYS_prctl, {PR_SET_DUMPABLE, 1}, EPERM},
        {"PR_SET_PDEATHSIG", SYS_prctl, {PR_SET_PDEATHSIG, 0}, EPERM},
        {"prlimit64 of another", SYS_prlimit64, {1, 0}, EPERM},
        {"kill of process 1", SYS_kill, {1, 0}, EPERM},
        {"kill of the group", SYS_kill, {0, 0}, EPERM},
        {"kill of all", SYS_kill, {-1, 0}, EPERM},
        {"tgkill of process 1", SYS_tgkill, {1, 1, 0}, EPERM},
        {"F_SETOWN", SYS_fcntl, {0, F_SETOWN}, EPERM},
        {"F_SETLEASE", SYS_fcntl, {0, F_SETLEASE}, EPERM},
        {"F_SETPIPE_SZ", SYS_fcntl, {0, F_SETPIPE_SZ}, EPERM},
        {"F_NOTIFY", SYS_fcntl, {0, F_NOTIFY}, EPERM},
        {"F_NOTIFY with junk above", SYS_fcntl, {0, F_NOTIFY | 0x100000000}, EPERM},
        {"TIOCSTI", SYS_ioctl, {0, TIOCSTI}, EPERM},
        {"TIOCSTI with junk above", SYS_ioctl, {0, TIOCSTI | 0x100000000}, EPERM},
        {"a datagram pair", SYS_socketpair, {AF_UNIX, SOCK_DGRAM}, EPERM},
        {"an unknown call", 9999, {0}, EPERM},
    };
    (void)state;
    assert_calls(calls, sizeof calls / sizeof calls[0]);
}

static void test_allowed(void **state) {
    static const struct call calls[] = {
        {"getpid", SYS_getpid, {0}, 0},
        {"TCGETS reaches", SYS_ioctl, {-1, TCGETS}, EBADF},
        {"TCGETS with junk above reaches", SYS_ioctl, {-1, TCGETS | 0x100000000}, EBADF},
        {"F_GETFD reaches", SYS_fcntl, {-1, F_GETFD}, EBADF},
        {"a stream pair reaches", SYS_socketpair, {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC}, EFAULT},
        {"own limits", SYS_prlimit64, {0, 0}, 0},
        {"extended attributes", SYS_listxattr, {0}, ENOTSUP},
    };
    (void)state;
    assert_calls(calls, sizeof calls / sizeof calls[0]);
}

static void test_every_socket_family(void **state) {
    (void)state;
    for (int family = 0; family < 50; family++)
        for (int type = SOCK_STREAM; type <= SOCK_RAW; type++) {
            const struct call call = {"socket", SYS_socket, {family, type}, EPERM};
            assert_calls(&call, 1);
        }
}

static int signal_oneself(const void *argument) {
    return kill(getpid(), *(const int *)argument) < 0 ? errno : 0;
}

static void test_signals_to_oneself(void **state) {
    (void)state;
    int status = behind(signal_oneself, &(int){0});
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = behind(signal_oneself, &(int){SIGTERM});
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    status = behind(signal_oneself, &(int){SIGKILL});
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void *nothing(void *argument) {
    return argument;
}

static int start_thread(const void *argument) {
    pthread_t thread;
    (void)argument;
    return pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0;
}

static void test_threads_work(void **state) {
    (void)state;
    int status = behind(start_thread, NULL);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#ifdef __x86_64__
static int call_32_bit(const void *argument) {
    long r = 20; /* getpid of the 32-bit table */
    (void)argument;
    __asm__ volatile("int $0x80" : "+a"(r) : : "memory");
    return 0;
}

static int call_x32(const void *argument) {
    (void)argument;
    syscall(0x40000000 + 39);
    return 0;
}

static void test_foreign_architectures_kill(void **state) {
    (void)state;
    int status = behind(call_32_bit, NULL);
    assert_true(WIFSIGNALED(status));
    status = behind(call_x32, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}
#endif

/* Names that nobody may add in passing. */
static void test_the_table_has_none_of_these(void **state) {
    static const char *const never[] = {
        "fork", "vfork", "execve", "execveat", "socket", "connect", "bind", "listen", "accept", "accept4", "sendmsg",
        "sendmmsg", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "pidfd_getfd", "io_uring_setup",
        "bpf", "userfaultfd", "perf_event_open", "keyctl", "add_key", "request_key", "mount", "umount2", "pivot_root",
        "chroot", "unshare", "setns", "open_by_handle_at", "name_to_handle_at", "memfd_create", "memfd_secret", "shmget",
        "shmat", "msgget", "semget", "mq_open", "splice", "vmsplice", "tee", "setuid", "setresuid", "setgid", "setgroups",
        "capset", "seccomp", "personality", "kexec_load", "init_module", "finit_module", "reboot", "swapon", "syslog",
        "iopl", "ioperm", "modify_ldt", "mknod", "mknodat", "sched_setscheduler", "sched_setaffinity", "setpriority",
        "timer_create", "signalfd4", "inotify_init1", "fanotify_init", "landlock_create_ruleset", "rt_sigqueueinfo", "tkill",
    };
    (void)state;
    for (size_t i = 0; i < seccomp_rule_count; i++)
        for (size_t k = 0; k < sizeof never / sizeof never[0]; k++)
            if (seccomp_rules[i].action == SECCOMP_ALLOW && strcmp(seccomp_rules[i].call, never[k]) == 0)
                fail_msg("%s is allowed", never[k]);
}

/* A second rule for a call that is allowed as it is would mean that a condition is void. */
static void test_no_condition_is_void(void **state) {
    (void)state;
    for (size_t i = 0; i < seccomp_rule_count; i++)
        for (size_t k = 0; k < seccomp_rule_count; k++)
            if (i != k && seccomp_rules[i].conditions[0].mask == 0 &&
                strcmp(seccomp_rules[i].call, seccomp_rules[k].call) == 0)
                fail_msg("%s stands twice", seccomp_rules[i].call);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_every_socket_family),
        cmocka_unit_test(test_signals_to_oneself),
        cmocka_unit_test(test_threads_work),
#ifdef __x86_64__
        cmocka_unit_test(test_foreign_architectures_kill),
#endif
        cmocka_unit_test(test_the_table_has_none_of_these),
        cmocka_unit_test(test_no_condition_is_void),
    };
    return cmocka_run_group_tests(tests, prepare, release);
}
