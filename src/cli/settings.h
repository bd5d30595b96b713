/* What is in force, and who said so: a file, under the environment, under flags.
 *
 * Read by the process of the command line alone. The server and the zygotes get the outcome as flags (children.h).
 */
#ifndef PX_CLI_SETTINGS_H
#define PX_CLI_SETTINGS_H

#include "base/config.h"
#include "base/failure.h"

#define SETTINGS_FILE "/etc/python-executor/python-executor.conf" /* where nobody names one; there need be none */
#define SETTINGS_VARIABLE "PYTHON_EXECUTOR_CONFIG"

/* The later wins. */
enum origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

struct settings {
    struct config config;
    struct {
        enum origin origin;
        unsigned line; /* of the file */
    } from[CONFIG_ARGS]; /* by the option's place in the table */
    const char *file; /* the one that is read: of the caller's arguments or environment; NULL for none */
};

/* The defaults. */
void settings_init(struct settings *ret_settings);

/* Takes the flag at argv[0], --config too, and perhaps its value at argv[1]. Returns how many those are, or a negative
 * errno with the flag and its range named. */
int settings_flag(struct settings *settings, int left, char *const *argv, struct failure *ret_failure);

/* A value for one option, as if by this flag. 0, or a negative errno with `label` named. */
int settings_set(struct settings *settings, const struct option_spec *option, const char *label, const char *value,
                 struct failure *ret_failure);

/* Takes what environment and file say, behind all flags, which win. 0, or a negative errno with the variable, or the
 * line and the option, and its range named. */
int settings_read(struct settings *settings, struct failure *ret_failure);

/* Likewise the file alone. */
int settings_read_file(struct settings *settings, const char *path, struct failure *ret_failure);

/* All of it: defaults, flags, environment, file, and config_check(). What is wrong is said on standard error. 0, or a
 * negative errno. */
int settings_take(struct settings *ret_settings, int argc, char *const *argv);

/* Logs a warning for each variable that looks like one of ours and is none: a slip, most likely. */
void settings_warn_of_slips(void);

#endif
