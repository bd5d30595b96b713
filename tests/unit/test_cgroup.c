/* sandbox/cgroup: real groups. What a worker's group bounds, that it bounds nobody else, and what is left. */
#include "child.h"

#include "base/fd.h"
#include "sandbox/cgroup.h"
#include "sandbox/hierarchy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

enum { MIB = 1 << 20, PIDS = 12, NOBODY = 65534 };

static const struct cgroup_limits limits = {.memory_bytes = 64u * MIB, .pids = PIDS};

/* Nothing that a process could grant itself: a group below ours is the platform's to allow. */
static void prepare(struct cgroup *ret_cgroup) {
    struct failure failure = {0};
    int r = cgroup_prepare(ret_cgroup, &limits, &failure);
    if (r == 0)
        return;
    printf("# the platform delegates no control groups: %s (%d)\n", failure.text, r);
    fflush(stdout);
    skip();
}

/* A worker in this slot, as the zygote makes one. */
static pid_t start(struct cgroup *cgroup, unsigned slot, void (*body)(void)) {
    struct failure failure = {0};
    cleanup_fd int fd = -1;
    fflush(NULL);
    if (cgroup_admit(cgroup, slot, &fd, &failure) < 0)
        fail_msg("%s", failure.text);
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (__u64)fd};
    pid_t pid = fd < 0 ? fork() : (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        CHECK(cgroup_enter(cgroup, slot, NULL) == 0);
        body();
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

static int end_of(pid_t pid) {
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void assert_killed(int status) {
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void touch(size_t mib) {
    char *memory = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    memset(memory, 1, mib * MIB);
}

static bool folder_is_there(pid_t owner) {
    static const char *const controllers[] = {"memory", "pids", "cpu", NULL};
    char name[64];
    bool found = false;
    snprintf(name, sizeof name, "python-executor-%d", (int)owner);
    for (size_t i = 0; i < 4; i++) {
        cleanup_fd int parent = hierarchy_open(controllers[i], NULL);
        found = found || (parent >= 0 && faccessat(parent, name, F_OK, 0) == 0);
    }
    return found;
}

/* --- Memory --- */

static void touch_too_much(void) {
    touch(200);
}

static void touch_less(void) {
    touch(40);
}

static void test_memory_beyond_the_limit_kills(void **state) {
    (void)state;
    struct cgroup cgroup;
    prepare(&cgroup);
    assert_killed(end_of(start(&cgroup, 3, touch_too_much)));
    cgroup_done(&cgroup);
}

static void test_memory_is_counted_per_slot_and_given_back(void **state) {
    (void)state;
    struct cgroup cgroup;
    prepare(&cgroup);
    for (int i = 0; i < 3; i++) {
        pid_t neighbour = start(&cgroup, 70, touch_less);
        assert_killed(end_of(start(&cgroup, 3, touch_too_much)));
        assert_int_equal(end_of(start(&cgroup, 3, touch_less)), 0);
        assert_int_equal(end_of(neighbour), 0);
    }
    cgroup_done(&cgroup);
}

static void fill_tmp(void) {
    char block[4096] = {1};
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("scratch", "/tmp", "tmpfs", 0, "size=100m") == 0);
    int fd = open("/tmp/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    for (size_t i = 0; i < 90u * MIB / sizeof block; i++)
        CHECK(write(fd, block, sizeof block) == sizeof block);
}

static void test_scratch_is_charged_to_its_worker(void **state) {
    (void)state;
    need_root("mounts a tmpfs");
    struct cgroup cgroup;
    prepare(&cgroup);
    assert_killed(end_of(start(&cgroup, 3, fill_tmp)));
    /* It went with the worker, so the next in this slot has all of its memory. */
    assert_int_equal(end_of(start(&cgroup, 3, touch_less)), 0);
    cgroup_done(&cgroup);
}

/* --- Tasks --- */

/* Says how many tasks it had when another was refused, and ends with all of them: they are its children, and
 * each dies with its parent. */
static int *counted;

static void fork_to_the_end(void) {
    pid_t first = (pid_t)syscall(SYS_getpid);
    for (*counted = 1; *counted < 100; ++*counted) {
        pid_t pid = fork();
        if (pid < 0) {
            CHECK(errno == EAGAIN);
            return;
        }
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
            if (getppid() != first)
                _exit(0);
            pause();
            _exit(0);
        }
    }
}

static void test_tasks_beyond_the_limit_are_refused(void **state) {
    (void)state;
    struct cgroup cgroup;
    prepare(&cgroup);
    if (strstr(cgroup.controllers, "pids") == NULL) {
        cgroup_done(&cgroup);
        skip();
    }
    counted = mmap(NULL, sizeof *counted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(counted != MAP_FAILED);
    assert_int_equal(end_of(start(&cgroup, 5, fork_to_the_end)), 0);
    assert_int_equal(*counted, PIDS);
    cgroup_done(&cgroup); /* may come before the last of them is gone */
    cgroup_sweep();
    assert_false(folder_is_there(getpid()));
}

/* --- CPU --- */

static atomic_bool *finished;

static void *spin(void *unused) {
    while (!atomic_load(finished))
        continue;
    return unused;
}

static void spin_alone(void) {
    spin(NULL);
}

static void spin_in_eight_threads(void) {
    pthread_t thread;
    for (int i = 0; i < 7; i++)
        CHECK(pthread_create(&thread, NULL, spin, NULL) == 0);
    spin(NULL);
}

static double cpu_of(pid_t pid) {
    struct rusage usage;
    int status;
    assert_int_equal(wait4(pid, &status, 0, &usage), pid);
    assert_int_equal(status, 0);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 + (double)usage.ru_stime.tv_sec +
           (double)usage.ru_stime.tv_usec / 1e6;
}

static void test_threads_do_not_buy_cpu_time(void **state) {
    (void)state;
    struct cgroup cgroup;
    cpu_set_t before, one;
    prepare(&cgroup);
    if (strstr(cgroup.controllers, "cpu") == NULL) {
        cgroup_done(&cgroup);
        skip();
    }
    finished = mmap(NULL, sizeof *finished, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(finished != MAP_FAILED);
    sched_getaffinity(0, sizeof before, &before);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    pid_t modest = start(&cgroup, 1, spin_alone);
    pid_t greedy = start(&cgroup, 2, spin_in_eight_threads);
    sched_setaffinity(0, sizeof before, &before);
    usleep(1500000);
    atomic_store(finished, true);
    double of_modest = cpu_of(modest);
    double of_greedy = cpu_of(greedy);
    if (of_greedy > 2.5 * of_modest)
        fail_msg("eight threads got %.2f s, one got %.2f s", of_greedy, of_modest);
    cgroup_done(&cgroup);
}

/* --- What is left --- */

static void test_nothing_is_left(void **state) {
    (void)state;
    struct cgroup cgroup;
    prepare(&cgroup);
    for (unsigned slot = 0; slot < 20; slot++)
        assert_int_equal(end_of(start(&cgroup, slot, touch_less)), 0);
    assert_true(folder_is_there(getpid()));
    cgroup_done(&cgroup);
    assert_false(folder_is_there(getpid()));
    assert_int_equal(cgroup.version, CGROUP_NONE);
    cgroup_done(&cgroup); /* twice does no harm */
}

/* A zygote that has had a worker, and says so. */
static pid_t start_owner(void) {
    int ends[2];
    char byte;
    fflush(NULL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct cgroup cgroup;
        int fd;
        CHECK(cgroup_prepare(&cgroup, &limits, NULL) == 0 && cgroup_admit(&cgroup, 9, &fd, NULL) == 0);
        CHECK(write(ends[1], "", 1) == 1);
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    fd_close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    fd_close(ends[0]);
    return pid;
}

static void test_sweep_spares_the_living(void **state) {
    (void)state;
    struct cgroup cgroup;
    prepare(&cgroup); /* or it is skipped */
    cgroup_done(&cgroup);
    pid_t dead = start_owner();
    pid_t living = start_owner();
    assert_int_equal(kill(dead, SIGKILL), 0);
    end_of(dead);
    assert_true(folder_is_there(dead));
    cgroup_sweep();
    assert_false(folder_is_there(dead));
    assert_true(folder_is_there(living));
    assert_int_equal(kill(living, SIGKILL), 0);
    end_of(living);
    cgroup_sweep();
    assert_false(folder_is_there(living));
}

static void test_slots_end_somewhere(void **state) {
    (void)state;
    struct cgroup cgroup;
    int fd = 77;
    prepare(&cgroup);
    assert_int_equal(cgroup_admit(&cgroup, CGROUP_SLOTS, &fd, NULL), -ERANGE);
    assert_int_equal(fd, 77);
    cgroup_done(&cgroup);
}

/* --- Refusals --- */

/* What is refused leaves something that can be used, and does nothing. */
static void check_refused(int error) {
    struct cgroup cgroup;
    struct failure failure = {0};
    int fd = 77;
    int r = cgroup_prepare(&cgroup, &limits, &failure);
    if (r != -error)
        fprintf(stderr, "# %d: %s\n", r, failure.text);
    CHECK(r == -error && failure.error == error && failure.text[0] != '\0');
    CHECK(cgroup.version == CGROUP_NONE);
    CHECK(cgroup_admit(&cgroup, 0, &fd, NULL) == 0 && fd == -1);
    CHECK(cgroup_enter(&cgroup, 0, NULL) == 0);
    cgroup_done(&cgroup);
    cgroup_sweep();
}

/* Every mount below /sys/fs/cgroup, the deepest first, as proc(5) lists them last. */
static void change_mounts(unsigned long flags) {
    char paths[32][128];
    size_t count = 0;
    char line[1024];
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    FILE *file = fopen("/proc/self/mountinfo", "re");
    CHECK(file != NULL);
    while (count < 32 && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%*s %*s %*s %*s %127s", paths[count]) == 1 &&
            strncmp(paths[count], "/sys/fs/cgroup", 14) == 0)
            count++;
    fclose(file);
    while (count-- > 0)
        CHECK(flags != 0 ? mount(NULL, paths[count], NULL, flags, NULL) == 0
                         : umount2(paths[count], MNT_DETACH) == 0);
}

static void be_read_only(void) {
    change_mounts(MS_REMOUNT | MS_BIND | MS_RDONLY);
    check_refused(EROFS);
}

static void be_blind(void) {
    change_mounts(0);
    check_refused(ENOENT);
}

static void be_nobody(void) {
    CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
    check_refused(EACCES);
}

static void test_refusals(void **state) {
    (void)state;
    struct cgroup cgroup;
    need_root("changes mounts and its user");
    prepare(&cgroup); /* or each is refused for the reason it is skipped for */
    cgroup_done(&cgroup);
    in_child(be_read_only);
    in_child(be_blind);
    in_child(be_nobody);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_beyond_the_limit_kills),
        cmocka_unit_test(test_memory_is_counted_per_slot_and_given_back),
        cmocka_unit_test(test_scratch_is_charged_to_its_worker),
        cmocka_unit_test(test_tasks_beyond_the_limit_are_refused),
        cmocka_unit_test(test_threads_do_not_buy_cpu_time),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_sweep_spares_the_living),
        cmocka_unit_test(test_slots_end_somewhere),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
