/* cli/settings with cli/inifile, and base/config: flags, then the environment, then a file, a line each. What is taken
 * is what its children read from their flags; what is refused is refused in words that end. */
#include "fuzz.h"

#include "base/log.h"
#include "cli/settings.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINES = 32 };

static void drop_line(void *context, enum log_level level, const struct line *line) {
    (void)level;
    assert(line->len <= LINE_BYTES && line->data[line->len - 1] == '\n');
    (*(size_t *)context)++;
}

/* Ended by NULL; to be freed, each. */
static size_t split(struct input part, bool with_empty, char *ret_lines[LINES + 1]) {
    size_t count = 0;
    while (part.size > 0 && count < LINES) {
        struct input line = input_part(&part, '\n');
        if (with_empty || (line.size > 0 && *line.data != '\0'))
            ret_lines[count++] = input_text(line);
    }
    ret_lines[count] = NULL;
    return count;
}

static void free_all(char **lines) {
    for (; *lines != NULL; lines++)
        free(*lines);
}

static void check_words(const struct failure *failure) {
    assert(*failure->stage != '\0' && strnlen(failure->stage, sizeof failure->stage) < sizeof failure->stage);
    assert(*failure->text != '\0' && strnlen(failure->text, sizeof failure->text) < sizeof failure->text);
}

/* As children get it (children.c). */
static void check_again(const struct config *config) {
    char *args[CONFIG_ARGS] = {NULL};
    struct config again;
    struct failure failure;
    size_t count = 0;
    assert(config_to_args(config, args, CONFIG_ARGS) == 0);
    while (args[count] != NULL)
        count++;
    config_init(&again);
    bool whole = config->workers > 0 && config->crew > 0; /* or else they are worked out before */
    int r = config_from_args(&again, (int)count, args, &failure);
    assert(!whole || r == 0);
    for (size_t i = 0; i < config_option_count && whole; i++) {
        char one[CONFIG_TEXT], other[CONFIG_TEXT];
        config_value(config, &config_options[i], one);
        config_value(&again, &config_options[i], other);
        assert(strcmp(one, other) == 0);
    }
    free_all(args);
}

/* A number is within its range, or was never set. */
static void check_ranges(const struct config *config) {
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        char text[CONFIG_TEXT];
        config_value(config, option, text);
        unsigned long long number = option->kind == OPTION_NUMBER ? strtoull(text, NULL, 10) : option->min;
        assert((number >= option->min && number <= option->max) || number == option->fallback);
    }
}

static int read_all(struct settings *settings, char **flags, size_t count, struct input file, struct failure *ret_failure) {
    char path[32];
    int r = 0, fd = memfd_create("settings", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, file.data, file.size) == (ssize_t)file.size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    settings_init(settings);
    for (size_t at = 0; r >= 0 && at < count; at += (size_t)r)
        r = settings_flag(settings, (int)(count - at), flags + at, ret_failure);
    settings->file = path; /* and no other one of this machine */
    if (r >= 0)
        r = settings_read(settings, ret_failure);
    settings->file = NULL;
    close(fd);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size);
    char *flags[LINES + 1], *variables[LINES + 1], **before = environ;
    struct settings settings;
    struct failure failure = {0};
    size_t lines = 0, count = split(input_part(&input, PART), true, flags);
    split(input_part(&input, PART), false, variables); /* getenv(3) reads two bytes of each */
    log_divert(drop_line, &lines);
    environ = variables;
    int r = read_all(&settings, flags, count, input, &failure);
    settings_warn_of_slips();
    environ = before;
    log_divert(NULL, NULL);
    if (r < 0)
        check_words(&failure);
    else
        check_ranges(&settings.config);
    if (r >= 0 && config_check(&settings.config, &failure) == 0)
        check_again(&settings.config);
    else if (r >= 0)
        check_words(&failure);
    free_all(flags);
    free_all(variables);
    return 0;
}
