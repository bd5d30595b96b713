/* Whether the service fits into the memory that it is granted: what it takes in the worst case, by its options.
 *
 * Beyond a container's limit the kernel ends a process of its choice, and many platforms then the whole container
 * (memory.oom.group). So it is counted before the start. docs/DEPLOYMENT.md explains the figures to people.
 */
#ifndef PX_CLI_FIT_H
#define PX_CLI_FIT_H

#include "base/buf.h"
#include "base/config.h"
#include "cli/container.h"

#include <stdbool.h>
#include <stdint.h>

enum { FIT_TEXT = 768 };

/* All in MiB. */
struct fit {
    uint64_t zygotes;  /* manager, server, and the zygotes with what they import */
    uint64_t takeover; /* another tree of zygotes with its idle workers, while it takes over from the present one */
    uint64_t idle;     /* the workers kept ready, of all flavours */
    uint64_t held;     /* requests, answers and connections in the server */
    uint64_t run;      /* one script: memory, /tmp, and what the server keeps of it */
    uint64_t runs;     /* all that run at once */
    uint64_t total;
    uint64_t limit; /* what is granted */
    bool by_container;
};

/* Sets --workers and --crew where they are 0: by the CPUs, and fewer where memory is short, at least one. */
void fit_automatic(struct config *config, const struct container *container);

void fit_count(const struct config *config, const struct container *container, struct fit *ret_fit);

/* All of it, in the container that this process is in. */
void fit_into_container(struct config *config, struct fit *ret_fit);

/* Whether it is within the limit. */
bool fit_is_met(const struct fit *fit);

/* One sentence with the figures, and where it does not fit, what to change. */
void fit_describe(const struct fit *fit, const struct config *config, char ret_text[FIT_TEXT]);

/* `"memory": {…}`. 0 or a negative errno. */
int fit_add_json(struct buf *buf, const struct fit *fit, const struct config *config);

#endif
