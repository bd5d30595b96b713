/* All commands of python-executor, in the order in which people are told of them; the first one is the default. */
#ifndef PX_CLI_COMMANDS_H
#define PX_CLI_COMMANDS_H

#include "cli/command.h"

#include <stddef.h>

extern const struct command commands[];
extern const size_t command_count;

/* NULL where there is none of that name. */
const struct command *command_find(const char *name);

#endif
