/* A worker: a process for one job, confined and warmed up before it sees it, gone after it. */
#ifndef PX_ZYGOTE_WORKER_H
#define PX_ZYGOTE_WORKER_H

#include "sandbox/sandbox.h"

#include <stdbool.h>

/* The first thing a freshly cloned worker does; never returns. `control` leads to the zygote. The
 * sandbox is the worker's own copy. `hurry`: a job waits already, or soon will, and a rehearsal would
 * delay it. */
_Noreturn void worker_main(int control, struct sandbox *sandbox, unsigned slot, bool hurry);

#endif
