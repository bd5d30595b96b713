/* server/run, pool and queue in an event loop: workers and a zygote do what the input says, in its order, and every job
 * ends once, with an answer that is JSON. A step is its letter, and one for the job that it is about where there is one. */
#include "fuzz.h"

#include "base/fd.h"
#include "server/response.h"
#include "server/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { JOBS = 3 };

struct scene {
    uv_loop_t loop;
    struct config config;
    struct runs runs;
    int zygote; /* its end of the channel, -1 where there is none */
    struct job *jobs[JOBS];
    int fds[JOBS][MESSAGE_MAX_FDS]; /* of their workers */
    size_t finished;
};

static void job_finished(struct job *job) {
    struct scene *scene = job->owner;
    assert(job->stage == JOB_FINISHED);
    scene->finished++;
}

static void turn(struct scene *scene) {
    for (int i = 0; i < 6; i++)
        uv_run(&scene->loop, UV_RUN_NOWAIT);
}

static void begin(struct scene *scene) {
    *scene = (struct scene){.zygote = -1};
    signal(SIGPIPE, SIG_IGN); /* as the server does */
    memset(scene->fds, 0xff, sizeof scene->fds); /* -1 */
    config_init(&scene->config);
    scene->config.workers = 2;
    scene->config.queue = 1;
    scene->config.result_kb = scene->config.stdout_kb = scene->config.stderr_kb = 1;
    assert(uv_loop_init(&scene->loop) == 0 && runs_init(&scene->runs, &scene->loop, &scene->config) == 0);
    for (size_t i = 0; i < JOBS; i++) {
        const struct job_request request = {.script = {"x", 1}, .wants_details = i == 1, .wants_figures = i == 2};
        struct job *job = scene->jobs[i] = job_new(&scene->config, &request);
        assert(job != NULL);
        job->finished = job_finished;
        job->owner = scene;
    }
}

/* A new one; that before it is gone. */
static void add_zygote(struct scene *scene) {
    int ends[2];
    fd_close(scene->zygote);
    assert(message_pair(ends) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    scene->zygote = ends[1];
    assert(pool_add(&scene->runs.pool, ends[0], (struct flavours){0, FLAVOUR_MAX - 1}) == 0);
}

/* Gives the descriptors of a job to its worker. */
static void take_orders(struct scene *scene) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    while (scene->zygote >= 0 && message_receive(scene->zygote, &message, fds) == 1) {
        for (size_t i = 0; i < JOBS && message.kind == MESSAGE_RUN; i++)
            if (scene->jobs[i]->number == message.job && scene->fds[i][0] < 0)
                memcpy(scene->fds[i], fds, sizeof fds), memset(fds, 0xff, sizeof fds);
        message_close_fds(fds);
    }
}

static void say(struct scene *scene, const struct message *message) {
    if (scene->zygote >= 0)
        (void)message_send(scene->zygote, message, NULL, 0);
}

static void write_to(int fd, struct input bytes) {
    if (fd >= 0 && bytes.size > 0 && bytes.size <= 4096 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
        (void)!write(fd, bytes.data, bytes.size);
}

static void answer(int fd, struct input bytes) {
    struct frame_header header = {.kind = input_pick(&bytes, FRAME_EXITED + 2), .length = (uint32_t)bytes.size};
    write_to(fd, (struct input){(const char *)&header, sizeof header});
    write_to(fd, bytes);
}

static void submit(struct scene *scene, size_t job) {
    if (scene->jobs[job]->runs == NULL && runs_submit(&scene->runs, scene->jobs[job], NULL) < 0)
        scene->jobs[job]->stage = JOB_NEW;
}

/* Whoever does these has a job that is submitted and not finished. */
static void cancel(struct job *job) {
    if (job->stage == JOB_WAITING || job->stage == JOB_RUNNING)
        runs_cancel(job);
}

static void hold(struct job *job, bool holds) {
    if (job->stage == JOB_WAITING || job->stage == JOB_RUNNING)
        runs_hold_output(job, holds);
}

static void step(struct scene *scene, struct input bytes) {
    char what = bytes.size > 0 ? *bytes.data : '\0';
    (void)input_pick(&bytes, 1);
    size_t job = input_pick(&bytes, JOBS);
    struct job *meant = scene->jobs[job];
    struct message message = {.kind = MESSAGE_VERDICT, .job = meant->number};
    int *fds = scene->fds[job];
    switch (what) {
    case 's': submit(scene, job); break;
    case 'z': add_zygote(scene); break;
    case 'x': scene->zygote = fd_close(scene->zygote); break;
    case 'a': answer(fds[RUN_CHANNEL], bytes); break;
    case 'w': write_to(fds[RUN_CHANNEL], bytes); break;
    case 'o': write_to(fds[RUN_STDOUT], bytes); break;
    case 'e': write_to(fds[RUN_STDERR], bytes); break;
    case 'd': message_close_fds(fds); break;
    case 'c': cancel(meant); break;
    case 'h': hold(meant, input_pick(&bytes, 2) == 1); break;
    case 'v': message.verdict.ending = input_pick(&bytes, ENDING_COUNT + 1); say(scene, &message); break;
    case 'm': memcpy(&message, bytes.data, bytes.size < sizeof message ? bytes.size : sizeof message); say(scene, &message); break;
    case 'E': runs_end(&scene->runs); break;
    default: turn(scene); break;
    }
    take_orders(scene);
}

static void end(struct scene *scene) {
    size_t submitted = 0;
    runs_end(&scene->runs);
    fd_close(scene->zygote);
    turn(scene);
    for (size_t i = 0; i < JOBS; i++) {
        struct job *job = scene->jobs[i];
        struct response response = {0};
        submitted += job->stage != JOB_NEW;
        assert(job->references == 1 && (job->stage == JOB_NEW || job->stage == JOB_FINISHED));
        assert(job->stage == JOB_NEW || response_from_job(&response, job) == 0);
        assert(response.size == 0 || json_check(response.body, response.size, JSON_MAX_DEPTH, NULL) == 0);
        free(response.body);
        message_close_fds(scene->fds[i]);
        job_unref(job);
    }
    assert(scene->finished == submitted && scene->runs.running == 0);
    lines_close(&scene->runs.spare);
    uv_close((uv_handle_t *)&scene->runs.expiry, NULL);
    turn(scene);
    assert(uv_loop_close(&scene->loop) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size);
    struct scene scene;
    begin(&scene);
    for (int steps = 0; steps < 48 && input.size > 0; steps++)
        step(&scene, input_part(&input, PART));
    end(&scene);
    return 0;
}
