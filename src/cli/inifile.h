/* The form of the configuration file, which is inih's: `name = value` a line, comments behind # and ;. A line that
 * begins with a blank goes on with the value of the one before. There are no sections. What the names mean is not known
 * here. */
#ifndef PX_CLI_INIFILE_H
#define PX_CLI_INIFILE_H

#include "base/failure.h"

struct inifile_taker {
    /* Takes what stands in this line, or begins there. 0, or a negative errno with the failure filled. */
    int (*take)(void *user, const char *name, const char *value, unsigned line, struct failure *ret_failure);
    void *user;
};

/* Hands on every name and value, in order, until one is not taken. 0, or a negative errno, with the line to blame in
 * ret_line, which is 0 where that is the file as such: -ENOENT where there is none. */
int inifile_read(const char *path, const struct inifile_taker *taker, unsigned *ret_line, struct failure *ret_failure);

#endif
