/* The log on standard error, for the main.c files; libraries return errors and do not log.
 *
 * A line is text for people, `process: level: words`, or one JSON object with the names that Google's Cloud Logging
 * knows: docs/LOGS.md. Whoever does not read it loses lines and holds nobody up.
 */
#ifndef PX_BASE_LOG_H
#define PX_BASE_LOG_H

#include "base/line.h"

#include <inttypes.h>
#include <stdbool.h>
#include <sys/types.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Which process is speaking, how much it says: error, warning, info or debug (--log), and whether as "json" or "text"
 * (--log-format). */
void log_start(const char *process, const char *level, const char *format);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* What a service says at its start, whatever --log is, and on standard output: bare text, or JSON as any other line. */
__attribute__((format(printf, 1, 2))) void log_announce(const char *format, ...);

/* --- For lines with more to them --- */

bool log_is_json(void);
bool log_wants(enum log_level level);

/* Begins the line: with time, severity, message, component and pid, an object that is open; or as text. The message may
 * be any bytes. */
void log_begin(struct line *line, enum log_level level, const char *message);

/* Ends what log_begin() has begun. */
void log_end(struct line *line);

/* Now, in UTC: RFC 3339 with milliseconds. */
enum { LOG_TIME = 40 };
void log_time(char ret_text[LOG_TIME]);

/* --- Where they go --- */

/* What is said of lines that nobody has read in time: how many there were. */
#define LOG_LOST "%" PRIu64 " lines of the log were lost, nobody has read it in time"

/* Lines go to `take` from now on, which must not log; back to standard error where it is NULL. */
void log_divert(void (*take)(void *context, enum log_level level, const struct line *line), void *context);

/* Writes whole lines, LINE_BYTES at most, to standard error without waiting for anybody. Bytes that it took, which are
 * all where it is a pipe; -EAGAIN where its reader is behind, or another negative errno. */
ssize_t log_write(const char *lines, size_t size);

/* Gives this process, and the children it will have, a standard error whose flags nobody else shares, where it is a pipe
 * or a terminal, and so may be made non-blocking. Without it log_write() looks before it writes; see there. */
void log_detach(void);

#endif
