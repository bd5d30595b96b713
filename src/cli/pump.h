/* Pumps: bytes from one descriptor to another, each in a thread of its own.
 *
 * The user's streams are shared with whoever else has them, a shell above all, so they can neither be made non-blocking
 * nor be trusted not to block behind poll(2). A thread may wait in them for ever, and ends with the process.
 */
#ifndef PX_CLI_PUMP_H
#define PX_CLI_PUMP_H

#include "base/buf.h"

#include <pthread.h>
#include <stdbool.h>

struct pump {
    int from, to; /* the pump's from its start on */
    bool printed; /* pump_start_printed() */
    struct buf text; /* what is pumped instead where `from` is -1 */
    int done;     /* ends (POLLHUP) with the pump; -1 where it does not run */
    int told;     /* the other end of it, the thread's */
    int error;    /* positive errno of what ended it, 0 at the end of what there was; valid behind pump_join() */
    pthread_t thread;
};

/* Each takes all its descriptors, also where it fails, and closes those above 2 when it is through. The pump stays where
 * it is as long as it runs, which is until the end of the process perhaps. 0 or a negative errno. */
int pump_start(struct pump *pump, int take_from, int take_to);
int pump_start_text(struct pump *pump, struct buf *take_text, int take_to);

/* The same for what is printed (wire/console.h): each frame goes to standard output or standard error, in their order.
 * Where that fails `to` is the one of them that did not take it. */
int pump_start_printed(struct pump *pump, int take_from);

/* Behind POLLHUP on `done`: pump->error, and the pump does not run any more. */
int pump_join(struct pump *pump);

#endif
