/* Flavours: how much is imported before a worker gets its job.
 *
 * Each zygote imports one module of --preload more than the one that it is a fork of: nothing, numpy, numpy and pandas,
 * and so on, the last one all that is left. What a script mentions decides where it runs. A wrong guess costs time, never
 * correctness: what is not there yet is imported like anything else.
 */
#ifndef PX_BASE_FLAVOUR_H
#define PX_BASE_FLAVOUR_H

#include "base/config.h"

#include <stddef.h>

enum { FLAVOUR_MAX = CONFIG_FLAVOURS };

/* A run of flavours, one zygote's where nothing is installed that the later ones would import. */
struct flavours {
    unsigned first, last;
};

/* How many there are: 1 to FLAVOUR_MAX. */
unsigned flavour_count(const char *preload);

/* What this flavour imports on top of the one before, as in --preload; nothing for flavour 0. */
void flavour_modules(const char *preload, unsigned flavour, char ret_modules[CONFIG_TEXT]);

/* Leaves out of --preload what the flavour of this script does without. */
void flavour_narrow(char preload[CONFIG_TEXT], const char *script, size_t size);

/* The flavour for a script: the last one of whose modules it mentions one. */
unsigned flavour_of(const char *preload, const char *script, size_t size);

#endif
