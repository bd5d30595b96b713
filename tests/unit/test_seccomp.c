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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct seccomp_program program;

static int prepare(void **state) {
    struct failure failure;
    (void)state;
    return seccomp_prepare(seccomp_rules, seccomp_rule_count, 0, &program, &failure);
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

static const struct call denied[] = {
    {"fork", SYS_clone, {SIGCHLD}, EPERM},
    {"vfork", SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}, EPERM},
    {"clone into a user namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD}, EPERM},
    {"a thread in a user namespace", SYS_clone, {0x3d0f00 | CLONE_NEWUSER}, EPERM},
    {"clone3", SYS_clone3, {0}, ENOSYS},
    {"openat2", SYS_openat2, {0}, ENOSYS},
#ifdef SYS_fork
    {"fork by its own call", SYS_fork, {0}, EPERM},
    {"vfork by its own call", SYS_vfork, {0}, EPERM},
#endif
    {"thread flags with one missing", SYS_clone, {0x3d0f00 & ~CLONE_THREAD}, EPERM},
    {"execve", SYS_execve, {0}, EPERM},
    {"execveat", SYS_execveat, {0}, EPERM},
    {"sendmsg", SYS_sendmsg, {0}, EPERM},
    {"bind", SYS_bind, {0}, EPERM},
    {"connect", SYS_connect, {0}, EPERM},
    {"ptrace", SYS_ptrace, {0}, EPERM},
    {"process_vm_readv", SYS_process_vm_readv, {1}, EPERM},
    {"process_vm_writev", SYS_process_vm_writev, {1}, EPERM},
    {"pidfd_open", SYS_pidfd_open, {1}, EPERM},
    {"mount", SYS_mount, {0}, EPERM},
    {"umount2", SYS_umount2, {0}, EPERM},
    {"pivot_root", SYS_pivot_root, {0}, EPERM},
    {"unshare", SYS_unshare, {0}, EPERM},
    {"setns", SYS_setns, {0}, EPERM},
    {"chroot", SYS_chroot, {0}, EPERM},
    {"memfd_create", SYS_memfd_create, {0}, EPERM},
    {"keyctl", SYS_keyctl, {0}, EPERM},
    {"bpf", SYS_bpf, {0}, EPERM},
    {"io_uring_setup", SYS_io_uring_setup, {1}, EPERM},
    {"userfaultfd", SYS_userfaultfd, {0}, EPERM},
    {"perf_event_open", SYS_perf_event_open, {0}, EPERM},
    {"add_key", SYS_add_key, {0}, EPERM},
    {"open_by_handle_at", SYS_open_by_handle_at, {-1}, EPERM},
    {"setresuid", SYS_setresuid, {0}, EPERM},
    {"capset", SYS_capset, {0}, EPERM},
    {"shmget", SYS_shmget, {0}, EPERM},
    {"msgget", SYS_msgget, {0}, EPERM},
    {"semget", SYS_semget, {0}, EPERM},
    {"mq_open", SYS_mq_open, {0}, EPERM},
    {"seccomp", SYS_seccomp, {0}, EPERM},
    {"setpriority", SYS_setpriority, {0}, EPERM},
    {"getpriority of another", SYS_getpriority, {PRIO_PROCESS, 1}, EPERM},
    {"getpriority of a group", SYS_getpriority, {PRIO_PGRP, 0}, EPERM},
    {"getpriority of a user", SYS_getpriority, {PRIO_USER, 0}, EPERM},
    {"sched_setaffinity", SYS_sched_setaffinity, {0}, EPERM},
    {"PR_SET_DUMPABLE", SYS_prctl, {PR_SET_DUMPABLE, 1}, EPERM},
    {"PR_SET_PDEATHSIG", SYS_prctl, {PR_SET_PDEATHSIG, 0}, EPERM},
    {"prlimit64 of another", SYS_prlimit64, {1, 0}, EPERM},
    {"kill of process 1", SYS_kill, {1, 0}, EPERM},
    {"kill of the group", SYS_kill, {0, 0}, EPERM},
    {"kill of all", SYS_kill, {-1, 0}, EPERM},
    {"tgkill of process 1", SYS_tgkill, {1, 1, 0}, EPERM},
    {"tkill", SYS_tkill, {1, 0}, EPERM},
    {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {1, 0}, EPERM},
    {"F_SETOWN", SYS_fcntl, {0, F_SETOWN}, EPERM},
    {"F_SETLEASE", SYS_fcntl, {0, F_SETLEASE}, EPERM},
    {"F_SETPIPE_SZ", SYS_fcntl, {0, F_SETPIPE_SZ}, EPERM},
    {"F_NOTIFY", SYS_fcntl, {0, F_NOTIFY}, EPERM},
    {"F_NOTIFY with junk above", SYS_fcntl, {0, F_NOTIFY | 0x100000000}, EPERM},
    {"TIOCSTI", SYS_ioctl, {0, TIOCSTI}, EPERM},
    {"TIOCSTI with junk above", SYS_ioctl, {0, TIOCSTI | 0x100000000}, EPERM},
    {"a datagram pair", SYS_socketpair, {AF_UNIX, SOCK_DGRAM}, EPERM},
    {"a datagram pair with flags", SYS_socketpair, {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC}, EPERM},
    {"a packet pair", SYS_socketpair, {AF_UNIX, SOCK_SEQPACKET}, EPERM},
    {"a pair of another family", SYS_socketpair, {AF_INET, SOCK_STREAM}, EPERM},
    {"out-of-band data", SYS_sendto, {-1, 0, 0, MSG_OOB}, EPERM},
    {"sendto an address", SYS_sendto, {-1, 0, 0, 0, 1}, EPERM},
    {"sendto an address that is zero below", SYS_sendto, {-1, 0, 0, 0, 0x100000000}, EPERM},
    {"prctl with junk above", SYS_prctl, {PR_SET_DUMPABLE | 0x100000000, 1}, EPERM},
    {"an unknown call", 9999, {0}, EPERM},
};

static void test_denied(void **state) {
    (void)state;
    assert_calls(denied, sizeof denied / sizeof denied[0]);
}

static void test_allowed(void **state) {
    static const struct call calls[] = {
        {"getpid", SYS_getpid, {0}, 0},
        {"TCGETS reaches", SYS_ioctl, {-1, TCGETS}, EBADF},
        {"TCGETS with junk above reaches", SYS_ioctl, {-1, TCGETS | 0x100000000}, EBADF},
        {"F_GETFD reaches", SYS_fcntl, {-1, F_GETFD}, EBADF},
        {"a stream pair reaches", SYS_socketpair, {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC}, EFAULT},
        {"send reaches", SYS_sendto, {-1}, EBADF},
        {"F_GETPIPE_SZ reaches", SYS_fcntl, {-1, F_GETPIPE_SZ}, EBADF},
        {"own priority", SYS_getpriority, {PRIO_PROCESS, 0}, 0},
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

static int signal_parent(const void *argument) {
    (void)argument;
    return kill(getppid(), 0) < 0 ? errno : 0;
}

static int signal_thread_of_parent(const void *argument) {
    (void)argument;
    return syscall(SYS_tgkill, getppid(), getppid(), 0) < 0 ? errno : 0;
}

static void test_no_signal_to_the_parent(void **state) {
    (void)state;
    int status = behind(signal_parent, NULL);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EPERM);
    status = behind(signal_thread_of_parent, NULL);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EPERM);
}

static int kill_own_thread(const void *argument) {
    const long *signals = argument;
    return syscall(SYS_tgkill, getpid(), gettid(), signals[0]) < 0 ? errno : 0;
}

static void test_sigkill_by_thread_ends_it_too(void **state) {
    (void)state;
    int status = behind(kill_own_thread, &(long){0});
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = behind(kill_own_thread, &(long){SIGKILL});
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    status = behind(kill_own_thread, &(long){SIGKILL | 0x100000000}); /* the kernel looks at the low half */
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    status = behind(kill_own_thread, &(long){SIGTERM | 0x100000000});
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EPERM);
}

static int use_pair(const void *argument) {
    int ends[2];
    char byte = 0;
    (void)argument;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return errno;
    return send(ends[0], "x", 1, 0) != 1 || recv(ends[1], &byte, 1, 0) != 1 || byte != 'x';
}

static void test_a_stream_pair_works(void **state) {
    (void)state;
    int status = behind(use_pair, NULL);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int enter_without_no_new_privs(void) {
    struct failure failure = {0};
    /* As root it would be allowed; nobody else may filter a program that gains privileges. */
    if (setresuid(65534, 65534, 65534) < 0)
        return 1;
    return seccomp_enter(&program, &failure) == -EACCES && strcmp(failure.stage, "seccomp") == 0 ? 0 : 2;
}

static void test_it_needs_no_new_privs(void **state) {
    int status;
    (void)state;
    need_root("becomes another user");
    pid_t child = fork();
    if (child == 0)
        _exit(enter_without_no_new_privs());
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
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

/* Landlock does not know these calls, so a worker with the user id of the service would reach its files by them. */
static void test_files_of_the_same_user_are_left_as_they_are(void **state) {
    char path[] = "/tmp/test_seccomp-XXXXXX";
    int fd = mkstemp(path);
    struct stat before, after;
    struct failure failure;
    (void)state;
    const struct call calls[] = {
#ifdef SYS_chmod
        {"chmod", SYS_chmod, {(long)path, 0777}, 0},
        {"utimes", SYS_utimes, {(long)path, 0}, 0},
#endif
        {"fchmod", SYS_fchmod, {fd, 0777}, 0},
        {"fchmodat", SYS_fchmodat, {AT_FDCWD, (long)path, 0777}, 0},
        {"utimensat", SYS_utimensat, {AT_FDCWD, (long)path, 0, 0}, 0},
        {"futimens", SYS_utimensat, {fd, 0, 0, 0}, 0},
    };
    release(NULL);
    assert_int_equal(seccomp_prepare(seccomp_rules, seccomp_rule_count, SECCOMP_SHARED_OWNER, &program, &failure), 0);
    assert_int_equal(fstat(fd, &before), 0);
    usleep(20000); /* the clock of a file system ticks slowly */
    assert_calls(calls, sizeof calls / sizeof calls[0]);
    assert_int_equal(fstat(fd, &after), 0);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_memory_equal(&after.st_mtim, &before.st_mtim, sizeof after.st_mtim);
    unlink(path);
    close(fd);
    release(NULL);
    assert_int_equal(prepare(NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_every_socket_family),
        cmocka_unit_test(test_signals_to_oneself),
        cmocka_unit_test(test_no_signal_to_the_parent),
        cmocka_unit_test(test_sigkill_by_thread_ends_it_too),
        cmocka_unit_test(test_a_stream_pair_works),
        cmocka_unit_test(test_it_needs_no_new_privs),
        cmocka_unit_test(test_threads_work),
        cmocka_unit_test(test_files_of_the_same_user_are_left_as_they_are),
#ifdef __x86_64__
        cmocka_unit_test(test_foreign_architectures_kill),
#endif
    };
    return cmocka_run_group_tests(tests, prepare, release);
}
