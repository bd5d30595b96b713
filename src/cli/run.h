/* The command `run`: one script in the sandbox that `serve` has, without a network, its streams passed through live. */
#ifndef PX_CLI_RUN_H
#define PX_CLI_RUN_H

/* Takes what stands behind `run`. Returns the exit status: status.h. */
int run_script(int argc, char *const *argv);

#endif
