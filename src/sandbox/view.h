/* The view: where no mount and no user namespace is granted, a script still finds /tmp, / and /etc as everywhere
 * else, user id 65534, and a host name of no meaning.
 *
 * The filter hands the calls that name a path or ask for an id to a signal handler in the worker itself, which
 * translates the path or answers. It is for a script's comfort and no boundary: whoever gets around it reaches what
 * Landlock, chroot and the user id allow, and that is enough.
 */
#ifndef PX_SANDBOX_VIEW_H
#define PX_SANDBOX_VIEW_H

#include "base/failure.h"

#include <stdbool.h>

enum { VIEW_PATH = 128 };

struct view {
    char scratch[VIEW_PATH]; /* what /tmp means; empty: paths are not translated */
    char root[VIEW_PATH];    /* what / and /etc mean */
    bool devices;            /* /dev is in there as well */
};

/* Worker, before its filter is on. The view is kept for the life of the process. */
int view_enter(const struct view *view, struct failure *ret_failure);

#endif
