/* Log lines: see log.h. One write(2) a line, so that lines of several processes do not mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *log_process = "python-executor";
static enum log_level log_limit = LOG_LEVEL_INFO;

void log_start(const char *process, const char *level) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    log_process = process;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], level) == 0)
            log_limit = (enum log_level)i;
}

void log_line(enum log_level level, const char *format, ...) {
    static const char *const words[] = {"error: ", "warning: ", "", "debug: "};
    char line[1024];
    va_list args;
    if (level > log_limit)
        return;
    int n = snprintf(line, sizeof line, "%s: %s", log_process, words[level]);
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    va_end(args);
    size_t length = (size_t)n + (m > 0 ? (size_t)m : 0);
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    /* A log that cannot be written is not worth dying for. */
    ssize_t ignored = write(STDERR_FILENO, line, length);
    (void)ignored;
}
