/* A failure that has to be explained to a person: what was being done, which errno, and words.
 *
 * Used where a negative errno alone would leave the operator guessing: start-up, configuration,
 * confinement. It has a fixed size and no pointers, so that it can cross a process boundary as it is.
 */
#ifndef PX_BASE_FAILURE_H
#define PX_BASE_FAILURE_H

struct failure {
    int error;      /* positive errno, 0 where no system call is to blame */
    char stage[32]; /* the layer or the step: "mount namespace", "--wall-ms" */
    char text[200]; /* one sentence without a final stop */
};

/* Fills ret_failure (may be NULL) and returns -error, or -EINVAL where error is 0. */
__attribute__((format(printf, 4, 5))) int failure_set(struct failure *ret_failure, int error,
                                                       const char *stage, const char *format, ...);

#endif
