/* Starting the server and the zygotes: see children.h. Runs in the manager and, between fork and exec,
 * in its children. */
#include "cli/children.h"

#include "base/fd.h"
#include "base/log.h"
#include "sandbox/credentials.h"
#include "wire/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Where an installed and a freshly built program find the others. */
static const char *const places[] = {"%s/%s", "%s/../libexec/python-executor/%s",
                                     "%s/../lib/python-executor/%s"};

/* A worker's environment is the zygote's; the server needs none. */
static const char *const zygote_environment[] = {"HOME=/tmp", "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin",
                                           "TMPDIR=/tmp", "LD_BIND_NOW=1", NULL};
static const char *const server_environment[] = {NULL};

static int open_program(const char *folder, const char *name) {
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(path, sizeof path, places[i], folder, name);
#pragma GCC diagnostic pop
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            return fd;
    }
    return -errno;
}

int programs_open(struct programs *ret_programs, struct failure *ret_failure) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return failure_set(ret_failure, errno, "start", "cannot read /proc/self/exe: %s", strerror(errno));
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    ret_programs->server = open_program(self, "python-executor-server");
    ret_programs->zygote = open_program(self, "python-executor-zygote");
    if (ret_programs->server >= 0 && ret_programs->zygote >= 0)
        return 0;
    programs_close(ret_programs);
    return failure_set(ret_failure, ENOENT, "start",
                       "python-executor-server and python-executor-zygote are not beside this program in %.100s",
                       self);
}

void programs_close(struct programs *programs) {
    programs->server = fd_close(programs->server);
    programs->zygote = fd_close(programs->zygote);
}

/* --- What they say --- */

void child_init(struct child *child, pid_t pid, int take_control) {
    fcntl(take_control, F_SETFL, O_NONBLOCK);
    *child = (struct child){.pid = pid, .control = take_control};
}

void child_hear(struct child *child, void (*take)(void *context, const struct message *message), void *context) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    for (int i = 0; i < MESSAGE_BURST && child->control >= 0; i++) {
        int r = message_receive(child->control, &message, fds);
        if (r == -EAGAIN)
            return;
        message_close_fds(fds);
        if (r == 1)
            take(context, &message);
        else if (r != -EBADMSG)
            child->control = fd_close(child->control); /* its end is reported by SIGCHLD */
    }
}

/* --- Between fork and exec --- */

static _Noreturn void give_up(const struct failure *failure) {
    struct message message = {.kind = MESSAGE_FAILED, .failure = *failure};
    message_send(INHERIT_CONTROL, &message, NULL, 0);
    _exit(EXIT_FAILURE);
}

/* Moves the descriptors to their places by way of numbers that are nobody's, then closes the rest. There may be no
 * second one. */
static int install_descriptors(int *program, int control, int second) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int high_control = fcntl(control, F_DUPFD_CLOEXEC, 64);
    int high_second = second >= 0 ? fcntl(second, F_DUPFD_CLOEXEC, 64) : -1;
    int high_program = fcntl(*program, F_DUPFD_CLOEXEC, 64);
    if (null < 0 || high_control < 0 || (second >= 0 && high_second < 0) || high_program < 0)
        return -errno;
    if (fd_install(null, STDIN_FILENO) < 0 || fd_install(null, STDOUT_FILENO) < 0 ||
        fd_install(high_control, INHERIT_CONTROL) < 0 || (second >= 0 && fd_install(high_second, INHERIT_LISTEN) < 0) ||
        dup3(high_program, INHERIT_END, O_CLOEXEC) < 0)
        return -errno;
    *program = INHERIT_END;
    if (second < 0)
        close(INHERIT_LISTEN);
    return fd_close_from(INHERIT_END + 1);
}

static void set_resources(void) {
    const struct rlimit none = {0, 0};
    struct rlimit files;
    setrlimit(RLIMIT_CORE, &none);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* The child dies with the manager. The manager may be gone already, hence the second look. */
static void die_with(pid_t manager) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != manager)
        _exit(EXIT_FAILURE);
}

static void prepare(int *program, int control, int second) {
    struct failure failure;
    sigset_t managers;
    /* Whoever signals everybody means the service, and it is the manager who ends it in order. Workers take them again. */
    sigemptyset(&managers);
    sigaddset(&managers, SIGTERM);
    sigaddset(&managers, SIGINT);
    sigaddset(&managers, SIGHUP);
    sigprocmask(SIG_SETMASK, &managers, NULL);
    setsid(); /* Ctrl-C at the terminal is the manager's, and there is no terminal to write to */
    set_resources();
    int r = install_descriptors(program, control, second);
    if (r < 0) {
        failure_set(&failure, -r, "descriptors", "cannot hand them to the child: %s", strerror(-r));
        give_up(&failure);
    }
}

static _Noreturn void execute(int program, char *const *arguments, const char *const *environment) {
    struct failure failure;
    fexecve(program, arguments, (char *const *)environment);
    failure_set(&failure, errno, "exec", "cannot execute %.60s: %s", arguments[0], strerror(errno));
    give_up(&failure);
}

/* --- In the manager --- */

static pid_t fork_child(void) {
    pid_t pid = fork();
    return pid < 0 ? -errno : pid;
}

static void free_arguments(char **arguments) {
    for (size_t i = 0; arguments[i] != NULL; i++)
        free(arguments[i]);
}

pid_t children_start_server(const struct programs *programs, const struct config *config, int control,
                            int listen_fd) {
    char *arguments[CONFIG_ARGS] = {strdup("python-executor-server")};
    int r = config_to_args(config, arguments, CONFIG_ARGS);
    pid_t manager = getpid();
    pid_t pid = r < 0 ? r : fork_child();
    if (pid == 0) {
        struct failure failure;
        int program = programs->server;
        prepare(&program, control, listen_fd);
        log_detach(); /* once more: who has taken the server must not make the manager wait for a log that he fills */
        /* A user id of its own where that can be had; else the one of whoever started it. */
        bool root = credentials_can_change_ids();
        uid_t uid = root ? (uid_t)config->uid_base : geteuid();
        if (credentials_drop_groups(&failure) < 0 ||
            credentials_enter_with_chroot(uid, root ? (gid_t)config->uid_base : getegid(), &failure) < 0)
            give_up(&failure);
        die_with(manager); /* behind the change of user, which resets it */
        execute(program, arguments, server_environment);
    }
    free_arguments(arguments);
    return pid;
}

pid_t children_start_zygote(const struct programs *programs, const struct config *config, int control,
                            int channel, unsigned first_slot, bool alone) {
    char slot[16];
    snprintf(slot, sizeof slot, "%u", first_slot);
    char *arguments[CONFIG_ARGS] = {strdup("python-executor-zygote"), strdup(slot),
                                     strdup(alone ? "alone" : "tree")};
    int r = config_to_args(config, arguments, CONFIG_ARGS);
    pid_t manager = getpid();
    pid_t pid = r < 0 ? r : fork_child();
    if (pid == 0) {
        int program = programs->zygote;
        prepare(&program, control, channel);
        die_with(manager);
        execute(program, arguments, zygote_environment);
    }
    free_arguments(arguments);
    return pid;
}
