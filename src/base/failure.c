/* Failures with words: see failure.h. */
#include "base/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int failure_set(struct failure *ret_failure, int error, const char *stage, const char *format, ...) {
    if (ret_failure != NULL) {
        va_list args;
        ret_failure->error = error;
        snprintf(ret_failure->stage, sizeof ret_failure->stage, "%s", stage);
        va_start(args, format);
        vsnprintf(ret_failure->text, sizeof ret_failure->text, format, args);
        va_end(args);
    }
    return error != 0 ? -error : -EINVAL;
}
