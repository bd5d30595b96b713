/* Whether the service fits into memory: see fit.h. Counts, and reads nothing but which modules are installed. */
#include "cli/fit.h"

#include "base/flavour.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

/* Measured as what a control group is charged (kernel's part and page tables included), on Debian 12 and 13, with some
 * room; tests/integration/test_fit.py holds them against a running service. */
enum { PROGRAMS_KB = 12 << 10, OTHER_MODULE_KB = 48 << 10, IDLE_KB = 1 << 10, IDLE_SHARE = 32 };
static const struct {
    const char *package;
    uint64_t kb;
} measured[] = {{"numpy", 24 << 10}, {"pandas", 48 << 10}, {"matplotlib", 64 << 10}};

enum { WORKERS_PER_CPU = 2, CREW_PER_WORKER = 2, WORKERS_MAX = 64 };

static uint64_t to_mb(uint64_t kb) {
    return (kb + 1023) >> 10;
}

/* Where Debian, people who install for the whole system, and virtual environments have packages. */
static bool is_installed(const struct config *config, const char *package, size_t size) {
    char pattern[2 * CONFIG_TEXT + 128];
    glob_t found;
    snprintf(pattern, sizeof pattern, "{/usr/lib/python3/dist,/usr/local/lib/python3*/dist,%s/lib/python3*/site}-packages/%.*s{,.py}",
             config->venv, (int)size, package);
    bool there = glob(pattern, GLOB_BRACE | GLOB_NOSORT, NULL, &found) == 0 && found.gl_pathc > 0;
    globfree(&found);
    return there;
}

/* What one module of --preload adds to its zygote. */
static uint64_t module_kb(const struct config *config, const char *module, size_t size) {
    size_t package = strcspn(module, ".?,");
    if (module[size - 1] == '?' && !is_installed(config, module, package))
        return 0;
    for (size_t i = 0; i < sizeof measured / sizeof measured[0]; i++)
        if (strlen(measured[i].package) == package && strncmp(measured[i].package, module, package) == 0)
            return measured[i].kb;
    return OTHER_MODULE_KB;
}

static uint64_t modules_kb(const struct config *config, const char *modules) {
    uint64_t kb = 0;
    for (size_t size; *(modules += strspn(modules, ",")) != '\0'; modules += size) {
        size = strcspn(modules, ",");
        kb += module_kb(config, modules, size);
    }
    return kb;
}

/* A tree of zygotes: each holds all that those before it hold, as shared pages. An idle worker has the more of its own
 * the more its zygote has loaded: pages it wrote to, and page tables. */
static void count_tree(const struct config *config, uint64_t *ret_zygotes_kb, uint64_t *ret_idle_kb) {
    uint64_t loaded = PROGRAMS_KB;
    uint64_t idle = 0;
    for (unsigned i = 0; i < flavour_count(config->preload); i++) {
        char modules[CONFIG_TEXT];
        flavour_modules(config->preload, i, modules);
        uint64_t more = modules_kb(config, modules);
        loaded += more;
        if (i == 0 || more > 0) /* a flavour with nothing of its own has no zygote */
            idle += config->crew * (IDLE_KB + loaded / IDLE_SHARE);
    }
    *ret_zygotes_kb = loaded;
    *ret_idle_kb = idle;
}

void fit_count(const struct config *config, const struct container *container, struct fit *ret_fit) {
    uint64_t zygotes_kb, idle_kb;
    count_tree(config, &zygotes_kb, &idle_kb);
    uint64_t kept_kb = config_limit(config, LIMIT_OUTPUT_KB).most + config->stderr_kb + config->result_kb + config->outputs_kb;
    struct fit fit = {
        .zygotes = to_mb(zygotes_kb),
        .takeover = to_mb(zygotes_kb + idle_kb),
        .idle = to_mb(idle_kb),
        .held = to_mb(CONFIG_HELD * config->body_kb + CONFIG_CONNECTION_KB * config->connections),
        .run = config_limit(config, LIMIT_MEMORY_MB).most + config_limit(config, LIMIT_SCRATCH_MB).most + to_mb(kept_kb),
        .limit = container->memory_bytes >> 20,
        .by_container = container->memory_limited,
    };
    fit.runs = config->workers * fit.run;
    fit.total = fit.zygotes + fit.takeover + fit.idle + fit.held + fit.runs;
    *ret_fit = fit;
}

bool fit_is_met(const struct fit *fit) {
    return fit->total <= fit->limit;
}

void fit_automatic(struct config *config, const struct container *container) {
    bool workers = config->workers == 0;
    bool crew = config->crew == 0;
    uint64_t most = (uint64_t)container_cpus(container) * WORKERS_PER_CPU;
    struct fit fit;
    if (!workers && !crew)
        return;
    for (uint64_t n = most > WORKERS_MAX ? WORKERS_MAX : most; n > 0; n--) {
        if (workers)
            config->workers = n;
        if (crew)
            config->crew = n * CREW_PER_WORKER;
        fit_count(config, container, &fit);
        if (fit_is_met(&fit))
            return;
    }
}

void fit_into_container(struct config *config, struct fit *ret_fit) {
    struct container container;
    container_find(&container);
    fit_automatic(config, &container);
    fit_count(config, &container, ret_fit);
}

void fit_describe(const struct fit *fit, const struct config *config, char ret_text[FIT_TEXT]) {
    int n = snprintf(ret_text, FIT_TEXT,
                     "memory: at most %llu MiB of the %llu that the %s: zygotes %llu, others that take over from them %llu, "
                     "idle workers %llu, requests held %llu, %llu x %llu for scripts",
                     (unsigned long long)fit->total, (unsigned long long)fit->limit,
                     fit->by_container ? "container may have" : "machine has", (unsigned long long)fit->zygotes,
                     (unsigned long long)fit->takeover, (unsigned long long)fit->idle, (unsigned long long)fit->held,
                     (unsigned long long)config->workers, (unsigned long long)fit->run);
    if (!fit_is_met(fit))
        snprintf(ret_text + n, FIT_TEXT - (size_t)n,
                 ". That does not fit: beyond it the kernel ends the service or a part of it. Grant %llu MiB, or lower --workers "
                 "(%llu), --memory-mb (%llu), --scratch-mb (%llu), --crew (%llu), --body-kb (%llu) or --connections (%llu)",
                 (unsigned long long)fit->total, (unsigned long long)config->workers, (unsigned long long)config->memory_mb,
                 (unsigned long long)config->scratch_mb, (unsigned long long)config->crew, (unsigned long long)config->body_kb,
                 (unsigned long long)config->connections);
}

int fit_add_json(struct buf *buf, const struct fit *fit, const struct config *config) {
    return buf_add_format(buf,
                          "\"memory\": {\"fits\": %s, \"total_mb\": %llu, \"limit_mb\": %llu, \"limited_by\": \"%s\", "
                          "\"zygotes_mb\": %llu, \"takeover_mb\": %llu, \"idle_mb\": %llu, \"held_mb\": %llu, \"run_mb\": %llu, "
                          "\"workers\": %llu, \"crew\": %llu}",
                          fit_is_met(fit) ? "true" : "false", (unsigned long long)fit->total, (unsigned long long)fit->limit,
                          fit->by_container ? "container" : "machine", (unsigned long long)fit->zygotes,
                          (unsigned long long)fit->takeover, (unsigned long long)fit->idle, (unsigned long long)fit->held,
                          (unsigned long long)fit->run, (unsigned long long)config->workers, (unsigned long long)config->crew);
}
