/* Other users for a child to be: an ordinary one, and one on a platform that grants no user namespaces. */
#ifndef PX_TESTS_USER_H
#define PX_TESTS_USER_H

#include "child.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>

/* An id that nobody has, outside the range of any service under test. */
enum { USER_ORDINARY = 1876999001 };

static inline void write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* In a child, which is an ordinary process afterwards: as after an exec(2), it can be dumped. */
static inline void become_ordinary_user(void) {
    if (geteuid() != 0)
        return;
    CHECK(setgroups(0, NULL) == 0 && setresgid(USER_ORDINARY, USER_ORDINARY, USER_ORDINARY) == 0 &&
          setresuid(USER_ORDINARY, USER_ORDINARY, USER_ORDINARY) == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

/* In a child of root: a platform where the sysctl says that there are no user namespaces. It is made by a user
 * namespace in which every id means itself, since the sysctl is each namespace's own. */
static inline void lose_user_namespaces(void) {
    int go[2], status;
    char byte, path[64];
    CHECK(pipe(go) == 0);
    pid_t helper = fork();
    CHECK(helper >= 0);
    if (helper == 0) {
        CHECK(read(go[0], &byte, 1) == 1);
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "/proc/%d/%s", (int)getppid(), i == 0 ? "uid_map" : "gid_map");
            write_text(path, "0 0 4294967295");
        }
        _exit(0);
    }
    CHECK(unshare(CLONE_NEWUSER) == 0 && write(go[1], "", 1) == 1);
    CHECK(waitpid(helper, &status, 0) == helper && status == 0);
    close(go[0]);
    close(go[1]);
    write_text("/proc/sys/user/max_user_namespaces", "0");
}

#endif
