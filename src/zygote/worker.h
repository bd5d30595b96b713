/* A worker: a process for one job, confined and warmed up before it sees it, gone after it. */
#ifndef PX_ZYGOTE_WORKER_H
#define PX_ZYGOTE_WORKER_H

#include "sandbox/sandbox.h"

/* The first thing a freshly cloned worker does; never returns. `control` leads to the zygote. The
 * sandbox is the worker's own copy. */
_Noreturn void worker_main(int control, struct sandbox *sandbox);

#endif
