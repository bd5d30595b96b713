/* sandbox/folder, the two that look from outside: how much a script keeps, and whose folders are swept. */
#include "user.h"

#include "base/fd.h"
#include "sandbox/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { MIB = 1 << 20 };

static char base[64], at[256];

static const char *in(const char *name) {
    snprintf(at, sizeof at, "%s/%s", base, name);
    return at;
}

static void write_file(const char *name, size_t size) {
    static const char block[65536] = {1};
    int fd = open(in(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t done = 0; done < size; done += sizeof block)
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
    fd_close(fd);
}

static bool exists(const char *name) {
    struct stat status;
    return lstat(in(name), &status) == 0;
}

static int set_up(void **state) {
    (void)state;
    strcpy(base, "/tmp/px-measure-XXXXXX");
    return mkdtemp(base) == NULL || chmod(base, 0777) < 0 || mkdir(in("7"), 0700) < 0;
}

static int tear_down(void **state) {
    char command[192];
    (void)state;
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", base, base);
    return system(command) != 0;
}

/* --- Measuring --- */

struct size {
    uint64_t bytes, files;
};

static struct size measure(uint64_t files_max) {
    struct size size = {0};
    cleanup_fd int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(folder_measure(fd, "7", files_max, &size.bytes, &size.files), 0);
    return size;
}

static void test_bytes_and_files(void **state) {
    (void)state;
    assert_int_equal(measure(100).files, 0);
    write_file("7/one", MIB);
    mkdir(in("7/folder"), 0700);
    write_file("7/folder/two", MIB / 2);
    write_file("7/folder/empty", 0);
    struct size size = measure(100);
    assert_int_equal(size.files, 4);
    assert_in_range(size.bytes, MIB + MIB / 2, MIB + MIB / 2 + 64 * 1024);
}

static void test_holes_take_no_space(void **state) {
    (void)state;
    write_file("7/sparse", 0);
    assert_int_equal(truncate(in("7/sparse"), 1l << 30), 0);
    assert_in_range(measure(100).bytes, 0, 64 * 1024);
}

static void test_links_count_as_files_and_lead_nowhere(void **state) {
    (void)state;
    write_file("outside", MIB);
    assert_int_equal(symlink("/usr", in("7/usr")), 0);
    assert_int_equal(symlink("../outside", in("7/file")), 0);
    assert_int_equal(symlink(".", in("7/loop")), 0);
    struct size size = measure(100);
    assert_int_equal(size.files, 3);
    assert_in_range(size.bytes, 0, 64 * 1024);
}

/* It stops there: a script cannot keep the zygote counting. */
static void test_files_are_counted_to_the_bound(void **state) {
    char name[32];
    (void)state;
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "7/file%d", i);
        write_file(name, 0);
    }
    assert_int_equal(measure(50).files, 50);
    assert_int_equal(measure(49).files, 50);
    assert_int_equal(measure(10).files, 11);
}

static void test_hidden_deep_is_too_much(void **state) {
    (void)state;
    int fd = open(in("7"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fd_close(fd);
        fd = next;
        if (i == 20)
            assert_int_equal(measure(1000).files, 21);
    }
    fd_close(fd);
    assert_int_equal(measure(1000).files, 1001);
}

static void test_nothing_to_measure(void **state) {
    uint64_t bytes = 5, files = 6;
    cleanup_fd int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)state;
    assert_int_equal(folder_measure(fd, "8", 10, &bytes, &files), -ENOENT);
    assert_int_equal(symlink("7", in("link")), 0);
    assert_true(folder_measure(fd, "link", 10, &bytes, &files) < 0);
    assert_true(bytes == 5 && files == 6); /* untouched on failure */
}

/* A script that has the zygote's user id must not fill a folder that it has closed to it. */
static void hide(const char *closed) {
    uint64_t bytes = 0, files = 0;
    become_ordinary_user();
    CHECK(mkdir(in("8"), 0700) == 0 && mkdir(in("8/hidden"), 0700) == 0);
    CHECK(close(open(in("8/hidden/file"), O_WRONLY | O_CREAT, 0600)) == 0);
    CHECK(chmod(in(closed), 0300) == 0);
    int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(folder_measure(fd, "8", 100, &bytes, &files) == 0);
    CHECK(files > 100);
}

static void hide_below(void) {
    hide("8/hidden");
}

static void hide_all(void) {
    hide("8");
}

static void test_what_cannot_be_seen_is_too_much(void **state) {
    (void)state;
    in_child(hide_below);
}

static void test_a_top_that_cannot_be_seen_is_too_much(void **state) {
    (void)state;
    in_child(hide_all);
}

/* --- Sweeping --- */

/* A folder as its owner's death leaves it, or, where ret_fd is given, as its life does. */
static void make(const char *name, int *ret_fd) {
    char path[128];
    snprintf(path, sizeof path, "%s/file", name);
    assert_int_equal(mkdir(in(name), 0700), 0);
    write_file(path, 10);
    if (ret_fd == NULL)
        return;
    *ret_fd = open(in(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(*ret_fd, LOCK_EX | LOCK_NB), 0);
}

static void test_dead_folders_go_and_no_others(void **state) {
    int live = -1;
    (void)state;
    make("python-executor-1000", NULL);
    make("python-executor-1001", &live);
    make("python-executor", NULL);
    make("xpython-executor-1000", NULL);
    make("Python-executor-1000", NULL);
    write_file("python-executor-1002", 10);
    folder_sweep(base);
    assert_false(exists("python-executor-1000"));
    assert_true(exists("python-executor-1001/file"));
    assert_true(exists("python-executor/file"));
    assert_true(exists("xpython-executor-1000/file"));
    assert_true(exists("Python-executor-1000/file"));
    assert_true(exists("python-executor-1002"));
    fd_close(live);
    folder_sweep(base);
    assert_false(exists("python-executor-1001"));
}

/* What others have named so is theirs: the doctor's folder, a test's, a user's. */
static void test_a_name_without_a_process_stays(void **state) {
    (void)state;
    make("python-executor-doctor-AbCdEf", NULL);
    make("python-executor-test-x", NULL);
    make("python-executor-", NULL);
    folder_sweep(base);
    assert_true(exists("python-executor-doctor-AbCdEf/file"));
    assert_true(exists("python-executor-test-x/file"));
    assert_true(exists("python-executor-/file"));
}

static void test_the_folders_of_others_stay(void **state) {
    (void)state;
    need_root("gives a folder to another user");
    make("python-executor-1000", NULL);
    assert_int_equal(chown(in("python-executor-1000"), USER_ORDINARY, USER_ORDINARY), 0);
    folder_sweep(base);
    assert_true(exists("python-executor-1000/file"));
}

static void test_links_are_not_swept(void **state) {
    (void)state;
    make("kept", NULL);
    assert_int_equal(symlink("kept", in("python-executor-1000")), 0);
    folder_sweep(base);
    assert_true(exists("kept/file"));
    make("python-executor-1001", NULL);
    assert_int_equal(symlink("../kept", in("python-executor-1001/link")), 0);
    folder_sweep(base);
    assert_false(exists("python-executor-1001"));
    assert_true(exists("kept/file"));
}

static void test_no_base_nothing_to_sweep(void **state) {
    (void)state;
    folder_sweep("/no/such/folder");
    folder_sweep("/dev/null");
}

static void be_owner(void) {
    char path[128];
    CHECK(folder_make(base, 0700, path, sizeof path) >= 0);
    CHECK(close(open(strcat(path, "/file"), O_WRONLY | O_CREAT, 0600)) == 0);
    for (;;)
        pause();
}

/* The lock goes with its owner, however that ends. */
static void test_a_killed_owner(void **state) {
    char name[64];
    (void)state;
    pid_t owner = fork();
    if (owner == 0)
        be_owner();
    assert_true(owner > 1);
    snprintf(name, sizeof name, "python-executor-%d/file", (int)owner);
    for (int i = 0; i < 500 && !exists(name); i++)
        usleep(10000);
    folder_sweep(base);
    assert_true(exists(name));
    kill(owner, SIGKILL);
    waitpid(owner, NULL, 0);
    folder_sweep(base);
    assert_false(exists(name));
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_bytes_and_files),
        TEST(test_holes_take_no_space),
        TEST(test_links_count_as_files_and_lead_nowhere),
        TEST(test_files_are_counted_to_the_bound),
        TEST(test_hidden_deep_is_too_much),
        TEST(test_nothing_to_measure),
        TEST(test_what_cannot_be_seen_is_too_much),
        TEST(test_a_top_that_cannot_be_seen_is_too_much),
        TEST(test_dead_folders_go_and_no_others),
        TEST(test_a_name_without_a_process_stays),
        TEST(test_the_folders_of_others_stay),
        TEST(test_links_are_not_swept),
        TEST(test_no_base_nothing_to_sweep),
        TEST(test_a_killed_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
