/* Log lines: see log.h. One write(2) a line, so that lines of several processes do not mix. */
#include "base/log.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* How standard error takes a line without making us wait. */
enum way {
    WAY_LOOK,  /* it may block: look first */
    WAY_WRITE, /* it does not: a file, or what log_detach() has opened */
    WAY_SEND,  /* a socket, as journald has: by a flag of the call */
};

static struct {
    const char *process;
    enum log_level limit;
    bool json;
    enum way way;
    void (*take)(void *context, enum log_level level, const struct line *line);
    void *context;
    uint64_t lost; /* lines since the last that could be written */
} state = {.process = "python-executor", .limit = LOG_LEVEL_INFO};

static enum way find_way(void) {
    struct stat status;
    if (fstat(STDERR_FILENO, &status) < 0)
        return WAY_WRITE; /* nowhere */
    if (S_ISSOCK(status.st_mode))
        return WAY_SEND;
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    return S_ISREG(status.st_mode) || (flags >= 0 && (flags & O_NONBLOCK) != 0) ? WAY_WRITE : WAY_LOOK;
}

void log_start(const char *process, const char *level, const char *format) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    state.process = process;
    state.json = strcmp(format, "json") == 0;
    state.way = find_way();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], level) == 0)
            state.limit = (enum log_level)i;
}

bool log_is_json(void) {
    return state.json;
}

bool log_wants(enum log_level level) {
    return level <= state.limit;
}

void log_divert(void (*take)(void *context, enum log_level level, const struct line *line), void *context) {
    state.take = take;
    state.context = context;
}

/* --- Putting it together --- */

void log_time(char ret_text[LOG_TIME]) {
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t length = strftime(ret_text, LOG_TIME, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(ret_text + length, LOG_TIME - length, ".%03ldZ", now.tv_nsec / 1000000);
}

void log_begin(struct line *line, enum log_level level, const char *message) {
    static const char *const words[] = {"error: ", "warning: ", "", "debug: "};
    static const char *const severities[] = {"ERROR", "WARNING", "INFO", "DEBUG"};
    char time[LOG_TIME];
    line_begin(line);
    if (!state.json) {
        line_add_format(line, "%s: %s", state.process, words[level]);
        line_add_escaped(line, message, strlen(message));
        return;
    }
    line_open(line, NULL);
    log_time(time);
    line_add(line, "time", time);
    line_add(line, "severity", severities[level]);
    line_add(line, "component", state.process);
    line_add_value(line, "pid", "%d", (int)getpid());
    line_add(line, "message", message);
}

void log_end(struct line *line) {
    line_end(line, state.json ? 1 : 0);
}

/* --- Writing it --- */

void log_detach(void) {
    struct stat status;
    if (fstat(STDERR_FILENO, &status) < 0 || !(S_ISFIFO(status.st_mode) || isatty(STDERR_FILENO)))
        return; /* a file blocks nobody, and through a second opening its writers would overwrite each other */
    /* O_NONBLOCK belongs to the open file, which we share with whoever has started us: theirs is not to be changed. */
    cleanup_fd int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own >= 0)
        fd_install(own, STDERR_FILENO);
}

/* Whether there is room, where it blocks: true of a pipe with a free page, which takes LINE_BYTES. Others write to it
 * too, but only what they have seen the same way, and little: they would have to come between these two calls, in the
 * moment at which that was the last page. That is what log_detach() leaves no room for. */
static bool may_write(void) {
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) != 0;
}

ssize_t log_write(const char *lines, size_t size) {
    ssize_t n;
    if (state.way == WAY_LOOK && !may_write())
        return -EAGAIN;
    if (state.way == WAY_SEND)
        n = send(STDERR_FILENO, lines, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
        n = write(STDERR_FILENO, lines, size);
    return n < 0 ? -errno : n;
}

static bool write_line(const struct line *line) {
    return log_write(line->data, line->len) >= 0;
}

static void end_line(enum log_level level, struct line *line) {
    log_end(line);
    if (state.take != NULL)
        state.take(state.context, level, line);
    else if (!write_line(line))
        state.lost++; /* not worth dying for */
}

/* Of those that were lost before this one. */
static void tell_lost(void) {
    struct line line;
    char words[96];
    snprintf(words, sizeof words, LOG_LOST, state.lost);
    log_begin(&line, LOG_LEVEL_WARNING, words);
    log_end(&line);
    if (write_line(&line))
        state.lost = 0;
}

static void say(enum log_level level, const char *words) {
    struct line line;
    if (state.lost > 0 && state.take == NULL)
        tell_lost();
    log_begin(&line, level, words);
    end_line(level, &line);
}

void log_line(enum log_level level, const char *format, ...) {
    char words[LINE_BYTES / 2];
    va_list args;
    if (!log_wants(level))
        return;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    say(level, words);
}

void log_announce(const char *format, ...) {
    char words[LINE_BYTES / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (state.json) {
        struct line line;
        log_begin(&line, LOG_LEVEL_INFO, words);
        log_end(&line);
        fwrite(line.data, 1, line.len, stdout);
    } else {
        puts(words);
    }
    fflush(stdout);
}
