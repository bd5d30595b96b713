/* server/request, and with it the keys files and outputs: what is taken is a job within all limits, of parts that are as
 * promised; what is refused is refused in words that are text. */
#include "fuzz.h"

#include "base/utf8.h"
#include "server/request.h"

#include <errno.h>

enum { DEPTH = 5 };

static void check_utf8(const char *data, size_t size) {
    size_t at = 0;
    for (size_t length; at < size && (length = utf8_sequence(data + at, size - at)) > 0; at += length)
        continue;
    assert(at == size);
}

/* JSON as it was sent, which begins with this character if it is given. */
static void check_json(const char **at, size_t size, char first) {
    if (size > 0) {
        assert(json_check(*at, size, DEPTH - 1, NULL) == 0);
        assert(first == '\0' || **at == first);
    }
    *at += size;
}

/* The frame that goes to a worker. */
static void check_order(const struct config *config, const struct job *job) {
    const struct job_order *order = &job->worker_limits;
    struct frame_header header;
    const char *at = job->order.data + sizeof header + sizeof *order;
    memcpy(&header, job->order.data, sizeof header);
    assert(header.kind == FRAME_JOB && header.length == job->order.len - sizeof header);
    assert(memcmp(job->order.data + sizeof header, order, sizeof *order) == 0);
    assert(order->script_bytes <= config->script_kb << 10);
    check_utf8(at, order->script_bytes);
    at += order->script_bytes;
    check_json(&at, order->input_bytes, '\0');
    check_json(&at, order->args_bytes, '[');
    check_json(&at, order->kwargs_bytes, '{');
    check_json(&at, order->files_bytes, '{');
    check_json(&at, order->patterns_bytes, '[');
    assert(at == job->order.data + job->order.len);
    assert(order->input_bytes == 0 || (order->args_bytes == 0 && order->kwargs_bytes == 0));
    assert((order->flags & JOB_SEED) != 0 ? order->seed <= INT64_MAX : order->seed == 0);
    assert(((order->flags & JOB_OUTPUTS) != 0) == (order->patterns_bytes > 0));
}

static void check_limits(const struct config *config, const struct job *job) {
    const uint64_t limits[LIMIT_COUNT] = {
        [LIMIT_WALL_MS] = job->limits.wall_ms,
        [LIMIT_CPU_MS] = job->limits.cpu_ms,
        [LIMIT_MEMORY_MB] = job->limits.memory_bytes >> 20,
        [LIMIT_OUTPUT_KB] = job->out.kept.max >> 10,
        [LIMIT_SCRATCH_MB] = job->limits.scratch_bytes >> 20,
    };
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        struct limit_range range = config_limit(config, (enum request_limit)i);
        assert(limits[i] >= range.least && limits[i] <= range.most);
    }
    assert(job->worker_limits.cpu_ms == job->limits.cpu_ms && job->worker_limits.memory_bytes == job->limits.memory_bytes);
}

static void check(const struct config *config, int r, struct job *job, const struct request_error *error) {
    if (r == 0) {
        check_order(config, job);
        check_limits(config, job);
        check_utf8(job->stdin_text.data, job->stdin_text.len);
        job_unref(job);
        return;
    }
    assert((r == -EINVAL && error->status == 400) || (r == -EMSGSIZE && error->status == 413));
    assert(strnlen(error->text, sizeof error->text) < sizeof error->text && *error->text != '\0');
    check_utf8(error->text, strlen(error->text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct config config;
    struct request_error error = {0};
    struct job *job = NULL;
    config_init(&config);
    config.json_depth = DEPTH;
    config.script_kb = config.scratch_mb = 1;
    config.scratch_files = 16;
    config.max_wall_ms = 60000;
    config.max_scratch_mb = 2;
    int r = request_parse(&config, (const char *)data, size, true, &job, &error);
    check(&config, r, job, &error);
    int again = request_parse_detailed(&config, (const char *)data, size, &job, &error);
    assert(again == r && (r < 0 || (job->wants_details && !job_streams(job))));
    check(&config, again, job, &error);
    return 0;
}
