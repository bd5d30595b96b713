/* python-executor config: see show.h. Starts nothing; runs as whoever calls it, in the place where the service would be
 * started, and reads what that would read. */
#include "cli/show.h"

#include "base/line.h"
#include "cli/fit.h"
#include "cli/settings.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 120, PATH_SHOWN = 100 };

const struct command_option show_options[] = {
    {"json", NULL, "print it as JSON", 0},
    {"check", "FILE", "say of this file alone whether it can be used, and print nothing else", 0},
    {0},
};

const struct exit_status show_statuses[] = {
    {0, "it can be served with", 0},
    {EXIT_USAGE, "it cannot: a flag, a variable, or a line of the file is wrong", 0},
    {0},
};

/* Who said so, with the name of it in ret_detail where there is one. */
static const char *source_of(const struct settings *settings, size_t place, char ret_detail[64]) {
    const struct option_spec *option = &config_options[place];
    *ret_detail = '\0';
    switch (settings->from[place].origin) {
    case ORIGIN_FLAG: return "flag";
    case ORIGIN_ENVIRONMENT: snprintf(ret_detail, 64, "%s", option->environment); return "environment";
    case ORIGIN_FILE: snprintf(ret_detail, 64, "%u", settings->from[place].line); return "file";
    default: return option->kind == OPTION_NUMBER && option->fallback_text != NULL ? "automatic" : "default";
    }
}

/* --- As a configuration file: what is behind a semicolon is a comment in it --- */

/* A list that is too long for a line goes on in the next one, behind blanks. */
static void print_value(const char *name, const char *value, const char *comment) {
    size_t column = strlen(name) + 3 + strlen(value) + 4 + strlen(comment);
    printf("%s = ", name);
    if (column <= COLUMNS) {
        printf("%s  ; %s\n", value, comment);
        return;
    }
    printf("  ; %s\n", comment);
    while (*value != '\0') {
        size_t size = strcspn(value, ",");
        size += value[size] == ',';
        printf("    %.*s\n", (int)size, value);
        value += size;
    }
}

static void print_option(const struct settings *settings, size_t place) {
    const struct option_spec *option = &config_options[place];
    char value[CONFIG_TEXT], detail[64], comment[96];
    const char *source = source_of(settings, place, detail);
    const char *between = settings->from[place].origin == ORIGIN_FILE ? ", line " : *detail != '\0' ? " " : "";
    snprintf(comment, sizeof comment, "%s%s%s", source, between, detail);
    config_value(&settings->config, option, value);
    print_value(option->name, value, comment);
}

static void print_text(const struct settings *settings) {
    const char *file = settings->file != NULL ? settings->file : "none";
    size_t cut = strlen(file) > PATH_SHOWN ? strlen(file) - PATH_SHOWN : 0;
    printf("# what is in force; it can be used as a configuration file\n");
    printf("# file: %s%s\n", cut > 0 ? "..." : "", file + cut);
    for (size_t i = 0; i < config_option_count; i++) {
        const char *group = config_group(&config_options[i]);
        if (group != NULL)
            printf("\n# %s\n", group);
        print_option(settings, i);
    }
}

/* --- As JSON --- */

static void print_string(const char *text) {
    struct line line;
    line_begin(&line);
    line_add_escaped(&line, text, strlen(text));
    printf("\"%.*s\"", (int)line.len, line.data);
}

static void print_option_json(const struct settings *settings, size_t place) {
    const struct option_spec *option = &config_options[place];
    char value[CONFIG_TEXT], detail[64];
    const char *source = source_of(settings, place, detail);
    config_value(&settings->config, option, value);
    printf("\"%s\": {\"value\": ", option->name);
    if (option->kind == OPTION_NUMBER)
        printf("%s", value);
    else
        print_string(value);
    printf(", \"source\": \"%s\"", source);
    if (settings->from[place].origin == ORIGIN_FILE)
        printf(", \"line\": %s", detail);
    else if (settings->from[place].origin == ORIGIN_ENVIRONMENT)
        printf(", \"variable\": \"%s\"", detail);
    printf("}");
}

static void print_json(const struct settings *settings) {
    printf("{\"file\": ");
    if (settings->file != NULL)
        print_string(settings->file);
    else
        printf("null");
    printf(", \"options\": {");
    for (size_t i = 0; i < config_option_count; i++) {
        printf("%s", i > 0 ? ", " : "");
        print_option_json(settings, i);
    }
    printf("}}\n");
}

/* --- The command --- */

static int check_file(const char *path) {
    struct settings settings;
    struct failure failure;
    settings_init(&settings);
    if (settings_read_file(&settings, path, &failure) == 0 && config_check(&settings.config, &failure) == 0) {
        printf("%s can be used\n", path);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "python-executor: %s: %s\n", failure.stage, failure.text);
    return EXIT_USAGE;
}

/* Takes what is this command's own out of the arguments. Returns how many are left. */
static int take_own(int argc, char *const *argv, char **ret_rest, bool *ret_json, const char **ret_check) {
    int count = 0;
    *ret_json = false;
    *ret_check = NULL;
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            *ret_json = true;
        else if (strncmp(argv[i], "--check=", 8) == 0)
            *ret_check = argv[i] + 8;
        else if (strcmp(argv[i], "--check") == 0 && i + 1 < argc)
            *ret_check = argv[++i];
        else
            ret_rest[count++] = argv[i];
    ret_rest[count] = NULL;
    return count;
}

int show_config(int argc, char *const *argv) {
    struct settings settings;
    struct fit fit;
    char *rest[argc + 1];
    bool json;
    const char *check;
    int count = take_own(argc, argv, rest, &json, &check);
    if (check != NULL && count == 0 && !json)
        return check_file(check);
    if (check != NULL) {
        fprintf(stderr, "python-executor: --check: it looks at a file alone, and takes nothing beside it\n"
                        "Try python-executor config --help.\n");
        return EXIT_USAGE;
    }
    if (settings_take(&settings, count, rest) < 0)
        return EXIT_USAGE;
    settings_warn_of_slips();
    fit_into_container(&settings.config, &fit);
    if (json)
        print_json(&settings);
    else
        print_text(&settings);
    return EXIT_SUCCESS;
}
