/* What is counted: see metrics.h. Runs in the server. */
#include "server/metrics.h"

#include <time.h>

const uint64_t metrics_bounds_us[METRICS_BOUNDS] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000,
};

void metrics_init(struct metrics *ret_metrics) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret_metrics = (struct metrics){.started_us = (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u};
}

void metrics_observe(struct histogram *histogram, uint64_t us) {
    size_t i = 0;
    while (i < METRICS_BOUNDS && us > metrics_bounds_us[i])
        i++;
    histogram->buckets[i]++;
    histogram->sum_us += us;
}

void metrics_count_run(struct metrics *metrics, const struct job *job) {
    metrics->runs[job->outcome]++;
    metrics_observe(&metrics->queue, job->started_us - job->admitted_us);
    metrics_observe(&metrics->run, job->verdict.wall_us);
    metrics_observe(&metrics->total, job->finished_us - job->admitted_us);
    if (job->verdict.ending < ENDING_COUNT)
        metrics->kills[job->verdict.ending]++;
}

void metrics_count_response(struct metrics *metrics, unsigned status, uint64_t body_bytes) {
    if (status >= METRICS_STATUS_FIRST && status < METRICS_STATUS_END)
        metrics->responses[status - METRICS_STATUS_FIRST]++;
    metrics->sent_bytes += body_bytes;
}

const char *metrics_rejection_name(enum rejection rejection) {
    static const char *const names[REJECTED_COUNT] = {
        [REJECTED_INVALID] = "invalid",
        [REJECTED_TOO_LARGE] = "too_large",
        [REJECTED_QUEUE_FULL] = "queue_full",
        [REJECTED_QUEUE_TIMEOUT] = "queue_timeout",
        [REJECTED_DISPLACED] = "displaced",
        [REJECTED_TOO_MANY_BYTES] = "too_many_bytes",
        [REJECTED_DRAINING] = "draining",
        [REJECTED_NO_MEMORY] = "no_memory",
    };
    return names[rejection];
}

const char *metrics_kill_reason(unsigned ending) {
    switch (ending) {
    case ENDING_SIGNAL: return "signal";
    case ENDING_DEADLINE: return "deadline";
    case ENDING_CPU: return "cpu";
    case ENDING_MEMORY: return "memory";
    case ENDING_SCRATCH: return "scratch";
    case ENDING_THREADS: return "threads";
    case ENDING_CANCELLED: return "cancelled";
    default: return NULL;
    }
}
