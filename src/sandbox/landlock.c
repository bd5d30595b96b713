/* Landlock: see landlock.h. Runs in a worker before its job, and in the server before its first client.
 *
 * The numbers are the kernel's (include/uapi/linux/landlock.h); the headers of Debian 12 end at version 3.
 */
#include "sandbox/landlock.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RIGHT(bit) (1ull << (bit))
enum {
    EXECUTE = 0, WRITE_FILE = 1, READ_FILE = 2, READ_DIR = 3, REMOVE_DIR = 4, REMOVE_FILE = 5, MAKE_CHAR = 6,
    MAKE_DIR = 7, MAKE_REG = 8, MAKE_SOCK = 9, MAKE_FIFO = 10, MAKE_BLOCK = 11, MAKE_SYM = 12, REFER = 13,
    TRUNCATE = 14, IOCTL_DEV = 15,
};
enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1 };

/* Of a folder each; a rule on a file may name but the first line. */
#define FILE_RIGHTS (RIGHT(WRITE_FILE) | RIGHT(READ_FILE) | RIGHT(TRUNCATE))
#define SCRATCH_RIGHTS                                                                                        \
    (FILE_RIGHTS | RIGHT(READ_DIR) | RIGHT(REMOVE_DIR) | RIGHT(REMOVE_FILE) | RIGHT(MAKE_DIR) | RIGHT(MAKE_REG) | \
     RIGHT(MAKE_FIFO) | RIGHT(MAKE_SYM) | RIGHT(REFER))

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* version 4 */
    uint64_t scoped;             /* version 6 */
};

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

/* What each version brought; a kernel refuses bits it does not know. */
static const struct {
    uint64_t files; /* all rights up to here */
    uint64_t net;   /* bind and connect of TCP */
    uint64_t scoped; /* abstract unix sockets, signals */
    size_t attr_size;
    const char *words;
} versions[] = {
    {RIGHT(REFER) - 1, 0, 0, 8, "files"},
    {RIGHT(TRUNCATE) - 1, 0, 0, 8, "files, moves"},
    {RIGHT(IOCTL_DEV) - 1, 0, 0, 8, "files, moves, truncation"},
    {RIGHT(IOCTL_DEV) - 1, 3, 0, 16, "files, moves, truncation, TCP"},
    {RIGHT(IOCTL_DEV + 1) - 1, 3, 0, 16, "files, moves, truncation, TCP, device ioctl"},
    {RIGHT(IOCTL_DEV + 1) - 1, 3, 3, 24, "files, moves, truncation, TCP, device ioctl, signals, abstract sockets"},
};
enum { VERSIONS = sizeof versions / sizeof versions[0] };

int landlock_abi(void) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    return abi < 0 ? -errno : (int)abi;
}

static size_t known(int abi) {
    return abi > (int)VERSIONS ? VERSIONS - 1 : (size_t)abi - 1;
}

const char *landlock_describe(int abi) {
    return abi < 1 ? "" : versions[known(abi)].words;
}

static int allow(int ruleset, const struct landlock_path *path, uint64_t handled) {
    static const uint64_t rights[] = {
        [LANDLOCK_READ] = RIGHT(READ_FILE) | RIGHT(READ_DIR),
        [LANDLOCK_DEVICE] = RIGHT(READ_FILE) | RIGHT(WRITE_FILE) | RIGHT(TRUNCATE),
        [LANDLOCK_SCRATCH] = SCRATCH_RIGHTS,
    };
    cleanup_fd int fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    struct path_beneath_attr rule = {.allowed_access = rights[path->use] & handled, .parent_fd = fd};
    return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

int landlock_enter(const struct landlock_path *paths, size_t count, struct failure *ret_failure) {
    int abi = landlock_abi();
    if (abi < 1)
        return failure_set(ret_failure, -abi, "landlock", "landlock_create_ruleset: %s", strerror(-abi));
    size_t version = known(abi);
    struct ruleset_attr attr = {
        .handled_access_fs = versions[version].files,
        .handled_access_net = versions[version].net,
        .scoped = versions[version].scoped,
    };
    cleanup_fd int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, versions[version].attr_size, 0);
    if (ruleset < 0)
        return failure_set(ret_failure, errno, "landlock", "landlock_create_ruleset: %s", strerror(errno));
    for (size_t i = 0; i < count; i++) {
        int r = allow(ruleset, &paths[i], attr.handled_access_fs);
        if (r < 0)
            return failure_set(ret_failure, -r, "landlock", "landlock_add_rule for %.80s: %s", paths[i].path, strerror(-r));
    }
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return failure_set(ret_failure, errno, "landlock", "landlock_restrict_self: %s", strerror(errno));
    return 0;
}
