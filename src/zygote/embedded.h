/* The files of python/, built into the zygote by tools/embed.py. */
#ifndef PX_ZYGOTE_EMBEDDED_H
#define PX_ZYGOTE_EMBEDDED_H

#include "base/embedded.h"

/* In the order in which they import each other; ended by a row of NULL. */
extern const struct embedded embedded_modules[];

#endif
