/* sandbox/chroot: /usr becomes the root, under its own name as well, and who may not is told which call it was. */
#include "user.h"

#include "sandbox/chroot.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* A /usr of our own, so that the machine's keeps its names. */
static void have_own_usr(void) {
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("usr", "/usr", "tmpfs", 0, NULL) == 0 && mkdir("/usr/lib", 0755) == 0);
}

static void enter(void) {
    struct failure failure = {0};
    struct stat one, other;
    char here[8];
    have_own_usr();
    CHECK(chroot_enter(&failure) == 0);
    CHECK(getcwd(here, sizeof here) != NULL && strcmp(here, "/") == 0);
    CHECK(stat("/lib", &one) == 0 && stat("/usr/lib", &other) == 0 && one.st_ino == other.st_ino);
    CHECK(access("/etc", F_OK) < 0 && errno == ENOENT);
    /* The name is there already, as after an earlier start. */
    CHECK(chroot_enter(&failure) == 0);
}

static void test_the_root_is_usr(void **state) {
    (void)state;
    need_root("mounts, and changes its root");
    in_child(enter);
}

static void find_a_stranger(void) {
    struct failure failure = {0};
    have_own_usr();
    CHECK(symlink("lib", "/usr/usr") == 0);
    CHECK(chroot_enter(&failure) < 0 && failure.error == EEXIST && strcmp(failure.stage, "chroot") == 0);
    CHECK(access("/etc", F_OK) == 0);
}

static void test_another_usr_is_not_taken_for_it(void **state) {
    (void)state;
    need_root("mounts");
    in_child(find_a_stranger);
}

static void lack_the_capability(void) {
    struct failure failure = {0};
    have_own_usr();
    CHECK(symlink(".", "/usr/usr") == 0);
    become_ordinary_user();
    CHECK(chroot_enter(&failure) < 0 && failure.error == EPERM && strstr(failure.text, "chroot()") != NULL);
}

static void test_it_takes_a_capability(void **state) {
    (void)state;
    need_root("mounts, and changes its user");
    in_child(lack_the_capability);
}

static void test_paths(void **state) {
    (void)state;
    assert_true(chroot_holds("/usr/lib"));
    assert_false(chroot_holds("/usrlib"));
    assert_false(chroot_holds("/opt/usr/lib"));
    assert_string_equal(chroot_path("/usr/lib/python3"), "/lib/python3");
    assert_string_equal(chroot_path("/opt/venv"), "/opt/venv");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_root_is_usr),
        cmocka_unit_test(test_another_usr_is_not_taken_for_it),
        cmocka_unit_test(test_it_takes_a_capability),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
