/* sandbox/view: /tmp, / and /etc are a script's own, ids and host name say nothing, and nothing a script hands over makes
 * it hang. Each test is a child behind the filter of a worker without mounts and without a user namespace. */
#include "child.h"

#include "sandbox/policy.h"
#include "sandbox/seccomp.h"
#include "sandbox/view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

enum { THREADS = 4, ROUNDS = 500, PATIENCE_S = 20 };

/* Not in /tmp, which is translated. */
static char base[64];
static struct view view;

/* What is at a real path. */
static const char *in(const char *name) {
    static char path[2][256];
    static unsigned next;
    snprintf(path[++next % 2], sizeof path[0], "%s/%s", base, name);
    return path[next % 2];
}

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static bool reads(const char *path, const char *text) {
    char found[64] = "";
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, found, sizeof found - 1);
    if (fd >= 0)
        close(fd);
    return n >= 0 && strcmp(found, text) == 0;
}

static int set_up(void **state) {
    (void)state;
    strcpy(base, "/var/tmp/px-view-XXXXXX");
    if (mkdtemp(base) == NULL || mkdir(in("7"), 0700) < 0 || mkdir(in("root"), 0700) < 0 || mkdir(in("root/etc"), 0700) < 0 ||
        mkdir(in("root/dev"), 0700) < 0)
        return -1;
    write_file(in("root/etc/passwd"), "nobody");
    write_file(in("root/dev/null"), "no device");
    view = (struct view){.devices = false};
    snprintf(view.scratch, sizeof view.scratch, "%s/7", base);
    snprintf(view.root, sizeof view.root, "%s/root", base);
    return 0;
}

static int tear_down(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command) != 0;
}

static void enter(void) {
    static struct seccomp_program filter;
    struct failure failure = {0};
    alarm(PATIENCE_S);
    CHECK(chdir(view.scratch) == 0);
    CHECK(seccomp_prepare(seccomp_rules, seccomp_rule_count, SECCOMP_VIEWED_PATHS | SECCOMP_VIEWED_IDS, &filter, &failure) == 0);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && view_enter(&view, &failure) == 0);
    CHECK(seccomp_enter(&filter, &failure) == 0);
}

static bool is_same(const char *one, const char *other) {
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* --- Paths --- */

static void name_tmp(void) {
    static const char *const names[] = {"/tmp/x", "//tmp/x", "/./tmp/x", "///.//./tmp/x", "/tmp//x", "/tmp/./x", "x", "./x"};
    static const char *const folders[] = {"/tmp", "/tmp/", "//tmp", "/./tmp", "/tmp/.", "."};
    enter();
    write_file("/tmp/x", "mine");
    CHECK(reads(in("7/x"), "mine"));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK(reads(names[i], "mine"));
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        CHECK(is_same(folders[i], view.scratch));
    CHECK(mkdir("/tmp/folder", 0700) == 0 && rmdir(in("7/folder")) == 0);
    CHECK(access("/tmp/none", F_OK) < 0 && errno == ENOENT);
}

static void test_tmp(void **state) {
    (void)state;
    in_child(name_tmp);
}

static void name_root(void) {
    static const char *const roots[] = {"/", "//", "/.", "/./", "//.//", "/././."};
    enter();
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        CHECK(is_same(roots[i], view.root));
    CHECK(reads("/etc/passwd", "nobody") && reads("//etc/passwd", "nobody") && is_same("/etc", in("root/etc")));
    CHECK(access("/etc/shadow", F_OK) < 0 && errno == ENOENT);
}

static void test_root_and_etc(void **state) {
    (void)state;
    in_child(name_root);
}

/* What only looks alike is what it was; the layers below decide. */
static void name_others(void) {
    enter();
    CHECK(is_same("/usr/lib", "/usr/../usr/lib") && !is_same("/usr", view.root));
    CHECK(access("/tmpx", F_OK) < 0 && access("/tm", F_OK) < 0 && access("/etcx", F_OK) < 0);
    CHECK(!is_same("/dev", in("root/dev"))); /* it is the host's, and the devices are let through one by one */
    CHECK(reads(in("root/etc/passwd"), "nobody")); /* a real path still leads there */
}

static void test_what_looks_alike(void **state) {
    (void)state;
    in_child(name_others);
}

static void name_devices(void) {
    view.devices = true;
    enter();
    CHECK(reads("/dev/null", "no device") && access("/devx", F_OK) < 0);
}

static void test_devices_of_its_own(void **state) {
    (void)state;
    in_child(name_devices);
}

static void name_by_folder(void) {
    enter();
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY);
    int root = open("/", O_RDONLY | O_DIRECTORY);
    CHECK(tmp >= 0 && root >= 0);
    int fd = openat(tmp, "y", O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0 && close(fd) == 0 && access(in("7/y"), F_OK) == 0);
    CHECK(faccessat(tmp, "y", F_OK, 0) == 0 && faccessat(root, "/tmp/y", F_OK, 0) == 0); /* absolute: the folder is nothing */
    CHECK(mkdirat(tmp, "d", 0700) == 0 && renameat(tmp, "y", tmp, "d/y") == 0 && unlinkat(tmp, "d/y", 0) == 0 &&
          unlinkat(tmp, "d", AT_REMOVEDIR) == 0);
    CHECK(faccessat(root, "etc/passwd", F_OK, 0) == 0);
    struct stat status;
    CHECK(fstatat(tmp, "", &status, AT_EMPTY_PATH) == 0 && S_ISDIR(status.st_mode));
    CHECK(futimens(tmp, NULL) == 0); /* no path at all */
}

static void test_relative_to_a_folder(void **state) {
    (void)state;
    in_child(name_by_folder);
}

static void be_somewhere(void) {
    char path[PATH_MAX], wanted[80];
    enter();
    CHECK(getcwd(path, sizeof path) == path && strcmp(path, "/tmp") == 0);
    CHECK(syscall(SYS_getcwd, path, sizeof path) == 5);
    CHECK(syscall(SYS_getcwd, path, 5ul) == 5 && syscall(SYS_getcwd, path, 4ul) < 0 && errno == ERANGE);
    CHECK(mkdir("/tmp/a", 0700) == 0 && mkdir("a/b", 0700) == 0 && chdir("/tmp/a/b") == 0);
    CHECK(getcwd(path, sizeof path) != NULL && strcmp(path, "/tmp/a/b") == 0);
    CHECK(chdir("/") == 0 && getcwd(path, sizeof path) != NULL && strcmp(path, "/") == 0);
    CHECK(chdir("/etc") == 0 && getcwd(path, sizeof path) != NULL && strcmp(path, "/etc") == 0);
    CHECK(chdir("/usr") == 0 && getcwd(path, sizeof path) != NULL && strcmp(path, "/usr") == 0);
    /* Only whole names are translated back. */
    snprintf(wanted, sizeof wanted, "%s/77", base);
    CHECK(mkdir(wanted, 0700) == 0 && chdir(wanted) == 0 && getcwd(path, sizeof path) != NULL && strcmp(path, wanted) == 0);
    CHECK(rmdir(wanted) == 0 && getcwd(path, sizeof path) == NULL && errno == ENOENT);
}

static void test_the_working_directory(void **state) {
    (void)state;
    in_child(be_somewhere);
}

static bool links_to(const char *link, const char *target) {
    char found[256] = "";
    ssize_t n = readlink(link, found, sizeof found);
    return n == (ssize_t)strlen(target) && memcmp(found, target, (size_t)n) == 0;
}

static void make_links(void) {
    char found[16] = "0123456789";
    enter();
    write_file("/tmp/x", "mine");
    CHECK(symlink("/tmp/x", "/tmp/absolute") == 0 && symlink("x", "/tmp/relative") == 0 && symlink("/tmp", "/tmp/self") == 0);
    CHECK(symlinkat("/etc/passwd", AT_FDCWD, "/tmp/passwd") == 0 && symlink("/usr/lib", "/tmp/usr") == 0);
    CHECK(reads("/tmp/absolute", "mine") && reads("/tmp/relative", "mine") && reads("/tmp/self/x", "mine") &&
          reads("/tmp/passwd", "nobody"));
    CHECK(links_to("/tmp/absolute", "/tmp/x") && links_to("relative", "x") && links_to("/tmp/self", "/tmp") &&
          links_to("/tmp/passwd", "/etc/passwd") && links_to("/tmp/usr", "/usr/lib"));
    CHECK(readlink("/tmp/x", found, sizeof found) < 0 && errno == EINVAL);
    /* No room: cut, and nothing is written behind it. */
    CHECK(readlink("/tmp/usr", found, 4) == 4 && memcmp(found, "/usr456789", 10) == 0);
    CHECK(readlink("/tmp/absolute", found, 4) == 4 && memcmp(found + 4, "456789", 6) == 0);
}

static void test_links(void **state) {
    (void)state;
    in_child(make_links);
}

static void use_two_paths(void) {
    enter();
    write_file("/tmp/x", "one");
    CHECK(rename("/tmp/x", "/tmp/y") == 0 && reads(in("7/y"), "one"));
    CHECK(renameat(AT_FDCWD, "/tmp/y", AT_FDCWD, "z") == 0 && reads(in("7/z"), "one"));
    CHECK(renameat2(AT_FDCWD, "z", AT_FDCWD, "/tmp/x", RENAME_NOREPLACE) == 0 && reads("x", "one"));
    CHECK(link("/tmp/x", "/tmp/y") == 0 && linkat(AT_FDCWD, "/tmp/x", AT_FDCWD, "/tmp/z", 0) == 0);
    CHECK(is_same(in("7/x"), in("7/y")) && is_same("/tmp/x", "/tmp/z"));
    CHECK(rename("/tmp/x", "/tmp/none/x") < 0 && errno == ENOENT);
    CHECK(truncate("/tmp/x", 1) == 0 && reads("/tmp/y", "o"));
    CHECK(chmod("/tmp/x", 0640) == 0 && unlink("/tmp/y") == 0 && unlink("z") == 0);
    struct stat status;
    struct statfs volume;
    CHECK(lstat("/tmp/x", &status) == 0 && (status.st_mode & 0777) == 0640 && statfs("/tmp", &volume) == 0);
}

static void test_calls_of_two_paths(void **state) {
    (void)state;
    in_child(use_two_paths);
}

/* As the kernel: too long is an error of its own, up to there it is not. */
static void use_long_paths(void) {
    static char path[3 * PATH_MAX];
    enter();
    for (size_t length = PATH_MAX - 300; length < PATH_MAX + 300; length++) {
        strcpy(path, "/tmp");
        for (size_t i = 4; i + 1 < length; i += 2)
            memcpy(path + i, "/.", 3);
        int r = access(path, F_OK);
        CHECK(r == 0 || errno == ENAMETOOLONG);
        CHECK(strlen(path) > PATH_MAX - 130 || r == 0);
        CHECK(strlen(path) < PATH_MAX || r < 0);
    }
    memset(path + 4, '/', sizeof path - 5);
    CHECK(access(path, F_OK) < 0 && errno == ENAMETOOLONG && mkdir(path, 0700) < 0 && errno == ENAMETOOLONG);
    memset(path + 5, 'x', 255);
    CHECK((path[260] = '\0', mkdir(path, 0700)) == 0);
    CHECK((path[260] = 'x', path[261] = '\0', mkdir(path, 0700)) < 0 && errno == ENAMETOOLONG);
    CHECK(access("", F_OK) < 0 && errno == ENOENT);
}

static void test_long_paths(void **state) {
    (void)state;
    in_child(use_long_paths);
}

/* A path that ends with its page: nothing behind it is looked at. */
static void use_the_end_of_memory(void) {
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED && mprotect(page + 4096, 4096, PROT_NONE) == 0);
    static const char *const paths[] = {"/tmp/x", "/tmp", "/t", "/", "", "/.", "/etc", "x", "/dev"};
    enter();
    write_file("/tmp/x", "");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char *at = page + 4096 - strlen(paths[i]) - 1;
        strcpy(at, paths[i]);
        access(at, F_OK);
    }
}

static void test_nothing_is_read_behind_a_path(void **state) {
    (void)state;
    in_child(use_the_end_of_memory);
}

/* --- Nonsense --- */

static void hand_over_null(void) {
    struct stat status;
    enter();
    CHECK(syscall(SYS_openat, AT_FDCWD, NULL, O_RDONLY) < 0 && errno == EFAULT);
    CHECK(syscall(SYS_unlinkat, AT_FDCWD, NULL, 0) < 0 && errno == EFAULT);
    CHECK(syscall(SYS_renameat2, AT_FDCWD, NULL, AT_FDCWD, "/tmp/x", 0) < 0 && errno == EFAULT);
    CHECK(syscall(SYS_renameat2, AT_FDCWD, "/tmp/x", AT_FDCWD, NULL, 0) < 0);
    CHECK(syscall(SYS_newfstatat, AT_FDCWD, "/tmp", NULL, 0) < 0 && errno == EFAULT);
    CHECK(syscall(SYS_openat, -1, "relative", O_RDONLY) < 0 && errno == EBADF);
    CHECK(stat("/tmp", &status) == 0);
}

static void test_null(void **state) {
    (void)state;
    in_child(hand_over_null);
}

static long bad[6];
static long bad_call;

static void hand_over_nonsense(void) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGSEGV, SIG_DFL); /* not cmocka's, which would go on with the next test */
    signal(SIGBUS, SIG_DFL);
    enter();
    syscall(bad_call, bad[0], bad[1], bad[2], bad[3], bad[4]);
}

/* A crash is the script's own; not to come back is what must not be, and the alarm would say so. */
static void test_bad_pointers_do_not_hang(void **state) {
    static const long pointers[] = {1, 4096, -1, LONG_MIN, LONG_MAX, 0x7fffffffffffl};
    static const long calls[] = {SYS_openat, SYS_readlinkat, SYS_getcwd, SYS_getresuid, SYS_uname, SYS_renameat2, SYS_chdir};
    (void)state;
    for (size_t i = 0; i < sizeof pointers / sizeof pointers[0]; i++)
        for (size_t k = 0; k < sizeof calls / sizeof calls[0]; k++) {
            bad_call = calls[k];
            for (size_t n = 0; n < 6; n++)
                bad[n] = pointers[i];
            int status = status_of(hand_over_nonsense);
            bool crashed = WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
#ifdef __SANITIZE_ADDRESS__
            crashed = crashed || WIFEXITED(status); /* it may say so itself, and exit */
#endif
            if (status != 0 && !crashed)
                fail_msg("call %ld with %lx ended with status %x", calls[k], (unsigned long)pointers[i], (unsigned)status);
        }
}

/* --- Every call that the filter hands over is answered --- */

static void make_every_call(void) {
    static long space[64];
    enter();
    for (size_t i = 0; i < seccomp_rule_count; i++) {
        const struct seccomp_rule *rule = &seccomp_rules[i];
        int number = seccomp_syscall_resolve_name(rule->call);
        if (number < 0 || (rule->action != SECCOMP_PATH && rule->action != SECCOMP_OPEN_PATH && rule->action != SECCOMP_ID))
            continue;
        long *at = rule->action == SECCOMP_ID ? space : NULL;
        errno = 0;
        long r = strcmp(rule->call, "utimensat") == 0 ? syscall(number, -1, NULL, NULL, 0)
                                                      : syscall(number, at, at, at, 0, 0);
        if (r < 0 && errno == EPERM) {
            fprintf(stderr, "# the view does not know %s\n", rule->call);
            _exit(1);
        }
    }
}

static void test_the_view_knows_every_call_it_is_given(void **state) {
    (void)state;
    in_child(make_every_call);
}

/* --- Ids, and the name of the host --- */

static void ask_for_ids(void) {
    uid_t uids[3] = {1, 1, 1};
    gid_t gids[3] = {1, 1, 1};
    gid_t groups[64];
    struct utsname name;
    enter();
    CHECK(getuid() == POLICY_UID && geteuid() == POLICY_UID && getgid() == POLICY_GID && getegid() == POLICY_GID);
    CHECK(getresuid(&uids[0], &uids[1], &uids[2]) == 0 && getresgid(&gids[0], &gids[1], &gids[2]) == 0);
    for (size_t i = 0; i < 3; i++)
        CHECK(uids[i] == POLICY_UID && gids[i] == POLICY_GID);
    CHECK(getgroups(0, NULL) == 0 && getgroups(64, groups) == 0);
    CHECK(uname(&name) == 0 && strcmp(name.nodename, "sandbox") == 0 && strcmp(name.sysname, "Linux") == 0);
    CHECK(gethostname(name.nodename, sizeof name.nodename) == 0 && strcmp(name.nodename, "sandbox") == 0);
}

static void test_ids_and_names_say_nothing(void **state) {
    (void)state;
    in_child(ask_for_ids);
}

/* --- Signals and threads --- */

static void *open_often(void *number) {
    char path[32], text[32];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(path, sizeof path, "/tmp/t%ld-%d", (long)number, i % 7);
        snprintf(text, sizeof text, "%ld", (long)number);
        write_file(path, text);
        CHECK(reads(path, text) && getuid() == POLICY_UID && unlink(path) == 0);
    }
    return NULL;
}

static void use_threads(void) {
    pthread_t threads[THREADS];
    enter();
    for (long i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, open_often, (void *)i) == 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

static void test_threads(void **state) {
    (void)state;
    in_child(use_threads);
}

static void open_in_handler(int number) {
    (void)number;
    CHECK(access("/tmp/x", F_OK) == 0);
}

/* A handler of the script's that is served in between, and errno, which is the caller's. */
static void be_interrupted(void) {
    struct sigaction action = {.sa_handler = open_in_handler};
    enter();
    write_file("/tmp/x", "");
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    for (int i = 0; i < 100; i++)
        CHECK(raise(SIGUSR1) == 0 && access("/tmp/x", F_OK) == 0);
    errno = EXDEV;
    CHECK(syscall(SYS_getuid) == POLICY_UID && errno == EXDEV);
}

static void test_handlers(void **state) {
    (void)state;
    in_child(be_interrupted);
}

static void ignore_it(void) {
    enter();
    signal(SIGSYS, SIG_IGN);
    access("/tmp", F_OK);
}

static void block_it(void) {
    sigset_t all;
    enter();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    access("/tmp", F_OK);
}

static void answer_it_oneself(void) {
    struct sigaction action = {.sa_handler = open_in_handler};
    enter();
    CHECK(sigaction(SIGSYS, &action, NULL) == 0);
    CHECK(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM); /* the filter is as it was */
    raise(SIGKILL); /* ends here, whatever the filter makes of it */
    _exit(0);
}

/* It ends itself at worst: the kernel forces the signal on whoever ignores or blocks it. */
static void test_a_script_that_takes_the_signal(void **state) {
    (void)state;
    int status = status_of(ignore_it);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    status = status_of(block_it);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    status = status_of(answer_it_oneself);
    assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) != SIGALRM));
    in_child(name_tmp); /* the next one has its view */
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_tmp),
        TEST(test_root_and_etc),
        TEST(test_what_looks_alike),
        TEST(test_devices_of_its_own),
        TEST(test_relative_to_a_folder),
        TEST(test_the_working_directory),
        TEST(test_links),
        TEST(test_calls_of_two_paths),
        TEST(test_long_paths),
        TEST(test_nothing_is_read_behind_a_path),
        TEST(test_null),
        TEST(test_bad_pointers_do_not_hang),
        TEST(test_the_view_knows_every_call_it_is_given),
        TEST(test_ids_and_names_say_nothing),
        TEST(test_threads),
        TEST(test_handlers),
        TEST(test_a_script_that_takes_the_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
