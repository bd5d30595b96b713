/* The exit status of `run`: see status.h. */
#include "cli/status.h"

#include "base/outcome.h"

#include <signal.h>
#include <stddef.h>

static const struct {
    int status;
    int outcome; /* enum outcome, -1 where it is none */
    const char *words;
} table[] = {
    {0, OUTCOME_OK, "main() returned"},
    {1, OUTCOME_EXCEPTION, "the script or main() raised"},
    {STATUS_USAGE, -1, "wrong usage: an option, a file or JSON; nothing was run"},
    {10, OUTCOME_NO_MAIN, "no_main: the script left no callable main"},
    {11, OUTCOME_NOT_SERIALIZABLE, "not_serializable: the result is not JSON"},
    {12, OUTCOME_OUTPUT_LIMIT, "output_limit: the result is too large or too deep"},
    {13, OUTCOME_MEMORY, "memory"},
    {14, OUTCOME_SCRATCH_LIMIT, "scratch_limit: too much in /tmp"},
    {15, OUTCOME_THREAD_LIMIT, "thread_limit"},
    {16, OUTCOME_KILLED, "killed: a signal ended the script"},
    {17, OUTCOME_EXITED, "exited: sys.exit() or os._exit()"},
    {124, OUTCOME_TIMEOUT, "timeout: wall clock or CPU time"},
    {STATUS_UNHAD, OUTCOME_LOST, "the sandbox could not be had, or the run was lost"},
    {STATUS_SIGNAL + SIGINT, -1, "Ctrl-C; 143 SIGTERM, 129 SIGHUP"},
    {STATUS_SIGNAL + SIGPIPE, -1, "nobody reads what is printed any more"},
};

int status_of_outcome(uint32_t outcome) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].outcome >= 0 && (uint32_t)table[i].outcome == outcome)
            return table[i].status;
    return STATUS_UNHAD;
}

void status_print(FILE *to) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        fprintf(to, "  %3d  %s\n", table[i].status, table[i].words);
}
