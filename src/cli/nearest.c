/* Which name somebody may have meant: see nearest.h. */
#include "cli/nearest.h"

#include <string.h>

enum { WORD_MAX = 64 };

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t nearest_distance(const char *one, const char *other) {
    size_t rows[3][WORD_MAX + 1]; /* of the table of distances of all beginnings: this row and the two above */
    size_t height = strlen(one), width = strlen(other);
    if (height > WORD_MAX || width > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= height; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        for (size_t k = 0; k <= width; k++) {
            if (i == 0 || k == 0) {
                row[k] = i + k;
                continue;
            }
            row[k] = least(above[k - 1] + (one[i - 1] != other[k - 1]), least(above[k], row[k - 1]) + 1);
            if (i > 1 && k > 1 && one[i - 1] == other[k - 2] && one[i - 2] == other[k - 1])
                row[k] = least(row[k], before[k - 2] + 1);
        }
    }
    return rows[height % 3][width];
}

void nearest_try(struct nearest *nearest, const char *name) {
    size_t distance = nearest_distance(nearest->word, name);
    if (distance > 3 || distance * 2 > strlen(name) || (nearest->found != NULL && distance >= nearest->distance))
        return;
    nearest->found = name;
    nearest->distance = distance;
}
