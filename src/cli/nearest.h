/* Which name somebody may have meant. */
#ifndef PX_CLI_NEAREST_H
#define PX_CLI_NEAREST_H

#include <stddef.h>

/* How many letters have to be put in, left out, replaced, or swapped with the next one, to make one word of the
 * other. */
size_t nearest_distance(const char *one, const char *other);

struct nearest {
    const char *word;
    const char *found; /* the best so far; NULL while nothing is near enough to be a slip */
    size_t distance;
};

/* Looks at one more name, which must stay where it is. */
void nearest_try(struct nearest *nearest, const char *name);

#endif
