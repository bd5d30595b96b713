/* The exit status of `run`: one for each way that a run can end. */
#ifndef PX_CLI_STATUS_H
#define PX_CLI_STATUS_H

#include "cli/command.h"

#include <stdint.h>

enum {
    STATUS_USAGE = EXIT_USAGE, /* nothing was run: wrong options, files or JSON */
    STATUS_UNHAD = 125,   /* the sandbox could not be had, or the run was lost */
    STATUS_SIGNAL = 128,  /* and the number of the signal that ended this command, SIGPIPE too */
};

/* Of an enum outcome; of any other number STATUS_UNHAD. */
int status_of_outcome(uint32_t outcome);

extern const struct exit_status run_statuses[];

#endif
