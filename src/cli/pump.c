/* Pumps: see pump.h. Run in the command line's process, with every signal blocked. */
#include "cli/pump.h"

#include "base/fd.h"
#include "wire/console.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

enum { PIECE = 65536, BACKGROUND_MS = 200 };

/* A terminal gives nothing to a job in the background: with SIGTTIN blocked the read fails (termios(3)). It is asked
 * again until the job is in front, so that a script that does not read runs on. */
static bool waits_in_background(int fd) {
    return errno == EIO && isatty(fd) && tcgetpgrp(fd) != getpgrp();
}

/* Where somebody else has made a stream non-blocking, which is theirs to do. */
static bool waited(int fd, short events) {
    struct pollfd ready = {.fd = fd, .events = events};
    return errno == EINTR || (errno == EAGAIN && poll(&ready, 1, -1) > 0);
}

/* 0, or a positive errno. */
static int write_whole(int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && !waited(fd, POLLOUT))
            return errno;
        data += n < 0 ? 0 : n;
        size -= n < 0 ? 0 : (size_t)n;
    }
    return 0;
}

/* What there is, once there is some: how much, 0 at the end, -1 with errno. */
static ssize_t read_some(int fd, char *to, size_t size) {
    for (;;) {
        ssize_t n = read(fd, to, size);
        if (n >= 0)
            return n;
        if (waits_in_background(fd))
            poll(NULL, 0, BACKGROUND_MS);
        else if (!waited(fd, POLLIN))
            return -1;
    }
}

static int copy(const struct pump *pump) {
    static _Thread_local char piece[PIECE];
    for (;;) {
        ssize_t n = read_some(pump->from, piece, sizeof piece);
        int error = n < 0 ? errno : write_whole(pump->to, piece, (size_t)n);
        if (n <= 0 || error != 0)
            return error;
    }
}

/* A writer that dies within a frame is no error here: what became of the run is told elsewhere. */
static int copy_printed(struct pump *pump) {
    static _Thread_local char piece[PIECE];
    struct frame_header header;
    while (fd_read_all(pump->from, &header, sizeof header) == 0) {
        pump->to = header.kind == CONSOLE_STDERR ? STDERR_FILENO : STDOUT_FILENO;
        while (header.length > 0) {
            ssize_t n = read_some(pump->from, piece, header.length < sizeof piece ? header.length : sizeof piece);
            int error = n < 0 ? errno : write_whole(pump->to, piece, (size_t)n);
            if (n <= 0 || error != 0)
                return error;
            header.length -= (uint32_t)n;
        }
    }
    return 0;
}

static int do_work(struct pump *pump) {
    if (pump->printed)
        return copy_printed(pump);
    return pump->from >= 0 ? copy(pump) : write_whole(pump->to, pump->text.data, pump->text.len);
}

static void close_ours(int fd) {
    if (fd > STDERR_FILENO)
        fd_close(fd);
}

static void *work(void *argument) {
    struct pump *pump = argument;
    pump->error = do_work(pump);
    buf_done(&pump->text);
    close_ours(pump->from);
    close_ours(pump->to);
    fd_close(pump->told);
    return NULL;
}

static int begin(struct pump *pump) {
    sigset_t all, before;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pump->done = ends[0];
    pump->told = ends[1];
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&pump->thread, NULL, work, pump);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        return 0;
    pump->done = fd_close(ends[0]);
    fd_close(ends[1]);
    return -r;
}

static int begin_or_close(struct pump *pump) {
    int r = begin(pump);
    if (r < 0) {
        buf_done(&pump->text);
        close_ours(pump->from);
        close_ours(pump->to);
        pump->done = -1;
    }
    return r;
}

int pump_start(struct pump *pump, int take_from, int take_to) {
    *pump = (struct pump){.from = take_from, .to = take_to, .done = -1, .told = -1};
    return begin_or_close(pump);
}

int pump_start_printed(struct pump *pump, int take_from) {
    *pump = (struct pump){.from = take_from, .to = STDOUT_FILENO, .printed = true, .done = -1, .told = -1};
    return begin_or_close(pump);
}

int pump_start_text(struct pump *pump, struct buf *take_text, int take_to) {
    *pump = (struct pump){.from = -1, .to = take_to, .text = *take_text, .done = -1, .told = -1};
    buf_init(take_text, 0);
    return begin_or_close(pump);
}

int pump_join(struct pump *pump) {
    pthread_join(pump->thread, NULL);
    pump->done = fd_close(pump->done);
    return pump->error;
}
