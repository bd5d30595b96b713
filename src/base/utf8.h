/* UTF-8: checking it, and writing bytes that may not be UTF-8 as a JSON string. */
#ifndef PX_BASE_UTF8_H
#define PX_BASE_UTF8_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

/* Length of the well-formed sequence (Unicode 15, table 3-7) that data begins with; 0 if none does. */
size_t utf8_sequence(const char *data, size_t size);

/* The code point of such a sequence. */
uint32_t utf8_code(const char *data, size_t length);

/* How many bytes at the end are the beginning of a sequence that was cut off: 0 to 3. */
size_t utf8_cut_tail(const char *data, size_t size);

/* Appends data as a JSON string in its quotation marks. Every maximal piece of a sequence that is not
 * well-formed becomes one U+FFFD, as Python's errors="replace" has it. */
int utf8_add_json_string(struct buf *buf, const char *data, size_t size);

/* The same without the quotation marks, to be inside of some. */
int utf8_add_json_text(struct buf *buf, const char *data, size_t size);

#endif
