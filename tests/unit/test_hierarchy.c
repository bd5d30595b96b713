/* sandbox/hierarchy, version 2: a real group made beside the test's own, with whatever controller the kernel has to hand
 * down there. tests/unit/test_cgroup.c has what workers' groups are for. */
#include "child.h"

#include "base/fd.h"
#include "sandbox/hierarchy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static int above = -1, group = -1; /* our own group, and one below it that each test has for itself */
static bool lent;                  /* the controller was not handed down above before */
static char name[32], wanted[32];  /* "+hugetlb" */

static void skip_since(const char *why) {
    printf("# the platform lets no group of version 2 be made: %s\n", why);
    fflush(stdout);
    skip();
}

/* The first controller that our group may hand down. */
static bool find_controller(void) {
    char words[256];
    if (fd_read_file(above, "cgroup.controllers", words, sizeof words) <= 0)
        return false;
    words[strcspn(words, " \n")] = '\0';
    snprintf(wanted, sizeof wanted, "+%.30s", words);
    return words[0] != '\0';
}

/* In our own group other processes are, so it can only be had where that is the root, or hands one down already. */
static void make_group(void) {
    struct failure failure;
    need_root("makes control groups");
    above = hierarchy_open(NULL, &failure);
    if (above < 0)
        skip_since(failure.text);
    if (!find_controller())
        skip_since("it has no controller");
    lent = !hierarchy_has_word(above, "cgroup.subtree_control", wanted + 1);
    if (lent && fd_write_file(above, "cgroup.subtree_control", wanted) < 0)
        skip_since("ours does not hand a controller down");
    snprintf(name, sizeof name, "px-test-%d", (int)getpid());
    assert_int_equal(mkdirat(above, name, 0755), 0);
    group = fd_open_folder(above, name);
    assert_true(group >= 0);
}

static void remove_group(void) {
    unlinkat(group, "python-executor-self", AT_REMOVEDIR);
    group = fd_close(group);
    assert_int_equal(unlinkat(above, name, AT_REMOVEDIR), 0);
    wanted[0] = '-';
    if (lent)
        assert_int_equal(fd_write_file(above, "cgroup.subtree_control", wanted), 0);
    above = fd_close(above);
}

static void test_in_child(void (*body)(void)) {
    make_group();
    in_child(body);
    remove_group();
}

static void enter_group(void) {
    CHECK(fd_write_file(group, "cgroup.procs", "0") == 0);
}

/* The path of a process, from /proc/PID/cgroup. */
static bool is_in(pid_t pid, const char *end) {
    char path[32], text[4096];
    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    CHECK(fd_read_file(AT_FDCWD, path, text, sizeof text) > 0);
    char *own = strstr(text, "0::");
    CHECK(own != NULL);
    own[strcspn(own, "\n")] = '\0';
    size_t length = strlen(own), size = strlen(end);
    return length >= size && strcmp(own + length - size, end) == 0;
}

static void check_same(int one, int other) {
    struct stat here, there;
    CHECK(fstat(one, &here) == 0 && fstat(other, &there) == 0 && here.st_ino == there.st_ino && here.st_dev == there.st_dev);
}

/* --- Alone in it --- */

static void hand_down_alone(void) {
    struct failure failure = {0};
    enter_group();
    CHECK(hierarchy_hand_down(group, wanted, &failure) == 0);
    CHECK(hierarchy_has_word(group, "cgroup.subtree_control", wanted + 1));
    CHECK(is_in(getpid(), "/python-executor-self"));
    /* Ours is still the one above the leaf. */
    cleanup_fd int found = hierarchy_open(NULL, &failure);
    check_same(found, group);
    CHECK(hierarchy_hand_down(group, wanted, &failure) == 0);
    CHECK(hierarchy_hand_down(group, "+nothing", &failure) < 0 && failure.error == EINVAL);
}

static void test_a_process_makes_room_for_controllers(void **state) {
    (void)state;
    test_in_child(hand_down_alone);
}

/* --- With others --- */

static pid_t sleeper(void) {
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    CHECK(child > 0);
    return child;
}

static void end(pid_t child) {
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
}

static void find_a_stranger(void) {
    struct failure failure = {0};
    enter_group();
    pid_t stranger = sleeper();
    CHECK(hierarchy_hand_down(group, wanted, &failure) < 0 && failure.error == EBUSY);
    CHECK(!hierarchy_has_word(group, "cgroup.subtree_control", wanted + 1));
    CHECK(is_in(stranger, name) && is_in(getpid(), name)); /* nobody was moved */
    end(stranger);
}

static void test_others_are_not_moved(void **state) {
    (void)state;
    test_in_child(find_a_stranger);
}

/* As the manager with its server, and a zygote that asks. */
static void be_a_family(void) {
    CHECK(prctl(PR_SET_NAME, "python-executor") == 0);
    enter_group();
    pid_t server = sleeper();
    pid_t zygote = fork();
    if (zygote == 0) {
        struct failure failure = {0};
        CHECK(hierarchy_hand_down(group, wanted, &failure) == 0);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(zygote, &status, 0) == zygote && status == 0);
    CHECK(is_in(getpid(), "/python-executor-self") && is_in(server, "/python-executor-self"));
    end(server);
}

static void test_the_managers_family_is_moved(void **state) {
    (void)state;
    test_in_child(be_a_family);
}

/* --- The root group --- */

static void test_the_root_group_is_the_hosts(void **state) {
    struct failure failure = {0};
    (void)state;
    above = hierarchy_open(NULL, &failure);
    if (above < 0)
        skip_since(failure.text);
    if (faccessat(above, "cgroup.type", F_OK, 0) == 0) {
        above = fd_close(above);
        skip_since("ours is not the root group");
    }
    assert_true(hierarchy_hand_down(above, "+nothing", &failure) < 0);
    assert_int_equal(failure.error, EPERM);
    above = fd_close(above);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_process_makes_room_for_controllers),
        cmocka_unit_test(test_others_are_not_moved),
        cmocka_unit_test(test_the_managers_family_is_moved),
        cmocka_unit_test(test_the_root_group_is_the_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
