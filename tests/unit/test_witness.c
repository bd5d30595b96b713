/* sandbox/witness: a layer that is said to be on and is not, is noticed in the worker before it has a job. */
#include "user.h"

#include "base/fd.h"
#include "sandbox/landlock.h"
#include "sandbox/sandbox.h"
#include "sandbox/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

static const struct plan best = {.mounts = true, .clone_flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS};
static const struct plan bare = {.clone_flags = 0};

struct testimony {
    bool entered;
    int result;
    struct failure failure;
};

static struct policy policy = {.read_only = {"/usr/lib"},
                               .scratch_bytes = 1 << 20,
                               .scratch_most_bytes = 1 << 20,
                               .scratch_files = 64,
                               .open_files = 48,
                               .threads = 6,
                               .memory_bytes = 256u << 20,
                               .uid_base = 1876333000};
static struct plan plan;
static uint32_t claimed;
static struct testimony *testimony;

static void be_worker(struct sandbox *sandbox, int go) {
    char byte;
    CHECK(read(go, &byte, 1) == 1 && sandbox_enter(sandbox, 0, &testimony->failure) == 0);
    testimony->entered = true;
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++)
        if ((claimed & layer_bit(layer)) != 0)
            sandbox->isolation.layers[layer].status = LAYER_ACTIVE;
    testimony->result = witness_layers(&sandbox->isolation, &testimony->failure);
    _exit(0);
}

static void be_zygote(void) {
    struct sandbox sandbox;
    const struct rlimit any = {RLIM_INFINITY, RLIM_INFINITY};
    int go[2];
    /* A platform that leaves nothing out by itself. */
    CHECK(setrlimit(RLIMIT_CORE, &any) == 0 && pipe(go) == 0);
    CHECK(sandbox_prepare(&sandbox, &policy, &plan, &testimony->failure) == 0);
    CHECK(sandbox_move_in(&sandbox, &testimony->failure) == 0);
    pid_t worker = sandbox_clone(&sandbox, 0, &testimony->failure);
    CHECK(worker >= 0);
    if (worker == 0)
        be_worker(&sandbox, go[0]);
    CHECK(sandbox_admit(&sandbox, worker, 0, &testimony->failure) == 0 && write(go[1], "", 1) == 1);
    CHECK(waitpid(worker, NULL, 0) == worker);
    sandbox_release(&sandbox, 0);
    sandbox_done(&sandbox);
}

/* What a worker made by this plan, less `off`, says when it is told that `claim` is on as well. */
static const struct testimony *hear(const struct plan *by, uint32_t off, uint32_t claim) {
    plan = *by;
    policy.off = off;
    claimed = claim;
    *testimony = (struct testimony){.result = -EIO};
    in_child(be_zygote);
    assert_true(testimony->entered);
    return testimony;
}

static void assert_noticed(const struct plan *by, uint32_t off, enum layer layer, const char *what) {
    const struct testimony *said = hear(by, off, layer_bit(layer));
    assert_int_equal(said->result, -EPROTO);
    assert_int_equal(said->failure.error, EPROTO);
    assert_string_equal(said->failure.stage, layer_name(layer));
    assert_non_null(strstr(said->failure.text, what));
}

static int set_up(void **state) {
    (void)state;
    testimony = mmap(NULL, sizeof *testimony, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return testimony == MAP_FAILED;
}

static void test_all_is_well(void **state) {
    struct plan with_landlock = best;
    (void)state;
    with_landlock.landlock = landlock_abi() > 0;
    assert_int_equal(hear(&best, 0, 0)->result, 0);
    assert_int_equal(hear(&with_landlock, 0, 0)->result, 0);
    if (landlock_abi() > 0) {
        const struct plan landlock = {.landlock = true};
        assert_int_equal(hear(&landlock, 0, 0)->result, 0);
    }
}

/* Nobody says that it is on, so nobody is misled. */
static void test_what_is_known_to_be_off_is_no_failure(void **state) {
    (void)state;
    assert_int_equal(hear(&best, layer_bit(LAYER_SECCOMP), 0)->result, 0);
    assert_int_equal(hear(&best, layer_bit(LAYER_RLIMITS), 0)->result, 0);
    /* In its user namespace it would be nobody at all without one, and own no file. */
    const struct plan same_user = {.mounts = true, .clone_flags = CLONE_NEWPID | CLONE_NEWNS};
    assert_int_equal(hear(&same_user, layer_bit(LAYER_IDENTITY), 0)->result, 0);
}

static void test_no_filter(void **state) {
    (void)state;
    assert_noticed(&best, layer_bit(LAYER_SECCOMP), LAYER_SECCOMP, "socket()");
}

static void test_no_limits(void **state) {
    (void)state;
    assert_noticed(&best, layer_bit(LAYER_RLIMITS), LAYER_RLIMITS, "RLIMIT_CORE");
}

static void test_no_identity(void **state) {
    (void)state;
    assert_noticed(&best, layer_bit(LAYER_IDENTITY), LAYER_IDENTITY, "core dump");
}

/* Each of the three is asked for what it would hide, in a worker that has none of them. */
static void test_files_of_the_host(void **state) {
    static const enum layer files[] = {LAYER_MOUNT, LAYER_CHROOT, LAYER_LANDLOCK};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_noticed(&bare, 0, files[i], "was not stopped");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_well),
        cmocka_unit_test(test_what_is_known_to_be_off_is_no_failure),
        cmocka_unit_test(test_no_filter),
        cmocka_unit_test(test_no_limits),
        cmocka_unit_test(test_no_identity),
        cmocka_unit_test(test_files_of_the_host),
    };
    if (geteuid() != 0) {
        printf("1..0 # SKIP needs root: builds namespaces and a root file system\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, set_up, NULL);
}
