/* sandbox/sandbox: all layers together, as the zygote and its workers feel them.
 *
 * sandbox_prepare() leaves the host's files for good, so a forked zygote plays the scenario once, with two
 * workers alive at a time, and everybody writes what they see into memory that all share. The tests then
 * only look at that. Nobody asserts in a child.
 */
#include "sandbox_scene.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

static const struct scene *scene;

static int play(void **state) {
    (void)state;
    scene = scene_play();
    return scene == NULL ? -1 : 0;
}

static void assert_says(const char *status, const char *line) {
    if (strstr(status, line) == NULL)
        fail_msg("no line \"%s\" in:\n%s", line, status);
}

static void test_everything_went_in(void **state) {
    (void)state;
    if (scene->prepared < 0)
        fail_msg("%s: %s", scene->failure.stage, scene->failure.text);
    for (size_t i = 0; i < SCENE_WORKERS; i++) {
        const struct worker_view *worker = &scene->workers[i];
        if (scene->pids[i] <= 0)
            fail_msg("worker %zu: clone was refused: %s", i, strerror(-scene->pids[i]));
        if (worker->admitted < 0 || worker->entered < 0)
            fail_msg("worker %zu: %s: %s", i, worker->failure.stage, worker->failure.text);
        assert_true(worker->finished);
    }
    assert_true(scene->finished);
}

static void test_the_root_has_what_python_needs_and_no_more(void **state) {
    static const char *const wanted[] = {"dev", "etc", "tmp", "usr"};
    static const char *const known[] = {"dev", "etc", "lib", "lib32", "lib64", "libx32", "tmp", "usr"};
    char *root = strdup(scene->workers[0].root);
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_non_null(strstr(root, wanted[i]));
    for (char *save = NULL, *name = strtok_r(root, " ", &save); name != NULL; name = strtok_r(NULL, " ", &save)) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            found = found || strcmp(name, known[i]) == 0;
        if (!found)
            fail_msg("/%s is in the root", name);
    }
    free(root);
}

static void test_devices_and_small_files(void **state) {
    (void)state;
    assert_string_equal(scene->workers[0].dev, "full null random urandom zero ");
    assert_int_equal(scene->workers[0].null_errno, 0);
    assert_string_equal(scene->workers[0].hosts, "127.0.0.1 localhost\n::1 localhost\n");
    /* Without the cache of libraries, which a host need not have, imports would search all folders. */
    char names[128];
    snprintf(names, sizeof names, "group hosts %s%snsswitch.conf passwd ", access("/etc/ld.so.cache", F_OK) == 0 ? "ld.so.cache " : "",
             access("/etc/matplotlibrc", F_OK) == 0 ? "matplotlibrc " : "");
    assert_string_equal(scene->workers[0].etc, names);
    assert_non_null(strstr(scene->workers[0].passwd, "nobody:x:65534:65534:"));
    assert_null(strstr(scene->workers[0].passwd, "daemon")); /* not the host's */
}

static void test_what_must_not_be_there(void **state) {
    (void)state;
    for (size_t i = 0; i < SCENE_WORKERS; i++)
        assert_string_equal(scene->workers[i].visible, "");
}

static void test_nothing_is_writable_but_tmp(void **state) {
    (void)state;
    for (size_t i = 0; i < SCENE_WORKERS; i++) {
        assert_string_equal(scene->workers[i].writable, "");
        assert_true(scene->workers[i].looked_at > 20); /* it did look */
    }
}

/* Ownership alone would stop a worker, too; this layer must not lean on that. */
static void test_the_mounts_are_read_only(void **state) {
    const unsigned long root = ST_RDONLY | ST_NOSUID | ST_NOEXEC, bind = ST_RDONLY | ST_NOSUID | ST_NODEV;
    (void)state;
    for (size_t i = 0; i < SCENE_WORKERS; i++) {
        assert_int_equal(scene->workers[i].root_flags & root, root);
        assert_int_equal(scene->workers[i].bind_flags & bind, bind);
    }
}

/* Before it enters, a worker has all capabilities in its own user namespace. */
static void test_the_mounts_are_locked(void **state) {
    (void)state;
    assert_int_equal(scene->workers[0].remount_root_errno, EPERM);
    assert_int_equal(scene->workers[0].remount_bind_errno, EPERM);
    assert_int_equal(scene->workers[0].umount_errno, EINVAL);
}

static void test_tmp_is_bounded_in_bytes(void **state) {
    (void)state;
    const struct worker_view *worker = &scene->workers[0];
    assert_int_equal(worker->bytes_errno, ENOSPC);
    assert_in_range(worker->bytes_written, SCENE_BYTES / 2, SCENE_BYTES);
}

static void test_tmp_is_bounded_in_files(void **state) {
    (void)state;
    const struct worker_view *worker = &scene->workers[0];
    assert_int_equal(worker->files_errno, ENOSPC);
    assert_in_range(worker->files_made, SCENE_FILES / 2, SCENE_FILES);
}

static void test_one_file_is_bounded(void **state) {
    (void)state;
    assert_int_equal(scene->workers[0].long_file_errno, EFBIG);
}

static void test_tmp_is_private_and_the_working_directory(void **state) {
    (void)state;
    for (size_t i = 0; i < SCENE_WORKERS; i++) {
        const struct worker_view *worker = &scene->workers[i];
        assert_string_equal(worker->folder, "/tmp");
        assert_string_equal(worker->tmp_at_first, ""); /* the other one had filled its own by then */
        assert_int_equal(worker->tmp_mode & 07777, 0700);
        assert_int_equal(worker->tmp_flags & (ST_NOSUID | ST_NODEV | ST_NOEXEC), ST_NOSUID | ST_NODEV | ST_NOEXEC);
        assert_int_equal(worker->map_executable_errno, EPERM);
    }
}

static void test_inside_everyone_is_nobody(void **state) {
    (void)state;
    for (size_t i = 0; i < SCENE_WORKERS; i++) {
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(scene->workers[i].uids[k], POLICY_UID);
            assert_int_equal(scene->workers[i].gids[k], POLICY_GID);
        }
        assert_int_equal(scene->workers[i].groups, 0);
    }
}

static void test_outside_each_is_a_user_of_its_own(void **state) {
    (void)state;
    for (size_t i = 0; i < SCENE_WORKERS; i++) {
        char line[128];
        unsigned id = SCENE_UID_BASE + 1 + scene_slots[i];
        snprintf(line, sizeof line, "\nUid:\t%u\t%u\t%u\t%u\n", id, id, id, id);
        assert_says(scene->workers[i].status, line);
        snprintf(line, sizeof line, "\nGid:\t%u\t%u\t%u\t%u\n", id, id, id, id);
        assert_says(scene->workers[i].status, line);
        assert_says(scene->workers[i].status, "\nGroups:\t \n");
    }
    assert_int_not_equal(scene_slots[0], scene_slots[1]);
}

/* One more, and a worker could become its neighbour. */
static void test_its_own_id_is_all_it_can_have(void **state) {
    (void)state;
    for (size_t i = 0; i < SCENE_WORKERS; i++) {
        char map[64];
        snprintf(map, sizeof map, "%10u %10u %10u\n", (unsigned)POLICY_UID, SCENE_UID_BASE + 1 + scene_slots[i], 1u);
        assert_string_equal(scene->workers[i].uid_map, map);
        assert_string_equal(scene->workers[i].gid_map, map);
    }
}

static void test_what_the_kernel_says_of_a_worker(void **state) {
    static const char *const lines[] = {
        "\nCapInh:\t0000000000000000\n", "\nCapPrm:\t0000000000000000\n", "\nCapEff:\t0000000000000000\n",
        "\nCapBnd:\t0000000000000000\n", "\nCapAmb:\t0000000000000000\n", "\nNoNewPrivs:\t1\n",
        "\nSeccomp:\t2\n",               "\nSeccomp_filters:\t1\n",       "\nThreads:\t1\n",
    };
    (void)state;
    for (size_t i = 0; i < SCENE_WORKERS; i++)
        for (size_t k = 0; k < sizeof lines / sizeof lines[0]; k++)
            assert_says(scene->workers[i].status, lines[k]);
}

static void test_limits(void **state) {
    (void)state;
    for (size_t i = 0; i < SCENE_WORKERS; i++) {
        const struct rlimit *limits = scene->workers[i].limits;
        assert_int_equal(limits[RLIMIT_CORE].rlim_max, 0);
        assert_int_equal(limits[RLIMIT_NOFILE].rlim_max, SCENE_OPEN_FILES);
        assert_int_equal(limits[RLIMIT_NPROC].rlim_max, SCENE_THREADS);
        assert_int_equal(limits[RLIMIT_STACK].rlim_max, 8u << 20);
        assert_int_equal(limits[RLIMIT_FSIZE].rlim_max, SCENE_BYTES);
        assert_int_equal(limits[RLIMIT_MSGQUEUE].rlim_max, 0);
        assert_int_equal(limits[RLIMIT_MEMLOCK].rlim_max, 0);
        assert_int_equal(scene->workers[i].raise_errno, EPERM);
    }
}

static void test_a_worker_is_alone_in_its_namespace_and_the_first_to_die(void **state) {
    (void)state;
    for (size_t i = 0; i < SCENE_WORKERS; i++) {
        assert_int_equal(scene->workers[i].pid, 1);
        assert_int_equal(scene->workers[i].parent, 0);
        assert_int_equal(scene->workers[i].thread_id, 1);
        assert_string_equal(scene->workers[i].oom_score_adj, "1000\n");
    }
}

static void test_namespaces(void **state) {
    (void)state;
    for (size_t n = 0; n < SCENE_NAMESPACES; n++) {
        const char *name = scene_namespaces[n];
        bool shared = strcmp(name, "net") == 0 || strcmp(name, "ipc") == 0 || strcmp(name, "uts") == 0;
        assert_true(scene->host.namespaces[n][0] != '\0' && scene->workers[0].namespaces[n][0] != '\0');
        if (strcmp(scene->host.namespaces[n], scene->workers[0].namespaces[n]) == 0)
            fail_msg("a worker is in the host's %s namespace", name);
        if ((strcmp(scene->workers[0].namespaces[n], scene->workers[1].namespaces[n]) == 0) != shared)
            fail_msg("two workers: %s namespace %s", name, shared ? "not shared" : "shared");
    }
}

static void test_the_host_name_means_nothing(void **state) {
    (void)state;
    assert_string_equal(scene->workers[0].host_name, "sandbox");
}

/* Seen by the zygote, whose network the workers have: they can make no socket to look. */
static void test_the_network_is_empty(void **state) {
    (void)state;
    assert_string_equal(scene->interfaces, "lo ");
    assert_int_equal(scene->loopback_flags & IFF_UP, 0);
    assert_int_equal(scene->workers[0].socket_errno, EPERM);
}

static void test_the_zygote_has_left_the_host(void **state) {
    (void)state;
    assert_int_equal(scene->zygote_groups, 0);
    assert_int_equal(scene->host_file_errno, ENOENT);
    assert_string_equal(scene->zygote_folder, "/");
}

static void test_the_host_is_as_it_was(void **state) {
    (void)state;
    assert_true(scene->host.mounts_before[0] != '\0');
    assert_string_equal(scene->host.mounts_before, scene->host.mounts_after);
    assert_string_equal(scene->host.name_before, scene->host.name_after);
}

static void test_one_that_is_not_admitted_stays_out(void **state) {
    (void)state;
    assert_true(scene->stranger.finished);
    assert_true(scene->stranger.entered < 0);
    assert_string_equal(scene->stranger.failure.stage, "mount-namespace");
}

static void test_no_process_no_admission(void **state) {
    (void)state;
    assert_int_equal(scene->nobody_admitted, -ENOENT);
    assert_int_equal(scene->admitted_twice, -EPERM); /* user_namespaces(7): a map is written once */
}

static void test_workers_die_with_their_zygote(void **state) {
    (void)state;
    assert_int_equal(scene->orphans_killed, SCENE_WORKERS);
}

static void test_without_privileges_nothing_is_prepared(void **state) {
    (void)state;
    assert_int_equal(scene->unprivileged.prepared, -EPERM);
    assert_string_equal(scene->unprivileged.failure.stage, "mount-namespace");
    assert_int_equal(scene->unprivileged.proc_fd, -1);
}

static void test_a_folder_that_is_not_there_is_named(void **state) {
    (void)state;
    assert_int_equal(scene->misled.prepared, -ENOENT);
    assert_string_equal(scene->misled.failure.stage, "mount-namespace");
    assert_non_null(strstr(scene->misled.failure.text, "/usr/no-such-folder"));
    assert_int_equal(scene->misled.proc_fd, -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_went_in),
        cmocka_unit_test(test_the_root_has_what_python_needs_and_no_more),
        cmocka_unit_test(test_devices_and_small_files),
        cmocka_unit_test(test_what_must_not_be_there),
        cmocka_unit_test(test_nothing_is_writable_but_tmp),
        cmocka_unit_test(test_the_mounts_are_read_only),
        cmocka_unit_test(test_the_mounts_are_locked),
        cmocka_unit_test(test_tmp_is_bounded_in_bytes),
        cmocka_unit_test(test_tmp_is_bounded_in_files),
        cmocka_unit_test(test_one_file_is_bounded),
        cmocka_unit_test(test_tmp_is_private_and_the_working_directory),
        cmocka_unit_test(test_inside_everyone_is_nobody),
        cmocka_unit_test(test_outside_each_is_a_user_of_its_own),
        cmocka_unit_test(test_its_own_id_is_all_it_can_have),
        cmocka_unit_test(test_what_the_kernel_says_of_a_worker),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_worker_is_alone_in_its_namespace_and_the_first_to_die),
        cmocka_unit_test(test_namespaces),
        cmocka_unit_test(test_the_host_name_means_nothing),
        cmocka_unit_test(test_the_network_is_empty),
        cmocka_unit_test(test_the_zygote_has_left_the_host),
        cmocka_unit_test(test_the_host_is_as_it_was),
        cmocka_unit_test(test_one_that_is_not_admitted_stays_out),
        cmocka_unit_test(test_no_process_no_admission),
        cmocka_unit_test(test_workers_die_with_their_zygote),
        cmocka_unit_test(test_without_privileges_nothing_is_prepared),
        cmocka_unit_test(test_a_folder_that_is_not_there_is_named),
    };
    if (geteuid() != 0) {
        printf("1..0 # SKIP needs root: builds namespaces and a root file system\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, play, NULL);
}
