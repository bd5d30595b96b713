/* sandbox/credentials: who a process is afterwards, and that there is no way back. */
#include "child.h"

#include "base/fd.h"
#include "sandbox/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { USER = 1987654321, GROUP = 1987654322 };

static char status[8192];

/* The line of /proc/self/status, as the kernel writes it. */
static bool status_says(const char *line) {
    return fd_read_file(AT_FDCWD, "/proc/self/status", status, sizeof status) > 0 && strstr(status, line) != NULL;
}

static void enter(void) {
    struct failure failure = {0};
    if (credentials_drop_groups(&failure) < 0 || credentials_enter(USER, GROUP, &failure) < 0) {
        fprintf(stderr, "# %s: %s\n", failure.stage, failure.text);
        _exit(1);
    }
}

static void see_ids(void) {
    uid_t uids[3];
    gid_t gids[3];
    const gid_t groups[] = {0, 5, 42};
    CHECK(setgroups(3, groups) == 0);
    enter();
    CHECK(getresuid(&uids[0], &uids[1], &uids[2]) == 0 && getresgid(&gids[0], &gids[1], &gids[2]) == 0);
    for (size_t i = 0; i < 3; i++)
        CHECK(uids[i] == USER && gids[i] == GROUP);
    CHECK(getgroups(0, NULL) == 0);
    /* The fourth id of a kind is for file systems. */
    CHECK(status_says("Uid:\t1987654321\t1987654321\t1987654321\t1987654321\n"));
    CHECK(status_says("Gid:\t1987654322\t1987654322\t1987654322\t1987654322\n"));
}

static void test_every_id_is_the_new_one(void **state) {
    (void)state;
    need_root("changes its user and groups");
    in_child(see_ids);
}

static void see_capabilities(void) {
    enter();
    CHECK(status_says("CapInh:\t0000000000000000\n"));
    CHECK(status_says("CapPrm:\t0000000000000000\n"));
    CHECK(status_says("CapEff:\t0000000000000000\n"));
    CHECK(status_says("CapBnd:\t0000000000000000\n"));
    CHECK(status_says("CapAmb:\t0000000000000000\n"));
}

static void test_no_capability_is_left(void **state) {
    (void)state;
    need_root("changes its user and groups");
    in_child(see_capabilities);
}

/* What would carry capabilities across the change of user. */
static void keep_what_can_be_kept(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    CHECK(syscall(SYS_capget, &header, sets) == 0);
    sets[0].inheritable = sets[0].permitted;
    CHECK(syscall(SYS_capset, &header, sets) == 0);
    CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) == 0);
    CHECK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
    see_capabilities();
}

static void test_kept_and_ambient_ones_go_as_well(void **state) {
    (void)state;
    need_root("changes its user and groups");
    in_child(keep_what_can_be_kept);
}

static void try_the_way_back(void) {
    enter();
    CHECK(setuid(0) < 0 && errno == EPERM);
    CHECK(setresuid((uid_t)-1, 0, (uid_t)-1) < 0 && errno == EPERM);
    CHECK(setgid(0) < 0 && errno == EPERM);
    CHECK(setgroups(0, NULL) < 0 && errno == EPERM);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) < 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK(status_says("NoNewPrivs:\t1\n"));
}

static void test_there_is_no_way_back(void **state) {
    (void)state;
    need_root("changes its user and groups");
    in_child(try_the_way_back);
}

static void see_that_no_one_can_look_in(void) {
    enter();
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    /* Not even itself: /proc/self belongs to root now. */
    CHECK(open("/proc/self/mem", O_RDWR | O_CLOEXEC) < 0 && errno == EACCES);
}

static void test_it_is_not_dumpable(void **state) {
    (void)state;
    need_root("changes its user and groups");
    in_child(see_that_no_one_can_look_in);
}

static void enter_without_privileges(void) {
    struct failure failure = {0};
    CHECK(setresgid(GROUP, GROUP, GROUP) == 0 && setresuid(USER, USER, USER) == 0);
    CHECK(!credentials_have(CAP_SETUID) && !credentials_have(CAP_SYS_ADMIN));
    CHECK(credentials_drop_groups(&failure) == 0);
    CHECK(credentials_enter(USER + 1, GROUP, &failure) == -EPERM);
    CHECK(failure.error == EPERM && strcmp(failure.stage, "identity") == 0);
    CHECK(strstr(failure.text, "setresuid()") != NULL);
}

/* An ordinary user keeps his id, and has everything else taken. */
static void enter_as_oneself(void) {
    struct failure failure = {0};
    CHECK(setresgid(GROUP, GROUP, GROUP) == 0 && setresuid(USER, USER, USER) == 0);
    CHECK(credentials_enter(USER, GROUP, &failure) == 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

static void enter_as_root(void) {
    struct failure failure = {0};
    CHECK(credentials_enter(0, 0, &failure) == -EPERM);
    CHECK(strcmp(failure.stage, "identity") == 0 && strstr(failure.text, "staying root") != NULL);
}

/* What a manager keeps, and can hand down over an exec. */
static void keep_for_workers(void) {
    struct failure failure = {0};
    CHECK(credentials_keep_for_workers(&failure) == 0);
    CHECK(credentials_have(CAP_SYS_ADMIN) && credentials_have(CAP_SETUID) && credentials_have(CAP_KILL));
    CHECK(!credentials_have(CAP_NET_ADMIN) && !credentials_have(CAP_SYS_PTRACE) && !credentials_have(CAP_SYS_MODULE) &&
          !credentials_have(CAP_BPF));
    CHECK(prctl(PR_CAPBSET_READ, CAP_SYS_MODULE, 0, 0, 0) == 0 && prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void test_what_a_manager_keeps(void **state) {
    (void)state;
    need_root("gives up capabilities");
    in_child(keep_for_workers);
}

static void test_who_one_may_stay(void **state) {
    (void)state;
    need_root("changes its user and groups");
    in_child(enter_as_oneself);
    in_child(enter_as_root);
}

static void test_it_fails_closed_without_privileges(void **state) {
    (void)state;
    need_root("changes its user and groups");
    in_child(enter_without_privileges);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_id_is_the_new_one),
        cmocka_unit_test(test_no_capability_is_left),
        cmocka_unit_test(test_kept_and_ambient_ones_go_as_well),
        cmocka_unit_test(test_there_is_no_way_back),
        cmocka_unit_test(test_it_is_not_dumpable),
        cmocka_unit_test(test_it_fails_closed_without_privileges),
        cmocka_unit_test(test_who_one_may_stay),
        cmocka_unit_test(test_what_a_manager_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
