/* The exit status of `run`: one for each way that a run can end. */
#ifndef PX_CLI_STATUS_H
#define PX_CLI_STATUS_H

#include <stdint.h>
#include <stdio.h>

enum {
    STATUS_USAGE = 2,     /* nothing was run: wrong options, files or JSON */
    STATUS_UNHAD = 125,   /* the sandbox could not be had, or the run was lost */
    STATUS_SIGNAL = 128,  /* and the number of the signal that ended this command, SIGPIPE too */
};

/* Of an enum outcome; of any other number STATUS_UNHAD. */
int status_of_outcome(uint32_t outcome);

/* The table, for --help. */
void status_print(FILE *to);

#endif
