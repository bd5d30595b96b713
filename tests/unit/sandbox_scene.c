/* The scenario of test_sandbox.c: the host's and the zygote's part. See sandbox_scene.h. */
#include "sandbox_scene.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Not neighbours, so that a slot that is left out shows. */
const unsigned scene_slots[SCENE_WORKERS] = {3, 17};
const char *const scene_namespaces[SCENE_NAMESPACES] = {"user", "pid", "mnt", "net", "ipc", "uts"};

static const struct policy policy = {
    .read_only = {"/usr/lib"},
    .scratch_bytes = SCENE_BYTES,
    .scratch_most_bytes = SCENE_BYTES,
    .scratch_files = SCENE_FILES,
    .open_files = SCENE_OPEN_FILES,
    .threads = SCENE_THREADS,
    .uid_base = SCENE_UID_BASE,
    .memory_bytes = 256u << 20,
};

/* What root with all capabilities gets. */
static const struct plan plan = {
    .mounts = true, .landlock = true, .clone_flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS};

static void read_namespaces(int proc_fd, const char *process, char ret_links[SCENE_NAMESPACES][64]) {
    for (size_t i = 0; i < SCENE_NAMESPACES; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/ns/%s", process, scene_namespaces[i]);
        ssize_t n = readlinkat(proc_fd, path, ret_links[i], sizeof ret_links[i] - 1);
        ret_links[i][n < 0 ? 0 : n] = '\0';
    }
}

/* The one place that kills. A refused clone leaves -EPERM, which is -1, where a pid should be, and none a
 * 0: to kill(2) these are every process there is, and one's own group. */
static void end_process(pid_t pid) {
    if (pid <= 1)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* --- The zygote --- */

static void see_network(struct scene *scene) {
    struct ifreq request = {.ifr_name = "lo"};
    struct if_nameindex *interfaces = if_nameindex();
    for (struct if_nameindex *i = interfaces; i != NULL && i->if_name != NULL; i++) {
        strncat(scene->interfaces, i->if_name, 16);
        strncat(scene->interfaces, " ", 2);
    }
    if_freenameindex(interfaces);
    cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    scene->loopback_flags = ioctl(fd, SIOCGIFFLAGS, &request) < 0 ? ~0u : (unsigned)request.ifr_flags;
}

static void see_zygote(struct scene *scene) {
    scene->zygote_groups = getgroups(0, NULL);
    scene->host_file_errno = access("/etc/shadow", F_OK) < 0 ? errno : 0;
    if (getcwd(scene->zygote_folder, sizeof scene->zygote_folder) == NULL)
        scene->zygote_folder[0] = '\0';
    see_network(scene);
}

/* Waits until it may, plays, says that it is done, and stays until it is killed. */
static _Noreturn void be_worker(struct sandbox *sandbox, struct worker_view *view, int go, int done) {
    char byte;
    if (read(go, &byte, 1) != 1)
        _exit(1);
    /* The /proc of the host is the zygote's alone: descriptors are the caller's. */
    sandbox->proc_fd = fd_close(sandbox->proc_fd);
    worker_play(sandbox, view);
    if (write(done, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

/* One worker from clone to the end of its notes; it then waits. */
static pid_t make_worker(struct sandbox *sandbox, struct worker_view *view, const unsigned *slot) {
    int go[2], done[2];
    char byte;
    if (pipe2(go, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = sandbox_clone(sandbox, slot != NULL ? *slot : 0, &view->failure);
    if (pid == 0)
        be_worker(sandbox, view, go[0], done[1]);
    fd_close(go[0]);
    fd_close(done[1]);
    if (pid > 0) {
        if (slot != NULL)
            view->admitted = sandbox_admit(sandbox, pid, *slot, &view->failure);
        /* An early end of either pipe is its death, and shows as a view that is not finished. */
        if (view->admitted == 0 && write(go[1], "", 1) == 1 && read(done[0], &byte, 1) != 1)
            view->finished = false;
    }
    fd_close(go[1]);
    fd_close(done[0]);
    return pid;
}

static void see_worker(const struct sandbox *sandbox, pid_t pid, struct worker_view *view) {
    char path[64];
    snprintf(path, sizeof path, "%d/status", (int)pid);
    fd_read_file(sandbox->proc_fd, path, view->status, sizeof view->status);
    snprintf(path, sizeof path, "%d/oom_score_adj", (int)pid);
    fd_read_file(sandbox->proc_fd, path, view->oom_score_adj, sizeof view->oom_score_adj);
    snprintf(path, sizeof path, "%d/uid_map", (int)pid);
    fd_read_file(sandbox->proc_fd, path, view->uid_map, sizeof view->uid_map);
    snprintf(path, sizeof path, "%d/gid_map", (int)pid);
    fd_read_file(sandbox->proc_fd, path, view->gid_map, sizeof view->gid_map);
    snprintf(path, sizeof path, "%d", (int)pid);
    read_namespaces(sandbox->proc_fd, path, view->namespaces);
}

static void be_zygote(struct scene *scene) {
    struct sandbox sandbox;
    const gid_t groups[] = {0, 5};
    setgroups(2, groups);
    scene->prepared = sandbox_prepare(&sandbox, &policy, &plan, &scene->failure);
    if (scene->prepared == 0)
        scene->prepared = sandbox_move_in(&sandbox, &scene->failure);
    if (scene->prepared < 0)
        return;
    see_zygote(scene);
    for (size_t i = 0; i < SCENE_WORKERS; i++)
        if ((scene->pids[i] = make_worker(&sandbox, &scene->workers[i], &scene_slots[i])) < 0)
            return;
    for (size_t i = 0; i < SCENE_WORKERS; i++)
        see_worker(&sandbox, scene->pids[i], &scene->workers[i]);
    pid_t stranger = make_worker(&sandbox, &scene->stranger, NULL);
    end_process(stranger);
    /* Its pid was reaped just now, so nobody has it. */
    scene->nobody_admitted = sandbox_admit(&sandbox, stranger, 1, NULL);
    scene->admitted_twice = sandbox_admit(&sandbox, scene->pids[0], 1, NULL);
    sandbox_done(&sandbox);
    scene->finished = true;
}

/* --- Zygotes that do not get far --- */

static void attempt(const struct policy *with, struct attempt *ret_attempt) {
    struct sandbox sandbox = {.proc_fd = -1};
    ret_attempt->prepared = sandbox_prepare(&sandbox, with, &plan, &ret_attempt->failure);
    if (ret_attempt->prepared == 0)
        ret_attempt->prepared = sandbox_move_in(&sandbox, &ret_attempt->failure);
    ret_attempt->proc_fd = sandbox.proc_fd;
}

static void be_unprivileged(struct scene *scene) {
    if (setresuid(SCENE_UID_BASE, SCENE_UID_BASE, SCENE_UID_BASE) == 0)
        attempt(&policy, &scene->unprivileged);
}

static void be_misled(struct scene *scene) {
    struct policy wrong = policy;
    wrong.read_only[0] = "/usr/no-such-folder";
    attempt(&wrong, &scene->misled);
}

/* --- The host --- */

static void play(struct scene *scene, void (*part)(struct scene *)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        part(scene);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

/* Whether this orphan ends by SIGKILL within two seconds, without our doing. */
static bool dies_alone(pid_t pid) {
    int status;
    for (int tries = 0; tries < 200; tries++) {
        pid_t gone = waitpid(pid, &status, WNOHANG);
        if (gone != 0)
            return gone == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        usleep(10000);
    }
    end_process(pid); /* leave nothing behind */
    return false;
}

/* The zygote is gone, its workers are this process's now. */
static void see_orphans(struct scene *scene) {
    for (size_t i = 0; i < SCENE_WORKERS; i++)
        if (scene->pids[i] > 1)
            scene->orphans_killed += dies_alone(scene->pids[i]);
}

const struct scene *scene_play(void) {
    struct scene *scene = mmap(NULL, sizeof *scene, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cleanup_fd int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (scene == MAP_FAILED || proc_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return NULL;
    gethostname(scene->host.name_before, sizeof scene->host.name_before);
    fd_read_file(proc_fd, "self/mountinfo", scene->host.mounts_before, sizeof scene->host.mounts_before);
    read_namespaces(proc_fd, "self", scene->host.namespaces);
    play(scene, be_zygote);
    see_orphans(scene);
    play(scene, be_unprivileged);
    play(scene, be_misled);
    cgroup_sweep(); /* what the zygotes could not remove before their workers were gone */
    gethostname(scene->host.name_after, sizeof scene->host.name_after);
    fd_read_file(proc_fd, "self/mountinfo", scene->host.mounts_after, sizeof scene->host.mounts_after);
    return scene;
}
