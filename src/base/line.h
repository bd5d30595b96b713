/* A line of the log while it is put together: the members of one JSON object, or text for people.
 *
 * It is ASCII and ends with the only line end in it, whatever goes in: what comes from outside is escaped, and cannot
 * be taken for a line of its own or for a terminal's commands. It is no longer than what a pipe takes in one piece
 * (PIPE_BUF, pipe(7)), so lines of several processes do not mix; a value that is too long is cut and ends in dots.
 */
#ifndef PX_BASE_LINE_H
#define PX_BASE_LINE_H

#include <stddef.h>
#include <stdint.h>

enum { LINE_BYTES = 4096 };

struct line {
    char data[LINE_BYTES];
    size_t len;
};

/* An empty line. */
void line_begin(struct line *line);

/* Closes so many objects, and ends it. */
void line_end(struct line *line, unsigned objects);

/* --- Text --- */

/* As it is, which takes trust: it is ours, or was escaped before. */
__attribute__((format(printf, 2, 3))) void line_add_format(struct line *line, const char *format, ...);

/* Any bytes, escaped as inside a JSON string; what is no UTF-8 becomes U+FFFD. */
void line_add_escaped(struct line *line, const char *data, size_t size);

/* --- Members of a JSON object; the key is ours. One for which there is no room is left out --- */

/* Begins an object: the line's own where key is NULL, or a member with a short key. There is always room for it, so not
 * for more than two. */
void line_open(struct line *line, const char *key);
void line_close(struct line *line);

/* A string, of any bytes. */
void line_add(struct line *line, const char *key, const char *text);
void line_add_bytes(struct line *line, const char *key, const char *data, size_t size);

/* What needs no quotation marks, a number or true: 40 bytes at most. */
__attribute__((format(printf, 3, 4))) void line_add_value(struct line *line, const char *key, const char *format, ...);

#endif
