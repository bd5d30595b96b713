/* The configuration: one struct, one table.
 *
 * The table in config.c says for every option its flag, its environment variable, its default, its
 * range and its help text; parsing, --help, the pages for people and the options a child process is started
 * with all come from it. So a value is seen by whoever may list processes, and no option may hold a secret.
 */
#ifndef PX_BASE_CONFIG_H
#define PX_BASE_CONFIG_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CONFIG_SLOTS: of one zygote, of which there is one for each of so many flavours, and all of that twice while others
 * take over. CONFIG_UIDS: the server's user id, and one for each slot. */
enum { CONFIG_TEXT = 256, CONFIG_LABEL = 32, CONFIG_ARGS = 96, CONFIG_SLOTS = 256, CONFIG_FLAVOURS = 4 };
/* Bodies and answers that the server holds at once, as so many bodies of the largest size. */
enum { CONFIG_HELD = 16 };
/* Of each connection, for the head of a request and what is being sent. */
enum { CONFIG_CONNECTION_KB = 64 };
enum { CONFIG_UIDS = 1 + 2 * CONFIG_FLAVOURS * CONFIG_SLOTS };

struct config {
    /* where it listens */
    char host[CONFIG_TEXT];
    uint64_t port;
    uint64_t connections;
    uint64_t idle_s;
    char origins[CONFIG_TEXT];
    char keys[CONFIG_TEXT];
    char page[CONFIG_TEXT]; /* on or off */
    /* how much at once */
    uint64_t workers;
    uint64_t crew;
    uint64_t queue;
    uint64_t queue_ms;
    uint64_t announce_ms;
    uint64_t drain_ms;
    /* what a request may be */
    uint64_t body_kb;
    uint64_t script_kb;
    uint64_t json_depth;
    /* what a run may use */
    uint64_t wall_ms;
    uint64_t cpu_ms;
    uint64_t memory_mb;
    uint64_t stdout_kb;
    uint64_t stderr_kb;
    uint64_t result_kb;
    uint64_t result_depth;
    uint64_t scratch_mb;
    uint64_t scratch_files;
    uint64_t outputs_kb;
    uint64_t open_files;
    uint64_t threads;
    /* what a request may ask for; 0 for no more than the above: see config_limit() */
    uint64_t max_wall_ms;
    uint64_t max_cpu_ms;
    uint64_t max_memory_mb;
    uint64_t max_output_kb;
    uint64_t max_scratch_mb;
    /* the zygote */
    char preload[CONFIG_TEXT];
    char venv[CONFIG_TEXT];
    uint64_t recycle;
    uint64_t import_s;
    uint64_t stall_s;
    uint64_t uid_base;
    char require[CONFIG_TEXT];
#ifdef PX_LAYERS_OFF
    char layers_off[CONFIG_TEXT];
#endif
    /* the log; "on" or "off" where it says so */
    char log[CONFIG_TEXT];
    char log_format[CONFIG_TEXT];
    char access_log[CONFIG_TEXT];
    uint64_t log_rate;
    char log_project[CONFIG_TEXT];
    char log_scripts[CONFIG_TEXT];
};

enum option_kind { OPTION_NUMBER, OPTION_TEXT };

struct option_spec {
    const char *name; /* the flag without its dashes */
    const char *environment;
    enum option_kind kind;
    size_t offset; /* into struct config */
    uint64_t fallback, min, max;
    const char *fallback_text; /* of an OPTION_TEXT; of a number whose default is worked out at start */
    const char *allowed;       /* of an OPTION_TEXT: the characters, NULL for the words that `help` begins with */
    const char *help;
};

extern const struct option_spec config_options[];
extern const size_t config_option_count;

/* Of an option that is "on" or "off". */
bool config_is_on(const char *value);

/* The defaults. Those that are worked out at start (see cli/fit.h) are 0, which no option can be set to. */
void config_init(struct config *ret_config);

/* NULL where there is no option of that name. */
const struct option_spec *config_find(const char *name);

/* Sets one option from text, NULL where there is none. `label` is how the user named it: its flag, its variable. 0, or a
 * negative errno with label, value and range named. */
int config_set(struct config *config, const struct option_spec *option, const char *label, const char *value,
               struct failure *ret_failure);

/* The value as config_set() would take it. */
void config_value(const struct config *config, const struct option_spec *option, char ret_text[CONFIG_TEXT]);

/* Takes `--name value` or `--name=value` apart, or `--no-name` of one that is on or off; ret_value is NULL where there is
 * none. Returns how many arguments that are, or a negative errno. */
int config_take_flag(int left, char *const *argv, char ret_label[CONFIG_LABEL], const char **ret_value,
                     struct failure *ret_failure);

/* Takes any number of flags. 0, or a negative errno with the flag and its range named. */
int config_from_args(struct config *config, int argc, char *const *argv, struct failure *ret_failure);

/* What no single option can see: limits that contradict each other. */
int config_check(const struct config *config, struct failure *ret_failure);

/* The limits that a request may change. */
enum request_limit { LIMIT_WALL_MS, LIMIT_CPU_MS, LIMIT_MEMORY_MB, LIMIT_OUTPUT_KB, LIMIT_SCRATCH_MB, LIMIT_COUNT };

struct limit_range {
    const char *key; /* as requests call it */
    uint64_t least;
    uint64_t usual; /* of a request that says nothing */
    uint64_t most;
};

/* The option that says what a request gets which does not have this key; NULL where there is no such limit. */
const struct option_spec *config_limit_option(const char *key);

struct limit_range config_limit(const struct config *config, enum request_limit limit);

/* Fills ret_args with `--name=value` strings that make config again, ended by NULL, after the ones
 * already there. The strings are the caller's to free. -E2BIG where they do not fit, -ENOMEM. */
int config_to_args(const struct config *config, char **ret_args, size_t count);

/* Its default as people read it; empty for an empty text. */
void config_fallback(const struct option_spec *option, char ret_text[CONFIG_TEXT]);

/* The heading that stands over this option in the table, NULL where it is not the first below one. */
const char *config_group(const struct option_spec *option);

#endif
