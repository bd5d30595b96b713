/* How to get a layer of confinement that is refused: for whoever has to make the platform grant it. */
#ifndef PX_CLI_GRANTS_H
#define PX_CLI_GRANTS_H

#include "base/failure.h"

#include <stdio.h>

/* A few lines for a word of --require, on Docker, Kubernetes, Cloud Run and systemd. */
void grants_print(FILE *to, unsigned word);

/* The same where it was for want of a layer that a child could not start; nothing where it was not. */
void grants_print_for(FILE *to, const struct failure *failure);

/* The same into the log, in its format. */
void grants_tell_for(const struct failure *failure);

#endif
