/* The self-test: see selftest.h. Runs in `python-executor doctor`, each attempt in a throwaway child. */
#include "cli/selftest.h"

#include "base/fd.h"
#include "cli/escapes.h"
#include "sandbox/credentials.h"
#include "sandbox/landlock.h"
#include "sandbox/namespaces.h"
#include "sandbox/rlimits.h"
#include "sandbox/rootfs.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child says how far it got by its exit status: 0 out, an errno, or that the layer could not be put on. */
enum { NOT_APPLIED = 255, ATTEMPT_SECONDS = 5, SELFTEST_SLOT = 1 };

/* --- One layer by itself --- */

static int apply_namespace(enum layer layer, const struct policy *policy, struct failure *failure) {
    struct isolation isolation = {0};
    int r;
    if (layer == LAYER_MOUNT)
        return (r = namespaces_own_mounts(failure)) < 0 ? r : rootfs_prepare(policy, !credentials_have(CAP_MKNOD), failure);
    if (layer == LAYER_PID)
        return unshare(CLONE_NEWPID) < 0 ? -errno : 0;
    cleanup_fd int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    namespaces_share(proc_fd, ~layer_bit(layer), &isolation);
    return isolation.layers[layer].status == LAYER_ACTIVE ? 0 : -EPERM;
}

static int apply_landlock(const struct policy *policy, struct failure *failure) {
    struct landlock_path paths[POLICY_MAX_PATHS];
    size_t count = 0;
    for (size_t i = 0; i < POLICY_MAX_PATHS && policy->read_only[i] != NULL; i++)
        paths[count++] = (struct landlock_path){policy->read_only[i], LANDLOCK_READ};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return landlock_enter(paths, count, failure);
}

static int apply_seccomp(struct failure *failure) {
    struct seccomp_program filter;
    int r = seccomp_prepare(seccomp_rules, seccomp_rule_count, 0, &filter, failure);
    if (r < 0)
        return r;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return seccomp_enter(&filter, failure);
}

static int apply(enum layer layer, const struct policy *policy, bool own_user) {
    struct failure failure;
    bool slots;
    switch (layer) {
    case LAYER_SECCOMP: return apply_seccomp(&failure);
    case LAYER_RLIMITS: return rlimits_enter(policy, true, &failure);
    case LAYER_IDENTITY: {
        bool root = credentials_can_change_ids();
        uid_t uid = root ? (uid_t)policy->uid_base + 1 : geteuid();
        credentials_drop_groups(&failure);
        return credentials_enter(uid, root ? (gid_t)uid : getegid(), &failure);
    }
    case LAYER_LANDLOCK: return apply_landlock(policy, &failure);
    case LAYER_CHROOT: return chroot("/usr") < 0 ? -errno : 0;
    case LAYER_USER: return namespaces_own_user(policy, &slots, &failure);
    default: break;
    }
    /* An ordinary user has the right to the others only in there. */
    if (own_user && (namespaces_own_user(policy, &slots, &failure)) < 0)
        return -EPERM;
    return apply_namespace(layer, policy, &failure);
}

/* --- One attempt --- */

/* What became of a child: 0 out, an errno, or the negative number of the signal that ended it. */
static int result_of(pid_t child) {
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return NOT_APPLIED;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static _Noreturn void attempt(const struct escape *escape, const struct targets *targets) {
    alarm(ATTEMPT_SECONDS);
    _exit(escape->attempt(targets));
}

static int try_layer(const struct escape *escape, const struct targets *targets, enum layer layer, const struct policy *policy,
                     bool own_user) {
    pid_t child = fork();
    if (child != 0)
        return result_of(child);
    if (apply(layer, policy, own_user) < 0)
        _exit(NOT_APPLIED);
    /* A pid namespace begins with the next child. */
    pid_t inner = layer == LAYER_PID || layer == LAYER_TIME ? fork() : 0;
    if (inner == 0)
        attempt(escape, targets);
    int r = result_of(inner);
    _exit(r < 0 ? EPERM : r);
}

static int try_bare(const struct escape *escape, const struct targets *targets) {
    pid_t child = fork();
    if (child == 0)
        attempt(escape, targets);
    return result_of(child);
}

/* Behind everything, as a script would be. */
static int try_sandbox(const struct escape *escape, const struct targets *targets, struct sandbox *sandbox) {
    struct failure failure;
    int go[2];
    char byte;
    if (pipe2(go, O_CLOEXEC) < 0)
        return NOT_APPLIED;
    pid_t worker = sandbox_clone(sandbox, SELFTEST_SLOT, &failure);
    if (worker == 0) {
        close(go[1]);
        if (read(go[0], &byte, 1) != 1 || sandbox_enter(sandbox, SELFTEST_SLOT, &failure) < 0)
            _exit(NOT_APPLIED);
        attempt(escape, targets);
    }
    close(go[0]);
    int r = worker < 0 ? -EPERM : sandbox_admit(sandbox, worker, SELFTEST_SLOT, &failure);
    if (r == 0 && write(go[1], "", 1) != 1)
        r = -EPIPE;
    close(go[1]);
    int result = result_of(worker);
    sandbox_release(sandbox, SELFTEST_SLOT);
    return r < 0 ? NOT_APPLIED : result;
}

/* All escapes, from one child that takes the zygote's place; it writes what came of each. */
static _Noreturn void be_zygote(const struct policy *policy, const struct probe *probe, const struct targets *targets, int out) {
    struct sandbox sandbox;
    struct failure failure;
    if (sandbox_prepare(&sandbox, policy, &probe->plan, &failure) < 0 || sandbox_move_in(&sandbox, &failure) < 0)
        _exit(EXIT_FAILURE);
    for (size_t i = 0; i < escape_count; i++) {
        int result = try_sandbox(&escapes[i], targets, &sandbox);
        if (fd_write_all(out, &result, sizeof result) < 0)
            break;
    }
    sandbox_done(&sandbox);
    _exit(EXIT_SUCCESS);
}

static int try_together(const struct policy *policy, const struct probe *probe, const struct targets *targets,
                        struct selftest *test) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    if (child == 0)
        be_zygote(policy, probe, targets, ends[1]);
    close(ends[1]);
    cleanup_fd int in = ends[0];
    int r = child < 0 ? -EAGAIN : 0;
    for (size_t i = 0; i < test->count && r == 0; i++)
        r = fd_read_all(in, &test->rows[i].together, sizeof test->rows[i].together);
    if (child > 0)
        waitpid(child, NULL, 0);
    return r;
}

/* --- The whole --- */

#define INSIDE_USER                                                                                                 \
    (layer_bit(LAYER_MOUNT) | layer_bit(LAYER_PID) | layer_bit(LAYER_NET) | layer_bit(LAYER_IPC) | layer_bit(LAYER_UTS) | \
     layer_bit(LAYER_TIME) | layer_bit(LAYER_CGROUP_NAMESPACE))

static void test_row(const struct policy *policy, const struct probe *probe, const struct targets *targets,
                     const struct escape *escape, struct selftest_row *row) {
    row->name = escape->name;
    row->fact = escape->fact;
    row->without = try_bare(escape, targets);
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++) {
        bool granted = probe->isolation.layers[layer].status == LAYER_ACTIVE;
        row->how[layer] = granted ? try_layer(escape, targets, (enum layer)layer, policy, probe->plan.own_user) : NOT_APPLIED;
        if (row->how[layer] != 0 && row->how[layer] != NOT_APPLIED && row->without == 0)
            row->stopped_by |= layer_bit(layer);
    }
    /* The others were tried inside a user namespace then, and it is not known whether they would have done. */
    if (probe->plan.own_user && (row->stopped_by & layer_bit(LAYER_USER)) != 0)
        row->stopped_by &= ~INSIDE_USER;
}

int selftest_run(const struct policy *policy, const struct probe *probe, struct selftest *ret_test, struct failure *ret_failure) {
    static struct targets targets; /* where the victim's copy is, for those who read its memory */
    *ret_test = (struct selftest){.count = escape_count < SELFTEST_ESCAPES ? escape_count : SELFTEST_ESCAPES};
    int r = targets_make(&targets, ret_failure);
    if (r == 0) {
        for (size_t i = 0; i < ret_test->count; i++)
            test_row(policy, probe, &targets, &escapes[i], &ret_test->rows[i]);
        r = try_together(policy, probe, &targets, ret_test);
        if (r < 0)
            failure_set(ret_failure, -r, "self-test", "no worker could be made: %s", strerror(-r));
    }
    targets_remove(&targets);
    return r;
}

static bool got_out(const struct selftest_row *row) {
    return row->together == 0 || row->together == NOT_APPLIED;
}

size_t selftest_escaped(const struct selftest *test) {
    size_t escaped = 0;
    for (size_t i = 0; i < test->count; i++)
        escaped += got_out(&test->rows[i]) && !test->rows[i].fact;
    return escaped;
}

static const char *words_of(int result, char space[32]) {
    if (result == 0)
        return "GOT OUT";
    if (result == NOT_APPLIED)
        return "NOT TESTED";
    const char *name = result < 0 ? sigabbrev_np(-result) : strerrorname_np(result);
    snprintf(space, 32, "%s%s", result < 0 ? "SIG" : "", name != NULL ? name : "?");
    return space;
}

void selftest_print(FILE *to, const struct selftest *test) {
    fprintf(to, "%-32s %-11s %s\n", "an attempt to", "together", "stopped by each of these alone");
    for (size_t i = 0; i < test->count; i++) {
        const struct selftest_row *row = &test->rows[i];
        char space[32];
        fprintf(to, "%-32s %-11s", row->name, row->fact && row->together == 0 ? "told" : words_of(row->together, space));
        if (row->without != 0)
            fprintf(to, " the platform (%s)", words_of(row->without, space));
        for (unsigned layer = 0; layer < LAYER_COUNT; layer++)
            if ((row->stopped_by & layer_bit(layer)) != 0)
                fprintf(to, " %s", layer_name(layer));
        fprintf(to, "\n");
    }
}

int selftest_add_json(struct buf *buf, const struct selftest *test) {
    char space[32];
    int r = buf_add_text(buf, "\"self_test\": [");
    for (size_t i = 0; i < test->count && r == 0; i++) {
        const struct selftest_row *row = &test->rows[i];
        const char *comma = "";
        r = buf_add_format(buf, "%s{\"attempt\": \"%s\", \"fact\": %s, \"stopped\": %s, \"together\": \"%s\", \"without\": \"%s\", \"alone\": {",
                           i > 0 ? ", " : "", row->name, row->fact ? "true" : "false", got_out(row) ? "false" : "true",
                           words_of(row->together, space), row->without == 0 ? "possible" : strerrorname_np(row->without));
        for (unsigned layer = 0; layer < LAYER_COUNT && r == 0; layer++)
            if (row->how[layer] != NOT_APPLIED) {
                r = buf_add_format(buf, "%s\"%s\": \"%s\"", comma, layer_name(layer), words_of(row->how[layer], space));
                comma = ", ";
            }
        if (r == 0)
            r = buf_add_text(buf, "}}");
    }
    return r < 0 ? r : buf_add_text(buf, "]");
}
