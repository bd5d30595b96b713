/* How a run ended, in one word. These names are part of the contract: the Execution-Outcome header. */
#ifndef PX_BASE_OUTCOME_H
#define PX_BASE_OUTCOME_H

enum outcome {
    OUTCOME_OK,               /* main() returned JSON */
    OUTCOME_NO_MAIN,          /* the script ran and left no callable `main` */
    OUTCOME_EXCEPTION,        /* the script or main() raised */
    OUTCOME_NOT_SERIALIZABLE, /* main() returned what JSON has no word for */
    OUTCOME_OUTPUT_LIMIT,     /* the result is larger or deeper than the limit */
    OUTCOME_TIMEOUT,          /* wall clock or CPU time */
    OUTCOME_SCRATCH_LIMIT,    /* killed: more files than it may keep, where no file system says so */
    OUTCOME_THREAD_LIMIT,     /* killed: more threads than it may have, where no limit of the kernel says so */
    OUTCOME_MEMORY,           /* memory limit: MemoryError nobody caught, or killed for it */
    OUTCOME_KILLED,           /* a signal ended it: a crash, a forbidden system call */
    OUTCOME_EXITED,           /* ended without a result: sys.exit(), os._exit(), rubbish for a result */
    OUTCOME_CANCELLED,        /* the client went away */
    OUTCOME_LOST,             /* the service's own fault: no worker could be had, or the zygote died */
};

enum { OUTCOME_COUNT = OUTCOME_LOST + 1 };

const char *outcome_name(enum outcome outcome);

#endif
