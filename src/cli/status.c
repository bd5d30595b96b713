/* The exit status of `run`: see status.h. */
#include "cli/status.h"

#include "base/outcome.h"

#include <signal.h>
#include <stddef.h>

const struct exit_status run_statuses[] = { /* `outcome` is an enum outcome, -1 where it is none */
    {0, "main() returned", OUTCOME_OK},
    {1, "the script or main() raised", OUTCOME_EXCEPTION},
    {STATUS_USAGE, "wrong usage: an option, a file or JSON; nothing was run", -1},
    {10, "no_main: the script left no callable main", OUTCOME_NO_MAIN},
    {11, "not_serializable: the result is not JSON", OUTCOME_NOT_SERIALIZABLE},
    {12, "output_limit: the result is too large or too deep", OUTCOME_OUTPUT_LIMIT},
    {13, "memory", OUTCOME_MEMORY},
    {14, "scratch_limit: too much in /tmp", OUTCOME_SCRATCH_LIMIT},
    {15, "thread_limit", OUTCOME_THREAD_LIMIT},
    {16, "killed: a signal ended the script", OUTCOME_KILLED},
    {17, "exited: sys.exit() or os._exit()", OUTCOME_EXITED},
    {124, "timeout: wall clock or CPU time", OUTCOME_TIMEOUT},
    {STATUS_UNHAD, "the sandbox could not be had, or the run was lost", OUTCOME_LOST},
    {STATUS_SIGNAL + SIGINT, "Ctrl-C; 143 SIGTERM, 129 SIGHUP", -1},
    {STATUS_SIGNAL + SIGPIPE, "nobody reads what is printed any more", -1},
    {0},
};

int status_of_outcome(uint32_t outcome) {
    for (const struct exit_status *row = run_statuses; row->words != NULL; row++)
        if (row->outcome >= 0 && (uint32_t)row->outcome == outcome)
            return row->status;
    return STATUS_UNHAD;
}
