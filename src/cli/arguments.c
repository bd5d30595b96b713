/* The command line of `run`: see arguments.h. Runs as the user, before anything else is started.
 *
 * Nothing is understood here but names: what is JSON, UTF-8 or base64 is for the server to see, which has the means and
 * no rights.
 */
#include "cli/arguments.h"

#include "base/fd.h"
#include "base/flavour.h"
#include "cli/settings.h"
#include "wire/console.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ITEMS_MAX = 2048, PRINTED_KB = 65536, WAIT_MS = 3600000 };

struct item {
    enum console_part part;
    const char *value;
};

struct taker {
    struct arguments *arguments;
    struct settings settings;
    const char *script; /* its path */
    struct item items[ITEMS_MAX];
    size_t count;
};

/* `part` is an enum console_part, 0 for --limit, which is configuration. */
const struct command_option run_options[] = {
    {"input", "JSON", "main(input) is called with it", CONSOLE_INPUT},
    {"args", "JSON", "an array: main(*args, **kwargs)", CONSOLE_ARGS},
    {"kwargs", "JSON", "an object, likewise", CONSOLE_KWARGS},
    {"file", "[NAME=]PATH", "a copy of the file is in the script's /tmp; may be given again", CONSOLE_FILE},
    {"limit", "KEY=VALUE", "wall_ms, cpu_ms, memory_mb, output_kb or scratch_mb, as the option of that name", 0},
    {"seed", "N", "random.seed(N), and numpy's", CONSOLE_SEED},
    {"convert", NULL, "results that are not JSON become JSON", CONSOLE_CONVERT},
    {"output", "PATTERN", "files in /tmp that --json is to have; may be given again", CONSOLE_OUTPUT},
    {"json", NULL, "print nothing but one document, as POST /execute answers with details", CONSOLE_DOCUMENT},
    {0},
};

/* --- The request --- */

static int add_part(struct buf *request, enum console_part part, const char *head, const struct buf *content) {
    size_t head_size = head != NULL ? strlen(head) : 0;
    /* The name of a file ends with its NUL. */
    head_size += part == CONSOLE_FILE;
    size_t size = head_size + (content != NULL ? content->len : 0);
    const struct frame_header header = {.kind = (uint32_t)part, .length = (uint32_t)size};
    int r = buf_reserve(request, sizeof header + size);
    if (r < 0 || (r = buf_add(request, &header, sizeof header)) < 0 || (r = buf_add(request, head, head_size)) < 0)
        return r;
    return content != NULL ? buf_add(request, content->data, content->len) : 0;
}

/* `-` is standard input. */
static int read_whole(const char *path, const char *label, uint64_t max_kb, const char *option, struct buf *ret_content,
                      struct failure *ret_failure) {
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n = fd < 0 ? -1 : 1;
    int r = 0;
    buf_init(ret_content, max_kb << 10);
    while (n > 0 && r == 0) {
        char piece[65536];
        n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            r = buf_add(ret_content, piece, (size_t)n);
    }
    int error = errno;
    if (!is_stdin)
        fd_close(fd);
    if (n < 0)
        return failure_set(ret_failure, error, label, "cannot read %.100s: %s", path, strerror(error));
    if (r == -EMSGSIZE)
        return failure_set(ret_failure, EMSGSIZE, label, "%.100s is larger than %llu KiB, see %s", path,
                           (unsigned long long)max_kb, option);
    return r < 0 ? failure_set(ret_failure, -r, label, "%s", strerror(-r)) : 0;
}

static int add_file(struct arguments *arguments, const char *value, struct failure *ret_failure) {
    struct buf content;
    const char *equals = strchr(value, '=');
    const char *path = equals != NULL ? equals + 1 : value;
    const char *slash = strrchr(path, '/');
    char *name = equals != NULL ? strndup(value, (size_t)(equals - value)) : strdup(slash != NULL ? slash + 1 : path);
    uint64_t max_kb = arguments->config.scratch_mb << 10;
    if (max_kb > CONSOLE_MAX >> 10)
        max_kb = CONSOLE_MAX >> 10;
    int r = read_whole(path, "--file", max_kb, "--scratch-mb", &content, ret_failure);
    if (r == 0 && (r = name != NULL ? add_part(&arguments->request, CONSOLE_FILE, name, &content) : -ENOMEM) < 0)
        failure_set(ret_failure, -r, "--file", "no memory for %.100s, or more than %zu MiB in all", path, CONSOLE_MAX >> 20);
    free(name);
    buf_done(&content);
    return r;
}

static int add_script(struct arguments *arguments, const char *path, struct failure *ret_failure) {
    struct buf content;
    arguments->script_was_stdin = strcmp(path, "-") == 0;
    int r = read_whole(path, "the script", arguments->config.script_kb, "--script-kb", &content, ret_failure);
    if (r == 0 && (r = add_part(&arguments->request, CONSOLE_SCRIPT, NULL, &content)) < 0)
        failure_set(ret_failure, -r, "the script", "%s", strerror(-r));
    if (r == 0)
        flavour_narrow(arguments->config.preload, content.data, content.len);
    buf_done(&content);
    return r;
}

static int add_all(const struct taker *taker, struct failure *ret_failure) {
    struct arguments *arguments = taker->arguments;
    int r = add_script(arguments, taker->script, ret_failure);
    for (size_t i = 0; r == 0 && i < taker->count; i++) {
        const struct item *item = &taker->items[i];
        if (item->part == CONSOLE_FILE)
            r = add_file(arguments, item->value, ret_failure);
        else if ((r = add_part(&arguments->request, item->part, item->value, NULL)) < 0)
            failure_set(ret_failure, -r, "run", "%s", strerror(-r));
    }
    if (r == 0 && (r = add_part(&arguments->request, CONSOLE_END, NULL, NULL)) < 0)
        failure_set(ret_failure, -r, "run", "%s", strerror(-r));
    return r;
}

/* --- Options --- */

static const struct command_option *find_own(const char *name, size_t length) {
    for (const struct command_option *option = run_options; option->name != NULL; option++)
        if (strlen(option->name) == length && strncmp(option->name, name, length) == 0)
            return option;
    return NULL;
}

/* `KEY=VALUE`, with a key of requests. */
static int take_limit(struct taker *taker, const char *assignment, struct failure *ret_failure) {
    char key[21], label[CONFIG_LABEL];
    size_t length = strcspn(assignment, "=");
    snprintf(key, sizeof key, "%.*s", (int)length, assignment);
    snprintf(label, sizeof label, "--limit %s", key);
    const struct option_spec *option = config_limit_option(key);
    if (option == NULL)
        return failure_set(ret_failure, EINVAL, "--limit",
                           "there is no '%.40s', it takes wall_ms, cpu_ms, memory_mb, output_kb or scratch_mb", assignment);
    return settings_set(&taker->settings, option, label, assignment[length] == '=' ? assignment + length + 1 : "", ret_failure);
}

static int take_own(struct taker *taker, const struct command_option *option, const char *value,
                    struct failure *ret_failure) {
    if (option->part == 0)
        return take_limit(taker, value, ret_failure);
    if (taker->count == ITEMS_MAX)
        return failure_set(ret_failure, E2BIG, "usage", "more than %d options", (int)ITEMS_MAX);
    taker->items[taker->count++] = (struct item){(enum console_part)option->part, value};
    return 0;
}

static int take_script(struct taker *taker, const char *path, struct failure *ret_failure) {
    if (taker->script != NULL)
        return failure_set(ret_failure, EINVAL, "usage", "unexpected argument '%.60s', there is a script already", path);
    taker->script = path;
    return 0;
}

/* One argument and perhaps its value; returns how many those are, or a negative errno. */
static int take_one(struct taker *taker, int left, char *const *argv, struct failure *ret_failure) {
    const char *arg = argv[0];
    bool is_option = strncmp(arg, "--", 2) == 0;
    size_t length = is_option ? strcspn(arg + 2, "=") : 0;
    const struct command_option *own = is_option ? find_own(arg + 2, length) : NULL;
    const char *inside = is_option && arg[2 + length] == '=' ? arg + 3 + length : NULL;
    int r;
    if (!is_option && (*arg != '-' || arg[1] == '\0'))
        return (r = take_script(taker, arg, ret_failure)) < 0 ? r : 1;
    bool takes_next = (own == NULL || own->value != NULL) && inside == NULL;
    int used = takes_next && left > 1 ? 2 : 1;
    if (own == NULL)
        return settings_flag(&taker->settings, used, argv, ret_failure);
    char label[32];
    snprintf(label, sizeof label, "--%s", own->name);
    if (own->value == NULL && inside != NULL)
        return failure_set(ret_failure, EINVAL, label, "takes no value");
    if (takes_next && used == 1)
        return failure_set(ret_failure, EINVAL, label, "needs a value, %s", own->value);
    const char *value = inside != NULL ? inside : used == 2 ? argv[1] : NULL;
    return (r = take_own(taker, own, value, ret_failure)) < 0 ? r : used;
}

/* A run of one's own: nothing else waits, and what it prints is not kept for long. */
static void init_settings(struct settings *settings) {
    settings_init(settings);
    settings->config.stdout_kb = settings->config.stderr_kb = PRINTED_KB;
    snprintf(settings->config.log, sizeof settings->config.log, "warning");
}

/* What `run` decides, whatever the environment says to a service on this machine. */
static void settle_config(struct config *config) {
    config->workers = config->crew = config->queue = 1;
    config->queue_ms = WAIT_MS; /* for Python to be loaded; the manager sees whether it still is */
    config->body_kb = CONSOLE_MAX >> 10;
    config->max_wall_ms = config->max_cpu_ms = config->max_memory_mb = 0;
    config->max_output_kb = config->max_scratch_mb = 0;
    snprintf(config->log_format, sizeof config->log_format, "text"); /* on the user's standard error */
}

static int take_settings(struct taker *taker, int argc, char *const *argv, struct failure *ret_failure) {
    int r = 0;
    init_settings(&taker->settings);
    for (int at = 0; r >= 0 && at < argc; at += r)
        r = take_one(taker, argc - at, argv + at, ret_failure);
    if (r >= 0 && taker->script == NULL)
        r = failure_set(ret_failure, EINVAL, "usage", "which script? A file, or - for standard input");
    return r < 0 ? r : settings_read(&taker->settings, ret_failure);
}

int arguments_take(struct arguments *ret_arguments, int argc, char *const *argv, struct failure *ret_failure) {
    static struct taker taker; /* large */
    taker = (struct taker){.arguments = ret_arguments};
    *ret_arguments = (struct arguments){0};
    buf_init(&ret_arguments->request, CONSOLE_MAX);
    int r = take_settings(&taker, argc, argv, ret_failure);
    if (r < 0)
        return r;
    ret_arguments->config = taker.settings.config;
    settle_config(&ret_arguments->config);
    if ((r = config_check(&ret_arguments->config, ret_failure)) < 0 || (r = add_all(&taker, ret_failure)) < 0)
        buf_done(&ret_arguments->request);
    return r;
}
