/* The probe: see probe.h. Runs in the zygote before Python starts, and in `python-executor doctor`. */
#include "sandbox/probe.h"

#include "base/fd.h"
#include "sandbox/credentials.h"
#include "sandbox/landlock.h"
#include "sandbox/namespaces.h"
#include "sandbox/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLANS_MAX = 16, TRIAL_SECONDS = 10, TRIAL_SLOT = 0 };

/* What a throwaway child leaves behind, in memory it shares with us. */
struct trial {
    int result;
    struct failure failure;
    struct isolation isolation;
};

/* --- A trial of one plan --- */

static _Noreturn void be_worker(struct sandbox *sandbox, struct trial *trial, int go) {
    char byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (read(go, &byte, 1) != 1)
        _exit(EXIT_FAILURE);
    trial->result = sandbox_enter(sandbox, TRIAL_SLOT, &trial->failure);
    if (trial->result == 0)
        trial->result = witness_layers(&sandbox->isolation, &trial->failure);
    _exit(trial->result == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int make_worker(struct sandbox *sandbox, struct trial *trial) {
    int go[2];
    int status = 0;
    if (pipe2(go, O_CLOEXEC) < 0)
        return failure_set(&trial->failure, errno, "worker", "pipe(): %s", strerror(errno));
    pid_t worker = sandbox_clone(sandbox, TRIAL_SLOT, &trial->failure);
    if (worker == 0) {
        close(go[1]);
        be_worker(sandbox, trial, go[0]);
    }
    close(go[0]);
    int r = worker < 0 ? worker : sandbox_admit(sandbox, worker, TRIAL_SLOT, &trial->failure);
    trial->result = r < 0 ? r : failure_set(&trial->failure, EIO, "worker", "it died in its layers");
    if (r == 0 && write(go[1], "", 1) != 1)
        r = -EPIPE;
    close(go[1]); /* without the byte the worker ends */
    if (worker > 0)
        waitpid(worker, &status, 0);
    sandbox_release(sandbox, TRIAL_SLOT);
    return r < 0 ? r : trial->result;
}

static _Noreturn void be_zygote(const struct policy *policy, const struct plan *plan, struct trial *trial) {
    struct sandbox sandbox;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* one that hangs is not left behind */
    alarm(TRIAL_SECONDS);
    int r = sandbox_prepare(&sandbox, policy, plan, &trial->failure);
    if (r == 0)
        r = sandbox_move_in(&sandbox, &trial->failure);
    if (r == 0)
        r = make_worker(&sandbox, trial);
    if (r == 0)
        trial->isolation = sandbox.isolation;
    sandbox_done(&sandbox);
    trial->result = r;
    _exit(EXIT_SUCCESS);
}

static int try_once(const struct policy *policy, const struct plan *plan, struct trial *trial) {
    *trial = (struct trial){0};
    trial->result = failure_set(&trial->failure, EIO, "worker", "the trial did not end");
    pid_t child = fork();
    if (child == 0)
        be_zygote(policy, plan, trial);
    if (child < 0 || waitpid(child, NULL, 0) != child)
        return failure_set(&trial->failure, EAGAIN, "worker", "fork(): %s", strerror(errno));
    return trial->result;
}

/* Of what is missing at this moment, and not refused. */
static bool may_pass(int error) {
    return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE || error == EINTR || error == EIO;
}

/* A layer that is given up here is given up for the life of the zygote: not for a moment's trouble. */
static int try_plan(const struct policy *policy, const struct plan *plan, struct trial *trial) {
    int r = try_once(policy, plan, trial);
    return r < 0 && may_pass(trial->failure.error) ? try_once(policy, plan, trial) : r;
}

/* --- Plans, the best first --- */

static size_t add(struct plan *plans, size_t count, struct plan plan, int clone_flags) {
    plan.clone_flags = clone_flags;
    if (count < PLANS_MAX)
        plans[count++] = plan;
    return count;
}

static size_t make_plans(uint32_t off, struct plan *plans) {
    size_t count = 0;
    int user = (off & layer_bit(LAYER_USER)) != 0 ? 0 : CLONE_NEWUSER;
    int pid = (off & layer_bit(LAYER_PID)) != 0 ? 0 : CLONE_NEWPID;
    bool landlock = (off & layer_bit(LAYER_LANDLOCK)) == 0 && landlock_abi() > 0;
    bool admin = credentials_have(CAP_SYS_ADMIN);
    bool chroot = (off & layer_bit(LAYER_CHROOT)) == 0 && credentials_have(CAP_SYS_CHROOT);
    if ((off & layer_bit(LAYER_MOUNT)) == 0)
        for (int own = !admin; own <= (user != 0); own++) {
            const struct plan plan = {.own_user = own != 0, .mounts = true, .landlock = landlock};
            count = add(plans, count, plan, user | pid | CLONE_NEWNS);
            /* gVisor lets a worker mount in the zygote's user namespace, and not in one of its own. */
            if (user != 0)
                count = add(plans, count, plan, pid | CLONE_NEWNS);
        }
    /* Any layer for the files comes before all others. Who is behind a chroot may make no user namespace (clone(2)). */
    const struct plan plain = {.landlock = landlock};
    const struct plan behind = {.chroot = true, .landlock = landlock};
    if (landlock && user != 0)
        count = add(plans, count, plain, user | pid);
    if (chroot && admin)
        count = add(plans, count, behind, pid);
    if (chroot)
        count = add(plans, count, behind, 0);
    if (!landlock && user != 0)
        count = add(plans, count, plain, user | pid);
    return add(plans, count, plain, admin ? pid : 0);
}

/* --- The choice --- */

/* A layer that the failed plan had and the chosen one has not: that is why. */
static void note_failure(struct isolation *isolation, const struct plan *plan, const struct failure *failure) {
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++) {
        struct layer_state *state = &isolation->layers[layer];
        bool is_it = strcmp(failure->stage, layer_name(layer)) == 0 ||
                     (layer == LAYER_CHROOT && plan->chroot && strcmp(failure->stage, "scratch") == 0);
        if (!is_it || state->status == LAYER_ACTIVE || state->error != 0)
            continue;
        layer_refused_because(isolation, (enum layer)layer, failure);
    }
}

static void probe_layers(const struct policy *policy, struct isolation *ret_isolation) {
    *ret_isolation = (struct isolation){0};
    namespaces_probe(ret_isolation);
    int abi = landlock_abi();
    if (abi < 1)
        layer_refused(ret_isolation, LAYER_LANDLOCK, "landlock_create_ruleset", -abi);
    else
        layer_unused(ret_isolation, LAYER_LANDLOCK, "granted");
    if (credentials_have(CAP_SYS_CHROOT))
        layer_unused(ret_isolation, LAYER_CHROOT, "granted");
    else
        layer_refused(ret_isolation, LAYER_CHROOT, "chroot", EPERM);
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++)
        if ((policy->off & layer_bit(layer)) != 0)
            layer_unused(ret_isolation, (enum layer)layer, "switched off");
}

void probe_explain(const struct probe *probe, struct isolation *isolation) {
    for (size_t i = 0; i < LAYER_COUNT; i++)
        if (isolation->layers[i].status != LAYER_ACTIVE && isolation->layers[i].detail[0] == '\0')
            isolation->layers[i] = probe->isolation.layers[i];
}

int probe_platform(const struct policy *policy, struct probe *ret_probe, struct failure *ret_failure) {
    struct plan plans[PLANS_MAX];
    struct trial *trial = mmap(NULL, sizeof *trial, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (trial == MAP_FAILED)
        return failure_set(ret_failure, errno, "worker", "mmap(): %s", strerror(errno));
    size_t count = make_plans(policy->off, plans);
    int r = -EIO;
    *ret_probe = (struct probe){0};
    probe_layers(policy, &ret_probe->isolation);
    for (size_t i = 0; i < count && r < 0; i++) {
        r = try_plan(policy, &plans[i], trial);
        if (r < 0) {
            note_failure(&ret_probe->isolation, &plans[i], &trial->failure);
            *ret_failure = trial->failure;
            continue;
        }
        struct isolation isolation = trial->isolation;
        probe_explain(ret_probe, &isolation);
        *ret_probe = (struct probe){.plan = plans[i], .isolation = isolation};
    }
    munmap(trial, sizeof *trial);
    return r;
}
