/* --help: see help.h. */
#include "cli/help.h"

#include "base/config.h"
#include "cli/commands.h"
#include "cli/settings.h"

#include <ctype.h>
#include <string.h>

enum { WIDTH = 100, NAMES = 20 };

/* Words in lines of WIDTH characters, all but the first behind `indent` blanks, where the first one stands already. */
static void print_wrapped(FILE *to, size_t indent, const char *words) {
    size_t column = indent;
    while (*words != '\0') {
        size_t size = strcspn(words, " \n");
        if (column > indent && column + 1 + size > WIDTH) {
            fprintf(to, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', to);
            column++;
        }
        fwrite(words, 1, size, to);
        column += size;
        words += size;
        if (strncmp(words, "\n\n", 2) == 0) {
            fprintf(to, "\n\n%*s", (int)indent, "");
            column = indent;
        }
        words += strspn(words, " \n");
    }
    fputc('\n', to);
}

static void print_option(FILE *to, const struct option_spec *option) {
    char fallback[CONFIG_TEXT];
    config_fallback(option, fallback);
    fprintf(to, "  --%-*s ", NAMES - 5, option->name);
    print_wrapped(to, NAMES, option->help);
    fprintf(to, "%*sdefault %s", NAMES, "", *fallback != '\0' ? fallback : "none");
    if (option->kind == OPTION_NUMBER)
        fprintf(to, "; %llu to %llu", (unsigned long long)option->min, (unsigned long long)option->max);
    fprintf(to, "; %s\n", option->environment);
}

static void print_configuration(FILE *to) {
    for (size_t i = 0; i < config_option_count; i++) {
        const char *group = config_group(&config_options[i]);
        if (group != NULL)
            fprintf(to, "\n%s\n\n", group);
        print_option(to, &config_options[i]);
    }
}

void help_print(FILE *to) {
    fprintf(to, "Runs Python scripts that nobody trusts, each in a fresh, confined process.\n\n");
    for (size_t i = 0; i < command_count; i++)
        fprintf(to, "%s python-executor %s %s\n", i == 0 ? "usage:" : "      ", commands[i].name,
                commands[i].arguments);
    fprintf(to, "       python-executor help [COMMAND] | --help | --version\n\n");
    for (size_t i = 0; i < command_count; i++) {
        fprintf(to, "%-8s ", commands[i].name);
        print_wrapped(to, 9, commands[i].summary);
    }
    fprintf(to, "\n");
    print_wrapped(to, 0, "An option is a line of the configuration file, an environment variable, or a flag; the later wins. "
                         "The file is what --config FILE or " SETTINGS_VARIABLE " names, and else " SETTINGS_FILE
                         " if it is there.");
    print_configuration(to);
}

static void print_statuses(FILE *to, const struct exit_status *statuses) {
    fprintf(to, "\nExit status:\n");
    for (size_t i = 0; statuses[i].words != NULL; i++)
        fprintf(to, "  %3d  %s\n", statuses[i].status, statuses[i].words);
}

void help_print_command(FILE *to, const struct command *command) {
    fprintf(to, "usage: python-executor %s %s\n\n%c%s.\n", command->name, command->arguments,
            toupper((unsigned char)*command->summary), command->summary + 1);
    if (command->text != NULL) {
        fprintf(to, "\n");
        print_wrapped(to, 0, command->text);
    }
    if (command->options != NULL)
        fprintf(to, "\n");
    for (const struct command_option *option = command->options; option != NULL && option->name != NULL; option++) {
        fprintf(to, "  --%-8s %-12s ", option->name, option->value != NULL ? option->value : "");
        print_wrapped(to, 26, option->help);
    }
    if (command->statuses != NULL)
        print_statuses(to, command->statuses);
    if (command == commands)
        print_configuration(to);
    else
        fprintf(to, "\nThe options of the configuration: python-executor --help.\n");
}
