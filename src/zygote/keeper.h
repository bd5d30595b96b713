/* The keeper: the one judge of how a job ended.
 *
 * It holds the deadline, watches memory, kills and reaps. It looks at what the kernel says of a worker
 * and never at what the worker says.
 */
#ifndef PX_ZYGOTE_KEEPER_H
#define PX_ZYGOTE_KEEPER_H

#include "zygote/crew.h"

/* Kills whatever is over its deadline or its memory. */
void keeper_enforce(struct crew *crew);

/* Milliseconds until keeper_enforce() is due again; -1 while nothing runs. */
int keeper_timeout_ms(const struct crew *crew);

/* Kills the worker of this job, if it still runs. */
void keeper_cancel(struct crew *crew, uint64_t job);

/* The server has this job's whole answer: its worker is killed, but not before the answer is on its way, since that takes
 * a CPU for a millisecond. 1 with the verdict, 0 where the job has ended otherwise, and has or will have another verdict. */
int keeper_answered(struct crew *crew, uint64_t job, struct verdict *ret_verdict);

/* Reaps one dead child. Its pid, with the verdict where it was a worker whose job has none yet (ret_job is then not 0);
 * with ret_job 0 otherwise, and where it was no worker at all the verdict says no more than exit or signal. 0 when no
 * dead child is left. */
pid_t keeper_reap(struct crew *crew, uint64_t *ret_job, struct verdict *ret_verdict);

#endif
