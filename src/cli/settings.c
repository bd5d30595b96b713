/* What is in force, and who said so: see settings.h. Runs as whoever started the command, before there is a service. */
#include "cli/settings.h"

#include "base/log.h"
#include "cli/inifile.h"
#include "cli/keys.h"
#include "cli/nearest.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OURS "PYTHON_EXECUTOR_"

static size_t place_of(const struct option_spec *option) {
    return (size_t)(option - config_options);
}

void settings_init(struct settings *ret_settings) {
    *ret_settings = (struct settings){0};
    config_init(&ret_settings->config);
}

/* Also what is not to count is looked at: it would count when the other is taken away. */
static int set(struct settings *settings, const struct option_spec *option, enum origin origin, const char *label,
               const char *value, struct failure *ret_failure) {
    struct config unused = settings->config;
    bool counts = origin >= settings->from[place_of(option)].origin;
    int r = config_set(counts ? &settings->config : &unused, option, label, value, ret_failure);
    if (r == 0 && counts)
        settings->from[place_of(option)].origin = origin;
    return r;
}

int settings_set(struct settings *settings, const struct option_spec *option, const char *label, const char *value,
                 struct failure *ret_failure) {
    return set(settings, option, ORIGIN_FLAG, label, value, ret_failure);
}

static int refuse_unknown(const char *stage, const char *dashes, const char *name, struct failure *ret_failure) {
    struct nearest nearest = {.word = name};
    for (size_t i = 0; i < config_option_count; i++)
        nearest_try(&nearest, config_options[i].name);
    if (nearest.found == NULL)
        return failure_set(ret_failure, EINVAL, stage, "unknown option '%s%.60s'", dashes, name);
    return failure_set(ret_failure, EINVAL, stage, "unknown option '%s%.60s', did you mean %s%s?", dashes, name, dashes,
                       nearest.found);
}

/* --- Flags --- */

int settings_flag(struct settings *settings, int left, char *const *argv, struct failure *ret_failure) {
    char label[CONFIG_LABEL];
    const char *value;
    int used = config_take_flag(left, argv, label, &value, ret_failure);
    if (used < 0)
        return used;
    if (strcmp(label, "--config") == 0) {
        settings->file = value;
        return value != NULL ? used : failure_set(ret_failure, EINVAL, label, "needs a value");
    }
    const struct option_spec *option = config_find(label + 2);
    if (option == NULL)
        return refuse_unknown("usage", "--", label + 2, ret_failure);
    int r = settings_set(settings, option, label, value, ret_failure);
    return r < 0 ? r : used;
}

/* --- The environment --- */

static int read_environment(struct settings *settings, struct failure *ret_failure) {
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        const char *value = getenv(option->environment);
        if (value == NULL || *value == '\0')
            continue;
        int r = set(settings, option, ORIGIN_ENVIRONMENT, option->environment, value, ret_failure);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Kubernetes gives every container variables about the services beside it, these where one is called as this
 * program. */
static bool is_of_kubernetes(const char *name, const char *value) {
    static const char port[] = OURS "PORT_", service[] = OURS "SERVICE_";
    return strncmp(name, port, sizeof port - 1) == 0 || strncmp(name, service, sizeof service - 1) == 0 ||
           (strcmp(name, OURS "PORT") == 0 && strstr(value, "://") != NULL);
}

static bool is_known(const char *name) {
    for (size_t i = 0; i < config_option_count; i++)
        if (strcmp(config_options[i].environment, name) == 0)
            return true;
    return strcmp(name, SETTINGS_VARIABLE) == 0 || strcmp(name, KEYS_VARIABLE) == 0;
}

static void warn_of(const char *name) {
    struct nearest nearest = {.word = name};
    for (size_t i = 0; i < config_option_count; i++)
        nearest_try(&nearest, config_options[i].environment);
    nearest_try(&nearest, SETTINGS_VARIABLE);
    if (is_known(name + strlen(OURS)))
        nearest.found = name + strlen(OURS); /* PORT is everybody's word for it */
    if (nearest.found != NULL)
        log_warning("the variable %.60s is no option and without effect, did you mean %s?", name, nearest.found);
    else
        log_warning("the variable %.60s is no option and without effect", name);
}

void settings_warn_of_slips(void) {
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        char name[64];
        const char *value = *variable + strcspn(*variable, "=");
        snprintf(name, sizeof name, "%.*s", (int)(value - *variable), *variable);
        if (strncmp(name, OURS, strlen(OURS)) == 0 && !is_known(name) && !is_of_kubernetes(name, value))
            warn_of(name);
    }
}

/* --- The file --- */

struct file_reader {
    struct settings *settings;
    unsigned lines[CONFIG_ARGS]; /* where an option stands; 0 for nowhere */
};

static int take_line(void *user, const char *name, const char *value, unsigned line, struct failure *ret_failure) {
    struct file_reader *reader = user;
    const struct option_spec *option = config_find(name);
    if (option == NULL)
        return refuse_unknown("the line", "", name, ret_failure);
    size_t place = place_of(option);
    if (reader->lines[place] != 0)
        return failure_set(ret_failure, EINVAL, name, "it is there already, in line %u", reader->lines[place]);
    reader->lines[place] = line;
    int r = set(reader->settings, option, ORIGIN_FILE, name, value, ret_failure);
    if (r == 0 && reader->settings->from[place].origin == ORIGIN_FILE)
        reader->settings->from[place].line = line;
    return r;
}

/* Says where it was, in front of what it was. */
static int blame(const char *path, unsigned line, int error, struct failure *ret_failure) {
    enum { SHOWN = 80 };
    const struct failure was = *ret_failure;
    size_t length = strlen(path);
    const char *shown = length > SHOWN ? path + length - SHOWN : path;
    const char *dots = shown != path ? "..." : "";
    if (line == 0)
        return failure_set(ret_failure, -error, "configuration", "%s%s: %s", dots, shown, was.text);
    return failure_set(ret_failure, -error, "configuration", "%s%s:%u: %s: %s", dots, shown, line, was.stage, was.text);
}

int settings_read_file(struct settings *settings, const char *path, struct failure *ret_failure) {
    struct file_reader reader = {.settings = settings};
    const struct inifile_taker taker = {.take = take_line, .user = &reader};
    struct failure failure = {0};
    unsigned line;
    settings->file = path;
    int r = inifile_read(path, &taker, &line, &failure);
    if (r == 0)
        return 0;
    *ret_failure = failure;
    return blame(path, line, r, ret_failure);
}

int settings_read(struct settings *settings, struct failure *ret_failure) {
    int r = read_environment(settings, ret_failure);
    if (r < 0)
        return r;
    const char *named = settings->file != NULL ? settings->file : getenv(SETTINGS_VARIABLE);
    if (named != NULL && *named != '\0')
        return settings_read_file(settings, named, ret_failure);
    r = settings_read_file(settings, SETTINGS_FILE, ret_failure);
    if (r != -ENOENT && r != -ENOTDIR)
        return r;
    settings->file = NULL;
    return 0;
}

/* --- All of it --- */

int settings_take(struct settings *ret_settings, int argc, char *const *argv) {
    struct failure failure;
    int r = 0;
    settings_init(ret_settings);
    for (int at = 0; r >= 0 && at < argc; at += r)
        r = settings_flag(ret_settings, argc - at, argv + at, &failure);
    if (r >= 0)
        r = settings_read(ret_settings, &failure);
    if (r >= 0)
        r = config_check(&ret_settings->config, &failure);
    if (r >= 0)
        return 0;
    fprintf(stderr, "python-executor: %s: %s\nTry python-executor --help.\n", failure.stage, failure.text);
    return r;
}
