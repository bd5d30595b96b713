/* A server's event loop without HTTP, for the tests of runs, pool and api, which play its zygotes and workers. */
#ifndef PX_TESTS_RUNS_SCENE_H
#define PX_TESTS_RUNS_SCENE_H

#include "unit.h"

#include "base/fd.h"
#include "server/run.h"

#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { RUNS_SCENE_ZYGOTES = 3, RUNS_SCENE_JOBS = 16 };

struct runs_scene {
    uv_loop_t loop;
    struct config config;
    struct runs runs;
    int zygotes[RUNS_SCENE_ZYGOTES]; /* the zygotes' ends of their channels */
    struct job *jobs[RUNS_SCENE_JOBS];
    size_t submitted;
    size_t finished;
    size_t descriptors; /* that this process had before */
};

/* What a worker gets. */
struct runs_worker {
    int fds[MESSAGE_MAX_FDS];
    struct run_order order;
};

void runs_scene_begin(struct runs_scene *scene, uint64_t workers, uint64_t queue);

/* Closes everything, and fails where a job, a handle of the loop or a descriptor is left over. */
void runs_scene_end(struct runs_scene *scene);

/* Lets the loop do all it can do now. */
void runs_scene_turn(struct runs_scene *scene);

/* Nothing wakes the loop: a watch that is always ready would burn a CPU for as long as a job runs. */
void runs_scene_assert_quiet(struct runs_scene *scene);

/* For these flavours, or all. */
void runs_scene_add_flavours(struct runs_scene *scene, size_t zygote, struct flavours flavours);
void runs_scene_add_zygote(struct runs_scene *scene, size_t zygote);

/* A job that must be admitted. The scene holds a reference until its end. */
struct job *runs_scene_submit(struct runs_scene *scene, bool wants_details);
struct job *runs_scene_submit_script(struct runs_scene *scene, const char *script, size_t size);
struct job *runs_scene_submit_stdin(struct runs_scene *scene, const char *text, size_t size);

/* With a stdin of its own, whose reading end is taken. */
struct job *runs_scene_submit_from(struct runs_scene *scene, int take_fd);

/* For a job that a test makes by itself: its job->finished, with the scene as its owner. */
void runs_scene_finished(struct job *job);

/* The errno of a job that must be refused. */
int runs_scene_try(struct runs_scene *scene);

/* The zygote receives this job, the worker reads it; or does not. */
void runs_scene_take(struct runs_scene *scene, size_t zygote, const struct job *job, struct runs_worker *ret_worker);
void runs_scene_take_unread(struct runs_scene *scene, size_t zygote, const struct job *job,
                            struct runs_worker *ret_worker);
void runs_scene_close_worker(struct runs_worker *worker);

/* The kind of the next message to this zygote, which must mean this job; 0 where there is none. */
int runs_scene_hear(struct runs_scene *scene, size_t zygote, const struct job *job);

void runs_scene_print(int fd, const char *text);
void runs_scene_answer(const struct runs_worker *worker, enum frame_kind kind, const char *payload);

/* The zygote's verdict; the server hears it with the next turn, or at once. */
void runs_scene_send_verdict(struct runs_scene *scene, size_t zygote, const struct job *job, enum ending ending);
void runs_scene_verdict(struct runs_scene *scene, size_t zygote, const struct job *job, enum ending ending);

/* Likewise, after so long a run. */
void runs_scene_verdict_after(struct runs_scene *scene, size_t zygote, const struct job *job, enum ending ending, uint64_t wall_ms);

/* Finished exactly once, and so. */
void runs_scene_assert_finished(const struct runs_scene *scene, const struct job *job, enum outcome outcome);

#endif
