/* sandbox/probe: the plan that comes of a platform, why the rest is not used, and that looking has left no trace. Each
 * test is a child with empty folders of its own where the probe might leave something. */
#include "user.h"

#include "base/fd.h"
#include "sandbox/landlock.h"
#include "sandbox/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const char *const bases[] = {"/tmp", "/dev/shm", "/var/tmp", "/run"};
enum { BASES = sizeof bases / sizeof bases[0] };

static struct policy policy = {.read_only = {"/usr/lib"},
                               .scratch_bytes = 1 << 20,
                               .scratch_most_bytes = 1 << 20,
                               .scratch_files = 64,
                               .open_files = 48,
                               .threads = 6,
                               .memory_bytes = 256u << 20,
                               .uid_base = 1876222000};
static char mounts_before[65536];
static int descriptors_before;

static int count_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void make_host(void) {
    descriptors_before = count_descriptors();
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    for (size_t i = 0; i < BASES; i++)
        CHECK(mount("host", bases[i], "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") == 0);
    CHECK(fd_read_file(AT_FDCWD, "/proc/self/mountinfo", mounts_before, sizeof mounts_before) > 0);
}

static void assert_no_trace(void) {
    static char mounts_after[65536];
    for (size_t i = 0; i < BASES; i++) {
        DIR *folder = opendir(bases[i]);
        CHECK(folder != NULL);
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
            if (entry->d_name[0] != '.') {
                fprintf(stderr, "# left behind: %s/%s\n", bases[i], entry->d_name);
                _exit(1);
            }
        closedir(folder);
    }
    CHECK(fd_read_file(AT_FDCWD, "/proc/self/mountinfo", mounts_after, sizeof mounts_after) > 0);
    CHECK(strcmp(mounts_before, mounts_after) == 0);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    CHECK(count_descriptors() == descriptors_before);
}

static struct probe probe(void) {
    struct probe found;
    struct failure failure = {0};
    uid_t uid = geteuid();
    if (probe_platform(&policy, &found, &failure) < 0) {
        fprintf(stderr, "# no plan: %s: %s\n", failure.stage, failure.text);
        _exit(1);
    }
    CHECK(geteuid() == uid);
    assert_no_trace();
    return found;
}

static bool is_on(const struct probe *found, enum layer layer) {
    return found->isolation.layers[layer].status == LAYER_ACTIVE;
}

/* Whatever the plan: the word for each layer is what the plan does, and whatever is not on has a reason. */
static void check_words(const struct probe *found) {
    const struct plan *plan = &found->plan;
    CHECK(is_on(found, LAYER_MOUNT) == plan->mounts && is_on(found, LAYER_CHROOT) == plan->chroot);
    CHECK(is_on(found, LAYER_LANDLOCK) == plan->landlock);
    CHECK(is_on(found, LAYER_USER) == (plan->own_user || (plan->clone_flags & CLONE_NEWUSER) != 0));
    CHECK(is_on(found, LAYER_PID) == ((plan->clone_flags & CLONE_NEWPID) != 0));
    CHECK(((plan->clone_flags & CLONE_NEWNS) != 0) == plan->mounts);
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++) {
        const struct layer_state *state = &found->isolation.layers[layer];
        if (state->detail[0] == '\0' || (state->status == LAYER_REFUSED && (state->error == 0 || state->call[0] == '\0'))) {
            fprintf(stderr, "# %s is %s: '%s'\n", layer_name(layer), layer_status_name(state->status), state->detail);
            _exit(1);
        }
    }
}

/* --- The plans --- */

static void be_root(void) {
    make_host();
    struct probe found = probe();
    CHECK(!found.plan.own_user && found.plan.mounts && !found.plan.chroot);
    CHECK(found.plan.landlock == (landlock_abi() > 0));
    CHECK(found.plan.clone_flags == (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS));
    CHECK(strcmp(layer_tier(&found.isolation), "namespaces") == 0);
    CHECK(found.isolation.layers[LAYER_CHROOT].status == LAYER_UNUSED);
    check_words(&found);
}

static void test_as_root(void **state) {
    (void)state;
    need_root("makes namespaces");
    in_child(be_root);
}

static void be_ordinary(void) {
    make_host();
    become_ordinary_user();
    struct probe found = probe();
    check_words(&found);
    CHECK(!found.plan.chroot);
    CHECK(layer_missing(&found.isolation, layer_bit(LAYER_SECCOMP) | layer_bit(LAYER_RLIMITS) | layer_bit(LAYER_IDENTITY)) ==
          LAYER_WORDS);
    /* Either it may have user namespaces, or the test below shows what is left. */
    if (found.plan.own_user)
        CHECK(found.plan.mounts && is_on(&found, LAYER_NET) && is_on(&found, LAYER_PID));
}

static void test_as_an_ordinary_user(void **state) {
    (void)state;
    need_root("covers folders with mounts");
    in_child(be_ordinary);
}

static void be_poor(void) {
    static const enum layer refused[] = {LAYER_MOUNT, LAYER_PID, LAYER_NET, LAYER_IPC, LAYER_UTS, LAYER_TIME,
                                         LAYER_CGROUP_NAMESPACE};
    make_host();
    lose_user_namespaces();
    become_ordinary_user();
    struct probe found = probe();
    CHECK(!found.plan.own_user && !found.plan.mounts && !found.plan.chroot && found.plan.clone_flags == 0);
    CHECK(strcmp(layer_tier(&found.isolation), landlock_abi() > 0 ? "landlock" : "bare") == 0);
    check_words(&found);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        CHECK(found.isolation.layers[refused[i]].status == LAYER_REFUSED && found.isolation.layers[refused[i]].error == EPERM);
    CHECK(found.isolation.layers[LAYER_USER].status == LAYER_REFUSED && found.isolation.layers[LAYER_USER].error == ENOSPC);
    CHECK(strcmp(found.isolation.layers[LAYER_USER].call, "unshare(NEWUSER)") == 0);
}

static void test_without_user_namespaces(void **state) {
    (void)state;
    need_root("makes a platform without user namespaces");
    in_child(be_poor);
}

/* --- Layers that are switched off --- */

static void switch_off_one(void) {
    make_host();
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++) {
        policy.off = layer_bit(layer);
        struct probe found = probe();
        CHECK(!is_on(&found, (enum layer)layer));
        CHECK(strcmp(found.isolation.layers[layer].detail, "switched off") == 0 ||
              (layer == LAYER_CHROOT && found.plan.mounts));
        check_words(&found);
        CHECK(layer_missing(&found.isolation, layer_bit(LAYER_ANY_FILESYSTEM)) == LAYER_WORDS);
        CHECK(layer_missing(&found.isolation, layer_bit(LAYER_ANY_NETWORK)) == LAYER_WORDS);
    }
}

static void test_each_layer_off(void **state) {
    (void)state;
    need_root("makes namespaces");
    in_child(switch_off_one);
}

static void switch_off_one_of_little(void) {
    make_host();
    lose_user_namespaces();
    become_ordinary_user();
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++) {
        policy.off = layer_bit(layer);
        struct probe found = probe();
        CHECK(!is_on(&found, (enum layer)layer) && found.plan.clone_flags == 0);
        check_words(&found);
        CHECK((layer_missing(&found.isolation, layer_bit(LAYER_ANY_FILESYSTEM)) == LAYER_WORDS) == found.plan.landlock);
    }
}

static void test_each_layer_off_without_user_namespaces(void **state) {
    (void)state;
    need_root("makes a platform without user namespaces");
    in_child(switch_off_one_of_little);
}

/* /usr must be written to for it, so it is a copy of the machine's that is gone with the child. */
static void be_behind_chroot(void) {
    struct stat status;
    make_host();
    CHECK(mount("usr", "/mnt", "tmpfs", 0, NULL) == 0 && mkdir("/mnt/upper", 0755) == 0 && mkdir("/mnt/work", 0755) == 0);
    if (mount("overlay", "/usr", "overlay", 0, "lowerdir=/usr,upperdir=/mnt/upper,workdir=/mnt/work") < 0) {
        fprintf(stderr, "# no overlay here: not tested\n");
        _exit(0);
    }
    CHECK(fd_read_file(AT_FDCWD, "/proc/self/mountinfo", mounts_before, sizeof mounts_before) > 0);
    policy.off = layer_bit(LAYER_MOUNT) | layer_bit(LAYER_USER);
    struct probe found = probe();
    CHECK(found.plan.chroot && !found.plan.mounts && found.plan.clone_flags == CLONE_NEWPID);
    CHECK(strcmp(layer_tier(&found.isolation), landlock_abi() > 0 ? "chroot+landlock" : "chroot") == 0);
    check_words(&found);
    policy.off |= layer_bit(LAYER_LANDLOCK);
    found = probe();
    CHECK(found.plan.chroot && !found.plan.landlock && strcmp(layer_tier(&found.isolation), "chroot") == 0);
    /* What stays is the way back in, and an empty folder. */
    CHECK(lstat("/usr/usr", &status) == 0 && S_ISLNK(status.st_mode) && rmdir("/usr/lib/python-executor") == 0);
    policy.off |= layer_bit(LAYER_CHROOT);
    found = probe();
    CHECK(strcmp(layer_tier(&found.isolation), "bare") == 0);
    CHECK(layer_missing(&found.isolation, layer_bit(LAYER_ANY_FILESYSTEM)) == LAYER_ANY_FILESYSTEM);
}

static void test_behind_chroot(void **state) {
    (void)state;
    need_root("changes its root");
    in_child(be_behind_chroot);
}

/* --- Where nothing works --- */

static void have_no_folder(void) {
    make_host();
    for (size_t i = 0; i < BASES; i++)
        CHECK(mount(NULL, bases[i], NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    CHECK(fd_read_file(AT_FDCWD, "/proc/self/mountinfo", mounts_before, sizeof mounts_before) > 0);
    lose_user_namespaces();
    become_ordinary_user();
    struct probe found;
    struct failure failure = {0};
    CHECK(probe_platform(&policy, &found, &failure) < 0);
    CHECK(strcmp(failure.stage, "scratch") == 0 && failure.error != 0 && failure.text[0] != '\0');
    assert_no_trace();
}

static void test_no_plan_at_all(void **state) {
    (void)state;
    need_root("covers folders with mounts");
    in_child(have_no_folder);
}

static void test_reasons_are_added_and_nothing_else(void **state) {
    struct probe found = {0};
    struct isolation isolation = {0};
    (void)state;
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++)
        layer_refused(&found.isolation, (enum layer)layer, "call", EPERM);
    layer_active(&isolation, LAYER_SECCOMP, "");
    layer_unused(&isolation, LAYER_CHROOT, "not needed");
    probe_explain(&found, &isolation);
    assert_int_equal(isolation.layers[LAYER_SECCOMP].status, LAYER_ACTIVE);
    assert_string_equal(isolation.layers[LAYER_CHROOT].detail, "not needed");
    assert_string_equal(isolation.layers[LAYER_CGROUP].call, "call");
    assert_int_equal(isolation.layers[LAYER_CGROUP].error, EPERM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_root),
        cmocka_unit_test(test_as_an_ordinary_user),
        cmocka_unit_test(test_without_user_namespaces),
        cmocka_unit_test(test_each_layer_off),
        cmocka_unit_test(test_each_layer_off_without_user_namespaces),
        cmocka_unit_test(test_behind_chroot),
        cmocka_unit_test(test_no_plan_at_all),
        cmocka_unit_test(test_reasons_are_added_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
