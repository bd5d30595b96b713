/* sandbox/scratch: a folder for each worker where there are no mounts, from the first to the last day. */
#include "user.h"

#include "base/fd.h"
#include "sandbox/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

enum { FILES = 20, BYTES = 1 << 20 };

static struct policy policy = {.scratch_bytes = BYTES, .scratch_most_bytes = BYTES, .scratch_files = FILES};
static char base[64];

static int set_up(void **state) {
    (void)state;
    strcpy(base, "/tmp/px-scratch-XXXXXX");
    return mkdtemp(base) == NULL || chmod(base, 0777) < 0;
}

static int tear_down(void **state) {
    (void)state;
    return rmdir(base) != 0; /* whatever a test leaves fails it */
}

/* The path of a slot's folder below that of all, with more behind it. */
static const char *at(const struct scratch *scratch, unsigned slot, const char *rest) {
    static char space[2][64];
    static unsigned turn;
    turn = !turn;
    snprintf(space[turn], sizeof space[turn], "%u-%016llx%s", slot, (unsigned long long)scratch->keys[slot % CONFIG_SLOTS], rest);
    return space[turn];
}

static void write_at(const struct scratch *scratch, const char *name, size_t size) {
    static const char block[4096] = {1};
    int fd = openat(scratch->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t done = 0; done < size; done += sizeof block)
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
    fd_close(fd);
}

static struct scratch prepare(void) {
    struct scratch scratch;
    struct failure failure = {0};
    assert_int_equal(scratch_prepare(&scratch, base, &failure), 0);
    assert_true(scratch.fd >= 0);
    assert_memory_equal(scratch.path, base, strlen(base));
    return scratch;
}

static void test_workers_pass_through_and_see_no_names(void **state) {
    struct stat status;
    (void)state;
    struct scratch scratch = prepare();
    assert_int_equal(stat(scratch.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0711);
    scratch_done(&scratch);
    assert_int_equal(scratch.fd, -1);
    scratch_done(&scratch);
}

static void test_one_folder_a_slot(void **state) {
    struct stat status;
    struct failure failure;
    (void)state;
    struct scratch scratch = prepare();
    assert_int_equal(scratch_make(&scratch, 3, geteuid(), getegid(), &failure), 0);
    assert_int_equal(scratch_make(&scratch, 511, geteuid(), getegid(), &failure), 0);
    assert_int_equal(fstatat(scratch.fd, at(&scratch, 3, ""), &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    write_at(&scratch, at(&scratch, 3, "/left"), 10);
    write_at(&scratch, at(&scratch, 511, "/kept"), 10);
    scratch_remove(&scratch, 3);
    assert_int_equal(fstatat(scratch.fd, at(&scratch, 3, ""), &status, 0), -1);
    assert_int_equal(fstatat(scratch.fd, at(&scratch, 511, "/kept"), &status, 0), 0);
    scratch_remove(&scratch, 3); /* twice is no harm */
    scratch_done(&scratch);
}

/* What an earlier worker of the slot left is never the next one's. */
static void test_made_anew(void **state) {
    struct stat status;
    struct failure failure;
    (void)state;
    struct scratch scratch = prepare();
    assert_int_equal(scratch_make(&scratch, 3, geteuid(), getegid(), &failure), 0);
    write_at(&scratch, at(&scratch, 3, "/left"), 10);
    assert_int_equal(scratch_make(&scratch, 3, geteuid(), getegid(), &failure), 0);
    assert_int_equal(fstatat(scratch.fd, at(&scratch, 3, "/left"), &status, 0), -1);
    scratch_done(&scratch);
}

static void test_it_belongs_to_its_worker(void **state) {
    struct stat status;
    struct failure failure;
    (void)state;
    need_root("gives folders to other users");
    struct scratch scratch = prepare();
    assert_int_equal(scratch_make(&scratch, 3, USER_ORDINARY, USER_ORDINARY + 1, &failure), 0);
    assert_int_equal(fstatat(scratch.fd, at(&scratch, 3, ""), &status, 0), 0);
    assert_int_equal(status.st_uid, USER_ORDINARY);
    assert_int_equal(status.st_gid, USER_ORDINARY + 1);
    scratch_done(&scratch);
}

static struct scratch shared;

static void enter(void) {
    char path[VIEW_PATH], here[256], wanted[256];
    struct failure failure = {0};
    become_ordinary_user();
    snprintf(wanted, sizeof wanted, "%s/%s", shared.path, at(&shared, 4, ""));
    const struct scratch before = shared;
    CHECK(scratch_enter(&shared, 4, path, &failure) == 0);
    CHECK(strcmp(path, wanted) == 0 && getcwd(here, sizeof here) != NULL && strcmp(here, wanted) == 0);
    CHECK(close(open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == 0);
    /* A neighbour's is closed, names are not told, nothing can be added beside it. */
    CHECK(scratch_enter(&shared, 5, path, &failure) == -ENOENT); /* the name is forgotten */
    shared = before;
    CHECK(geteuid() == 0 || (scratch_enter(&shared, 5, path, &failure) == -EACCES && failure.error == EACCES));
    CHECK(open("..", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
    CHECK(mkdir("../6", 0700) < 0 && errno == EACCES);
    CHECK(scratch_enter(&shared, 9, path, &failure) == -ENOENT);
}

static void test_a_worker_enters_its_own(void **state) {
    struct failure failure;
    (void)state;
    need_root("gives folders to other users");
    shared = prepare();
    assert_int_equal(scratch_make(&shared, 4, USER_ORDINARY, USER_ORDINARY, &failure), 0);
    assert_int_equal(scratch_make(&shared, 5, USER_ORDINARY + 1, USER_ORDINARY, &failure), 0);
    in_child(enter);
    scratch_done(&shared);
}

static void test_too_large(void **state) {
    char name[64];
    uint64_t bytes;
    struct failure failure;
    (void)state;
    struct scratch scratch = prepare();
    assert_int_equal(scratch_make(&scratch, 3, geteuid(), getegid(), &failure), 0);
    assert_int_equal(scratch_make(&scratch, 4, geteuid(), getegid(), &failure), 0);
    assert_false(scratch_is_too_large(&scratch, 3, BYTES, FILES, &bytes));
    write_at(&scratch, at(&scratch, 3, "/bytes"), BYTES / 2);
    assert_false(scratch_is_too_large(&scratch, 3, BYTES, FILES, &bytes));
    write_at(&scratch, at(&scratch, 3, "/more"), BYTES / 2 + 8192);
    assert_true(scratch_is_too_large(&scratch, 3, BYTES, FILES, &bytes));
    assert_false(scratch_is_too_large(&scratch, 4, BYTES, FILES, &bytes)); /* a neighbour is not blamed */
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%s%d", at(&scratch, 4, "/file"), i);
        write_at(&scratch, name, 0);
    }
    assert_false(scratch_is_too_large(&scratch, 4, BYTES, FILES, &bytes));
    write_at(&scratch, at(&scratch, 4, "/one-more"), 0);
    assert_true(scratch_is_too_large(&scratch, 4, BYTES, FILES, &bytes));
    assert_false(scratch_is_too_large(&scratch, 9, BYTES, FILES, &bytes)); /* not there */
    scratch_done(&scratch);
    assert_false(scratch_is_too_large(&scratch, 3, BYTES, FILES, &bytes)); /* workers mount their own */
}

/* --- A tmpfs, whose size the kernel keeps --- */

/* As many bytes as fit into a file in /tmp, of those wanted; it stays. */
static size_t fill(const char *name, size_t wanted) {
    static const char block[65536] = {1};
    size_t done = 0;
    ssize_t n = 1;
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    while (done < wanted && n > 0) {
        n = write(fd, block, wanted - done < sizeof block ? wanted - done : sizeof block);
        done += n > 0 ? (size_t)n : 0;
    }
    CHECK(n > 0 || errno == ENOSPC);
    close(fd);
    return done;
}

static void mount_alone(struct scratch *scratch) {
    struct failure failure = {0};
    char here[64];
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(scratch_mount(scratch, &policy, geteuid(), getegid(), &failure) == 0);
    CHECK(scratch->tmpfs_fd >= 0 && getcwd(here, sizeof here) != NULL && strcmp(here, "/tmp") == 0);
}

static uint64_t tmpfs_size(const struct scratch *scratch) {
    struct statvfs status;
    CHECK(fstatvfs(scratch->tmpfs_fd, &status) == 0);
    return (uint64_t)status.f_blocks * status.f_frsize;
}

static void resize(void) {
    struct scratch scratch = {.fd = -1};
    policy.scratch_most_bytes = 4 * BYTES;
    mount_alone(&scratch);
    CHECK(scratch.tmpfs_bytes == BYTES && tmpfs_size(&scratch) == BYTES && fill("a", 9 * BYTES) == BYTES);
    CHECK(!scratch_tmpfs_is_too_large(scratch.tmpfs_fd, BYTES) && scratch_tmpfs_is_too_large(scratch.tmpfs_fd, BYTES - 1));
    CHECK(scratch_resize(scratch.tmpfs_fd, 3 * BYTES) == 0 && tmpfs_size(&scratch) == 3 * BYTES);
    CHECK(fill("b", 9 * BYTES) == 2 * BYTES);
    /* Not below what is in it; and what is mounted stays what it was. */
    CHECK(scratch_resize(scratch.tmpfs_fd, BYTES) == -EINVAL && tmpfs_size(&scratch) == 3 * BYTES);
    CHECK(unlink("a") == 0 && unlink("b") == 0 && scratch_resize(scratch.tmpfs_fd, BYTES / 2) == 0);
    CHECK(fill("c", 9 * BYTES) == BYTES / 2 && unlink("c") == 0);
    struct statvfs status;
    CHECK(fstatvfs(scratch.tmpfs_fd, &status) == 0 && status.f_files == FILES);
    CHECK((status.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC)) == (ST_NOSUID | ST_NODEV | ST_NOEXEC));
    become_ordinary_user();
    CHECK(scratch_resize(scratch.tmpfs_fd, BYTES) == -EPERM);
}

/* fspick(2) as a kernel has it that does not know it. */
static void lose_fspick(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fspick, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* Then it holds the most that any job may keep, and the keeper counts. */
static void no_resize(void) {
    struct scratch scratch = {.fd = -1};
    lose_fspick();
    policy.scratch_most_bytes = 4 * BYTES;
    mount_alone(&scratch);
    CHECK(scratch.tmpfs_bytes == 4 * BYTES && tmpfs_size(&scratch) == 4 * BYTES);
    CHECK(scratch_resize(scratch.tmpfs_fd, BYTES) == -ENOSYS && fill("a", 9 * BYTES) == 4 * BYTES);
    /* There is one /tmp, not one behind the other. */
    CHECK(chdir("/") == 0 && close(scratch.tmpfs_fd) == 0 && umount("/tmp") == 0 && access("/tmp/a", F_OK) < 0);
}

/* Nor is it asked for where all jobs have the same. */
static void no_need(void) {
    struct scratch scratch = {.fd = -1};
    lose_fspick();
    mount_alone(&scratch);
    CHECK(scratch.tmpfs_bytes == BYTES && tmpfs_size(&scratch) == BYTES);
}

static void test_a_tmpfs_is_resized(void **state) {
    (void)state;
    need_root("mounts");
    in_child(resize);
    in_child(no_resize);
    in_child(no_need);
    assert_int_equal(scratch_resize(-1, BYTES), -EBADF);
    assert_false(scratch_tmpfs_is_too_large(-1, 0));
}

static void test_a_base_that_cannot_be_used(void **state) {
    struct scratch scratch = {.fd = 99};
    struct failure failure = {0};
    (void)state;
    assert_true(scratch_prepare(&scratch, "/proc/self", &failure) < 0);
    assert_int_not_equal(failure.error, 0);
    assert_int_equal(scratch.fd, -1);
    assert_string_equal(failure.stage, "scratch");
    assert_non_null(strstr(failure.text, "/proc/self"));
    scratch_done(&scratch);
    assert_int_equal(scratch_prepare(&scratch, "/no/such/folder", &failure), -ENOENT);
}

static void cover(const char *path) {
    CHECK(mount("none", path, "tmpfs", MS_RDONLY, NULL) == 0 || errno == ENOENT);
}

/* As in a container whose root cannot be written to: the next one is taken, in memory if possible. */
static void use_others(void) {
    struct scratch scratch;
    struct failure failure = {0};
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    cover("/tmp");
    CHECK(scratch_prepare(&scratch, NULL, &failure) == 0 && strncmp(scratch.path, "/dev/shm/", 9) == 0);
    scratch_done(&scratch);
    cover("/dev/shm");
    CHECK(scratch_prepare(&scratch, NULL, &failure) == 0 && strncmp(scratch.path, "/var/tmp/", 9) == 0);
    scratch_done(&scratch);
    cover("/var/tmp");
    CHECK(scratch_prepare(&scratch, NULL, &failure) == 0 && strncmp(scratch.path, "/run/", 5) == 0);
    scratch_done(&scratch);
    cover("/run");
    cover("/usr/lib");
    CHECK(scratch_prepare(&scratch, NULL, &failure) < 0 && scratch.fd == -1 && failure.error != 0);
    CHECK(strcmp(failure.stage, "scratch") == 0 && strstr(failure.text, "no writable folder") != NULL);
}

static void test_the_first_writable_base(void **state) {
    (void)state;
    need_root("covers folders with mounts");
    in_child(use_others);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_workers_pass_through_and_see_no_names),
        TEST(test_one_folder_a_slot),
        TEST(test_made_anew),
        TEST(test_it_belongs_to_its_worker),
        TEST(test_a_worker_enters_its_own),
        TEST(test_too_large),
        TEST(test_a_tmpfs_is_resized),
        TEST(test_a_base_that_cannot_be_used),
        TEST(test_the_first_writable_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
