/* --help, made of the tables of commands and options. */
#ifndef PX_CLI_HELP_H
#define PX_CLI_HELP_H

#include "cli/command.h"

#include <stdio.h>

/* Of the program: all commands, all options of the configuration. */
void help_print(FILE *to);

/* Of one command. */
void help_print_command(FILE *to, const struct command *command);

#endif
