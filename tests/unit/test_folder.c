/* sandbox/folder: whatever dead scripts have left goes, and nothing else does. */
#include "user.h"

#include "base/fd.h"
#include "sandbox/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { SCRIPT_USER = USER_ORDINARY, DEPTH = 3000, MANY = 5000 };

static char base[64], outside[64];

static char *in(const char *folder, const char *name) {
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *path, size_t size) {
    static char block[65536];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    memset(block, 'x', sizeof block);
    for (size_t left = size; left > 0; left -= left < sizeof block ? left : sizeof block)
        assert_true(write(fd, block, left < sizeof block ? left : sizeof block) > 0);
    fd_close(fd);
}

static bool exists(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0;
}

/* Files outside that any link may lead to: /keep/file, with mode 0640. */
static void assert_outside_is_unharmed(void) {
    struct stat status;
    assert_int_equal(stat(in(outside, "keep/file"), &status), 0);
    assert_int_equal(status.st_size, 10);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(stat(in(outside, "keep"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0751);
}

static int set_up(void **state) {
    (void)state;
    strcpy(base, "/tmp/px-folder-XXXXXX");
    strcpy(outside, "/tmp/px-outside-XXXXXX");
    if (mkdtemp(base) == NULL || mkdtemp(outside) == NULL || mkdir(in(outside, "keep"), 0700) < 0)
        return -1;
    write_file(in(outside, "keep/file"), 10);
    return chmod(base, 0777) < 0 || chmod(outside, 0777) < 0 || chmod(in(outside, "keep/file"), 0640) < 0 ||
           chmod(in(outside, "keep"), 0751) < 0;
}

static int tear_down(void **state) {
    char command[384];
    (void)state;
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s %s", base, base, outside);
    return system(command) != 0;
}

/* --- Making --- */

static void test_made_under_its_own_name_and_locked(void **state) {
    char path[128], name[64];
    struct stat status;
    (void)state;
    int fd = folder_make(base, 0711, path, sizeof path);
    assert_true(fd >= 0);
    snprintf(name, sizeof name, "python-executor-%d", (int)getpid());
    assert_string_equal(path, in(base, name));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0711);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    int other = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
    fd_close(fd);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    fd_close(other);
}

/* A process that had our id is dead: what it left is not ours to keep. */
static void test_what_a_dead_one_of_our_id_left_goes(void **state) {
    char path[128];
    (void)state;
    fd_close(folder_make(base, 0700, path, sizeof path));
    write_file(in(path, "left"), 10);
    int fd = folder_make(base, 0700, path, sizeof path);
    assert_true(fd >= 0);
    assert_false(exists(in(path, "left")));
    fd_close(fd);
}

/* In another pid namespace, of a container that shares this /tmp, somebody alive may have our id. */
static void test_a_live_one_of_our_id_keeps_its_folder(void **state) {
    char path[128], again[128];
    (void)state;
    int live = folder_make(base, 0700, path, sizeof path);
    write_file(in(path, "precious"), 10);
    int fd = folder_make(base, 0700, again, sizeof again);
    assert_true(exists(in(path, "precious")));
    if (fd >= 0)
        assert_string_not_equal(path, again);
    fd_close(fd);
    fd_close(live);
}

static void test_no_base_no_folder(void **state) {
    char path[128], name[64];
    (void)state;
    assert_int_equal(folder_make(in(base, "missing"), 0700, path, sizeof path), -ENOENT);
    write_file(in(base, "file"), 1);
    assert_int_equal(folder_make(in(base, "file"), 0700, path, sizeof path), -ENOTDIR);
    /* Somebody was there first, with a link: neither followed nor replaced. */
    snprintf(name, sizeof name, "python-executor-%d", (int)getpid());
    assert_int_equal(symlink(in(outside, "keep"), in(base, name)), 0);
    int fd = folder_make(base, 0700, path, sizeof path);
    assert_true(fd >= 0);
    assert_string_not_equal(path, in(base, name));
    assert_int_equal(readlink(in(base, name), path, sizeof path), (int)strlen(in(outside, "keep")));
    assert_outside_is_unharmed();
    fd_close(fd);
}

/* --- Removing --- */

static void fill_with_links(const char *below) {
    char folder[128];
    snprintf(folder, sizeof folder, "%s/%s", base, below);
    assert_int_equal(symlink(in(outside, "keep"), in(folder, "to-folder")), 0);
    assert_int_equal(symlink(in(outside, "keep/file"), in(folder, "to-file")), 0);
    assert_int_equal(symlink("/", in(folder, "to-root")), 0);
    assert_int_equal(symlink("..", in(folder, "up")), 0);
    assert_int_equal(symlink("loop", in(folder, "loop")), 0);
    assert_int_equal(link(in(outside, "keep/file"), in(folder, "hard")), 0);
}

static void make_script_folder(void) {
    assert_int_equal(mkdir(in(base, "7"), 0700), 0);
}

static void remove_script_folder(void) {
    cleanup_fd int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(folder_remove(fd, "7"), 0);
    assert_false(exists(in(base, "7")));
    assert_outside_is_unharmed();
}

static void test_links_are_never_followed(void **state) {
    (void)state;
    make_script_folder();
    fill_with_links("7");
    assert_int_equal(mkdir(in(base, "7/deeper"), 0700), 0);
    fill_with_links("7/deeper");
    remove_script_folder();
}

/* A name that is a link is not entered either. */
static void test_the_folder_itself_may_be_no_link(void **state) {
    cleanup_fd int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)state;
    assert_int_equal(symlink(in(outside, "keep"), in(base, "7")), 0);
    assert_true(folder_remove(fd, "7") < 0);
    assert_outside_is_unharmed();
}

static void test_all_kinds_of_names(void **state) {
    static const char *const names[] = {"...", "..x", "-rf", " ", "\n", "\001\377\376", "*", "\\", "%s%n", "\xc3\x28"};
    char longest[256], path[64];
    (void)state;
    make_script_folder();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "7/%s", names[i]);
        assert_int_equal(mkdir(in(base, path), 0700), 0);
        snprintf(path, sizeof path, "7/%s/file", names[i]);
        write_file(in(base, path), 1);
    }
    memset(longest, 'n', 255);
    longest[255] = '\0';
    int fd = open(in(base, "7"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(fd, longest, 0700), 0);
    assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
    fd_close(fd);
    remove_script_folder();
}

static void test_many_files(void **state) {
    char name[32];
    (void)state;
    make_script_folder();
    int fd = open(in(base, "7"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "file%d", i);
        fd_close(openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    fd_close(fd);
    remove_script_folder();
}

static void nest(unsigned depth) {
    int at = open(in(base, "7"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < depth; i++) {
        assert_int_equal(mkdirat(at, "deeper", 0700), 0);
        int next = openat(at, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fd_close(at);
        at = next;
    }
    fd_close(at);
}

static void test_deep_nesting(void **state) {
    (void)state;
    make_script_folder();
    nest(DEPTH);
    remove_script_folder();
}

static void test_many_folders_beside_each_other(void **state) {
    char name[32];
    (void)state;
    make_script_folder();
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "7/d%d", i);
        assert_int_equal(mkdir(in(base, name), 0700), 0);
        snprintf(name, sizeof name, "7/d%d/file", i);
        write_file(in(base, name), 1);
    }
    remove_script_folder();
}

static void test_what_is_not_there(void **state) {
    cleanup_fd int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)state;
    assert_int_equal(folder_remove(fd, "7"), -ENOENT);
    write_file(in(base, "7"), 1);
    assert_int_equal(folder_remove(fd, "7"), -ENOTDIR);
    assert_true(exists(in(base, "7")));
}

/* --- A script that closes its folders to the zygote, whose user id it has --- */

/* Ends by itself where the removal would not. */
static void remove_as_ordinary_user(void) {
    alarm(10);
    int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(folder_remove(fd, "7") == 0);
    CHECK(!exists(in(base, "7")));
}

static void close_folders(void) {
    become_ordinary_user();
    CHECK(mkdir(in(base, "7"), 0700) == 0 && mkdir(in(base, "7/a"), 0700) == 0 && mkdir(in(base, "7/a/b"), 0700) == 0 &&
          mkdir(in(base, "7/a/c"), 0700) == 0 && mkdir(in(base, "7/a/c/d"), 0700) == 0);
    CHECK(close(open(in(base, "7/a/b/file"), O_WRONLY | O_CREAT, 0)) == 0);
    CHECK(chmod(in(base, "7/a/c/d"), 0) == 0 && chmod(in(base, "7/a/c"), 0500) == 0 && chmod(in(base, "7/a/b"), 0) == 0 &&
          chmod(in(base, "7/a"), 0) == 0);
    remove_as_ordinary_user();
}

static void test_closed_folders(void **state) {
    (void)state;
    in_child(close_folders);
}

static void close_the_top(void) {
    become_ordinary_user();
    CHECK(mkdir(in(base, "7"), 0700) == 0 && mkdir(in(base, "7/a"), 0700) == 0 && chmod(in(base, "7"), 0) == 0);
    remove_as_ordinary_user();
}

static void test_a_closed_top(void **state) {
    (void)state;
    in_child(close_the_top);
}

/* Nothing in it can be removed; to try again and again would hold up the zygote for good. */
static void lock_the_top(void) {
    become_ordinary_user();
    CHECK(mkdir(in(base, "7"), 0700) == 0 && mkdir(in(base, "7/a"), 0700) == 0 && chmod(in(base, "7"), 0500) == 0);
    remove_as_ordinary_user();
}

static void test_a_top_that_cannot_be_written_to(void **state) {
    (void)state;
    in_child(lock_the_top);
}

/* The link cannot be removed at once; a change of mode must not go through it. */
static void lock_links(void) {
    struct stat status;
    become_ordinary_user();
    CHECK(mkdir(in(outside, "own"), 0751) == 0 && mkdir(in(base, "7"), 0700) == 0);
    CHECK(symlink(in(outside, "own"), in(base, "7/link")) == 0 && chmod(in(base, "7"), 0500) == 0);
    alarm(10);
    int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    folder_remove(fd, "7");
    CHECK(stat(in(outside, "own"), &status) == 0 && (status.st_mode & 0777) == 0751);
    CHECK(!exists(in(base, "7")));
}

static void test_links_that_cannot_be_removed_are_not_followed(void **state) {
    (void)state;
    in_child(lock_links);
}

/* Another manager of the same user, which starts again and again. */
static _Noreturn void sweep_for_ever(void) {
    alarm(60);
    for (;;)
        folder_sweep(base);
}

static void test_a_sweep_takes_none_that_is_just_being_made(void **state) {
    enum { ROUNDS = 3000 };
    char path[128];
    pid_t sweepers[2];
    (void)state;
    for (size_t i = 0; i < 2; i++)
        if ((sweepers[i] = fork()) == 0)
            sweep_for_ever();
    for (int i = 0; i < ROUNDS; i++) {
        int fd = folder_make(base, 0711, path, sizeof path);
        assert_true(fd >= 0);
        assert_int_equal(mkdirat(fd, "worker", 0700), 0);
        assert_true(exists(in(path, "worker")));
        assert_int_equal(folder_empty(fd), 0);
        rmdir(path);
        fd_close(fd);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_true(sweepers[i] > 0);
        kill(sweepers[i], SIGKILL);
        waitpid(sweepers[i], NULL, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_made_under_its_own_name_and_locked),
        TEST(test_what_a_dead_one_of_our_id_left_goes),
        TEST(test_a_live_one_of_our_id_keeps_its_folder),
        TEST(test_no_base_no_folder),
        TEST(test_links_are_never_followed),
        TEST(test_the_folder_itself_may_be_no_link),
        TEST(test_all_kinds_of_names),
        TEST(test_many_files),
        TEST(test_deep_nesting),
        TEST(test_many_folders_beside_each_other),
        TEST(test_what_is_not_there),
        TEST(test_closed_folders),
        TEST(test_a_closed_top),
        TEST(test_a_top_that_cannot_be_written_to),
        TEST(test_links_that_cannot_be_removed_are_not_followed),
        TEST(test_a_sweep_takes_none_that_is_just_being_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
