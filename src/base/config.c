/* The configuration: see config.h. */
#include "base/config.h"

#include "base/layer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER(field, flag, env, def, lo, hi, words)                                                    \
    {.name = (flag), .environment = (env), .kind = OPTION_NUMBER, .offset = offsetof(struct config, field), \
     .fallback = (def), .min = (lo), .max = (hi), .help = (words)}
#define AUTOMATIC(field, flag, env, text, lo, hi, words)                                                \
    {.name = (flag), .environment = (env), .kind = OPTION_NUMBER, .offset = offsetof(struct config, field), \
     .fallback_text = (text), .min = (lo), .max = (hi), .help = (words)}
#define TEXT(field, flag, env, def, chars, words)                                                     \
    {.name = (flag), .environment = (env), .kind = OPTION_TEXT, .offset = offsetof(struct config, field), \
     .fallback_text = (def), .allowed = (chars), .help = (words)}

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

const struct option_spec config_options[] = {
    TEXT(host, "host", "PYTHON_EXECUTOR_HOST", "127.0.0.1", DIGITS "abcdefABCDEF.:",
         "numeric address to listen on; 0.0.0.0 for every interface"),
    NUMBER(port, "port", "PORT", 8080, 0, 65535, "TCP port to listen on; 0 takes a free one"),
    NUMBER(connections, "connections", "PYTHON_EXECUTOR_CONNECTIONS", 1024, 1, 100000,
           "open HTTP connections at most; who comes then has the place of whoever has been idle or slow for the longest"),
    NUMBER(idle_s, "idle-s", "PYTHON_EXECUTOR_IDLE_S", 60, 1, 86400,
           "seconds without a byte after which a connection is closed"),
    TEXT(origins, "origins", "PYTHON_EXECUTOR_ORIGINS", "", "abcdefghijklmnopqrstuvwxyz" DIGITS "+-._:/[],*",
         "origins of web pages that may use the service from browsers (CORS), separated by commas; * for all"),
    TEXT(keys, "keys", "PYTHON_EXECUTOR_KEYS", "", LETTERS DIGITS " /._-+@:~,=%",
         "file of the bearer keys that callers must have, read again on SIGHUP; without one everybody may call"),
    TEXT(page, "page", "PYTHON_EXECUTOR_PAGE", "on", NULL,
         "on or off; the page to try it out at /, and the reference at /docs; --no-page is --page=off"),

    AUTOMATIC(workers, "workers", "PYTHON_EXECUTOR_WORKERS", "2 x CPUs, fewer where memory is short", 1, 128,
              "scripts that run at once"),
    AUTOMATIC(crew, "crew", "PYTHON_EXECUTOR_CREW", "twice the workers", 1, 128,
              "idle workers kept ready of each flavour, in its first second a quarter of that"),
    NUMBER(queue, "queue", "PYTHON_EXECUTOR_QUEUE", 128, 0, 100000,
           "runs that may wait for a worker; beyond it the answer is 503"),
    NUMBER(queue_ms, "queue-ms", "PYTHON_EXECUTOR_QUEUE_MS", 30000, 1, 3600000,
           "milliseconds a run may wait for a worker before the answer is 503"),
    NUMBER(announce_ms, "announce-ms", "PYTHON_EXECUTOR_ANNOUNCE_MS", 0, 0, 3600000,
           "milliseconds after SIGTERM in which GET /readyz says no and everybody is served, before no more connections are taken"),
    NUMBER(drain_ms, "drain-ms", "PYTHON_EXECUTOR_DRAIN_MS", 8000, 0, 3600000,
           "milliseconds that running scripts get to finish then"),

    NUMBER(body_kb, "body-kb", "PYTHON_EXECUTOR_BODY_KB", 16384, 1, 1048576, "KiB of a request body"),
    NUMBER(script_kb, "script-kb", "PYTHON_EXECUTOR_SCRIPT_KB", 1024, 1, 65536, "KiB of a script"),
    NUMBER(json_depth, "json-depth", "PYTHON_EXECUTOR_JSON_DEPTH", 64, 1, 1000,
           "levels of nesting in a request body"),

    NUMBER(wall_ms, "wall-ms", "PYTHON_EXECUTOR_WALL_MS", 5000, 1, 3600000, "milliseconds a run may take"),
    NUMBER(cpu_ms, "cpu-ms", "PYTHON_EXECUTOR_CPU_MS", 5000, 1, 3600000,
           "milliseconds of CPU time, over all threads, rounded up to seconds"),
    NUMBER(memory_mb, "memory-mb", "PYTHON_EXECUTOR_MEMORY_MB", 256, 16, 1048576,
           "MiB of memory above the preloaded interpreter; twice as much address space"),
    NUMBER(stdout_kb, "stdout-kb", "PYTHON_EXECUTOR_STDOUT_KB", 1024, 1, 65536,
           "KiB of standard output that are kept; the rest is dropped and flagged"),
    NUMBER(stderr_kb, "stderr-kb", "PYTHON_EXECUTOR_STDERR_KB", 64, 1, 65536,
           "KiB of standard error that are kept; the rest is dropped and flagged"),
    NUMBER(result_kb, "result-kb", "PYTHON_EXECUTOR_RESULT_KB", 8192, 1, 262144, "KiB of a result as JSON"),
    NUMBER(result_depth, "result-depth", "PYTHON_EXECUTOR_RESULT_DEPTH", 1000, 1, 1000,
           "levels of nesting in a result"),
    NUMBER(scratch_mb, "scratch-mb", "PYTHON_EXECUTOR_SCRATCH_MB", 64, 1, 65536,
           "MiB of files in a run's private /tmp"),
    NUMBER(scratch_files, "scratch-files", "PYTHON_EXECUTOR_SCRATCH_FILES", 1024, 16, 1000000,
           "files in a run's private /tmp"),
    NUMBER(outputs_kb, "outputs-kb", "PYTHON_EXECUTOR_OUTPUTS_KB", 4096, 1, 262144,
           "KiB of files that an answer may have"),
    NUMBER(open_files, "open-files", "PYTHON_EXECUTOR_OPEN_FILES", 128, 16, 4096, "open files of a run"),
    NUMBER(threads, "threads", "PYTHON_EXECUTOR_THREADS", 64, 1, 4096, "threads of a run"),

    NUMBER(max_wall_ms, "max-wall-ms", "PYTHON_EXECUTOR_MAX_WALL_MS", 0, 0, 3600000,
           "milliseconds that a request may ask for; 0 for no more than --wall-ms"),
    NUMBER(max_cpu_ms, "max-cpu-ms", "PYTHON_EXECUTOR_MAX_CPU_MS", 0, 0, 3600000,
           "milliseconds of CPU time that a request may ask for; 0 for no more than --cpu-ms"),
    NUMBER(max_memory_mb, "max-memory-mb", "PYTHON_EXECUTOR_MAX_MEMORY_MB", 0, 0, 1048576,
           "MiB of memory that a request may ask for; 0 for no more than --memory-mb"),
    NUMBER(max_output_kb, "max-output-kb", "PYTHON_EXECUTOR_MAX_OUTPUT_KB", 0, 0, 65536,
           "KiB of kept standard output that a request may ask for; 0 for no more than --stdout-kb"),
    NUMBER(max_scratch_mb, "max-scratch-mb", "PYTHON_EXECUTOR_MAX_SCRATCH_MB", 0, 0, 65536,
           "MiB of files that a request may ask for; 0 for no more than --scratch-mb"),

    TEXT(preload, "preload", "PYTHON_EXECUTOR_PRELOAD", "numpy,pandas,matplotlib.pyplot?", LETTERS DIGITS "_.,?",
         "modules imported once, before any script comes; separated by commas; with ? behind its name one may be missing"),
    TEXT(venv, "venv", "PYTHON_EXECUTOR_VENV", "", LETTERS DIGITS "/._+-",
         "folder of a virtual environment, whose packages come before those of Debian's Python"),
    NUMBER(recycle, "recycle", "PYTHON_EXECUTOR_RECYCLE", 10000, 1, 1000000000,
           "runs after which a fresh zygote takes over, with a new address layout and hash seed"),
    NUMBER(import_s, "import-s", "PYTHON_EXECUTOR_IMPORT_S", 300, 1, 86400,
           "seconds in which a zygote must have imported all that is preloaded"),
    NUMBER(stall_s, "stall-s", "PYTHON_EXECUTOR_STALL_S", 10, 2, 86400,
           "seconds without a sign of life after which the server, a zygote, or a worker that is not ready yet is killed and replaced"),
    NUMBER(uid_base, "uid-base", "PYTHON_EXECUTOR_UID_BASE", 63000, 1000, 4000000000,
           "first of the user ids used: the server's, then one for each worker"),
    TEXT(require, "require", "PYTHON_EXECUTOR_REQUIRE", "seccomp,rlimits,identity,filesystem,network",
         LETTERS "-,", "layers of confinement without which nothing is served; the first three always are"),
#ifdef PX_LAYERS_OFF
    TEXT(layers_off, "layers-off", "PYTHON_EXECUTOR_LAYERS_OFF", "", LETTERS "-,",
         "layers of confinement to leave out; this is a test build, never to be deployed"),
#endif
    TEXT(log, "log", "PYTHON_EXECUTOR_LOG", "info", NULL, "error, warning, info or debug; the least that is worth a line"),
    TEXT(log_format, "log-format", "PYTHON_EXECUTOR_LOG_FORMAT", "auto", NULL,
         "auto, json or text; auto is text where standard error is a terminal, and JSON elsewhere"),
    TEXT(access_log, "access-log", "PYTHON_EXECUTOR_ACCESS_LOG", "on", NULL, "on or off; a line for each request"),
    NUMBER(log_rate, "log-rate", "PYTHON_EXECUTOR_LOG_RATE", 1000, 1, 1000000,
           "requests that have their line in one second; of the others there is the number"),
    TEXT(log_project, "log-project", "PYTHON_EXECUTOR_LOG_PROJECT", "", "abcdefghijklmnopqrstuvwxyz" DIGITS "-.:",
         "Google Cloud project of the traces that requests belong to, for its log viewer"),
    TEXT(log_scripts, "log-scripts", "PYTHON_EXECUTOR_LOG_SCRIPTS", "off", NULL,
         "on or off; the beginning of each script in its request's line, for whoever reads the log"),
};
const size_t config_option_count = sizeof config_options / sizeof config_options[0];

/* Headings of the table, for people: each over the option it names and those behind it. */
static const struct {
    const char *first, *title;
} groups[] = {
    {"host", "Listening"},
    {"workers", "How much at once"},
    {"body-kb", "What a request may be"},
    {"wall-ms", "What a run may use"},
    {"max-wall-ms", "What a request may ask for"},
    {"preload", "Python, and how it is confined"},
    {"log", "The log"},
};

#define LIMIT(word, usual_field, most_field) \
    {.key = (word), .usual = offsetof(struct config, usual_field), .most = offsetof(struct config, most_field)}

static const struct {
    const char *key;
    size_t usual, most; /* into struct config */
} limits[LIMIT_COUNT] = {
    [LIMIT_WALL_MS] = LIMIT("wall_ms", wall_ms, max_wall_ms),
    [LIMIT_CPU_MS] = LIMIT("cpu_ms", cpu_ms, max_cpu_ms),
    [LIMIT_MEMORY_MB] = LIMIT("memory_mb", memory_mb, max_memory_mb),
    [LIMIT_OUTPUT_KB] = LIMIT("output_kb", stdout_kb, max_output_kb),
    [LIMIT_SCRATCH_MB] = LIMIT("scratch_mb", scratch_mb, max_scratch_mb),
};

static uint64_t *number_at(struct config *config, const struct option_spec *option) {
    return (uint64_t *)(void *)((char *)config + option->offset);
}

static char *text_at(struct config *config, const struct option_spec *option) {
    return (char *)config + option->offset;
}

void config_init(struct config *ret_config) {
    *ret_config = (struct config){0};
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        if (option->kind == OPTION_TEXT)
            snprintf(text_at(ret_config, option), CONFIG_TEXT, "%s", option->fallback_text);
        else
            *number_at(ret_config, option) = option->fallback;
    }
}

static int parse_number(const char *text, uint64_t *ret_number) {
    uint64_t number = 0;
    if (*text == '\0')
        return -EINVAL;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || number > UINT64_MAX / 10 - 1)
            return -EINVAL;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    *ret_number = number;
    return 0;
}

/* Whether it is one of `a, b or c; what is behind a semicolon is for people`. */
static bool is_word_of(const char *words, const char *text) {
    size_t size = strlen(text);
    for (const char *end = words + strcspn(words, ";"); words < end; words += strspn(words, ", ")) {
        size_t length = strcspn(words, ", ;");
        if (length == size && memcmp(words, text, size) == 0 && strcmp(text, "or") != 0)
            return true;
        words += length;
    }
    return false;
}

bool config_is_on(const char *value) {
    return strcmp(value, "on") == 0;
}

int config_set(struct config *config, const struct option_spec *option, const char *label, const char *value,
               struct failure *ret_failure) {
    uint64_t number;
    if (value == NULL)
        return failure_set(ret_failure, EINVAL, label, "needs a value");
    if (option->kind == OPTION_NUMBER) {
        if (parse_number(value, &number) < 0 || number < option->min || number > option->max)
            return failure_set(ret_failure, EINVAL, label,
                               "'%.40s' is not allowed, it takes a whole number from %llu to %llu", value,
                               (unsigned long long)option->min, (unsigned long long)option->max);
        *number_at(config, option) = number;
        return 0;
    }
    bool good = option->allowed == NULL ? is_word_of(option->help, value) : value[strspn(value, option->allowed)] == '\0';
    if (!good || strlen(value) >= CONFIG_TEXT)
        return failure_set(ret_failure, EINVAL, label, "'%.40s' is not allowed, it takes %s", value, option->help);
    snprintf(text_at(config, option), CONFIG_TEXT, "%s", value);
    return 0;
}

const struct option_spec *config_find(const char *name) {
    for (size_t i = 0; i < config_option_count; i++)
        if (strcmp(config_options[i].name, name) == 0)
            return &config_options[i];
    return NULL;
}

int config_take_flag(int left, char *const *argv, char ret_label[CONFIG_LABEL], const char **ret_value,
                     struct failure *ret_failure) {
    const char *arg = argv[0];
    if (strncmp(arg, "--", 2) != 0)
        return failure_set(ret_failure, EINVAL, "usage", "unexpected argument '%.60s'", arg);
    const struct option_spec *off = strncmp(arg, "--no-", 5) == 0 ? config_find(arg + 5) : NULL;
    if (off != NULL && off->kind == OPTION_TEXT && off->allowed == NULL && is_word_of(off->help, "off")) {
        snprintf(ret_label, CONFIG_LABEL, "--%s", off->name);
        *ret_value = "off";
        return 1;
    }
    size_t length = strcspn(arg, "=");
    snprintf(ret_label, CONFIG_LABEL, "%.*s", (int)length, arg);
    bool is_inside = arg[length] == '=';
    *ret_value = is_inside ? arg + length + 1 : left > 1 ? argv[1] : NULL;
    return is_inside || left == 1 ? 1 : 2;
}

int config_from_args(struct config *config, int argc, char *const *argv, struct failure *ret_failure) {
    int used;
    for (int i = 0; i < argc; i += used) {
        char label[CONFIG_LABEL];
        const char *value = NULL;
        if ((used = config_take_flag(argc - i, argv + i, label, &value, ret_failure)) < 0)
            return used;
        const struct option_spec *option = config_find(label + 2);
        if (option == NULL)
            return failure_set(ret_failure, EINVAL, "usage", "unknown option '%.60s'", label);
        int r = config_set(config, option, label, value, ret_failure);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_floor(const struct config *config, struct failure *ret_failure) {
    /* What all others lean on: without these a worker is not one process, of bounded size, that is nobody. */
    static const enum layer always[] = {LAYER_SECCOMP, LAYER_RLIMITS, LAYER_IDENTITY};
    uint32_t floor;
    if (layer_parse(config->require, &floor, ret_failure) < 0) {
        snprintf(ret_failure->stage, sizeof ret_failure->stage, "--require");
        return -EINVAL;
    }
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if ((floor & layer_bit(always[i])) == 0)
            return failure_set(ret_failure, EINVAL, "--require", "must name %s, which nothing is safe without",
                               layer_name(always[i]));
    return 0;
}

/* One that is not written as browsers write it would never match. */
static int check_origins(const struct config *config, struct failure *ret_failure) {
    if (strcmp(config->origins, "*") == 0)
        return 0;
    for (const char *at = config->origins; *at != '\0'; at += *at == ',') {
        size_t size = strcspn(at, ",");
        const char *host = strstr(at, "://");
        if (host == NULL || host == at || host + 3 >= at + size || strcspn(host + 3, "/*") < size - (size_t)(host + 3 - at))
            return failure_set(ret_failure, EINVAL, "--origins",
                               "'%.*s' is no origin, it takes scheme://host or scheme://host:port, or * alone", (int)size, at);
        at += size;
    }
    return 0;
}

static const struct option_spec *option_at(size_t offset) {
    size_t i = 0;
    while (config_options[i].offset != offset)
        i++;
    return &config_options[i];
}

struct limit_range config_limit(const struct config *config, enum request_limit limit) {
    const char *start = (const char *)config;
    uint64_t usual = *(const uint64_t *)(const void *)(start + limits[limit].usual);
    uint64_t most = *(const uint64_t *)(const void *)(start + limits[limit].most);
    return (struct limit_range){.key = limits[limit].key,
                                .least = option_at(limits[limit].usual)->min,
                                .usual = usual,
                                .most = most != 0 ? most : usual};
}

const struct option_spec *config_limit_option(const char *key) {
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        if (strcmp(limits[i].key, key) == 0)
            return option_at(limits[i].usual);
    return NULL;
}

static int check_limits(const struct config *config, struct failure *ret_failure) {
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        struct limit_range range = config_limit(config, (enum request_limit)i);
        char label[32];
        snprintf(label, sizeof label, "--%s", option_at(limits[i].most)->name);
        if (range.most < range.usual)
            return failure_set(ret_failure, EINVAL, label, "%llu is less than --%s, which is %llu",
                               (unsigned long long)range.most, option_at(limits[i].usual)->name,
                               (unsigned long long)range.usual);
    }
    return 0;
}

int config_check(const struct config *config, struct failure *ret_failure) {
    int r;
    if ((r = check_floor(config, ret_failure)) < 0 || (r = check_limits(config, ret_failure)) < 0 ||
        (r = check_origins(config, ret_failure)) < 0)
        return r;
    if (config->script_kb > config->body_kb)
        return failure_set(ret_failure, EINVAL, "--script-kb", "%llu is more than --body-kb, which is %llu",
                           (unsigned long long)config->script_kb, (unsigned long long)config->body_kb);
    /* 65534 is who a worker is inside, and on most systems whoever has no better name. */
    if (config->uid_base <= 65535 && config->uid_base + CONFIG_UIDS > 65534)
        return failure_set(ret_failure, EINVAL, "--uid-base", "%llu is too close to 65534, %d ids from there on are used",
                           (unsigned long long)config->uid_base, (int)CONFIG_UIDS);
    return 0;
}

int config_to_args(const struct config *config, char **ret_args, size_t count) {
    size_t at = 0;
    while (at < count && ret_args[at] != NULL)
        at++;
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        char arg[CONFIG_TEXT + 64];
        char text[CONFIG_TEXT];
        if (at + 1 >= count)
            return -E2BIG;
        config_value(config, option, text);
        snprintf(arg, sizeof arg, "--%s=%s", option->name, text);
        ret_args[at] = strdup(arg);
        if (ret_args[at] == NULL)
            return -ENOMEM;
        ret_args[++at] = NULL;
    }
    return 0;
}

void config_value(const struct config *config, const struct option_spec *option, char ret_text[CONFIG_TEXT]) {
    const char *at = (const char *)config + option->offset;
    if (option->kind == OPTION_TEXT)
        snprintf(ret_text, CONFIG_TEXT, "%s", at);
    else
        snprintf(ret_text, CONFIG_TEXT, "%llu", (unsigned long long)*(const uint64_t *)(const void *)at);
}

void config_fallback(const struct option_spec *option, char ret_text[CONFIG_TEXT]) {
    if (option->fallback_text != NULL)
        snprintf(ret_text, CONFIG_TEXT, "%s", option->fallback_text);
    else
        snprintf(ret_text, CONFIG_TEXT, "%llu", (unsigned long long)option->fallback);
}

const char *config_group(const struct option_spec *option) {
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (strcmp(groups[i].first, option->name) == 0)
            return groups[i].title;
    return NULL;
}
