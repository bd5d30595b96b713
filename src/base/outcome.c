/* Names of outcomes: see outcome.h. */
#include "base/outcome.h"

const char *outcome_name(enum outcome outcome) {
    switch (outcome) {
    case OUTCOME_OK: return "ok";
    case OUTCOME_NO_MAIN: return "no_main";
    case OUTCOME_EXCEPTION: return "exception";
    case OUTCOME_NOT_SERIALIZABLE: return "not_serializable";
    case OUTCOME_OUTPUT_LIMIT: return "output_limit";
    case OUTCOME_TIMEOUT: return "timeout";
    case OUTCOME_SCRATCH_LIMIT: return "scratch_limit";
    case OUTCOME_THREAD_LIMIT: return "thread_limit";
    case OUTCOME_MEMORY: return "memory";
    case OUTCOME_KILLED: return "killed";
    case OUTCOME_EXITED: return "exited";
    case OUTCOME_CANCELLED: return "cancelled";
    case OUTCOME_LOST: return "lost";
    }
    return "lost";
}
