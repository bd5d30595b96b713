/* What the command line of `run` says: the configuration, and the request as it goes to the server. */
#ifndef PX_CLI_ARGUMENTS_H
#define PX_CLI_ARGUMENTS_H

#include "base/buf.h"
#include "base/config.h"
#include "base/failure.h"
#include "cli/command.h"

#include <stdbool.h>

struct arguments {
    struct config config;
    struct buf request;       /* frames of console.h, CONSOLE_END the last */
    bool script_was_stdin;    /* and there is nothing left of it for the script to read */
};

/* Reads environment, options and the files that they name, with the rights of whoever calls. On success the request is
 * the caller's. 0, or a negative errno with the option or the file named. */
int arguments_take(struct arguments *ret_arguments, int argc, char *const *argv, struct failure *ret_failure);

/* What only `run` has. */
extern const struct command_option run_options[];

#endif
