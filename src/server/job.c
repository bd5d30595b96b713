/* Jobs: see job.h. Runs in the server. */
#include "server/job.h"

#include "base/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void capture_init(struct capture *capture, size_t max) {
    *capture = (struct capture){0};
    buf_init(&capture->kept, max);
}

static int write_order(struct job *job, const struct job_request *request) {
    const struct json_span *const parts[] = {&request->script, &request->input, &request->args,
                                             &request->kwargs, &request->files, &request->outputs};
    struct frame_header header = {.kind = FRAME_JOB};
    size_t length = sizeof job->worker_limits;
    int r;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        length += parts[i]->size;
    header.length = (uint32_t)length;
    buf_init(&job->order, sizeof header + length);
    if ((r = buf_reserve(&job->order, job->order.max)) < 0 ||
        (r = buf_add(&job->order, &header, sizeof header)) < 0 ||
        (r = buf_add(&job->order, &job->worker_limits, sizeof job->worker_limits)) < 0)
        return r;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if ((r = buf_add(&job->order, parts[i]->data, parts[i]->size)) < 0)
            return r;
    return 0;
}

static void take_stdin(struct job *job, struct buf *text) {
    if (text == NULL)
        return;
    job->stdin_text = *text;
    buf_init(text, 0);
    job->worker_limits.flags |= job->stdin_text.len > 0 ? JOB_STDIN : 0u;
}

uint64_t job_limit(const struct config *config, const struct job_request *request, enum request_limit limit) {
    return request->limits[limit] != 0 ? request->limits[limit] : config_limit(config, limit).usual;
}

static void set_limits(struct job *job, const struct config *config, const struct job_request *request) {
    job->limits = (struct run_order){
        .wall_ms = job_limit(config, request, LIMIT_WALL_MS),
        .cpu_ms = job_limit(config, request, LIMIT_CPU_MS),
        .memory_bytes = job_limit(config, request, LIMIT_MEMORY_MB) << 20,
        .scratch_bytes = job_limit(config, request, LIMIT_SCRATCH_MB) << 20,
    };
    job->worker_limits = (struct job_order){
        .cpu_ms = job->limits.cpu_ms,
        .memory_bytes = job->limits.memory_bytes,
        .file_bytes = job->limits.scratch_bytes,
        .result_bytes = config->result_kb << 10,
        .flags = (request->wants_details ? JOB_DETAILS : 0u) | (request->converts ? JOB_CONVERT : 0u) |
                 (request->seeded ? JOB_SEED : 0u) | (request->outputs.size > 0 ? JOB_OUTPUTS : 0u) |
                 (request->wants_figures ? JOB_FIGURES : 0u) | (request->streams ? JOB_STREAM : 0u),
        .seed = request->seed,
        .script_bytes = request->script.size,
        .input_bytes = request->input.size,
        .args_bytes = request->args.size,
        .kwargs_bytes = request->kwargs.size,
        .files_bytes = request->files.size,
        .patterns_bytes = request->outputs.size,
        .output_bytes = config->outputs_kb << 10,
    };
}

struct job *job_new(const struct config *config, const struct job_request *request) {
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->references = 1;
    job->stdin_fd = -1;
    job->wants_details = request->wants_details;
    job->flavour = flavour_of(config->preload, request->script.data, request->script.size);
    set_limits(job, config, request);
    take_stdin(job, request->take_stdin);
    /* An error text may be a little longer than the smallest result limit. */
    frame_reader_init(&job->answer, (config->result_kb << 10) + (1u << 20) +
                                        ((job->worker_limits.flags & JOB_ANY_OUTPUTS) != 0 ? frame_outputs_max(config->outputs_kb << 10) : 0));
    capture_init(&job->out, job_limit(config, request, LIMIT_OUTPUT_KB) << 10);
    capture_init(&job->err, config->stderr_kb << 10);
    for (size_t i = 0; i < WATCH_CLIENT; i++)
        job->fds[i] = -1;
    if (write_order(job, request) < 0) {
        job_unref(job);
        return NULL;
    }
    return job;
}

void job_use_stdin(struct job *job, int take_fd) {
    buf_done(&job->stdin_text);
    job->stdin_fd = take_fd;
    job->worker_limits.flags |= JOB_STDIN;
    /* Behind the header, where write_order() put them. */
    memcpy(job->order.data + sizeof(struct frame_header), &job->worker_limits, sizeof job->worker_limits);
}

struct json_span job_script(const struct job *job) {
    /* Behind the limits, where write_order() put it. */
    return (struct json_span){job->order.data + sizeof(struct frame_header) + sizeof job->worker_limits,
                              job->worker_limits.script_bytes};
}

size_t job_held(const struct job *job) {
    return job->order.capacity + job->stdin_text.capacity;
}

struct job *job_ref(struct job *job) {
    job->references++;
    return job;
}

void job_unref(struct job *job) {
    if (job == NULL || --job->references > 0)
        return;
    buf_done(&job->order);
    buf_done(&job->stdin_text);
    frame_reader_done(&job->answer);
    buf_done(&job->out.kept);
    buf_done(&job->err.kept);
    for (size_t i = 0; i < WATCH_CLIENT; i++)
        fd_close(job->fds[i]);
    fd_close(job->stdin_fd);
    free(job);
}

static void pass_on(struct capture *capture, const char *piece, size_t size) {
    size_t room = capture->kept.max - (size_t)capture->passed;
    size_t fits = size < room ? size : room;
    capture->total += size;
    if (fits == 0)
        return;
    if (capture->take != NULL)
        capture->take(capture, piece, fits);
    else if (buf_add(&capture->kept, piece, fits) < 0)
        return; /* no memory is the same as no room: counted, not kept */
    capture->passed += fits;
}

int capture_read(struct capture *capture, int fd) {
    char piece[65536];
    /* A pipe holds so much, so a script that floods cannot keep us here. */
    for (int i = 0; i < 4; i++) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 1 : -errno;
        if (n == 0)
            return 0;
        pass_on(capture, piece, (size_t)n);
        if (capture->held)
            break;
    }
    return 1;
}
