/* Metrics as text: see exposition.h. Runs in the server, when somebody asks for it.
 *
 * Labels are words of this program and of its configuration, and no others.
 */
#include "server/exposition.h"

#include "base/clock.h"
#include "base/flavour.h"
#include "server/health.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define SECONDS "%llu.%06u"
#define SECONDS_OF(us) (unsigned long long)((us) / 1000000), (unsigned)((us) % 1000000)

/* --- Lines --- */

__attribute__((format(printf, 2, 3))) static void add(struct exposition *to, const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (to->error == 0)
        to->error = length < (int)sizeof line ? buf_add(&to->text, line, (size_t)length) : -EMSGSIZE;
}

void exposition_metric(struct exposition *to, const char *name, const char *type, const char *help) {
    to->name = name;
    add(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void exposition_sample(struct exposition *to, uint64_t value, const char *labels, ...) {
    char words[384];
    va_list args;
    va_start(args, labels);
    vsnprintf(words, sizeof words, labels, args);
    va_end(args);
    if (*words == '\0')
        add(to, "%s %llu\n", to->name, (unsigned long long)value);
    else
        add(to, "%s{%s} %llu\n", to->name, words, (unsigned long long)value);
}

void exposition_seconds(struct exposition *to, uint64_t us) {
    add(to, "%s " SECONDS "\n", to->name, SECONDS_OF(us));
}

static void add_single(struct exposition *to, const char *name, const char *type, const char *help, uint64_t value) {
    exposition_metric(to, name, type, help);
    exposition_sample(to, value, "%s", "");
}

static void add_histogram(struct exposition *to, const char *name, const char *help, const struct histogram *histogram) {
    uint64_t count = 0;
    exposition_metric(to, name, "histogram", help);
    for (size_t i = 0; i < METRICS_BOUNDS; i++) {
        count += histogram->buckets[i];
        add(to, "%s_bucket{le=\"%g\"} %llu\n", name, (double)metrics_bounds_us[i] / 1e6, (unsigned long long)count);
    }
    count += histogram->buckets[METRICS_BOUNDS];
    add(to, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)count);
    add(to, "%s_sum " SECONDS "\n", name, SECONDS_OF(histogram->sum_us));
    add(to, "%s_count %llu\n", name, (unsigned long long)count);
}

/* --- Runs --- */

static void add_runs(struct exposition *to, const struct metrics *metrics) {
    exposition_metric(to, "python_executor_runs_total", "counter", "Runs that ended, by the outcome in their answer.");
    for (unsigned i = 0; i < OUTCOME_COUNT; i++)
        exposition_sample(to, metrics->runs[i], "outcome=\"%s\"", outcome_name(i));
    exposition_metric(to, "python_executor_rejected_total", "counter", "Requests for a run that never became one.");
    for (unsigned i = 0; i < REJECTED_COUNT; i++)
        exposition_sample(to, metrics->rejected[i], "reason=\"%s\"", metrics_rejection_name(i));
    exposition_metric(to, "python_executor_kills_total", "counter", "Runs whose process was killed.");
    for (unsigned i = 0; i < ENDING_COUNT; i++)
        if (metrics_kill_reason(i) != NULL)
            exposition_sample(to, metrics->kills[i], "reason=\"%s\"", metrics_kill_reason(i));
    add_histogram(to, "python_executor_queue_seconds", "How long runs waited for a worker.", &metrics->queue);
    add_histogram(to, "python_executor_run_seconds", "How long runs had a worker.", &metrics->run);
    add_histogram(to, "python_executor_total_seconds", "From the whole request to the end of its run.", &metrics->total);
}

/* --- Workers --- */

/* The last module of a flavour, which tells it from the one before. */
static void name_flavour(const char *preload, unsigned flavour, char ret_name[CONFIG_TEXT]) {
    flavour_modules(preload, flavour, ret_name);
    ret_name[strcspn(ret_name, "?")] = '\0';
    if (*ret_name == '\0')
        snprintf(ret_name, CONFIG_TEXT, "python");
}

static void add_workers(struct exposition *to, const struct runs *runs) {
    struct pool_crew crews[FLAVOUR_MAX];
    const char *preload = runs->config->preload;
    unsigned count = flavour_count(preload);
    char name[CONFIG_TEXT];
    pool_count(&runs->pool, crews);
    exposition_metric(to, "python_executor_workers", "gauge", "Worker processes by what they do and what they have imported.");
    for (unsigned i = 0; i < count; i++) {
        name_flavour(preload, i, name);
        exposition_sample(to, crews[i].busy, "state=\"busy\",flavour=\"%s\"", name);
        exposition_sample(to, crews[i].idle, "state=\"idle\",flavour=\"%s\"", name);
        exposition_sample(to, crews[i].starting, "state=\"starting\",flavour=\"%s\"", name);
    }
    exposition_metric(to, "python_executor_flavour_ready", "gauge", "Whether there are workers with this imported.");
    for (unsigned i = 0; i < count; i++) {
        name_flavour(preload, i, name);
        exposition_sample(to, crews[i].ready, "flavour=\"%s\"", name);
    }
    add_single(to, "python_executor_running", "gauge", "Runs that have a worker.", runs->running);
    add_single(to, "python_executor_workers_limit", "gauge", "Runs that may have a worker at once.", runs->config->workers);
    add_single(to, "python_executor_queue_depth", "gauge", "Runs that wait for a worker.", runs->queue.length);
    add_single(to, "python_executor_queue_limit", "gauge", "Runs that may wait for a worker.", runs->config->queue);
    add_single(to, "python_executor_forks_total", "counter", "Workers that were made.", runs->pool.forks);
    exposition_metric(to, "python_executor_zygote_starts_total", "counter",
                      "Zygotes that began to take jobs: the first, in turn, in place of one that was lost.");
    exposition_sample(to, runs->pool.starts[START_FIRST], "reason=\"first\"");
    exposition_sample(to, runs->pool.starts[START_TAKEOVER], "reason=\"takeover\"");
    exposition_sample(to, runs->pool.starts[START_RESTART], "reason=\"restart\"");
}

static void add_layers(struct exposition *to, const struct isolation *workers) {
    exposition_metric(to, "python_executor_layer", "gauge", "What became of each layer of the workers' confinement.");
    for (unsigned i = 0; i < LAYER_COUNT; i++)
        exposition_sample(to, 1, "layer=\"%s\",status=\"%s\"", layer_name(i), layer_status_name(workers->layers[i].status));
}

static void add_log(struct exposition *to, const struct metrics *metrics) {
    exposition_metric(to, "python_executor_log_lines_dropped_total", "counter", "Lines that are not in the log of the server.");
    exposition_sample(to, metrics->log_left_out, "reason=\"rate\"");
    exposition_sample(to, metrics->log_lost, "reason=\"reader\"");
}

/* --- HTTP and the server itself --- */

static void add_http(struct exposition *to, const struct metrics *metrics) {
    exposition_metric(to, "python_executor_http_responses_total", "counter", "Answers to requests of every kind.");
    for (unsigned i = METRICS_STATUS_FIRST; i < METRICS_STATUS_END; i++)
        if (metrics->responses[i - METRICS_STATUS_FIRST] > 0)
            exposition_sample(to, metrics->responses[i - METRICS_STATUS_FIRST], "code=\"%u\"", i);
    add_single(to, "python_executor_received_bytes_total", "counter", "Bodies of requests.", metrics->received_bytes);
    add_single(to, "python_executor_sent_bytes_total", "counter", "Bodies of answers.", metrics->sent_bytes);
    add_single(to, "python_executor_connections", "gauge", "Open HTTP connections.", metrics->connections);
    add_single(to, "python_executor_connections_limit", "gauge", "HTTP connections that may be open.", metrics->connections_most);
    exposition_metric(to, "python_executor_connections_cut_total", "counter", "Connections that were cut in favour of others.");
    exposition_sample(to, metrics->cut_place, "reason=\"place\"");
    exposition_sample(to, metrics->cut_bytes, "reason=\"bytes\"");
    add_single(to, "python_executor_requests_in_flight", "gauge", "Requests that are not completely answered.",
               metrics->exchanges);
    add_single(to, "python_executor_held_bytes", "gauge", "Bodies of requests and answers in memory.", metrics->held_bytes);
}

static void add_process(struct exposition *to, const struct metrics *metrics) {
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    exposition_metric(to, "process_cpu_seconds_total", "counter", "CPU time of the server process, without workers.");
    exposition_seconds(to, clock_timeval_us(usage.ru_utime) + clock_timeval_us(usage.ru_stime));
    exposition_metric(to, "process_start_time_seconds", "gauge", "When the server process began, since 1970.");
    exposition_seconds(to, metrics->started_us);
    /* There is no /proc here to say what it has now. */
    add_single(to, "python_executor_server_memory_peak_bytes", "gauge", "The most memory the server process has ever had.",
               (uint64_t)usage.ru_maxrss << 10);
}

static void add_build(struct exposition *to, uint64_t python) {
    exposition_metric(to, "python_executor_build_info", "gauge", "Which version this is, and which Python it runs.");
    if (python == 0)
        exposition_sample(to, 1, "version=\"%s\",python=\"\"", PX_VERSION);
    else
        exposition_sample(to, 1, "version=\"%s\",python=\"%u.%u.%u\"", PX_VERSION, (unsigned)(python >> 24 & 0xff),
                          (unsigned)(python >> 16 & 0xff), (unsigned)(python >> 8 & 0xff));
}

typedef uint64_t count_of(const struct caller *caller);

static uint64_t requests_of(const struct caller *caller) {
    return caller->requests;
}

static uint64_t runs_of(const struct caller *caller) {
    return caller->runs;
}

static uint64_t too_fast_of(const struct caller *caller) {
    return caller->too_fast;
}

static uint64_t too_many_of(const struct caller *caller) {
    return caller->too_many;
}

static uint64_t displaced_of(const struct caller *caller) {
    return caller->displaced;
}

/* The name of a key has no character that a label would have to escape. */
static void add_each(struct exposition *to, const struct callers *callers, count_of *count, const char *reason) {
    for (size_t i = 0; i < callers->count; i++)
        exposition_sample(to, count(callers->list[i]), "key=\"%s\"%s", callers->list[i]->key.name, reason);
}

/* As many as there are keys now, which the operator has written down. */
static void add_callers(struct exposition *to, const struct callers *callers) {
    if (callers->state != CALLERS_KEYS)
        return;
    exposition_metric(to, "python_executor_unauthorized_total", "counter", "Requests without a key that is known.");
    exposition_sample(to, callers->without_key, "reason=\"missing\"");
    exposition_sample(to, callers->wrong_key, "reason=\"wrong\"");
    exposition_metric(to, "python_executor_key_requests_total", "counter", "Requests with this key, refused ones among them.");
    add_each(to, callers, requests_of, "");
    exposition_metric(to, "python_executor_key_refused_total", "counter", "Of these what its limits refused.");
    add_each(to, callers, too_fast_of, ",reason=\"rate\"");
    add_each(to, callers, too_many_of, ",reason=\"concurrent\"");
    add_each(to, callers, displaced_of, ",reason=\"displaced\"");
    exposition_metric(to, "python_executor_key_runs", "gauge", "Runs of this key that wait or run.");
    add_each(to, callers, runs_of, "");
}

int exposition_respond(struct response *ret_response, const struct runs *runs, const struct callers *callers,
                       const struct isolation *workers) {
    struct exposition to = {0};
    buf_init(&to.text, RESPONSE_MAX);
    to.error = buf_reserve(&to.text, 16 << 10);
    add_runs(&to, &runs->metrics);
    add_workers(&to, runs);
    add_layers(&to, workers);
    add_http(&to, &runs->metrics);
    add_callers(&to, callers);
    add_single(&to, "python_executor_ready", "gauge", "Whether GET /readyz says so.", health_unready(runs) == NULL);
    add_single(&to, "python_executor_draining", "gauge", "Whether it takes no more and finishes what it has.", runs->draining);
    add_log(&to, &runs->metrics);
    add_process(&to, &runs->metrics);
    add_build(&to, runs->pool.python);
    *ret_response = (struct response){.status = 200, .content_type = EXPOSITION_TYPE};
    return response_take(ret_response, &to.text, to.error);
}
