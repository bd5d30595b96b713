/* The server and the zygotes as children: what they may keep of the manager, under which identity, and what they say. */
#ifndef PX_CLI_CHILDREN_H
#define PX_CLI_CHILDREN_H

#include "base/config.h"
#include "base/failure.h"
#include "wire/message.h"

#include <stdbool.h>
#include <sys/types.h>

/* The programs beside this one, opened at start, since a child that has changed its user may not be
 * able to reach the folder they lie in. */
struct programs {
    int server;
    int zygote;
};

int programs_open(struct programs *ret_programs, struct failure *ret_failure);
void programs_close(struct programs *programs);

struct child {
    pid_t pid;   /* 0: none */
    int control; /* messages to and from it; -1 when it has closed */
};

/* A child that has been started; take_control is ours, and non-blocking from here on. */
void child_init(struct child *child, pid_t pid, int take_control);

/* Takes what it says, as much as there is, or as one that was taken over may say before others are heard. */
void child_hear(struct child *child, void (*take)(void *context, const struct message *message), void *context);

/* Starts the server under its own user id, with no listening socket where listen_fd is -1. The descriptors stay the caller's. Returns the pid or a
 * negative errno; what fails in the child itself arrives on the control channel as MESSAGE_FAILED. */
pid_t children_start_server(const struct programs *programs, const struct config *config, int control,
                            int listen_fd);

/* Starts a zygote, whose workers use slots from first_slot on; `alone` it imports all that is preloaded itself, and
 * otherwise it has one for each flavour. */
pid_t children_start_zygote(const struct programs *programs, const struct config *config, int control,
                            int channel, unsigned first_slot, bool alone);

#endif
