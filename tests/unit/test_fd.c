/* base/fd: descriptors are owned once, and reads and writes are whole or say why not. */
#include "child.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_close_unsets_and_keeps_errno(void **state) {
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    errno = EXDEV;
    assert_int_equal(fd_close(ends[0]), -1);
    assert_int_equal(fd_close(-1), -1);
    assert_int_equal(fd_close(999), -1); /* not open: close(2) itself would say EBADF */
    assert_int_equal(errno, EXDEV);
    assert_int_equal(fcntl(ends[0], F_GETFD), -1);
    fd_close(ends[1]);
}

/* Descriptor 0 is one like any other. */
static void test_close_takes_zero_too(void **state) {
    (void)state;
    int kept = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
    fd_close(open("/dev/null", O_RDONLY | O_CLOEXEC)); /* whatever is on 0 by now, it is open */
    assert_int_equal(dup2(kept < 0 ? STDOUT_FILENO : kept, STDIN_FILENO), 0);
    assert_int_equal(fd_close(STDIN_FILENO), -1);
    assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), -1);
    assert_int_equal(dup2(kept < 0 ? STDOUT_FILENO : kept, STDIN_FILENO), 0);
    fd_close(kept);
}

static void test_steal_leaves_nothing_behind(void **state) {
    int fd = 7;
    (void)state;
    assert_int_equal(fd_steal(&fd), 7);
    assert_int_equal(fd, -1);
    assert_int_equal(fd_steal(&fd), -1);
}

static void test_a_scope_closes_what_was_not_stolen(void **state) {
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    {
        cleanup_fd int closed = ends[0];
        cleanup_fd int kept = ends[1];
        assert_int_equal(fd_steal(&kept), ends[1]);
        assert_int_equal(closed, ends[0]);
    }
    assert_int_equal(fcntl(ends[0], F_GETFD), -1);
    assert_int_equal(fcntl(ends[1], F_GETFD), 0);
    fd_close(ends[1]);
}

/* More than a pipe holds, so that both sides have to go round more than once. */
static void test_large_transfers_are_whole(void **state) {
    enum { SIZE = 300000 };
    static char sent[SIZE], got[SIZE];
    int ends[2], status;
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (char)(i * 7 / 5);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(fd_write_all(ends[1], sent, SIZE) == 0 ? 0 : 1);
    fd_close(ends[1]);
    assert_int_equal(fd_read_all(ends[0], got, SIZE), 0);
    assert_memory_equal(got, sent, SIZE);
    assert_int_equal(fd_read_all(ends[0], got, 1), -EPIPE);
    fd_close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void interrupt(int number) {
    (void)number;
}

/* A signal every millisecond on both sides, neither of which is restarted by the kernel. */
static void interrupt_often(void) {
    const struct sigaction action = {.sa_handler = interrupt};
    const struct itimerval often = {{0, 1000}, {0, 1000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

static void test_signals_interrupt_nothing(void **state) {
    enum { SIZE = 200000, PIECE = 20000 };
    static char sent[SIZE], got[SIZE];
    const struct itimerval never = {{0, 0}, {0, 0}};
    int ends[2], status;
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (char)(i * 7 / 5);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        interrupt_often();
        for (size_t done = 0; done < SIZE; done += PIECE) {
            usleep(3000);
            if (fd_write_all(ends[1], sent + done, PIECE) < 0)
                _exit(1);
        }
        _exit(fd_write_all(ends[1], sent, SIZE) == 0 ? 0 : 2); /* now the reader is the slow one */
    }
    interrupt_often();
    assert_int_equal(fd_read_all(ends[0], got, SIZE), 0);
    assert_memory_equal(got, sent, SIZE);
    usleep(5000);
    assert_int_equal(fd_read_all(ends[0], got, SIZE), 0);
    setitimer(ITIMER_REAL, &never, NULL);
    assert_memory_equal(got, sent, SIZE);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fd_close(ends[0]);
    fd_close(ends[1]);
}

static void test_an_early_end_is_an_error(void **state) {
    int ends[2];
    char got[4];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fd_write_all(ends[1], "abc", 3), 0);
    fd_close(ends[1]);
    assert_int_equal(fd_read_all(ends[0], got, 0), 0);
    assert_int_equal(fd_read_all(ends[0], got, 4), -EPIPE);
    fd_close(ends[0]);
    assert_int_equal(fd_read_all(-1, got, 1), -EBADF);
    assert_int_equal(fd_write_all(-1, "a", 1), -EBADF);
}

static void test_nobody_reads(void **state) {
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    fd_close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(fd_write_all(ends[1], "a", 1), -EPIPE);
    signal(SIGPIPE, SIG_DFL);
    fd_close(ends[1]);
}

static void test_small_files(void **state) {
    char folder[] = "/tmp/px-test-XXXXXX", text[8];
    (void)state;
    assert_non_null(mkdtemp(folder));
    int dir = open(folder, O_RDONLY | O_DIRECTORY);
    /* It writes to what the kernel made, it makes nothing itself. */
    assert_int_equal(fd_write_file(dir, "file", "x"), -ENOENT);
    assert_int_equal(fd_read_file(dir, "file", text, sizeof text), -ENOENT);
    fd_close(openat(dir, "file", O_CREAT | O_WRONLY, 0600));
    assert_int_equal(fd_read_file(dir, "file", text, sizeof text), 0);
    assert_string_equal(text, "");
    assert_int_equal(fd_write_file(dir, "file", "1234567"), 0);
    assert_int_equal(fd_read_file(dir, "file", text, sizeof text), 7);
    assert_string_equal(text, "1234567");
    assert_int_equal(fd_write_file(dir, "file", "12345678"), 0);
    assert_int_equal(fd_read_file(dir, "file", text, sizeof text), 7); /* room for the NUL */
    assert_string_equal(text, "1234567");
    assert_int_equal(fd_read_file(dir, ".", text, sizeof text), -EISDIR);
    unlinkat(dir, "file", 0);
    fd_close(dir);
    rmdir(folder);
}

static void test_install_lets_a_child_have_it(void **state) {
    struct stat one, other;
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int number = fcntl(fd, F_DUPFD_CLOEXEC, 100); /* a number that is free otherwise */
    assert_int_equal(fcntl(number, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fd_install(number, number), 0);
    assert_int_equal(fcntl(number, F_GETFD), 0);
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fd_install(zero, number), 0);
    assert_int_equal(fcntl(number, F_GETFD), 0);
    fstat(zero, &one);
    fstat(number, &other);
    assert_int_equal(one.st_rdev, other.st_rdev);
    assert_int_equal(fcntl(zero, F_GETFD), FD_CLOEXEC); /* the first one stays as it was */
    fd_close(number);
    assert_int_equal(fd_install(number, number), -EBADF);
    fd_close(zero);
    fd_close(fd);
}

static void close_from(void) {
    int low = fcntl(0, F_DUPFD, 20), here = fcntl(0, F_DUPFD, 40), high = fcntl(0, F_DUPFD, 900);
    CHECK(low >= 20 && here >= 40 && high >= 900);
    CHECK(fd_close_from(40) == 0);
    CHECK(fcntl(low, F_GETFD) == 0 && fcntl(here, F_GETFD) < 0 && fcntl(high, F_GETFD) < 0);
    CHECK(fd_close_from(40) == 0); /* nothing there */
    /* One that was opened before the limit was lowered is above it. */
    const struct rlimit few = {30, 30};
    CHECK(dup2(0, 700) == 700 && setrlimit(RLIMIT_NOFILE, &few) == 0);
    CHECK(fd_close_from(21) == 0);
    CHECK(fcntl(20, F_GETFD) == 0 && fcntl(700, F_GETFD) < 0 && fcntl(0, F_GETFD) >= 0);
    CHECK(fd_close_from(0) == 0);
    CHECK(fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0);
}

static void test_close_from_leaves_those_before(void **state) {
    (void)state;
    in_child(close_from);
}

/* A kernel before Linux 5.9 is played by a filter that does not know the call. */
static void close_from_without_the_call(void) {
    struct sock_filter code[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_close_range},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    const struct sock_fprog program = {sizeof code / sizeof code[0], code};
    const struct rlimit limit = {1000, 1000};
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0 && dup2(0, 39) == 39 && dup2(0, 40) == 40 && dup2(0, 999) == 999);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    CHECK(fd_close_from(40) == 0);
    CHECK(fcntl(39, F_GETFD) == 0 && fcntl(40, F_GETFD) < 0 && fcntl(999, F_GETFD) < 0);
}

static void test_close_from_on_an_old_kernel(void **state) {
    (void)state;
    in_child(close_from_without_the_call);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close_unsets_and_keeps_errno),
        cmocka_unit_test(test_close_takes_zero_too),
        cmocka_unit_test(test_signals_interrupt_nothing),
        cmocka_unit_test(test_steal_leaves_nothing_behind),
        cmocka_unit_test(test_a_scope_closes_what_was_not_stolen),
        cmocka_unit_test(test_large_transfers_are_whole),
        cmocka_unit_test(test_an_early_end_is_an_error),
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_small_files),
        cmocka_unit_test(test_install_lets_a_child_have_it),
        cmocka_unit_test(test_close_from_leaves_those_before),
        cmocka_unit_test(test_close_from_on_an_old_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
