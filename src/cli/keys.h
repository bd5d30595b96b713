/* The bearer keys of `serve`: read in the manager, from a file (--keys) or from the variable
 * PYTHON_EXECUTOR_KEY_LINES, and handed to the server, which has no files. docs/KEYS.md says how a line is written.
 */
#ifndef PX_CLI_KEYS_H
#define PX_CLI_KEYS_H

#include "base/config.h"
#include "base/failure.h"
#include "wire/key.h"

#include <stdbool.h>
#include <stddef.h>

#define KEYS_VARIABLE "PYTHON_EXECUTOR_KEY_LINES"

struct keys {
    bool on; /* else the service is open to whoever reaches it */
    struct key *list;
    size_t count;
};

/* All lines of a text. 0 and so many keys, at most KEYS_MAX, or a negative errno with the line named. */
int keys_parse(const char *text, size_t size, struct key ret_list[KEYS_MAX], size_t *ret_count,
               struct failure *ret_failure);

/* Reads what the configuration and the environment name; the keys stay what they were on failure. 0 or a negative
 * errno. */
int keys_read(struct keys *keys, const struct config *config, struct failure *ret_failure);

/* Tells the server who may call; the first that it must hear. 0 or a negative errno. */
int keys_send(const struct keys *keys, int control);

/* On SIGHUP: reads them again, and tells the server where they are sound. What became of it is logged. */
void keys_reload(struct keys *keys, const struct config *config, int control);

void keys_done(struct keys *keys);

/* `python-executor key NAME [rate=...]`: makes a key. Its line goes to stdout, the secret to stderr. An exit status. */
int keys_make(int argc, char *const *argv);

#endif
