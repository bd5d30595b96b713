/* The console: the other door of the server beside http.h, for the one run of `python-executor run`.
 *
 * It is opened by MESSAGE_CONSOLE. One request is read, what its script prints is handed on as it comes, and the manager
 * is told how it ended. Nobody outside this machine is at the other end; but what the script says is as hostile as ever,
 * and is decoded here, so that the command line has nothing to do but to copy bytes.
 */
#ifndef PX_SERVER_CONSOLE_H
#define PX_SERVER_CONSOLE_H

#include "server/compose.h"
#include "server/run.h"
#include "wire/console.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <stdbool.h>
#include <uv.h>

struct console;

/* One of the script's two streams. */
struct console_source {
    struct console *console;
    enum console_printed kind;
};

struct console {
    const struct config *config;
    struct runs *runs;
    int control; /* to the manager */
    int request_fd;
    uv_poll_t request;
    struct frame_reader part;
    struct compose compose;
    int stdin_fd; /* until the job has it */
    struct job *job; /* NULL before and behind it */
    struct console_source out;
    struct console_source err;
    int printed_fd;
    uv_poll_t printed;
    struct buf pending; /* printed and not yet taken */
    size_t sent;
    struct console_end end; /* what the manager is told when all is written */
    bool ended;
};

/* Takes the descriptors, which are those of MESSAGE_CONSOLE. `control` is borrowed: the end is told there as a
 * MESSAGE_OUTCOME. 0 or a negative errno. */
int console_start(struct console *console, uv_loop_t *loop, struct runs *runs, const struct config *config, int control,
                  int take_fds[MESSAGE_MAX_FDS]);

#endif
