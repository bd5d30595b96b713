/* The server's side of test_runs.c and test_pool.c: see runs_scene.h. */
#include "runs_scene.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

static size_t count_descriptors(void) {
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

void runs_scene_begin(struct runs_scene *scene, uint64_t workers, uint64_t queue) {
    /* The first loop of a process opens what all of them share, and leaves it open. */
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    *scene = (struct runs_scene){.zygotes = {-1, -1, -1}, .descriptors = count_descriptors()};
    config_init(&scene->config);
    scene->config.workers = workers;
    scene->config.queue = queue;
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    assert_int_equal(runs_init(&scene->runs, &scene->loop, &scene->config), 0);
}

void runs_scene_end(struct runs_scene *scene) {
    for (size_t i = 0; i < RUNS_SCENE_ZYGOTES; i++)
        scene->zygotes[i] = fd_close(scene->zygotes[i]);
    runs_scene_turn(scene);
    assert_int_equal(scene->finished, scene->submitted);
    for (size_t i = 0; i < scene->submitted; i++) {
        assert_int_equal(scene->jobs[i]->references, 1);
        job_unref(scene->jobs[i]);
    }
    lines_close(&scene->runs.spare);
    uv_close((uv_handle_t *)&scene->runs.expiry, NULL);
    runs_scene_turn(scene);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    assert_int_equal(count_descriptors(), scene->descriptors);
}

void runs_scene_turn(struct runs_scene *scene) {
    for (int i = 0; i < 8; i++)
        uv_run(&scene->loop, UV_RUN_NOWAIT);
}

void runs_scene_assert_quiet(struct runs_scene *scene) {
    struct pollfd ready = {.fd = uv_backend_fd(&scene->loop), .events = POLLIN};
    runs_scene_turn(scene);
    assert_int_equal(poll(&ready, 1, 0), 0);
}

void runs_scene_add_flavours(struct runs_scene *scene, size_t zygote, struct flavours flavours) {
    int ends[2];
    assert_int_equal(message_pair(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    scene->zygotes[zygote] = ends[1];
    assert_int_equal(pool_add(&scene->runs.pool, ends[0], flavours), 0);
}

void runs_scene_add_zygote(struct runs_scene *scene, size_t zygote) {
    runs_scene_add_flavours(scene, zygote, (struct flavours){0, FLAVOUR_MAX - 1});
}

void runs_scene_finished(struct job *job) {
    struct runs_scene *scene = job->owner;
    assert_int_equal(job->stage, JOB_FINISHED);
    scene->finished++;
}

static int submit(struct runs_scene *scene, const struct job_request *request, int take_stdin, struct job **ret_job) {
    struct job *job = job_new(&scene->config, request);
    assert_non_null(job);
    if (take_stdin >= 0)
        job_use_stdin(job, take_stdin);
    job->finished = runs_scene_finished;
    job->owner = scene;
    int r = runs_submit(&scene->runs, job, NULL);
    if (r == 0)
        *ret_job = job;
    else
        job_unref(job);
    return r;
}

static struct job *admitted_with(struct runs_scene *scene, const struct job_request *request, int take_stdin) {
    struct job *job = NULL;
    assert_true(scene->submitted < RUNS_SCENE_JOBS);
    assert_int_equal(submit(scene, request, take_stdin, &job), 0);
    scene->jobs[scene->submitted++] = job;
    return job;
}

static struct job *admitted(struct runs_scene *scene, const struct job_request *request) {
    return admitted_with(scene, request, -1);
}

static const struct json_span script_text = {"script", sizeof "script" - 1};

struct job *runs_scene_submit(struct runs_scene *scene, bool wants_details) {
    return admitted(scene, &(struct job_request){.script = script_text, .wants_details = wants_details});
}

struct job *runs_scene_submit_script(struct runs_scene *scene, const char *script, size_t size) {
    return admitted(scene, &(struct job_request){.script = {script, size}});
}

struct job *runs_scene_submit_stdin(struct runs_scene *scene, const char *text, size_t size) {
    struct buf copy;
    buf_init(&copy, size);
    assert_int_equal(buf_add(&copy, text, size), 0);
    return admitted(scene, &(struct job_request){.script = script_text, .take_stdin = &copy});
}

struct job *runs_scene_submit_from(struct runs_scene *scene, int take_fd) {
    return admitted_with(scene, &(struct job_request){.script = script_text}, take_fd);
}

int runs_scene_try(struct runs_scene *scene) {
    struct job *job = NULL;
    return submit(scene, &(struct job_request){0}, -1, &job);
}

void runs_scene_take_unread(struct runs_scene *scene, size_t zygote, const struct job *job,
                            struct runs_worker *ret_worker) {
    struct message message;
    runs_scene_turn(scene);
    assert_int_equal(message_receive(scene->zygotes[zygote], &message, ret_worker->fds), 1);
    assert_int_equal(message.kind, MESSAGE_RUN);
    assert_int_equal(message.job, job->number);
    assert_true(ret_worker->fds[RUN_STDERR] >= 0);
    ret_worker->order = message.run;
}

void runs_scene_take(struct runs_scene *scene, size_t zygote, const struct job *job, struct runs_worker *ret_worker) {
    struct frame_reader reader;
    runs_scene_take_unread(scene, zygote, job, ret_worker);
    frame_reader_init(&reader, 4096);
    assert_int_equal(frame_read(&reader, ret_worker->fds[0]), 1);
    assert_int_equal(reader.header.kind, FRAME_JOB);
    assert_int_equal(reader.payload.len, sizeof(struct job_order) + strlen("script"));
    frame_reader_done(&reader);
}

void runs_scene_close_worker(struct runs_worker *worker) {
    for (size_t i = 0; i < MESSAGE_MAX_FDS; i++)
        worker->fds[i] = fd_close(worker->fds[i]);
}

int runs_scene_hear(struct runs_scene *scene, size_t zygote, const struct job *job) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    int r = message_receive(scene->zygotes[zygote], &message, fds);
    if (r == -EAGAIN)
        return 0;
    assert_int_equal(r, 1);
    assert_int_equal(fds[0], -1);
    assert_non_null(job);
    assert_int_equal(message.job, job->number);
    return (int)message.kind;
}

void runs_scene_print(int fd, const char *text) {
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

void runs_scene_answer(const struct runs_worker *worker, enum frame_kind kind, const char *payload) {
    const struct iovec part = {(void *)payload, strlen(payload)};
    assert_int_equal(frame_write(worker->fds[0], kind, &part, 1), 0);
}

void runs_scene_send_verdict(struct runs_scene *scene, size_t zygote, const struct job *job, enum ending ending) {
    const struct message message = {.kind = MESSAGE_VERDICT, .job = job->number, .verdict = {.ending = ending}};
    assert_int_equal(message_send(scene->zygotes[zygote], &message, NULL, 0), 0);
}

void runs_scene_verdict(struct runs_scene *scene, size_t zygote, const struct job *job, enum ending ending) {
    runs_scene_send_verdict(scene, zygote, job, ending);
    runs_scene_turn(scene);
}

void runs_scene_verdict_after(struct runs_scene *scene, size_t zygote, const struct job *job, enum ending ending, uint64_t wall_ms) {
    const struct message message = {
        .kind = MESSAGE_VERDICT, .job = job->number, .verdict = {.ending = ending, .wall_us = wall_ms * 1000}};
    assert_int_equal(message_send(scene->zygotes[zygote], &message, NULL, 0), 0);
    runs_scene_turn(scene);
}

void runs_scene_assert_finished(const struct runs_scene *scene, const struct job *job, enum outcome outcome) {
    size_t finished_jobs = 0;
    for (size_t i = 0; i < scene->submitted; i++)
        finished_jobs += scene->jobs[i]->stage == JOB_FINISHED;
    assert_int_equal(scene->finished, finished_jobs);
    assert_int_equal(job->stage, JOB_FINISHED);
    assert_string_equal(outcome_name(job->outcome), outcome_name(outcome));
    for (size_t i = 0; i < WATCH_CLIENT; i++)
        assert_int_equal(job->fds[i], -1);
}
