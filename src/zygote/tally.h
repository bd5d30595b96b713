/* The tally: what the server is told of the crew, for GET /metrics. */
#ifndef PX_ZYGOTE_TALLY_H
#define PX_ZYGOTE_TALLY_H

#include "zygote/crew.h"

struct tally {
    struct crew_report told;
    uint64_t due_us; /* when news is to be told; 0 while there is none */
};

/* Tells the server over its channel what has changed, some time after it has: never in the way of a job, and not
 * once for each. */
void tally_tell(struct tally *tally, const struct crew *crew, int channel);

/* Milliseconds until there is something to tell; -1 where only an event changes that. */
int tally_timeout_ms(const struct tally *tally);

#endif
