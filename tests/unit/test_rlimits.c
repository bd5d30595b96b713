/* sandbox/rlimits: what is set, that it bites, and that it cannot be undone. */
#include "child.h"

#include "sandbox/rlimits.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

static const struct policy policy = {.scratch_most_bytes = 1u << 20, .open_files = 40, .threads = 5};

/* A user of whom nobody else runs a process: RLIMIT_NPROC counts all of one user. */
enum { LONELY = 1987654321 };

static bool is(int resource, rlim_t value) {
    struct rlimit limit;
    return getrlimit((__rlimit_resource_t)resource, &limit) == 0 && limit.rlim_cur == value && limit.rlim_max == value;
}

static void enter(void) {
    struct failure failure = {0};
    if (rlimits_enter(&policy, true, &failure) < 0) {
        fprintf(stderr, "# %s: %s\n", failure.stage, failure.text);
        _exit(1);
    }
}

static void become_lonely(void) {
    CHECK(setresgid(LONELY, LONELY, LONELY) == 0 && setresuid(LONELY, LONELY, LONELY) == 0);
}

static void see_values(void) {
    enter();
    CHECK(is(RLIMIT_CORE, 0));
    CHECK(is(RLIMIT_NOFILE, 40));
    CHECK(is(RLIMIT_NPROC, 5));
    CHECK(is(RLIMIT_STACK, 8u << 20));
    CHECK(is(RLIMIT_MEMLOCK, 0));
    CHECK(is(RLIMIT_MSGQUEUE, 0));
    CHECK(is(RLIMIT_SIGPENDING, 128));
    CHECK(is(RLIMIT_RTPRIO, 0));
    CHECK(is(RLIMIT_NICE, 0));
    CHECK(is(RLIMIT_FSIZE, 1u << 20));
}

static void test_values(void **state) {
    (void)state;
    in_child(see_values);
}

static void try_to_raise(void) {
    static const int resources[] = {RLIMIT_CORE,       RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_STACK, RLIMIT_MEMLOCK,
                                    RLIMIT_SIGPENDING, RLIMIT_RTPRIO, RLIMIT_NICE,  RLIMIT_FSIZE, RLIMIT_MSGQUEUE};
    enter();
    become_lonely();
    for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
        struct rlimit limit;
        CHECK(getrlimit((__rlimit_resource_t)resources[i], &limit) == 0);
        limit.rlim_max++;
        CHECK(setrlimit((__rlimit_resource_t)resources[i], &limit) < 0 && errno == EPERM);
    }
}

static void test_none_can_be_raised(void **state) {
    (void)state;
    need_root("becomes another user");
    in_child(try_to_raise);
}

static void open_too_many(void) {
    int fd, last = -1;
    enter();
    while ((fd = dup(STDERR_FILENO)) >= 0)
        last = fd;
    CHECK(errno == EMFILE && last == 39);
}

static void test_open_files_are_bounded(void **state) {
    (void)state;
    in_child(open_too_many);
}

static void *sleep_on(void *argument) {
    pause();
    return argument;
}

/* The process is one of the five. */
static void start_too_many_threads(void) {
    pthread_t thread;
    int count = 0, r;
    enter();
    become_lonely();
    while ((r = pthread_create(&thread, NULL, sleep_on, NULL)) == 0 && count < 10)
        count++;
    CHECK(r == EAGAIN && count == 4);
}

static void test_threads_are_bounded(void **state) {
    (void)state;
    need_root("becomes another user");
    in_child(start_too_many_threads);
}

static const struct job_rlimits job = {.cpu_seconds = 1, .address_bytes = 256u << 20, .file_bytes = 4096};

static void see_job(void) {
    enter();
    CHECK(rlimits_job(&job) == 0);
    CHECK(is(RLIMIT_CPU, 1));
    CHECK(is(RLIMIT_AS, 256u << 20));
    CHECK(is(RLIMIT_FSIZE, 4096));
}

static void test_values_of_a_job(void **state) {
    (void)state;
    in_child(see_job);
}

#ifndef __SANITIZE_ADDRESS__ /* which reserves terabytes of address space itself */
static void map_too_much(void) {
    CHECK(rlimits_job(&job) == 0);
    CHECK(mmap(NULL, 257u << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    CHECK(mmap(NULL, 16u << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static void test_address_space_is_bounded(void **state) {
    (void)state;
    in_child(map_too_much);
}
#endif

static void write_too_much(void) {
    static const char block[8192];
    char path[] = "/tmp/test_rlimits.XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && unlink(path) == 0);
    CHECK(rlimits_job(&job) == 0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(write(fd, block, sizeof block) == 4096);
    CHECK(write(fd, block, 1) < 0 && errno == EFBIG);
}

static void test_a_file_is_bounded(void **state) {
    (void)state;
    in_child(write_too_much);
}

static void spin(void) {
    CHECK(rlimits_job(&job) == 0);
    for (volatile unsigned long i = 0;; i++)
        continue;
}

/* SIGKILL, which process 1 of a namespace cannot be without; with a lower soft limit it would be SIGXCPU. */
static void test_time_is_bounded_by_sigkill(void **state) {
    (void)state;
    int status = status_of(spin);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* Only root may raise a limit, and a container may have set it lower than we would. */
static void enter_below_lower_limits(void) {
    const struct rlimit few = {20, 20};
    const struct rlimit little = {1u << 30, 1u << 30};
    struct failure failure = {0};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0 && setrlimit(RLIMIT_AS, &little) == 0);
    become_lonely();
    CHECK(rlimits_enter(&policy, true, &failure) == 0);
    CHECK(rlimits_job(&(struct job_rlimits){.cpu_seconds = 1, .address_bytes = 1ull << 40, .file_bytes = 1}) == 0);
    CHECK(is(RLIMIT_NOFILE, 20) && is(RLIMIT_AS, 1u << 30) && is(RLIMIT_FSIZE, 1));
}

static void test_lower_limits_are_kept(void **state) {
    (void)state;
    need_root("becomes another user");
    in_child(enter_below_lower_limits);
}

/* Where the user is the whole service's, as many threads as it has in all would be what a worker may have. */
static void enter_as_one_of_many(void) {
    struct rlimit before, after;
    struct failure failure = {0};
    CHECK(getrlimit(RLIMIT_NPROC, &before) == 0 && before.rlim_max > policy.threads);
    CHECK(rlimits_enter(&policy, false, &failure) == 0);
    CHECK(getrlimit(RLIMIT_NPROC, &after) == 0);
    CHECK(after.rlim_cur == before.rlim_cur && after.rlim_max == before.rlim_max);
}

static void test_threads_of_many(void **state) {
    (void)state;
    in_child(enter_as_one_of_many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_none_can_be_raised),
        cmocka_unit_test(test_open_files_are_bounded),
        cmocka_unit_test(test_threads_are_bounded),
        cmocka_unit_test(test_values_of_a_job),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(test_address_space_is_bounded),
#endif
        cmocka_unit_test(test_a_file_is_bounded),
        cmocka_unit_test(test_time_is_bounded_by_sigkill),
        cmocka_unit_test(test_lower_limits_are_kept),
        cmocka_unit_test(test_threads_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
