/* JSON as bytes: checked strictly, split at the top level, never made into a tree.
 *
 * Used on what clients send and on what workers answer; both are hostile. RFC 8259 to the letter, in
 * UTF-8, without recursion, with a bound on nesting. Numbers keep every digit, since nobody here
 * converts them.
 */
#ifndef PX_SERVER_JSON_H
#define PX_SERVER_JSON_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum { JSON_MAX_DEPTH = 1024 };

/* A piece of the text that was scanned; not owned. */
struct json_span {
    const char *data;
    size_t size;
};

struct json_error {
    size_t offset;      /* in bytes */
    const char *reason; /* static text */
};

/* Whether data is one JSON value of at most max_depth levels (1 to JSON_MAX_DEPTH; a scalar has none).
 * 0, -EINVAL, or -E2BIG for too many levels; ret_error may be NULL. */
int json_check(const char *data, size_t size, size_t max_depth, struct json_error *ret_error);

/* Called for every member of the outermost object, in order; key and value as they stand in the text,
 * the key with its quotation marks. A negative answer ends the scan and is passed on. */
typedef int json_visit(struct json_span key, struct json_span value, void *context);

/* As json_check(), for a text that must be an object, whose members are visited as they are found;
 * visits before an error are to be ignored. */
int json_members(const char *data, size_t size, size_t max_depth, json_visit *visit, void *context,
                 struct json_error *ret_error);

/* The same for a text that must be an array, whose elements are visited with no key. */
int json_elements(const char *data, size_t size, size_t max_depth, json_visit *visit, void *context,
                  struct json_error *ret_error);

/* Whether a string that was scanned means this name, however it is written. The name is of letters, digits,
 * underscores, dots, hyphens and slashes. */
bool json_string_is(struct json_span string, const char *name);

/* What a string that was scanned means, in UTF-8; the span has its quotation marks. -EILSEQ where half of a surrogate
 * pair has no UTF-8. */
int json_text_size(struct json_span string, size_t *ret_size);

/* The same, appended. -EILSEQ, or as buf_add(). */
int json_text(struct json_span string, struct buf *to);

#endif
