/* The scenario of test_sandbox.c: a host, a zygote, its workers, and what each of them sees. */
#ifndef PX_TESTS_SANDBOX_SCENE_H
#define PX_TESTS_SANDBOX_SCENE_H

#include "child.h"

#include "sandbox/sandbox.h"

#include <sys/resource.h>
#include <sys/types.h>

enum { SCENE_WORKERS = 2, SCENE_NAMESPACES = 6 };
enum {
    SCENE_BYTES = 1 << 20,
    SCENE_FILES = 64,
    SCENE_OPEN_FILES = 48,
    SCENE_THREADS = 6,
    SCENE_UID_BASE = 1876543000,
};

extern const unsigned scene_slots[SCENE_WORKERS];
extern const char *const scene_namespaces[SCENE_NAMESPACES];

/* Lists are names in order, a blank behind each. An _errno is 0 where the thing worked. */
struct worker_view {
    int admitted;
    int entered;
    struct failure failure;
    bool finished;
    /* before it enters, with all capabilities in its own user namespace */
    int remount_root_errno, remount_bind_errno, umount_errno;
    int thread_id; /* as glibc has it, for its locks */
    /* from inside */
    pid_t pid, parent;
    uid_t uids[3];
    gid_t gids[3];
    int groups;
    struct rlimit limits[RLIM_NLIMITS];
    int raise_errno;
    char root[256], dev[128], etc[128], passwd[256], hosts[256], host_name[65], folder[64], tmp_at_first[256];
    char visible[512];  /* of what must not be there */
    char writable[512]; /* outside /tmp */
    unsigned looked_at; /* files and folders, for that */
    unsigned tmp_mode;
    unsigned long tmp_flags, root_flags, bind_flags; /* ST_… of statvfs(3) */
    int null_errno, map_executable_errno, long_file_errno, socket_errno;
    unsigned long bytes_written, files_made;
    int bytes_errno, files_errno;
    /* by the zygote, through its /proc */
    char status[4096], oom_score_adj[16], uid_map[128], gid_map[128];
    char namespaces[SCENE_NAMESPACES][64];
};

struct attempt {
    int prepared;
    int proc_fd;
    struct failure failure;
};

struct scene {
    struct worker_view workers[SCENE_WORKERS];
    struct worker_view stranger; /* cloned, but not admitted */
    /* the zygote */
    int prepared;
    struct failure failure;
    bool finished;
    int zygote_groups, host_file_errno;
    char zygote_folder[64];
    char interfaces[256];
    unsigned loopback_flags;
    int nobody_admitted, admitted_twice;
    pid_t pids[SCENE_WORKERS]; /* 0: not tried, negative: the errno of a refused clone */
    /* the host */
    struct {
        char namespaces[SCENE_NAMESPACES][64];
        char mounts_before[65536], mounts_after[65536];
        char name_before[65], name_after[65];
    } host;
    unsigned orphans_killed;
    /* zygotes that do not get far */
    struct attempt unprivileged, misled;
};

/* Plays it once; NULL where memory or processes are not to be had. */
const struct scene *scene_play(void);

/* sandbox_worker.c: what a worker does once its ids are mapped; the caller keeps it alive. */
void worker_play(struct sandbox *sandbox, struct worker_view *view);

#endif
