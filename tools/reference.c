/* Writes what people read about commands and options, from the tables that the program goes by: reference man,
 * reference page or reference sample. `make docs` puts it where it belongs. */
#include "base/config.h"
#include "cli/commands.h"
#include "cli/settings.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MADE "Made by make docs, from the tables in src/base/config.c and src/cli/commands.c."

/* Paragraphs; what stands between two ` is to be typed. */
static const char *const about_configuration[] = {
    "An option is a line of the configuration file, an environment variable, or a flag. The file yields to the "
    "environment, and that to flags.",
    "The file is the one that `--config FILE` or the variable `" SETTINGS_VARIABLE "` names, and then it must be there; "
    "without either it is `" SETTINGS_FILE "`, if that is there. `--config /dev/null` is no file. Each line is "
    "`name = value`, with the name of the flag without its dashes; `#` or `;` begins a comment. A list may go on in the "
    "next line, behind blanks. There are no sections. A line has at most 198 bytes, a value 255. The file is read once, "
    "at the start; SIGHUP changes no option.",
    "`python-executor config` prints what is in force and where each value is from; `python-executor config --check FILE` "
    "says whether a file can be used. What cannot be used ends the start with the exit status 2 and a message that names "
    "the flag, the variable, or the line, and what it takes. That goes for a value that another one overrides as well. A "
    "variable that begins with `PYTHON_EXECUTOR_` and is none of these is told of in the log. An empty variable is no "
    "value.",
    NULL,
};

/* What values an option takes, where that is short to say. */
static void range_of(const struct option_spec *option, char ret_text[64]) {
    if (option->kind == OPTION_NUMBER)
        snprintf(ret_text, 64, "%llu to %llu", (unsigned long long)option->min, (unsigned long long)option->max);
    else
        snprintf(ret_text, 64, "%s", option->allowed == NULL ? "a word" : "text");
}

/* --- The page docs/CONFIGURATION.md --- */

/* A | would end the cell of a table. */
static void page_cell(const char *text) {
    for (; *text != '\0'; text++)
        printf("%s%c", *text == '|' ? "\\" : "", *text);
}

static void page_option(const struct option_spec *option) {
    char fallback[CONFIG_TEXT], range[64];
    config_fallback(option, fallback);
    range_of(option, range);
    printf("| `--%s` | `%s` | ", option->name, option->environment);
    page_cell(*fallback != '\0' ? fallback : "none");
    printf(" | %s | ", range);
    page_cell(option->help);
    printf(" |\n");
}

static void write_page(void) {
    printf("# Configuration\n\n<!-- " MADE " -->\n");
    for (size_t i = 0; about_configuration[i] != NULL; i++)
        printf("\n%s\n", about_configuration[i]);
    for (size_t i = 0; i < config_option_count; i++) {
        const char *group = config_group(&config_options[i]);
        if (group != NULL)
            printf("\n## %s\n\n| flag | variable | default | takes | |\n|---|---|---|---|---|\n", group);
        page_option(&config_options[i]);
    }
}

/* --- The manual page --- */

/* Text as roff has it, in lines of some 70 bytes: what it would take for its own is escaped, and ` switches to what is
 * typed and back. */
static void man_text(const char *text) {
    enum { WIDTH = 64 };
    bool typed = false;
    size_t column = 0;
    for (const char *at = text; *at != '\0'; at++, column++) {
        if (*at == '`') {
            typed = !typed;
            column += (size_t)printf("%s", typed ? "\\fB" : "\\fR");
        } else if (*at == '\\' || *at == '-') {
            column += (size_t)printf("%s", *at == '-' ? "\\-" : "\\e") - 1;
        } else if (strncmp(at, "\n\n", 2) == 0) {
            printf("\n.PP\n");
            at++;
            column = 0;
        } else if (*at == ' ' && column + strcspn(at + 1, " ") > WIDTH) {
            putchar('\n');
            column = 0;
        } else {
            printf("%s%c", column == 0 && strchr(".'", *at) != NULL ? "\\&" : "", *at);
        }
    }
}

static void man_line(const char *text) {
    man_text(text);
    putchar('\n');
}

static void man_head(const char *name, const char *summary) {
    printf(".\\\" " MADE "\n.TH PYTHON\\-EXECUTOR");
    for (const char *at = name; *at != '\0'; at++)
        printf("%s%c", at == name ? "\\-" : "", toupper((unsigned char)*at));
    printf(" 1 2026-11-30 \"python\\-executor " PX_VERSION "\" \"User Commands\"\n.SH NAME\npython\\-executor%s%s \\-\n",
           *name != '\0' ? "\\-" : "", name);
    man_line(summary);
    printf(".SH SYNOPSIS\n");
}

static void man_synopsis(const struct command *command) {
    printf("\\fBpython\\-executor %s\\fR ", command->name);
    man_line(command->arguments);
}

/* The page of one command: python-executor-NAME(1), which `man python-executor NAME` finds as well. */
static void write_command(const struct command *command) {
    man_head(command->name, command->summary);
    man_synopsis(command);
    printf(".SH DESCRIPTION\n%c", toupper((unsigned char)*command->summary));
    man_text(command->summary + 1);
    printf(".\n");
    if (command->text != NULL) {
        printf(".PP\n");
        man_line(command->text);
    }
    bool configured = strstr(command->arguments, "--OPTION") != NULL;
    if (command->options != NULL || configured)
        printf(".SH OPTIONS\n");
    for (const struct command_option *option = command->options; option != NULL && option->name != NULL; option++) {
        printf(".TP\n\\fB\\-\\-");
        man_text(option->name);
        printf("\\fR%s", option->value != NULL ? " \\fI" : "");
        if (option->value != NULL)
            man_text(option->value);
        printf("%s\n", option->value != NULL ? "\\fR" : "");
        man_line(option->help);
    }
    if (configured)
        printf("%sThe options of the configuration are in \\fBpython\\-executor\\fR(1).\n", command->options != NULL ? ".PP\n" : "");
    if (command->statuses != NULL)
        printf(".SH EXIT STATUS\n");
    for (const struct exit_status *status = command->statuses; status != NULL && status->words != NULL; status++) {
        printf(".TP 5\n%d\n", status->status);
        man_line(status->words);
    }
    printf(".SH SEE ALSO\n\\fBpython\\-executor\\fR(1)\n");
}

static void man_command(const struct command *command) {
    printf(".TP\n\\fBpython\\-executor\\-%s\\fR(1)\n%c", command->name, toupper((unsigned char)*command->summary));
    man_text(command->summary + 1);
    printf(".\n");
}

static void man_option(const struct option_spec *option) {
    char fallback[CONFIG_TEXT], range[64], words[2 * CONFIG_TEXT];
    config_fallback(option, fallback);
    range_of(option, range);
    printf(".TP\n\\fB\\-\\-");
    man_text(option->name);
    printf("\\fR \\fI%s\\fR\n", option->kind == OPTION_NUMBER ? "N" : "TEXT");
    man_line(option->help);
    bool is_number = option->kind == OPTION_NUMBER;
    snprintf(words, sizeof words, "Default %s; %s%s`%s`", *fallback != '\0' ? fallback : "none", is_number ? range : "",
             is_number ? "; " : "", option->environment);
    printf(".br\n");
    man_line(words);
}

static void write_man(void) {
    man_head("", "runs Python scripts that nobody trusts");
    for (size_t i = 0; i < command_count; i++) {
        printf("%s", i > 0 ? ".br\n" : "");
        man_synopsis(&commands[i]);
    }
    printf(".br\n\\fBpython\\-executor help\\fR [\\fICOMMAND\\fR]\n.br\n\\fBpython\\-executor\\fR \\-\\-help | \\-\\-version\n"
           ".SH COMMANDS\n");
    for (size_t i = 0; i < command_count; i++)
        man_command(&commands[i]);
    printf(".SH CONFIGURATION\n");
    for (size_t i = 0; about_configuration[i] != NULL; i++) {
        printf("%s", i > 0 ? ".PP\n" : "");
        man_line(about_configuration[i]);
    }
    printf(".SH OPTIONS\n");
    for (size_t i = 0; i < config_option_count; i++) {
        const char *group = config_group(&config_options[i]);
        if (group != NULL)
            printf(".SS %s\n", group);
        man_option(&config_options[i]);
    }
    printf(".SH FILES\n.TP\n\\fI" SETTINGS_FILE "\\fR\nWhere nobody names another one. There need be none.\n"
           ".SH SEE ALSO\n");
    for (size_t i = 0; i < command_count; i++)
        printf("\\fBpython\\-executor\\-%s\\fR(1),\n", commands[i].name);
    printf("\\fBcapabilities\\fR(7), \\fBnamespaces\\fR(7), \\fBseccomp\\fR(2)\n");
}

/* --- A file with every option --- */

static void sample_comment(const char *words) {
    enum { WIDTH = 100 };
    size_t column = 0;
    while (*words != '\0') {
        size_t size = strcspn(words, " ");
        if (column == 0 || column + 1 + size > WIDTH) {
            printf("%s#", column > 0 ? "\n" : "");
            column = 1;
        }
        printf(" %.*s", (int)size, words);
        column += 1 + size;
        words += size + (words[size] == ' ');
    }
    putchar('\n');
}

static void write_sample(void) {
    printf("# The configuration of python-executor, as " SETTINGS_FILE " or behind --config.\n"
           "# " MADE "\n#\n# Each option is here at its default, and without effect until the # before it goes. The environment and\n"
           "# flags win.\n");
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        const char *group = config_group(option);
        char fallback[CONFIG_TEXT], words[1024];
        config_fallback(option, fallback);
        if (group != NULL)
            printf("\n\n# --- %s ---\n", group);
        int used = snprintf(words, sizeof words, "%s", option->help);
        if (option->kind == OPTION_NUMBER)
            snprintf(words + used, sizeof words - (size_t)used, "; %llu to %llu", (unsigned long long)option->min,
                     (unsigned long long)option->max);
        putchar('\n');
        sample_comment(words);
        if (option->kind == OPTION_NUMBER && option->fallback_text != NULL)
            printf("# %s is worked out at the start: %s.\n#%s = %llu\n", option->name, fallback, option->name,
                   (unsigned long long)option->min);
        else
            printf("#%s =%s%s\n", option->name, *fallback != '\0' ? " " : "", fallback);
    }
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    const struct command *command = argc == 3 ? command_find(argv[2]) : NULL;
    if (strcmp(what, "man") == 0 && command != NULL)
        write_command(command);
    else if (argc == 2 && strcmp(what, "man") == 0)
        write_man();
    else if (argc == 2 && strcmp(what, "commands") == 0)
        for (size_t i = 0; i < command_count; i++)
            printf("%s\n", commands[i].name);
    else if (argc == 2 && strcmp(what, "page") == 0)
        write_page();
    else if (argc == 2 && strcmp(what, "sample") == 0)
        write_sample();
    else {
        fprintf(stderr, "usage: reference commands|man [COMMAND]|page|sample\n");
        return EXIT_FAILURE;
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
