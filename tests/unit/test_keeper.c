/* zygote/keeper: the kernel's word on processes that end in every way, with this test as the zygote. Python
 * is linked, since the crew knows it, but never started. */
#include "user.h"

#include "base/clock.h"
#include "base/fd.h"
#include "zygote/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>

enum { MIB = 1 << 20, LONG_MS = 60000 };

struct scene {
    struct sandbox sandbox;
    struct crew crew;
};

static int begin(void **state) {
    static struct scene scene; /* a crew is large */
    scene.sandbox = (struct sandbox){.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    scene.sandbox.scratch.fd = -1;
    scene.sandbox.policy.threads = 64;
    crew_init(&scene.crew, &scene.sandbox, 0, 0);
    *state = &scene.crew;
    return scene.sandbox.proc_fd < 0 ? -1 : 0;
}

/* Kills and reaps what a failed test has left. */
static int end(void **state) {
    struct crew *crew = *state;
    crew_done(crew);
    crew->sandbox->proc_fd = fd_close(crew->sandbox->proc_fd);
    return 0;
}

/* A process in this state, with generous limits; `body` must not return where it is to go on. */
static struct member *start(struct crew *crew, enum member_state state, uint64_t job, void (*body)(void)) {
    struct member *member = &crew->members[crew->starting + crew->running];
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        body();
        _exit(0);
    }
    /* To kill(2) a number below that is not a process but many. */
    assert_true(pid > 1);
    *member = (struct member){.state = state, .pid = pid, .control = -1, .tmpfs = -1, .job = job, .started_us = clock_us()};
    member->order = (struct run_order){.wall_ms = LONG_MS, .memory_bytes = 64 * MIB};
    member->cpu_limit_us = (uint64_t)LONG_MS * 1000;
    if (state == MEMBER_STARTING)
        crew->starting++;
    else
        crew->running++;
    return member;
}

/* Waits for the end of one process and returns the job that got a verdict. */
static uint64_t reap(struct crew *crew, struct verdict *ret_verdict) {
    uint64_t job = 99;
    pid_t r = 0;
    for (int tries = 0; tries < 1000 && r == 0; tries++) {
        r = keeper_reap(crew, &job, ret_verdict);
        if (r == 0)
            usleep(5000);
    }
    assert_true(r > 0);
    return job;
}

static void assert_verdict(struct crew *crew, uint64_t job, enum ending ending, uint32_t code) {
    struct verdict verdict = {0};
    assert_int_equal(reap(crew, &verdict), job);
    assert_int_equal(verdict.ending, ending);
    assert_int_equal(verdict.code, code);
    assert_int_equal(crew->running, 0);
}

static void wait_for_ever(void) {
    for (;;)
        pause();
}

static void leave_with_7(void) {
    _exit(7);
}

static void crash(void) {
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static void kill_oneself(void) {
    kill(getpid(), SIGKILL);
}

static void test_an_exit(void **state) {
    struct crew *crew = *state;
    start(crew, MEMBER_RUNNING, 5, leave_with_7);
    assert_verdict(crew, 5, ENDING_EXIT, 7);
}

static void test_a_signal(void **state) {
    struct crew *crew = *state;
    start(crew, MEMBER_RUNNING, 6, crash);
    assert_verdict(crew, 6, ENDING_SIGNAL, SIGSEGV);
}

static void test_the_deadline(void **state) {
    struct crew *crew = *state;
    struct member *member = start(crew, MEMBER_RUNNING, 7, wait_for_ever);
    keeper_enforce(crew);
    assert_int_equal(member->killed_for, 0);
    member->order.wall_ms = 10;
    assert_in_range(keeper_timeout_ms(crew), 0, 10);
    usleep(10000);
    assert_int_equal(keeper_timeout_ms(crew), 0);
    keeper_enforce(crew);
    assert_verdict(crew, 7, ENDING_DEADLINE, SIGKILL);
}

/* SIGKILL that nobody here sent: by its CPU time the kernel's limit on that, else the kernel's on memory. */
static void test_a_kill_by_the_kernel(void **state) {
    struct crew *crew = *state;
    struct member *member = start(crew, MEMBER_RUNNING, 8, kill_oneself);
    assert_verdict(crew, 8, ENDING_MEMORY, SIGKILL);
    member = start(crew, MEMBER_RUNNING, 9, kill_oneself);
    member->cpu_limit_us = 0;
    assert_verdict(crew, 9, ENDING_CPU, SIGKILL);
}

static void take_memory(void) {
    char *memory = malloc(32 * MIB);
    memset(memory, 'x', 32 * MIB);
    __asm__ volatile("" : : "r"(memory) : "memory");
    wait_for_ever();
}

/* Above what it had when it was idle, which the baseline says. */
static void test_memory(void **state) {
    struct crew *crew = *state;
    struct member *member = start(crew, MEMBER_RUNNING, 10, take_memory);
    struct verdict verdict;
    usleep(200000);
    keeper_enforce(crew);
    assert_int_equal(member->killed_for, 0); /* 64 MiB are allowed */
    member->order.memory_bytes = 16 * MIB;
    member->baseline.resident_bytes = 32 * MIB;
    keeper_enforce(crew);
    assert_int_equal(member->killed_for, 0);
    member->baseline.resident_bytes = 4 * MIB;
    for (int tries = 0; tries < 2000 && member->killed_for == 0; tries++) { /* on a busy machine it takes its time */
        usleep(5000);
        keeper_enforce(crew);
    }
    assert_int_equal(reap(crew, &verdict), 10);
    assert_int_equal(verdict.ending, ENDING_MEMORY);
    assert_in_range(verdict.peak_bytes, 28 * MIB, 64 * MIB);
    assert_in_range(verdict.wall_us, 200000, LONG_MS * 1000);
}

static void test_cancelled(void **state) {
    struct crew *crew = *state;
    struct member *member = start(crew, MEMBER_RUNNING, 11, wait_for_ever);
    keeper_cancel(crew, 12);
    assert_int_equal(member->killed_for, 0);
    keeper_cancel(crew, 11);
    keeper_enforce(crew);
    assert_verdict(crew, 11, ENDING_CANCELLED, SIGKILL);
}

/* The first reason stays. */
static void test_killed_for_one_thing(void **state) {
    struct crew *crew = *state;
    struct verdict verdict;
    struct member *member = start(crew, MEMBER_RUNNING, 13, wait_for_ever);
    member->order.wall_ms = 0;
    keeper_enforce(crew);
    keeper_cancel(crew, 13);
    assert_int_equal(keeper_answered(crew, 13, &verdict), 0);
    assert_verdict(crew, 13, ENDING_DEADLINE, SIGKILL);
}

/* A moment after its verdict it is killed, without any other event. */
static void assert_killed_soon(struct crew *crew) {
    struct verdict verdict;
    assert_int_equal(kill(crew->members[0].pid, 0), 0);
    assert_in_range(keeper_timeout_ms(crew), 0, 10);
    while (keeper_timeout_ms(crew) < 25) {
        usleep(1000);
        keeper_enforce(crew);
    }
    assert_int_equal(reap(crew, &verdict), 0);
}

/* The verdict is given at once, and no second one when the process is reaped. */
static void test_answered(void **state) {
    struct crew *crew = *state;
    struct verdict verdict = {0};
    start(crew, MEMBER_RUNNING, 14, wait_for_ever);
    usleep(2000);
    assert_int_equal(keeper_answered(crew, 15, &verdict), 0);
    assert_int_equal(keeper_answered(crew, 14, &verdict), 1);
    assert_int_equal(verdict.ending, ENDING_ANSWERED);
    assert_in_range(verdict.wall_us, 2000, 10000000);
    assert_int_equal(keeper_answered(crew, 14, &verdict), 0);
    assert_int_equal(crew->running, 1); /* its slot is not free before it is gone */
    assert_killed_soon(crew);
    assert_int_equal(crew->running, 0);
}

static void spin(void) {
    /* Of its own time: a busy machine may give it a tenth of what passes. */
    struct timespec used = {0};
    while (used.tv_sec == 0 && used.tv_nsec < 100 * 1000 * 1000)
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
}

static void test_cpu_time_is_counted_from_the_baseline(void **state) {
    struct crew *crew = *state;
    struct verdict verdict;
    start(crew, MEMBER_RUNNING, 16, spin);
    assert_int_equal(reap(crew, &verdict), 16);
    assert_true(verdict.user_us + verdict.system_us > 20000);
    struct member *member = start(crew, MEMBER_RUNNING, 17, spin);
    member->baseline = (struct worker_baseline){.user_us = 1u << 30, .system_us = 1u << 30, .resident_bytes = 1u << 30};
    assert_int_equal(reap(crew, &verdict), 17);
    assert_int_equal(verdict.user_us, 0); /* never below nothing */
    assert_int_equal(verdict.system_us, 0);
    assert_int_equal(verdict.peak_bytes, 0);
}

static void test_one_that_was_not_ready_has_no_verdict(void **state) {
    struct crew *crew = *state;
    struct verdict verdict;
    start(crew, MEMBER_STARTING, 0, crash);
    assert_int_equal(reap(crew, &verdict), 0);
    assert_int_equal(crew->failures, 1);
    assert_int_equal(crew->starting, 0);
}

static void stop_oneself(void) {
    raise(SIGSTOP);
    wait_for_ever();
}

static void test_who_stops_has_not_ended(void **state) {
    struct crew *crew = *state;
    struct verdict verdict;
    uint64_t job;
    siginfo_t info;
    struct member *member = start(crew, MEMBER_RUNNING, 18, stop_oneself);
    assert_int_equal(waitid(P_PID, (id_t)member->pid, &info, WSTOPPED | WNOWAIT), 0);
    assert_int_equal(keeper_reap(crew, &job, &verdict), 0);
    assert_int_equal(crew->running, 1);
    member->order.wall_ms = 0;
    keeper_enforce(crew); /* and its deadline comes */
    assert_verdict(crew, 18, ENDING_DEADLINE, SIGKILL);
}

static void test_each_has_its_own_end(void **state) {
    struct crew *crew = *state;
    struct verdict verdict;
    start(crew, MEMBER_RUNNING, 20, wait_for_ever);
    struct member *late = start(crew, MEMBER_RUNNING, 21, wait_for_ever);
    struct member *other = start(crew, MEMBER_RUNNING, 22, wait_for_ever);
    late->order.wall_ms = 0;
    keeper_enforce(crew);
    assert_int_equal(reap(crew, &verdict), 21);
    assert_int_equal(crew->running, 2);
    assert_int_equal(other->killed_for, 0);
    keeper_cancel(crew, 20);
    assert_int_equal(reap(crew, &verdict), 20);
    keeper_cancel(crew, 22);
    assert_int_equal(reap(crew, &verdict), 22);
}

static void test_when_to_look_again(void **state) {
    struct crew *crew = *state;
    struct verdict verdict;
    uint64_t job;
    assert_int_equal(keeper_timeout_ms(crew), -1);
    assert_int_equal(keeper_reap(crew, &job, &verdict), 0); /* no child at all */
    start(crew, MEMBER_RUNNING, 23, wait_for_ever);
    assert_in_range(keeper_timeout_ms(crew), 1, 25); /* memory has no event of its own */
    keeper_cancel(crew, 23);
    assert_verdict(crew, 23, ENDING_CANCELLED, SIGKILL);
}

/* --- The size of /tmp --- */

/* A worker that has a folder with 2 MiB in it, and may keep one; `counted` as its job differs from the others. */
static struct member *start_full(struct crew *crew, uint64_t job, bool counted, void (*body)(void)) {
    static const char block[2 * MIB] = {1};
    char path[256];
    struct failure failure = {0};
    struct scratch *scratch = &crew->sandbox->scratch;
    assert_int_equal(scratch_make(scratch, 0, geteuid(), getegid(), &failure), 0);
    snprintf(path, sizeof path, "%.80s/0-%016llx/f", scratch->path, (unsigned long long)scratch->keys[0]);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, block, sizeof block), sizeof block);
    fd_close(fd);
    struct member *member = start(crew, MEMBER_RUNNING, job, body);
    member->order.scratch_bytes = MIB;
    member->counted = counted;
    return member;
}

/* However fast it was; but only where its limit is its own: others do not pay for it. */
static void test_files_are_counted_in_the_end(void **state) {
    struct crew *crew = *state;
    struct verdict verdict;
    struct failure failure = {0};
    crew->sandbox->policy.scratch_files = 100;
    crew->sandbox->policy.scratch_bytes = 4 * MIB;
    assert_int_equal(scratch_prepare(&crew->sandbox->scratch, NULL, &failure), 0);
    start_full(crew, 30, true, wait_for_ever);
    assert_int_equal(keeper_answered(crew, 30, &verdict), 0);
    assert_verdict(crew, 30, ENDING_SCRATCH, SIGKILL);
    start_full(crew, 31, true, leave_with_7);
    assert_verdict(crew, 31, ENDING_SCRATCH, 7);
    start_full(crew, 32, true, crash); /* it ended otherwise */
    assert_verdict(crew, 32, ENDING_SIGNAL, SIGSEGV);
    start_full(crew, 33, true, wait_for_ever)->order.scratch_bytes = 3 * MIB;
    assert_int_equal(keeper_answered(crew, 33, &verdict), 1);
    assert_killed_soon(crew);
    start_full(crew, 34, false, leave_with_7);
    assert_verdict(crew, 34, ENDING_EXIT, 7);
    start_full(crew, 35, false, wait_for_ever); /* while it runs its own limit holds */
    for (int tries = 0; tries < 2000 && crew->members[0].killed_for == 0; tries++) {
        usleep(5000);
        keeper_enforce(crew);
    }
    assert_verdict(crew, 35, ENDING_SCRATCH, SIGKILL);
    scratch_done(&crew->sandbox->scratch);
}

static bool may_resize = true;

/* A worker that shows its tmpfs and is ready, and gets a job that may keep so many bytes. Returns how many it holds. */
static uint64_t hand_over(struct crew *crew, uint64_t bytes, bool *ret_counted) {
    int ends[2];
    struct statvfs status;
    struct failure failure = {0};
    struct scratch *scratch = &crew->sandbox->scratch;
    const int fds[MESSAGE_MAX_FDS] = {-1, -1, -1, -1};
    const struct run_order order = {.wall_ms = LONG_MS, .scratch_bytes = bytes};
    CHECK(scratch_mount(scratch, &crew->sandbox->policy, geteuid(), getegid(), &failure) == 0);
    struct message message = {.kind = MESSAGE_SCRATCH, .scratch_bytes = scratch->tmpfs_bytes};
    CHECK(message_pair(ends) == 0);
    struct member *member = start(crew, MEMBER_STARTING, 0, wait_for_ever);
    member->control = ends[0];
    CHECK(message_send(ends[1], &message, &scratch->tmpfs_fd, 1) == 0);
    CHECK(crew_hear(crew, member, &failure) == 0 && member->tmpfs >= 0 && member->state == MEMBER_STARTING);
    message = (struct message){.kind = MESSAGE_READY};
    CHECK(message_send(ends[1], &message, NULL, 0) == 0 && crew_hear(crew, member, &failure) == 1);
    CHECK(may_resize || seteuid(USER_ORDINARY) == 0);
    CHECK(crew_hand_over(crew, member, 40, &order, fds) == 0);
    CHECK(seteuid(0) == 0);
    *ret_counted = member->counted;
    CHECK((member->tmpfs >= 0) == member->counted && fstatvfs(scratch->tmpfs_fd, &status) == 0);
    keeper_cancel(crew, 40);
    struct verdict verdict;
    uint64_t job;
    while (keeper_reap(crew, &job, &verdict) == 0)
        usleep(1000);
    CHECK(job == 40 && member->tmpfs == -1);
    close(ends[1]);
    close(scratch->tmpfs_fd);
    CHECK(chdir("/") == 0 && umount("/tmp") == 0);
    return (uint64_t)status.f_blocks * status.f_frsize;
}

static void resize_or_count(void) {
    void *state;
    bool counted;
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && begin(&state) == 0);
    struct crew *crew = state;
    struct policy *policy = &crew->sandbox->policy;
    policy->scratch_bytes = 2 * MIB;
    policy->scratch_most_bytes = 8 * MIB;
    policy->scratch_files = 100;
    CHECK(hand_over(crew, 2 * MIB, &counted) == 2 * MIB && !counted);
    CHECK(hand_over(crew, MIB, &counted) == MIB && !counted);
    CHECK(hand_over(crew, 8 * MIB, &counted) == 8 * MIB && !counted);
    /* A zygote that may not: it is counted, where it differs from what the tmpfs holds. */
    may_resize = false;
    CHECK(hand_over(crew, 2 * MIB, &counted) == 2 * MIB && !counted);
    CHECK(hand_over(crew, MIB, &counted) == 2 * MIB && counted);
}

static void test_a_job_gets_the_room_it_may_have(void **state) {
    (void)state;
    need_root("mounts");
    in_child(resize_or_count);
}

#define CREW_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CREW_TEST(test_an_exit),
        CREW_TEST(test_a_signal),
        CREW_TEST(test_the_deadline),
        CREW_TEST(test_a_kill_by_the_kernel),
        CREW_TEST(test_memory),
        CREW_TEST(test_cancelled),
        CREW_TEST(test_killed_for_one_thing),
        CREW_TEST(test_answered),
        CREW_TEST(test_cpu_time_is_counted_from_the_baseline),
        CREW_TEST(test_one_that_was_not_ready_has_no_verdict),
        CREW_TEST(test_who_stops_has_not_ended),
        CREW_TEST(test_each_has_its_own_end),
        CREW_TEST(test_when_to_look_again),
        CREW_TEST(test_files_are_counted_in_the_end),
        CREW_TEST(test_a_job_gets_the_room_it_may_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
