/* Log lines: see line.h. Runs in every process, the server's on hostile input. */
#include "base/line.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Kept free for what is written without a look: dots, quotation marks, braces with their keys, the line end. */
enum { END = 64 };

static size_t room(const struct line *line) {
    size_t used = line->len + END;
    return used < sizeof line->data ? sizeof line->data - used : 0;
}

void line_begin(struct line *line) {
    line->len = 0;
}

void line_end(struct line *line, unsigned objects) {
    while (objects-- > 0)
        line_close(line);
    line->data[line->len++] = '\n';
}

/* All of it or nothing. */
__attribute__((format(printf, 2, 0))) static void add_all(struct line *line, const char *format, va_list args) {
    int n = vsnprintf(line->data + line->len, room(line), format, args);
    if (n > 0 && (size_t)n < room(line))
        line->len += (size_t)n;
}

void line_add_format(struct line *line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_all(line, format, args);
    va_end(args);
}

/* --- Escaping --- */

/* The escape of one character, 12 bytes at most. */
static size_t escape(char *to, uint32_t code) {
    static const char digits[] = "0123456789abcdef";
    if (code > 0xffff) {
        size_t length = escape(to, 0xd800 + ((code - 0x10000) >> 10));
        return length + escape(to + length, 0xdc00 + ((code - 0x10000) & 0x3ff));
    }
    *to++ = '\\';
    switch (code) {
    case '"':
    case '\\': *to = (char)code; return 2;
    case '\n': *to = 'n'; return 2;
    case '\r': *to = 'r'; return 2;
    case '\t': *to = 't'; return 2;
    default: break;
    }
    *to++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4)
        *to++ = digits[code >> shift & 15];
    return 6;
}

static bool is_plain(char c) {
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

void line_add_escaped(struct line *line, const char *data, size_t size) {
    enum { LONGEST = 12 };
    for (size_t at = 0; at < size;) {
        if (room(line) < LONGEST) {
            memcpy(line->data + line->len, "...", 3);
            line->len += 3;
            return;
        }
        if (is_plain(data[at])) {
            line->data[line->len++] = data[at++];
            continue;
        }
        size_t length = utf8_sequence(data + at, size - at);
        line->len += escape(line->data + line->len, length > 0 ? utf8_code(data + at, length) : 0xfffd);
        at += length > 0 ? length : 1;
    }
}

/* --- JSON --- */

static void add_key(struct line *line, const char *key) {
    size_t length = strlen(key);
    if (line->len > 0 && line->data[line->len - 1] != '{')
        line->data[line->len++] = ',';
    line->data[line->len++] = '"';
    memcpy(line->data + line->len, key, length);
    line->len += length;
    line->data[line->len++] = '"';
    line->data[line->len++] = ':';
}

/* For a member with any number in it, or with a text worth having. */
static bool has_room(const struct line *line, const char *key) {
    return room(line) > strlen(key) + 48;
}

void line_open(struct line *line, const char *key) {
    if (key != NULL)
        add_key(line, key);
    line->data[line->len++] = '{';
}

void line_close(struct line *line) {
    line->data[line->len++] = '}';
}

void line_add_bytes(struct line *line, const char *key, const char *data, size_t size) {
    if (!has_room(line, key))
        return;
    add_key(line, key);
    line->data[line->len++] = '"';
    line_add_escaped(line, data, size);
    line->data[line->len++] = '"';
}

void line_add(struct line *line, const char *key, const char *text) {
    line_add_bytes(line, key, text, strlen(text));
}

void line_add_value(struct line *line, const char *key, const char *format, ...) {
    va_list args;
    if (!has_room(line, key))
        return;
    add_key(line, key);
    va_start(args, format);
    add_all(line, format, args);
    va_end(args);
}
