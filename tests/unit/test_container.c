/* cli/container: what control groups of both versions allow, from folders as the kernel would show them. */
#include "child.h"

#include "base/fd.h"
#include "cli/container.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A tree of groups, each in the one before it; its folders' files are set by put(). */
struct tree {
    char path[64];
    int groups[3];
};

static void put(const struct tree *tree, int level, const char *file, const char *text) {
    cleanup_fd int fd = openat(tree->groups[level], file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static int grow(void **state) {
    static struct tree tree;
    strcpy(tree.path, "/tmp/test_container_XXXXXX");
    assert_non_null(mkdtemp(tree.path));
    tree.groups[0] = fd_open_folder(AT_FDCWD, tree.path);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(mkdirat(tree.groups[i - 1], "group", 0755), 0);
        tree.groups[i] = fd_open_folder(tree.groups[i - 1], "group");
        assert_true(tree.groups[i] >= 0);
    }
    *state = &tree;
    return 0;
}

static int fell(void **state) {
    struct tree *tree = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", tree->path);
    for (int i = 0; i < 3; i++)
        fd_close(tree->groups[i]);
    return system(command);
}

enum { MIB = 1 << 20, PLENTY_CPUS = 16000 };

static struct container bound(const struct tree *tree, int level) {
    struct container container = {.memory_bytes = 8192ull * MIB, .cpu_milli = PLENTY_CPUS};
    container_bound(&container, tree->groups[level]);
    return container;
}

static void test_nothing_there_bounds_nothing(void **state) {
    struct container container = bound(*state, 2);
    assert_int_equal(container.memory_bytes, 8192ull * MIB);
    assert_false(container.memory_limited);
    assert_int_equal(container.cpu_milli, PLENTY_CPUS);
}

static void test_version_2(void **state) {
    put(*state, 2, "memory.max", "536870912\n");
    put(*state, 2, "cpu.max", "150000 100000\n");
    struct container container = bound(*state, 2);
    assert_int_equal(container.memory_bytes, 512 * MIB);
    assert_true(container.memory_limited);
    assert_int_equal(container.cpu_milli, 1500);
    assert_int_equal(container_cpus(&container), 2);
}

static void test_version_2_without_limits(void **state) {
    put(*state, 2, "memory.max", "max\n");
    put(*state, 2, "cpu.max", "max 100000\n");
    struct container container = bound(*state, 2);
    assert_int_equal(container.memory_bytes, 8192ull * MIB);
    assert_false(container.memory_limited);
    assert_int_equal(container.cpu_milli, PLENTY_CPUS);
}

static void test_version_1(void **state) {
    put(*state, 2, "memory.limit_in_bytes", "268435456\n");
    put(*state, 2, "cpu.cfs_quota_us", "50000\n");
    put(*state, 2, "cpu.cfs_period_us", "100000\n");
    struct container container = bound(*state, 2);
    assert_int_equal(container.memory_bytes, 256 * MIB);
    assert_int_equal(container.cpu_milli, 500);
    assert_int_equal(container_cpus(&container), 1);
}

/* Its "none" is a number, and a negative one. */
static void test_version_1_without_limits(void **state) {
    put(*state, 2, "memory.limit_in_bytes", "9223372036854771712\n");
    put(*state, 2, "cpu.cfs_quota_us", "-1\n");
    put(*state, 2, "cpu.cfs_period_us", "100000\n");
    struct container container = bound(*state, 2);
    assert_int_equal(container.memory_bytes, 8192ull * MIB);
    assert_false(container.memory_limited);
    assert_int_equal(container.cpu_milli, PLENTY_CPUS);
}

/* The least of all that it is in, each by itself. */
static void test_groups_above_bound_too(void **state) {
    put(*state, 0, "memory.max", "1073741824\n");
    put(*state, 0, "cpu.max", "400000 100000\n");
    put(*state, 1, "memory.max", "805306368\n");
    put(*state, 1, "cpu.max", "max 100000\n");
    put(*state, 2, "memory.max", "2147483648\n");
    put(*state, 2, "cpu.max", "800000 100000\n");
    struct container container = bound(*state, 2);
    assert_int_equal(container.memory_bytes, 768 * MIB);
    assert_int_equal(container.cpu_milli, 4000);
    container = bound(*state, 0);
    assert_int_equal(container.memory_bytes, 1024 * MIB);
}

static void test_what_is_no_number_bounds_nothing(void **state) {
    static const char *const texts[] = {"", "\n", "many\n", "-5\n", "100000 0\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        put(*state, 2, "cpu.max", texts[i]);
        put(*state, 2, "cpu.cfs_quota_us", texts[i]);
        assert_int_equal(bound(*state, 2).cpu_milli, PLENTY_CPUS);
    }
}

static void test_a_sliver_is_more_than_nothing(void **state) {
    put(*state, 2, "cpu.max", "10 100000\n");
    struct container container = bound(*state, 2);
    assert_int_equal(container.cpu_milli, 1);
    assert_int_equal(container_cpus(&container), 1);
}

/* The kernel's own word: on one processor only, that is what there is. */
static void be_on_one(void) {
    cpu_set_t all, one;
    struct container container;
    size_t cpu = 0;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    container_machine(&container);
    CHECK(container.cpu_milli == 1000);
}

static void test_affinity(void **state) {
    (void)state;
    in_child(be_on_one);
}

static void test_this_machine(void **state) {
    struct container machine, found;
    (void)state;
    container_machine(&machine);
    container_find(&found);
    assert_in_range(found.memory_bytes, 1, machine.memory_bytes);
    assert_in_range(found.cpu_milli, 1, machine.cpu_milli);
    assert_int_equal(found.memory_limited, found.memory_bytes < machine.memory_bytes);
}

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, grow, fell)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_TREE(test_nothing_there_bounds_nothing), WITH_TREE(test_version_2),
        WITH_TREE(test_version_2_without_limits),     WITH_TREE(test_version_1),
        WITH_TREE(test_version_1_without_limits),     WITH_TREE(test_groups_above_bound_too),
        WITH_TREE(test_what_is_no_number_bounds_nothing), WITH_TREE(test_a_sliver_is_more_than_nothing),
        cmocka_unit_test(test_affinity),              cmocka_unit_test(test_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
