/* The program: finds the command and hands it the rest. */
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/nearest.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Started with a standard stream closed, the next descriptor opened would take its number, and what is
 * written to the stream would go there. */
static void fill_standard_streams(void) {
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static bool asks_for_help(const char *argument) {
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static int complain(const char *name) {
    struct nearest nearest = {.word = name};
    for (size_t i = 0; i < command_count; i++)
        nearest_try(&nearest, commands[i].name);
    fprintf(stderr, "python-executor: usage: there is no command '%.60s'", name);
    if (nearest.found != NULL)
        fprintf(stderr, ", did you mean %s?", nearest.found);
    fprintf(stderr, "\nTry python-executor --help.\n");
    return EXIT_USAGE;
}

static int help(const char *name) {
    const struct command *command = name != NULL ? command_find(name) : NULL;
    if (name != NULL && command == NULL)
        return complain(name);
    if (command != NULL)
        help_print_command(stdout, command);
    else
        help_print(stdout);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    fill_standard_streams();
    const char *first = argc > 1 ? argv[1] : "";
    bool named = *first != '-' && *first != '\0';
    if (strcmp(first, "help") == 0)
        return help(argv[2]);
    if (strcmp(first, "--version") == 0) {
        printf("python-executor %s\n", PX_VERSION);
        return EXIT_SUCCESS;
    }
    const struct command *command = named ? command_find(first) : commands;
    if (command == NULL)
        return complain(first);
    for (int i = 1; i < argc; i++)
        if (asks_for_help(argv[i]))
            return help(named ? first : NULL);
    return command->run(argc - 1 - named, argv + 1 + named);
}
