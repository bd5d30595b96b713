/* The view: see view.h. Runs in a worker, inside a signal handler, with the script's privileges. */
#include "sandbox/view.h"

#include "sandbox/policy.h"
#include "sandbox/seccomp_table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/utsname.h>
#include <ucontext.h>
#include <unistd.h>

/* Which arguments of a call are paths: bit n for argument n. */
static const struct {
    int number;
    unsigned char paths;
} path_calls[] = {
#ifdef SYS_open
    {SYS_open, 1}, {SYS_stat, 1}, {SYS_lstat, 1}, {SYS_access, 1}, {SYS_readlink, 1},
    {SYS_mkdir, 1}, {SYS_rmdir, 1}, {SYS_unlink, 1}, {SYS_rename, 3}, {SYS_link, 3}, {SYS_symlink, 3},
    {SYS_chmod, 1}, {SYS_utimes, 1},
#endif
    {SYS_openat, 2}, {SYS_newfstatat, 2}, {SYS_statx, 2}, {SYS_statfs, 1}, {SYS_faccessat, 2}, {SYS_faccessat2, 2},
    {SYS_readlinkat, 2}, {SYS_chdir, 1}, {SYS_mkdirat, 2}, {SYS_unlinkat, 2}, {SYS_renameat, 2 | 8},
    {SYS_renameat2, 2 | 8}, {SYS_linkat, 2 | 8}, {SYS_symlinkat, 1 | 4}, {SYS_utimensat, 2},
    {SYS_fchmodat, 2}, {SYS_getcwd, 0},
};

static struct view the_view; /* a signal handler is given no context */

/* --- Paths --- */

static bool is_below(const char *path, const char folder[4]) {
    return strncmp(path, folder, 4) == 0 && (path[4] == '/' || path[4] == '\0');
}

/* Copies a path with what it means for its beginning. `text` where there is nothing to translate. */
static const char *translate(const char *text, char *space, size_t size) {
    const char *means = NULL;
    const char *rest = text;
    if (text == NULL || *text != '/')
        return text;
    while (rest[0] == '/' && (rest[1] == '/' || (rest[1] == '.' && (rest[2] == '/' || rest[2] == '\0'))))
        rest += rest[1] == '/' ? 1 : 2;
    if (rest[0] == '\0' || rest[1] == '\0')
        return the_view.root;
    if (is_below(rest, "/tmp")) {
        means = the_view.scratch;
        rest += 4;
    } else if (is_below(rest, "/etc") || (the_view.devices && is_below(rest, "/dev"))) {
        means = the_view.root;
    }
    size_t length = strnlen(rest, PATH_MAX);
    if (means == NULL || strlen(means) + length >= size)
        return text;
    memcpy(space, means, strlen(means));
    memcpy(space + strlen(means), rest, length + 1);
    return space;
}

/* The other way, in place: what the kernel says is what the script may know. Returns the new length. */
static size_t translate_back(char *text, size_t length) {
    const struct {
        const char *real, *seen;
    } ways[] = {{the_view.scratch, "/tmp"}, {the_view.root, ""}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        size_t real = strlen(ways[i].real);
        size_t seen = strlen(ways[i].seen);
        if (length < real || memcmp(text, ways[i].real, real) != 0 || (length > real && text[real] != '/'))
            continue;
        memmove(text + seen, text + real, length - real);
        memcpy(text, ways[i].seen, seen);
        length = length - real + seen;
        if (length == 0)
            text[length++] = '/';
        break;
    }
    return length;
}

static long call_kernel(int number, const long arguments[5]) {
    long r = syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], SECCOMP_VIEW_MARK);
    return r < 0 ? -errno : r;
}

static long with_paths(int number, unsigned paths, long arguments[5]) {
    char space[2][PATH_MAX + VIEW_PATH];
    unsigned used = 0;
    for (unsigned i = 0; i < 5; i++)
        if ((paths & 1u << i) != 0) {
            arguments[i] = (long)translate((const char *)arguments[i], space[used], sizeof space[used]);
            used++;
        }
    return call_kernel(number, arguments);
}

static long get_folder(const long arguments[5]) {
    char *text = (char *)arguments[0];
    char space[PATH_MAX];
    const long real[5] = {(long)space, sizeof space};
    long r = call_kernel(SYS_getcwd, real);
    if (r <= 0)
        return r;
    size_t length = translate_back(space, (size_t)r - 1);
    if (length + 1 > (size_t)arguments[1])
        return -ERANGE;
    memcpy(text, space, length);
    text[length] = '\0';
    return (long)length + 1;
}

static long read_link(int number, unsigned paths, long arguments[5]) {
    char *text = (char *)arguments[number == SYS_readlinkat ? 2 : 1];
    long r = with_paths(number, paths, arguments);
    return r <= 0 ? r : (long)translate_back(text, (size_t)r);
}

/* By its path the filter lets nobody do it: see SECCOMP_OPEN_PATH. */
static long truncate_opened(const long arguments[5]) {
    long opening[5] = {AT_FDCWD, arguments[0], O_WRONLY | O_NONBLOCK | O_CLOEXEC};
    long fd = with_paths(SYS_openat, 2, opening);
    if (fd < 0)
        return fd;
    const long cutting[5] = {fd, arguments[1]};
    const long closing[5] = {fd};
    long r = call_kernel(SYS_ftruncate, cutting);
    call_kernel(SYS_close, closing);
    return r;
}

/* --- Ids, and the name of the host --- */

static bool answer_id(int number, const long arguments[5], long *ret_answer) {
    switch (number) {
    case SYS_getuid:
    case SYS_geteuid: *ret_answer = POLICY_UID; return true;
    case SYS_getgid:
    case SYS_getegid: *ret_answer = POLICY_GID; return true;
    case SYS_getgroups: *ret_answer = 0; return true;
    case SYS_getresuid:
    case SYS_getresgid:
        for (size_t i = 0; i < 3; i++)
            *(unsigned *)arguments[i] = number == SYS_getresuid ? POLICY_UID : POLICY_GID;
        *ret_answer = 0;
        return true;
    case SYS_uname: {
        struct utsname *name = (struct utsname *)arguments[0];
        *ret_answer = call_kernel(number, arguments);
        if (*ret_answer == 0)
            strncpy(name->nodename, "sandbox", sizeof name->nodename); /* to the last byte */
        return true;
    }
    default: return false;
    }
}

/* --- The handler --- */

static long stand_in(int number, long arguments[5]) {
    long answer;
    if (answer_id(number, arguments, &answer))
        return answer;
    if (number == SYS_getcwd)
        return get_folder(arguments);
    if (number == SYS_truncate)
        return truncate_opened(arguments);
    for (size_t i = 0; i < sizeof path_calls / sizeof path_calls[0]; i++) {
        if (path_calls[i].number != number)
            continue;
        bool reads_link = number == SYS_readlinkat;
#ifdef SYS_readlink
        reads_link = reads_link || number == SYS_readlink;
#endif
        return reads_link ? read_link(number, path_calls[i].paths, arguments)
                          : with_paths(number, path_calls[i].paths, arguments);
    }
    return -EPERM;
}

static void handle(int signal, siginfo_t *info, void *context) {
    mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
    int error = errno;
    (void)signal;
#if defined(__x86_64__)
    greg_t *r = machine->gregs;
    long arguments[5] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8]};
    r[REG_RAX] = stand_in(info->si_syscall, arguments);
#elif defined(__aarch64__)
    unsigned long long *r = machine->regs;
    long arguments[5] = {(long)r[0], (long)r[1], (long)r[2], (long)r[3], (long)r[4]};
    r[0] = (unsigned long long)stand_in(info->si_syscall, arguments);
#else
#error "which registers hold the arguments of a system call?"
#endif
    errno = error;
}

int view_enter(const struct view *view, struct failure *ret_failure) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
    the_view = *view;
    if (sigaction(SIGSYS, &action, NULL) < 0)
        return failure_set(ret_failure, errno, "view", "sigaction(SIGSYS) was refused: %s", strerror(errno));
    return 0;
}
