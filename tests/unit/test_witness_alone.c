/* sandbox/witness in processes that have a part of a layer and say that they have all of it. test_witness.c is about
 * workers, with a layer or without. */
#include "child.h"

#include "sandbox/chroot.h"
#include "sandbox/seccomp.h"
#include "sandbox/witness.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* The witness finds this wanting in the layer. */
static void check_noticed(enum layer layer, const char *stage, const char *what) {
    struct isolation isolation = {0};
    struct failure failure = {0};
    isolation.layers[layer].status = LAYER_ACTIVE;
    int r = witness_layers(&isolation, &failure);
    if (r >= 0 || strcmp(failure.stage, stage) != 0 || strstr(failure.text, what) == NULL) {
        fprintf(stderr, "# %d, %s: %s\n", r, failure.stage, failure.text);
        _exit(1);
    }
}

/* --- A filter that forgets something --- */

/* The first four are for an end, also AddressSanitizer's. */
static const struct seccomp_rule forgetful[] = {
    {.call = "write", .action = SECCOMP_ALLOW},   {.call = "exit_group", .action = SECCOMP_ALLOW},
    {.call = "munmap", .action = SECCOMP_ALLOW},  {.call = "sigaltstack", .action = SECCOMP_ALLOW},
    {.call = "getppid", .action = SECCOMP_ALLOW}, {.call = "kill", .action = SECCOMP_ALLOW},
    {.call = "unshare", .action = SECCOMP_ALLOW}};
enum { WITH_KILL = 6, WITH_UNSHARE = 7 };

static void enter_filter(size_t rules) {
    struct seccomp_program program;
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(seccomp_prepare(forgetful, rules, SECCOMP_REAL_PATHS, &program, NULL) == 0 && seccomp_enter(&program, NULL) == 0);
}

static void reach_another(void) {
    enter_filter(WITH_KILL);
    check_noticed(LAYER_SECCOMP, "seccomp", "kill() of another");
}

static void make_a_namespace(void) {
    enter_filter(WITH_UNSHARE);
    check_noticed(LAYER_SECCOMP, "seccomp", "unshare()");
}

static void test_a_filter_that_lets_through(void **state) {
    (void)state;
    in_child(reach_another);
    in_child(make_a_namespace);
}

/* --- Who it is, and how much it may have --- */

static void be_able_to_gain(void) {
    CHECK(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
    check_noticed(LAYER_IDENTITY, "identity", "gaining privileges");
}

static void be_able_to_dump(void) {
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
    check_noticed(LAYER_IDENTITY, "identity", "a core dump");
}

static void be_able_to_raise(void) {
    const struct rlimit none = {0, 0};
    CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
    check_noticed(LAYER_RLIMITS, "rlimits", "raising RLIMIT_CORE");
}

/* Root may not everywhere: it takes CAP_SYS_RESOURCE, and that of the host. */
static void try_to_raise(void) {
    const struct rlimit none = {0, 0}, one = {0, 1};
    _exit(setrlimit(RLIMIT_CORE, &none) == 0 && setrlimit(RLIMIT_CORE, &one) == 0 ? 0 : 1);
}

static void test_half_an_identity(void **state) {
    (void)state;
    in_child(be_able_to_gain);
    in_child(be_able_to_dump);
}

static void test_limits_that_can_be_raised(void **state) {
    (void)state;
    if (status_of(try_to_raise) != 0) {
        printf("# the platform lets nobody here raise a limit\n");
        fflush(stdout);
        skip();
    }
    in_child(be_able_to_raise);
}

/* --- Files --- */

static void have_own_mounts(void) {
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

static void write_to_the_runtime(void) {
    have_own_mounts();
    CHECK(mount("usr", "/usr", "tmpfs", 0, NULL) == 0 && mkdir("/usr/lib", 0755) == 0 && chroot_enter(NULL) == 0);
    check_noticed(LAYER_CHROOT, "chroot", "writing to /usr/lib");
}

static void have_no_scratch(void) {
    have_own_mounts();
    CHECK(mount("tmp", "/tmp", "tmpfs", MS_RDONLY, NULL) == 0);
    check_noticed(LAYER_MOUNT, "scratch", "writing to /tmp failed");
}

static void test_files(void **state) {
    (void)state;
    need_root("mounts");
    in_child(write_to_the_runtime);
    in_child(have_no_scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_filter_that_lets_through),
        cmocka_unit_test(test_half_an_identity),
        cmocka_unit_test(test_limits_that_can_be_raised),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
