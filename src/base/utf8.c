/* UTF-8: see utf8.h. Runs in the server on hostile input, and wherever a line is logged. */
#include "base/utf8.h"

#include <stdbool.h>
#include <stdio.h>

/* What the second byte may be, by the first; the bytes behind it are 80..BF always. */
static size_t expected(unsigned char first, unsigned char *ret_low, unsigned char *ret_high) {
    *ret_low = 0x80;
    *ret_high = 0xbf;
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef) {
        *ret_low = first == 0xe0 ? 0xa0 : 0x80;  /* no overlong forms */
        *ret_high = first == 0xed ? 0x9f : 0xbf; /* no surrogates */
        return 3;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        *ret_low = first == 0xf0 ? 0x90 : 0x80;
        *ret_high = first == 0xf4 ? 0x8f : 0xbf; /* U+10FFFF is the last */
        return 4;
    }
    return 0;
}

/* Bytes of the longest beginning of a sequence at data; whole says whether it is all of one. */
static size_t prefix(const char *data, size_t size, bool *ret_whole) {
    unsigned char low, high;
    size_t length = expected((unsigned char)data[0], &low, &high);
    size_t n = 1;
    while (n < length && n < size && (unsigned char)data[n] >= low && (unsigned char)data[n] <= high) {
        low = 0x80;
        high = 0xbf;
        n++;
    }
    *ret_whole = n == length;
    return n;
}

size_t utf8_sequence(const char *data, size_t size) {
    bool whole;
    if (size == 0)
        return 0;
    size_t n = prefix(data, size, &whole);
    return whole ? n : 0;
}

uint32_t utf8_code(const char *data, size_t length) {
    const unsigned char *bytes = (const unsigned char *)data;
    uint32_t code = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++)
        code = code << 6 | (bytes[i] & 0x3fu);
    return code;
}

size_t utf8_cut_tail(const char *data, size_t size) {
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        unsigned char low, high;
        unsigned char c = (unsigned char)data[size - back];
        bool whole;
        if (c >= 0x80 && c < 0xc0)
            continue;
        if (expected(c, &low, &high) <= back)
            return 0;
        return prefix(data + size - back, back, &whole) == back ? back : 0;
    }
    return 0;
}

static const char *escape_of(unsigned char c, char ret_text[8]) {
    switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default:
        snprintf(ret_text, 8, "\\u%04x", c);
        return ret_text;
    }
}

int utf8_add_json_text(struct buf *buf, const char *data, size_t size) {
    char escape[8];
    size_t done = 0; /* up to here it is written */
    size_t at = 0;
    int r = buf_reserve(buf, size);
    while (r == 0 && at < size) {
        unsigned char c = (unsigned char)data[at];
        bool whole = true;
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            at++;
            continue;
        }
        size_t length = c < 0x80 ? 1 : prefix(data + at, size - at, &whole);
        if (c >= 0x80 && whole) {
            at += length;
            continue;
        }
        r = buf_add(buf, data + done, at - done);
        if (r == 0)
            r = buf_add_text(buf, c < 0x80 ? escape_of(c, escape) : "\xef\xbf\xbd");
        at += length;
        done = at;
    }
    return r < 0 ? r : buf_add(buf, data + done, size - done);
}

int utf8_add_json_string(struct buf *buf, const char *data, size_t size) {
    int r = buf_reserve(buf, size + 2);
    if (r == 0)
        r = buf_add_text(buf, "\"");
    if (r == 0)
        r = utf8_add_json_text(buf, data, size);
    return r < 0 ? r : buf_add_text(buf, "\"");
}
