/* sandbox/landlock: what each use of a path allows, what is refused, and what else the domain takes away. Everything is
 * allowed to these children by their user id; whatever fails with EACCES or EPERM, Landlock has refused. */
#include "child.h"

#include "base/fd.h"
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char base[64], at[4][128];
static struct sockaddr_in tcp;
static struct sockaddr_un abstract;
static socklen_t abstract_length;

static const char *in(const char *name) {
    static unsigned next;
    char *path = at[next++ % 4];
    snprintf(path, sizeof at[0], "%s/%s", base, name);
    return path;
}

/* base: read/file, read/program, scratch/, scratch/a/, scratch/b/, other/file, device */
static int set_up(void **state) {
    static const char *const folders[] = {"read", "scratch", "scratch/a", "scratch/b", "other"};
    static const char *const files[] = {"read/file", "other/file", "device", "scratch/old"};
    (void)state;
    strcpy(base, "/tmp/px-landlock-XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        mkdir(in(folders[i]), 0700);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        fd_close(open(in(files[i]), O_WRONLY | O_CREAT, 0600));
    /* Of no format: where it may be executed that is what is said (ENOEXEC), and not that it may not. */
    fd_close(open(in("read/program"), O_WRONLY | O_CREAT, 0700));
    return chmod(in("device"), 0700) < 0;
}

static int tear_down(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command) != 0;
}

static void enter(void) {
    const struct landlock_path paths[] = {
        {in("read"), LANDLOCK_READ}, {in("device"), LANDLOCK_DEVICE}, {in("no-such-file"), LANDLOCK_DEVICE},
        {in("scratch"), LANDLOCK_SCRATCH},
    };
    struct failure failure = {0};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(landlock_enter(paths, sizeof paths / sizeof paths[0], &failure) == 0);
}

#define REFUSED(call) CHECK((call) < 0 && (errno == EACCES || errno == EPERM))
/* Moves and links to where they are not allowed are EXDEV to the kernel (landlock(7)). */
#define REFUSED_MOVE(call) CHECK((call) < 0 && (errno == EACCES || errno == EPERM || errno == EXDEV))
#define ALLOWED(call) CHECK((call) >= 0)

/* --- Files --- */

static void use_what_may_be_read(void) {
    enter();
    ALLOWED(open(in("read/file"), O_RDONLY));
    ALLOWED(open(in("read"), O_RDONLY | O_DIRECTORY));
    REFUSED(open(in("read/file"), O_WRONLY));
    REFUSED(open(in("read/file"), O_RDWR));
    REFUSED(open(in("read/file"), O_RDONLY | O_TRUNC));
    REFUSED(open(in("read/new"), O_WRONLY | O_CREAT, 0600));
    REFUSED(open(in("read"), O_WRONLY | O_TMPFILE, 0600));
    REFUSED(unlink(in("read/file")));
    REFUSED(mkdir(in("read/folder"), 0700));
    REFUSED(symlink("x", in("read/link")));
    REFUSED_MOVE(rename(in("read/file"), in("read/moved")));
    REFUSED_MOVE(link(in("read/file"), in("read/linked")));
    REFUSED(execl(in("read/program"), "program", NULL));
    if (landlock_abi() >= 3)
        REFUSED(truncate(in("read/file"), 0));
}

static void test_read(void **state) {
    (void)state;
    in_child(use_what_may_be_read);
}

static void use_a_device(void) {
    enter();
    ALLOWED(open(in("device"), O_RDWR));
    ALLOWED(open(in("device"), O_WRONLY | O_TRUNC));
    ALLOWED(truncate(in("device"), 0));
    REFUSED(unlink(in("device")));
    REFUSED_MOVE(rename(in("device"), in("scratch/device")));
    REFUSED_MOVE(link(in("device"), in("scratch/device")));
    REFUSED(execl(in("device"), "device", NULL));
}

static void test_device(void **state) {
    (void)state;
    in_child(use_a_device);
}

static void use_scratch(void) {
    enter();
    ALLOWED(open(in("scratch/new"), O_RDWR | O_CREAT | O_EXCL, 0700));
    ALLOWED(open(in("scratch/new"), O_WRONLY | O_TRUNC));
    ALLOWED(truncate(in("scratch/new"), 10));
    ALLOWED(open(in("scratch"), O_RDONLY | O_DIRECTORY));
    ALLOWED(open(in("scratch"), O_WRONLY | O_TMPFILE, 0600));
    ALLOWED(mkdir(in("scratch/folder"), 0700));
    ALLOWED(rename(in("scratch/new"), in("scratch/newer")));
    ALLOWED(symlink("newer", in("scratch/link")));
    ALLOWED(open(in("scratch/link"), O_RDONLY));
    ALLOWED(mkfifo(in("scratch/fifo"), 0600));
    ALLOWED(unlink(in("scratch/fifo")));
    ALLOWED(rmdir(in("scratch/folder")));
    ALLOWED(link(in("scratch/newer"), in("scratch/twice")));
    if (landlock_abi() >= 2) {
        ALLOWED(rename(in("scratch/newer"), in("scratch/a/newer")));
        ALLOWED(rename(in("scratch/a/newer"), in("scratch/b/newer")));
        ALLOWED(link(in("scratch/b/newer"), in("scratch/a/twice")));
    }
}

static void test_scratch(void **state) {
    (void)state;
    in_child(use_scratch);
}

static void misuse_scratch(void) {
    struct sockaddr_un named = {.sun_family = AF_UNIX};
    enter();
    snprintf(named.sun_path, sizeof named.sun_path, "%s", in("scratch/socket"));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    REFUSED(bind(fd, (struct sockaddr *)&named, sizeof named));
    REFUSED(mknod(in("scratch/char"), S_IFCHR | 0600, 0x103));
    REFUSED(mknod(in("scratch/block"), S_IFBLK | 0600, 0x700));
    /* What can be written cannot be run. */
    CHECK(close(open(in("scratch/program"), O_WRONLY | O_CREAT, 0700)) == 0);
    REFUSED(execl(in("scratch/program"), "program", NULL));
    /* Nothing comes in from outside or leaves. */
    REFUSED_MOVE(rename(in("other/file"), in("scratch/stolen")));
    REFUSED_MOVE(link(in("other/file"), in("scratch/stolen")));
    REFUSED_MOVE(rename(in("read/file"), in("scratch/stolen")));
    REFUSED_MOVE(link(in("read/program"), in("scratch/stolen")));
    REFUSED_MOVE(rename(in("scratch/old"), in("other/leaked")));
    REFUSED_MOVE(link(in("scratch/old"), in("other/leaked")));
    /* A link of its own making leads no further. */
    ALLOWED(symlink(in("other/file"), in("scratch/way-out")));
    REFUSED(open(in("scratch/way-out"), O_RDONLY));
    REFUSED(open(in("scratch/../other/file"), O_RDONLY));
}

static void test_what_scratch_does_not_allow(void **state) {
    (void)state;
    in_child(misuse_scratch);
}

static void use_others(void) {
    enter();
    REFUSED(open(in("other/file"), O_RDONLY));
    REFUSED(open(in("other/file"), O_WRONLY));
    REFUSED(open(in("other"), O_RDONLY | O_DIRECTORY));
    REFUSED(open("/", O_RDONLY | O_DIRECTORY));
    REFUSED(open("/dev/null", O_RDONLY));
    REFUSED(open("/proc/self/environ", O_RDONLY));
    REFUSED(open(in("no-such-file"), O_WRONLY | O_CREAT, 0600));
    REFUSED(mkdir(in("folder"), 0700));
    REFUSED(unlink(in("other/file")));
    REFUSED(rmdir(in("other")));
    REFUSED(execl("/bin/true", "true", NULL));
    if (landlock_abi() >= 3)
        REFUSED(truncate(in("other/file"), 0));
}

static void test_what_is_not_named(void **state) {
    (void)state;
    in_child(use_others);
}

/* Landlock knows nothing of these: a worker that has the user id of the service needs another layer against them. */
static void change_attributes(void) {
    enter();
    ALLOWED(chmod(in("other/file"), 0600));
    ALLOWED(utimensat(AT_FDCWD, in("other/file"), NULL, 0));
}

static void test_what_it_does_not_know(void **state) {
    (void)state;
    in_child(change_attributes);
}

static void enter_nothing(void) {
    struct failure failure = {0};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && landlock_enter(NULL, 0, &failure) == 0);
    REFUSED(open("/", O_RDONLY));
    REFUSED(open("/dev/null", O_RDWR));
    REFUSED(open(in("scratch/old"), O_RDONLY));
    REFUSED(open(in("read/file"), O_RDONLY));
}

static void test_no_paths_nothing(void **state) {
    (void)state;
    in_child(enter_nothing);
}

static void enter_twice(void) {
    const struct landlock_path all[] = {{"/", LANDLOCK_SCRATCH}};
    struct failure failure = {0};
    enter();
    CHECK(landlock_enter(all, 1, &failure) == 0);
    REFUSED(open(in("other/file"), O_RDONLY));
    ALLOWED(open(in("read/file"), O_RDONLY));
    REFUSED(open(in("read/file"), O_WRONLY));
}

static void test_a_second_domain_gives_nothing_back(void **state) {
    (void)state;
    in_child(enter_twice);
}

/* --- How it fails --- */

static void enter_with_privileges_to_gain(void) {
    struct failure failure = {0};
    CHECK(setuid(65534) == 0 && landlock_enter(NULL, 0, &failure) == -EPERM);
    CHECK(failure.error == EPERM && strcmp(failure.stage, "landlock") == 0);
    CHECK(strstr(failure.text, "landlock_restrict_self") != NULL);
    CHECK(close(open("/", O_RDONLY)) == 0);
}

static void test_needs_no_new_privs(void **state) {
    (void)state;
    need_root("becomes an ordinary user");
    in_child(enter_with_privileges_to_gain);
}

static void enter_beyond_a_file(void) {
    char path[128];
    struct failure failure = {0};
    snprintf(path, sizeof path, "%s/device/below", base);
    const struct landlock_path paths[] = {{path, LANDLOCK_READ}};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(landlock_enter(paths, 1, &failure) == -ENOTDIR && failure.error == ENOTDIR);
    CHECK(strstr(failure.text, path) != NULL);
    CHECK(close(open("/", O_RDONLY)) == 0); /* not half confined */
}

static void test_a_path_that_cannot_be_looked_at_is_named(void **state) {
    (void)state;
    in_child(enter_beyond_a_file);
}

/* A rule on a file may not have the rights of a folder, which the kernel says; a script's folder is none. */
static void enter_a_file_as_folder(void) {
    const struct landlock_path paths[] = {{in("device"), LANDLOCK_SCRATCH}};
    struct failure failure = {0};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(landlock_enter(paths, 1, &failure) == -EINVAL && strstr(failure.text, "landlock_add_rule") != NULL);
}

static void test_a_file_is_no_scratch(void **state) {
    (void)state;
    in_child(enter_a_file_as_folder);
}

/* --- What else the domain takes away --- */

static void use_tcp(void) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    enter();
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        _exit(0);
    REFUSED(connect(fd, (struct sockaddr *)&tcp, sizeof tcp));
    REFUSED(bind(fd, (struct sockaddr *)&any, sizeof any));
    any.sin_port = htons((uint16_t)(20000 + getpid() % 10000));
    REFUSED(bind(fd, (struct sockaddr *)&any, sizeof any));
}

static void test_tcp(void **state) {
    socklen_t length = sizeof tcp;
    (void)state;
    if (landlock_abi() < 4) {
        print_message("# the kernel's Landlock knows no TCP\n");
        skip();
    }
    cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tcp = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&tcp, sizeof tcp), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&tcp, &length), 0);
    in_child(use_tcp);
}

static void signal_out(void) {
    pid_t parent = getppid();
    enter();
    CHECK(parent > 1);
    REFUSED(kill(parent, 0));
    pid_t child = fork();
    if (child == 0)
        _exit(kill(getppid(), 0) == 0 ? 0 : 1);
    int status;
    CHECK(child > 1 && kill(child, 0) == 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void connect_out(void) {
    enter();
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    REFUSED(connect(fd, (struct sockaddr *)&abstract, abstract_length));
}

static void test_signals_and_abstract_sockets(void **state) {
    (void)state;
    if (landlock_abi() < 6) {
        print_message("# the kernel's Landlock has no scopes\n");
        skip();
    }
    in_child(signal_out);
    cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    abstract = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(abstract.sun_path + 1, sizeof abstract.sun_path - 1, "px-landlock-%d", (int)getpid());
    abstract_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract.sun_path + 1));
    assert_int_equal(bind(fd, (struct sockaddr *)&abstract, abstract_length), 0);
    assert_int_equal(listen(fd, 1), 0);
    in_child(connect_out);
}

static void test_its_words(void **state) {
    (void)state;
    assert_string_equal(landlock_describe(0), "");
    assert_string_equal(landlock_describe(-ENOSYS), "");
    assert_string_equal(landlock_describe(1), "files");
    for (int abi = 2; abi <= 6; abi++)
        assert_true(strlen(landlock_describe(abi)) > strlen(landlock_describe(abi - 1)));
    assert_string_equal(landlock_describe(1000), landlock_describe(6)); /* a kernel newer than we are */
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_read),
        TEST(test_device),
        TEST(test_scratch),
        TEST(test_what_scratch_does_not_allow),
        TEST(test_what_is_not_named),
        TEST(test_what_it_does_not_know),
        TEST(test_no_paths_nothing),
        TEST(test_a_second_domain_gives_nothing_back),
        TEST(test_needs_no_new_privs),
        TEST(test_a_path_that_cannot_be_looked_at_is_named),
        TEST(test_a_file_is_no_scratch),
        TEST(test_tcp),
        TEST(test_signals_and_abstract_sockets),
        cmocka_unit_test(test_its_words),
    };
    if (landlock_abi() < 1) {
        printf("1..0 # SKIP this kernel has no Landlock: %s\n", strerror(-landlock_abi()));
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
