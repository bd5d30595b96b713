/* Jobs: see job.h. Runs in the server. */
#include "server/job.h"

#include "base/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void capture_init(struct capture *capture, size_t max) {
    *capture = (struct capture){0};
    buf_init(&capture->kept, max);
}

static int write_order(struct job *job, const char *script, size_t size) {
    struct frame_header header = {.kind = FRAME_JOB, .length = (uint32_t)(sizeof job->worker_limits + size)};
    int r;
    buf_init(&job->order, sizeof header + header.length);
    if ((r = buf_reserve(&job->order, job->order.max)) < 0 ||
        (r = buf_add(&job->order, &header, sizeof header)) < 0 ||
        (r = buf_add(&job->order, &job->worker_limits, sizeof job->worker_limits)) < 0)
        return r;
    return buf_add(&job->order, script, size);
}

struct job *job_new(const struct config *config, const char *script, size_t size, uint64_t flags) {
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->references = 1;
    job->wants_details = (flags & JOB_DETAILS) != 0;
    job->limits = (struct run_order){
        .wall_ms = config->wall_ms, .cpu_ms = config->cpu_ms, .memory_bytes = config->memory_mb << 20};
    job->worker_limits = (struct job_order){
        .cpu_ms = config->cpu_ms,
        .memory_bytes = config->memory_mb << 20,
        .file_bytes = config->scratch_mb << 20,
        .result_bytes = config->result_kb << 10,
        .flags = flags,
    };
    /* An error text may be a little longer than the smallest result limit. */
    frame_reader_init(&job->answer, (config->result_kb << 10) + (1u << 20));
    capture_init(&job->out, config->stdout_kb << 10);
    capture_init(&job->err, config->stderr_kb << 10);
    for (size_t i = 0; i < WATCH_CLIENT; i++)
        job->fds[i] = -1;
    if (write_order(job, script, size) < 0) {
        job_unref(job);
        return NULL;
    }
    return job;
}

struct job *job_ref(struct job *job) {
    job->references++;
    return job;
}

void job_unref(struct job *job) {
    if (job == NULL || --job->references > 0)
        return;
    buf_done(&job->order);
    frame_reader_done(&job->answer);
    buf_done(&job->out.kept);
    buf_done(&job->err.kept);
    for (size_t i = 0; i < WATCH_CLIENT; i++)
        fd_close(job->fds[i]);
    free(job);
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
        size_t room = capture->kept.max - capture->kept.len;
        size_t keep = (size_t)n < room ? (size_t)n : room;
        capture->total += (uint64_t)n;
        /* No memory is the same as no room: counted, not kept. */
        (void)buf_add(&capture->kept, piece, keep);
    }
    return 1;
}
