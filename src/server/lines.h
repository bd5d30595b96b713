/* Lines: what a run has between the server and its worker, a channel and a pipe for each printed stream.
 *
 * They are made before the run is known: a request need not wait for them.
 */
#ifndef PX_SERVER_LINES_H
#define PX_SERVER_LINES_H

#include "base/config.h"
#include "wire/message.h"

enum { LINES = RUN_STDIN }; /* by enum run_fd, all but stdin, which few runs have */

/* Both ends; -1 where there is none. Ours do not block, the worker's do. */
struct lines {
    int ours[LINES];
    int theirs[LINES];
};

void lines_init(struct lines *ret_lines);

/* 0, or a negative errno, and then there are none. */
int lines_open(struct lines *ret_lines);

void lines_close(struct lines *lines);

/* A pipe of which we keep one end: 0 for the one to read from, 1 for the one to write to. On failure there is none. */
int lines_pipe(int ours, int *ret_ours, int *ret_theirs);

/* So many connections may be open, of those that the configuration allows, that the descriptors which runs need are left. */
unsigned lines_leave(const struct config *config);

#endif
