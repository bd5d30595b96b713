/* The command `config`: what is in force, and who said so. */
#ifndef PX_CLI_SHOW_H
#define PX_CLI_SHOW_H

#include "cli/command.h"

/* Takes what stands behind `config`. Returns the exit status. */
int show_config(int argc, char *const *argv);

extern const struct command_option show_options[];
extern const struct exit_status show_statuses[];

#endif
