/* sandbox/namespaces: who may make which, what the zygote has in its own, and what is noted where they are refused. */
#include "user.h"

#include "base/fd.h"
#include "sandbox/credentials.h"
#include "sandbox/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>

enum { UID_BASE = 1876111000 };
static const struct policy policy = {.uid_base = UID_BASE};
static const enum layer shared[] = {LAYER_NET, LAYER_IPC, LAYER_UTS, LAYER_TIME, LAYER_CGROUP_NAMESPACE};
static const char *const links[] = {"net", "ipc", "uts", "time_for_children", "cgroup"};
enum { SHARED = sizeof shared / sizeof shared[0] };

static bool file_says(const char *path, const char *words) {
    char text[256];
    return fd_read_file(AT_FDCWD, path, text, sizeof text) > 0 && strstr(text, words) != NULL;
}

static bool has_children(void) {
    return waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
}

static void read_link(size_t which, char ret_link[64]) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", links[which]);
    ssize_t n = readlink(path, ret_link, 63);
    ret_link[n < 0 ? 0 : n] = '\0';
}

/* --- A user namespace for the zygote --- */

static void own_user_as_root(void) {
    bool slots = false;
    char map[64];
    struct failure failure = {0};
    CHECK(namespaces_own_user(&policy, &slots, &failure) == 0);
    CHECK(slots && geteuid() == 0 && credentials_have(CAP_SYS_ADMIN) && !has_children());
    snprintf(map, sizeof map, "%10u %10u %10u\n", (unsigned)UID_BASE, (unsigned)UID_BASE, (unsigned)CONFIG_UIDS);
    CHECK(file_says("/proc/self/uid_map", map) && file_says("/proc/self/gid_map", map));
    /* Every slot's id is there, and no other. */
    CHECK(setresgid(UID_BASE + 1, UID_BASE + 1, UID_BASE + 1) == 0 && setresuid(1000, 1000, 1000) < 0 && errno == EINVAL);
    CHECK(setresuid(UID_BASE + CONFIG_UIDS, 0, 0) < 0 && setresuid(UID_BASE + 1, UID_BASE + 1, UID_BASE + 1) == 0);
}

static void test_root_keeps_a_slot_each(void **state) {
    (void)state;
    need_root("maps many ids");
    in_child(own_user_as_root);
}

static void own_user_as_ordinary_user(void) {
    bool slots = true;
    char map[64];
    struct failure failure = {0};
    become_ordinary_user();
    uid_t before = geteuid();
    CHECK(namespaces_own_user(&policy, &slots, &failure) == 0);
    CHECK(!slots && geteuid() == POLICY_UID && getegid() == POLICY_GID && credentials_have(CAP_SYS_ADMIN) && !has_children());
    snprintf(map, sizeof map, "%10u %10u %10u\n", (unsigned)POLICY_UID, (unsigned)before, 1u);
    CHECK(file_says("/proc/self/uid_map", map) && file_says("/proc/self/setgroups", "deny"));
    CHECK(setresuid(0, 0, 0) < 0);
}

static int probe_user(void) {
    if (geteuid() != 0)
        return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
    CHECK(setresuid(USER_ORDINARY, USER_ORDINARY, USER_ORDINARY) == 0);
    return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
}

/* Whether this machine lets an ordinary user have one. */
static bool is_granted(void) {
    pid_t child = fork();
    int status;
    if (child == 0)
        _exit(probe_user());
    return waitpid(child, &status, 0) == child && status == 0;
}

static void test_an_ordinary_user_has_one_id(void **state) {
    (void)state;
    if (!is_granted()) {
        print_message("# this machine grants ordinary users no user namespaces\n");
        skip();
    }
    in_child(own_user_as_ordinary_user);
}

static void own_user_where_there_is_none(void) {
    bool slots = true;
    struct failure failure = {0};
    lose_user_namespaces();
    become_ordinary_user();
    CHECK(namespaces_own_user(&policy, &slots, &failure) == -ENOSPC);
    CHECK(failure.error == ENOSPC && strcmp(failure.stage, "user-namespace") == 0);
    CHECK(strncmp(failure.text, "unshare(NEWUSER): ", 18) == 0);
    CHECK(slots && geteuid() == USER_ORDINARY && !has_children()); /* as it was */
}

static void test_none_to_be_had(void **state) {
    (void)state;
    need_root("makes a platform without user namespaces");
    in_child(own_user_where_there_is_none);
}

/* --- What workers share --- */

static void share(uint32_t off, struct isolation *ret_isolation, bool ret_changed[SHARED]) {
    char before[SHARED][64], after[64];
    int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < SHARED; i++)
        read_link(i, before[i]);
    namespaces_share(proc_fd, off, ret_isolation);
    for (size_t i = 0; i < SHARED; i++) {
        read_link(i, after);
        CHECK(after[0] != '\0');
        ret_changed[i] = strcmp(before[i], after) != 0;
    }
}

static void share_all(void) {
    struct isolation isolation = {0};
    bool changed[SHARED];
    char name[64] = "";
    share(0, &isolation, changed);
    for (size_t i = 0; i < SHARED; i++) {
        CHECK(changed[i] && isolation.layers[shared[i]].status == LAYER_ACTIVE);
        CHECK(isolation.layers[shared[i]].detail[0] != '\0' && isolation.layers[shared[i]].error == 0);
    }
    CHECK(gethostname(name, sizeof name) == 0 && strcmp(name, "sandbox") == 0);
    /* The rest is not its to speak of. */
    CHECK(isolation.layers[LAYER_MOUNT].detail[0] == '\0' && isolation.layers[LAYER_SECCOMP].status == LAYER_REFUSED);
}

static void test_all_that_can_be_shared(void **state) {
    (void)state;
    need_root("makes namespaces");
    in_child(share_all);
}

static void share_but_one(void) {
    for (size_t off = 0; off < SHARED; off++) {
        pid_t child = fork();
        int status;
        if (child == 0) {
            struct isolation isolation = {0};
            bool changed[SHARED];
            share(layer_bit(shared[off]), &isolation, changed);
            for (size_t i = 0; i < SHARED; i++)
                CHECK(changed[i] == (i != off) &&
                      isolation.layers[shared[i]].status == (i != off ? LAYER_ACTIVE : LAYER_UNUSED));
            CHECK(strcmp(isolation.layers[shared[off]].detail, "switched off") == 0);
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
}

static void test_one_that_is_off_is_left_alone(void **state) {
    (void)state;
    need_root("makes namespaces");
    in_child(share_but_one);
}

static void share_without_the_right(void) {
    static const char *const calls[] = {"unshare(NEWNET)", "unshare(NEWIPC)", "unshare(NEWUTS)", "unshare(NEWTIME)",
                                        "unshare(NEWCGROUP)"};
    struct isolation isolation = {0};
    bool changed[SHARED];
    become_ordinary_user();
    share(0, &isolation, changed);
    for (size_t i = 0; i < SHARED; i++) {
        const struct layer_state *layer = &isolation.layers[shared[i]];
        CHECK(!changed[i] && layer->status == LAYER_REFUSED && layer->error == EPERM && strcmp(layer->call, calls[i]) == 0);
        CHECK(strstr(layer->detail, "Operation not permitted") != NULL);
    }
}

static void test_what_is_refused_is_noted(void **state) {
    (void)state;
    in_child(share_without_the_right);
}

/* --- The probe --- */

static const enum layer probed[] = {LAYER_USER, LAYER_MOUNT, LAYER_PID, LAYER_NET, LAYER_IPC, LAYER_UTS, LAYER_TIME,
                                    LAYER_CGROUP_NAMESPACE};

static void probe_as_root(void) {
    struct isolation isolation = {0};
    char before[SHARED][64], after[64];
    for (size_t i = 0; i < SHARED; i++)
        read_link(i, before[i]);
    namespaces_probe(&isolation);
    for (size_t i = 0; i < sizeof probed / sizeof probed[0]; i++) {
        CHECK(isolation.layers[probed[i]].status == LAYER_UNUSED);
        CHECK(strcmp(isolation.layers[probed[i]].detail, "granted") == 0);
    }
    for (size_t i = 0; i < SHARED; i++) {
        read_link(i, after);
        CHECK(strcmp(before[i], after) == 0);
    }
    CHECK(!has_children());
}

static void test_the_probe_changes_nothing(void **state) {
    (void)state;
    need_root("makes namespaces");
    in_child(probe_as_root);
}

static void probe_where_there_is_none(void) {
    struct isolation isolation = {0};
    lose_user_namespaces();
    become_ordinary_user();
    namespaces_probe(&isolation);
    for (size_t i = 0; i < sizeof probed / sizeof probed[0]; i++) {
        const struct layer_state *layer = &isolation.layers[probed[i]];
        CHECK(layer->status == LAYER_REFUSED && layer->error == (probed[i] == LAYER_USER ? ENOSPC : EPERM));
        CHECK(strncmp(layer->call, "unshare(NEW", 11) == 0 && layer->call[strlen(layer->call) - 1] == ')');
    }
    CHECK(!has_children());
}

static void test_the_probe_says_what_was_refused(void **state) {
    (void)state;
    need_root("makes a platform without user namespaces");
    in_child(probe_where_there_is_none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_keeps_a_slot_each),
        cmocka_unit_test(test_an_ordinary_user_has_one_id),
        cmocka_unit_test(test_none_to_be_had),
        cmocka_unit_test(test_all_that_can_be_shared),
        cmocka_unit_test(test_one_that_is_off_is_left_alone),
        cmocka_unit_test(test_what_is_refused_is_noted),
        cmocka_unit_test(test_the_probe_changes_nothing),
        cmocka_unit_test(test_the_probe_says_what_was_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
