/* The manager: starts and restarts the server and the zygotes, and hands sockets over. */
#ifndef PX_CLI_MANAGER_H
#define PX_CLI_MANAGER_H

#include "base/config.h"

/* Serves until it is told to stop. Returns the exit status of the program. */
int manager_serve(const struct config *config);

#endif
