/* What a command of python-executor is. The table of all (commands.c) is where --help and the man page come from. */
#ifndef PX_CLI_COMMAND_H
#define PX_CLI_COMMAND_H

#include <stdbool.h>

enum { EXIT_USAGE = 2 };

/* An option that is this command's alone. A table of them ends with one without a name. */
struct command_option {
    const char *name;
    const char *value; /* what it takes, as --help says; NULL for nothing */
    const char *help;
    int part; /* for the command itself */
};

/* A table of these ends with one without words. */
struct exit_status {
    int status;
    const char *words;
    int outcome; /* for the command itself */
};

struct command {
    const char *name;
    const char *arguments; /* what stands behind the name, as people are told */
    const char *summary;   /* half a sentence */
    const char *text;      /* more of it, in whole sentences, paragraphs apart by an empty line; NULL for nothing */
    const struct command_option *options; /* NULL for none */
    const struct exit_status *statuses;   /* NULL for 0, 1 where it failed and 2 where it was used wrongly */
    int (*run)(int argc, char *const *argv); /* takes what stands behind the name and returns the exit status */
};

#endif
