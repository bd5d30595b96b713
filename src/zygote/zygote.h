/* The zygote's loop: jobs in, verdicts out, the crew kept full. */
#ifndef PX_ZYGOTE_ZYGOTE_H
#define PX_ZYGOTE_ZYGOTE_H

#include "base/config.h"
#include "base/failure.h"
#include "base/flavour.h"
#include "sandbox/sandbox.h"
#include "zygote/crew.h"

#include <stdbool.h>

/* One of the tree: each is a fork of the one before, and has more imported. */
struct branch {
    struct flavours flavours;
    unsigned first_slot;
    int announce; /* where the one before hears of its server; -1 for the first, of which the manager tells */
    int channel;  /* the server's end of our channel until then */
    pid_t next;   /* the fork that has the next flavour; 0 for none */
    bool broken;  /* it ended before its time */
    struct suspicion *suspicion; /* of the whole tree, out of its workers' sight */
};

/* Serves until the server or the manager closes its end: returns 0 then, with no worker left, and no zygote
 * that is a fork of this one; branch->broken says whether that was the reason. A
 * negative errno with the reason where it cannot go on. Descriptors as in wire/inherit.h. */
int zygote_serve(const struct config *config, struct sandbox *sandbox, struct branch *branch,
                 struct failure *ret_failure);

#endif
