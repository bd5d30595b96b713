/* python-executor doctor: what this platform grants, what that comes to, and whether it holds. */
#ifndef PX_CLI_DOCTOR_H
#define PX_CLI_DOCTOR_H

#include "base/config.h"
#include "cli/fit.h"

#include <stdbool.h>

/* Prints the table of layers, the self-test and whether memory suffices, for people or as JSON. Returns the exit status: 0 where the floor is
 * met and every escape was stopped, 1 otherwise. */
int doctor_run(const struct config *config, const struct fit *fit, bool json);

#endif
