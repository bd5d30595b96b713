/* The keys `files` and `outputs` of a request, as they stand in the body: names, contents and patterns are checked
 * here, so that a worker has nothing to refuse; it decodes them behind its confinement (python/files.py). */
#ifndef PX_SERVER_FILES_H
#define PX_SERVER_FILES_H

#include "base/config.h"
#include "server/json.h"

#include <stdint.h>

enum {
    FILES_MAX = 1000,
    FILES_LEVELS = 16,    /* parts of a name */
    FILES_PART = 255,     /* bytes of a part */
    PATTERNS_MAX = 100,
    PATTERN_BYTES = 1000,
};

/* A sentence for the caller, which names the file. */
struct files_error {
    char text[160];
};

/* Whether an object that was scanned is {name: {"text": …} or {"base64": …}} of names that can stand beside one another
 * and contents of so many bytes at most. 0, -EINVAL with the error filled in, or -ENOMEM. */
int files_check(const struct config *config, struct json_span files, uint64_t bytes_max,
                struct files_error *ret_error);

/* The same for an array of patterns. */
int files_check_patterns(struct json_span patterns, struct files_error *ret_error);

/* RFC 4648, section 4, to the letter: the one spelling of some bytes. How many, or -1. */
int64_t files_base64_size(const char *data, size_t size);

#endif
