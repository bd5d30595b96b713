/* JSON as bytes: see json.h. Runs in the server, on hostile input. */
#include "server/json.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct scanner {
    const char *start;
    const char *at;
    const char *end;
    const char *reason;
    size_t depth;
    size_t max_depth;
    uint8_t objects[JSON_MAX_DEPTH / 8]; /* a bit for each open level: an object, or else an array */
};

static int fail(struct scanner *scanner, const char *reason) {
    scanner->reason = reason;
    return -EINVAL;
}

static void skip_space(struct scanner *scanner) {
    while (scanner->at < scanner->end && (*scanner->at == ' ' || *scanner->at == '\n' ||
                                          *scanner->at == '\r' || *scanner->at == '\t'))
        scanner->at++;
}

/* The next character, or NUL at the end; a NUL in the text is not legal anywhere either. */
static char peek(const struct scanner *scanner) {
    return scanner->at < scanner->end ? *scanner->at : '\0';
}

static bool in_object(const struct scanner *scanner) {
    size_t level = scanner->depth - 1;
    return (scanner->objects[level / 8] >> (level % 8) & 1) != 0;
}

static int open_level(struct scanner *scanner, bool object) {
    size_t level = scanner->depth;
    if (level >= scanner->max_depth) {
        scanner->reason = "nested too deeply";
        return -E2BIG;
    }
    uint8_t bit = (uint8_t)(1u << (level % 8));
    if (object)
        scanner->objects[level / 8] |= bit;
    else
        scanner->objects[level / 8] &= (uint8_t)~bit;
    scanner->depth++;
    scanner->at++;
    return 0;
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int scan_escape(struct scanner *scanner) {
    scanner->at++;
    char c = peek(scanner);
    if (c == 'u') {
        for (int i = 1; i <= 4; i++)
            if (scanner->end - scanner->at <= i || !is_hex(scanner->at[i]))
                return fail(scanner, "\\u needs four hexadecimal digits");
        scanner->at += 5;
        return 0;
    }
    if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
        return fail(scanner, "unknown escape in a string");
    scanner->at++;
    return 0;
}

static int scan_string(struct scanner *scanner) {
    if (peek(scanner) != '"')
        return fail(scanner, "expected a string");
    scanner->at++;
    while (scanner->at < scanner->end) {
        unsigned char c = (unsigned char)*scanner->at;
        if (c == '"') {
            scanner->at++;
            return 0;
        }
        if (c < 0x20)
            return fail(scanner, "control character in a string");
        if (c == '\\') {
            int r = scan_escape(scanner);
            if (r < 0)
                return r;
        } else if (c < 0x80) {
            scanner->at++;
        } else {
            size_t length = utf8_sequence(scanner->at, (size_t)(scanner->end - scanner->at));
            if (length == 0)
                return fail(scanner, "not UTF-8");
            scanner->at += length;
        }
    }
    return fail(scanner, "unfinished string");
}

static bool scan_digits(struct scanner *scanner) {
    const char *first = scanner->at;
    while (peek(scanner) >= '0' && peek(scanner) <= '9')
        scanner->at++;
    return scanner->at > first;
}

static int scan_number(struct scanner *scanner) {
    if (peek(scanner) == '-')
        scanner->at++;
    if (peek(scanner) == '0')
        scanner->at++;
    else if (!scan_digits(scanner))
        return fail(scanner, "unexpected character");
    if (peek(scanner) == '.') {
        scanner->at++;
        if (!scan_digits(scanner))
            return fail(scanner, "malformed number");
    }
    if (peek(scanner) == 'e' || peek(scanner) == 'E') {
        scanner->at++;
        if (peek(scanner) == '+' || peek(scanner) == '-')
            scanner->at++;
        if (!scan_digits(scanner))
            return fail(scanner, "malformed number");
    }
    return 0;
}

static int scan_word(struct scanner *scanner, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(scanner->end - scanner->at) < length || memcmp(scanner->at, word, length) != 0)
        return fail(scanner, "unexpected character");
    scanner->at += length;
    return 0;
}

static int scan_scalar(struct scanner *scanner) {
    switch (peek(scanner)) {
    case '"': return scan_string(scanner);
    case 't': return scan_word(scanner, "true");
    case 'f': return scan_word(scanner, "false");
    case 'n': return scan_word(scanner, "null");
    default:
        if (scanner->at == scanner->end)
            return fail(scanner, "unexpected end");
        return scan_number(scanner);
    }
}

/* In an object: the key and its colon. */
static int scan_key(struct scanner *scanner, struct json_span *ret_key) {
    ret_key->data = scanner->at;
    int r = scan_string(scanner);
    if (r < 0)
        return r;
    ret_key->size = (size_t)(scanner->at - ret_key->data);
    skip_space(scanner);
    if (peek(scanner) != ':')
        return fail(scanner, "expected ':'");
    scanner->at++;
    skip_space(scanner);
    return 0;
}

/* Behind a value: closes the levels that end here. 1 when another value must follow, 0 when the level
 * `base` has been reached. */
static int scan_after_value(struct scanner *scanner, size_t base) {
    for (;;) {
        if (scanner->depth == base)
            return 0;
        skip_space(scanner);
        char c = peek(scanner);
        if (c == ',') {
            scanner->at++;
            skip_space(scanner);
            return 1;
        }
        if (c != (in_object(scanner) ? '}' : ']'))
            return fail(scanner, scanner->at == scanner->end ? "unexpected end"
                                 : in_object(scanner)        ? "expected ',' or '}'"
                                                             : "expected ',' or ']'");
        scanner->at++;
        scanner->depth--;
    }
}

/* One value with all that is in it. */
static int scan_value(struct scanner *scanner) {
    size_t base = scanner->depth;
    struct json_span key;
    int r;
    do {
        if (scanner->depth > base && in_object(scanner) && (r = scan_key(scanner, &key)) < 0)
            return r;
        char c = peek(scanner);
        /* Down to the first scalar or empty container. */
        while (c == '{' || c == '[') {
            if ((r = open_level(scanner, c == '{')) < 0)
                return r;
            skip_space(scanner);
            if (peek(scanner) == (c == '{' ? '}' : ']'))
                break;
            if (c == '{' && (r = scan_key(scanner, &key)) < 0)
                return r;
            c = peek(scanner);
        }
        bool empty = (c == '{' || c == '[');
        if (!empty && (r = scan_scalar(scanner)) < 0)
            return r;
        r = scan_after_value(scanner, base);
    } while (r == 1);
    return r;
}

static struct scanner start(const char *data, size_t size, size_t max_depth) {
    struct scanner scanner = {.start = data, .at = data, .end = data + size};
    scanner.max_depth = max_depth < JSON_MAX_DEPTH ? max_depth : JSON_MAX_DEPTH;
    skip_space(&scanner);
    return scanner;
}

static int finish(struct scanner *scanner, int r, struct json_error *ret_error) {
    if (r == 0) {
        skip_space(scanner);
        if (scanner->at < scanner->end)
            r = fail(scanner, "unexpected character behind the end");
    }
    if (r < 0 && ret_error != NULL)
        *ret_error = (struct json_error){.offset = (size_t)(scanner->at - scanner->start),
                                         .reason = scanner->reason != NULL ? scanner->reason : "refused"};
    return r;
}

int json_check(const char *data, size_t size, size_t max_depth, struct json_error *ret_error) {
    struct scanner scanner = start(data, size, max_depth);
    return finish(&scanner, scan_value(&scanner), ret_error);
}

static int scan_members(struct scanner *scanner, bool object, json_visit *visit, void *context) {
    struct json_span key = {0}, value;
    int r;
    if (peek(scanner) != (object ? '{' : '[')) {
        /* Rubbish, or JSON of another kind? The difference helps the caller. */
        r = scan_value(scanner);
        return r < 0 ? r : fail(scanner, object ? "not an object" : "not an array");
    }
    if ((r = open_level(scanner, object)) < 0)
        return r;
    skip_space(scanner);
    if (peek(scanner) == (object ? '}' : ']'))
        return scan_after_value(scanner, 0);
    do {
        if (object && (r = scan_key(scanner, &key)) < 0)
            return r;
        value.data = scanner->at;
        if ((r = scan_value(scanner)) < 0)
            return r;
        value.size = (size_t)(scanner->at - value.data);
        if ((r = visit(key, value, context)) < 0)
            return r;
        r = scan_after_value(scanner, 0);
    } while (r == 1);
    return r;
}

int json_members(const char *data, size_t size, size_t max_depth, json_visit *visit, void *context,
                 struct json_error *ret_error) {
    struct scanner scanner = start(data, size, max_depth);
    return finish(&scanner, scan_members(&scanner, true, visit, context), ret_error);
}

int json_elements(const char *data, size_t size, size_t max_depth, json_visit *visit, void *context,
                  struct json_error *ret_error) {
    struct scanner scanner = start(data, size, max_depth);
    return finish(&scanner, scan_members(&scanner, false, visit, context), ret_error);
}

/* --- Strings --- */

/* Of the four digits of a \u that was scanned. */
static unsigned hex_unit(const char *digits) {
    unsigned unit = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = (unsigned char)digits[i];
        unit = unit << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return unit;
}

/* A body can have a million keys, so this is cheap for those that nobody knows. No other escape than \u stands for
 * what is in names, but for the slash's own. */
bool json_string_is(struct json_span string, const char *name) {
    const char *at = string.data + 1;
    const char *end = string.data + string.size - 1;
    for (; *name != '\0'; name++) {
        unsigned character = 0;
        if (at == end)
            return false;
        if (*at != '\\') {
            character = (unsigned char)*at++;
        } else if (at[1] == 'u') {
            character = hex_unit(at + 2);
            at += 6;
        } else if (at[1] == '/') {
            character = '/';
            at += 2;
        }
        if (character != (unsigned char)*name)
            return false;
    }
    return at == end;
}

static size_t encode(unsigned character, char ret_bytes[4]) {
    size_t more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    static const unsigned first[] = {0, 0xc0, 0xe0, 0xf0};
    for (size_t i = more; i > 0; i--, character >>= 6)
        ret_bytes[i] = (char)(0x80 | (character & 0x3f));
    ret_bytes[0] = (char)(first[more] | character);
    return more + 1;
}

/* The escape at `at`. How many bytes it stands for, and how many it takes; 0 for half of a surrogate pair. */
static size_t unescape(const char *at, const char *end, char ret_bytes[4], size_t *ret_taken) {
    *ret_taken = 2;
    switch (at[1]) {
    case 'b': *ret_bytes = '\b'; return 1;
    case 'f': *ret_bytes = '\f'; return 1;
    case 'n': *ret_bytes = '\n'; return 1;
    case 'r': *ret_bytes = '\r'; return 1;
    case 't': *ret_bytes = '\t'; return 1;
    case 'u': break;
    default: *ret_bytes = at[1]; return 1;
    }
    unsigned unit = hex_unit(at + 2);
    *ret_taken = 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return encode(unit, ret_bytes);
    if (unit > 0xdbff || end - at < 12 || at[6] != '\\' || at[7] != 'u')
        return 0;
    unsigned second = hex_unit(at + 8);
    *ret_taken = 12;
    return second < 0xdc00 || second > 0xdfff ? 0 : encode(0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00), ret_bytes);
}

/* `to` has room for the text, or is NULL where only its size is wanted. */
static int decode(struct json_span string, char *to, size_t *ret_size) {
    const char *at = string.data + 1;
    const char *end = string.data + string.size - 1;
    size_t size = 0, taken = 0;
    while (at < end) {
        char bytes[4];
        const char *piece = bytes;
        size_t count;
        if (*at == '\\') {
            count = unescape(at, end, bytes, &taken);
            if (count == 0)
                return -EILSEQ;
        } else {
            const char *escape = memchr(at, '\\', (size_t)(end - at));
            piece = at;
            count = taken = (size_t)((escape != NULL ? escape : end) - at);
        }
        if (to != NULL)
            memcpy(to + size, piece, count);
        size += count;
        at += taken;
    }
    *ret_size = size;
    return 0;
}

int json_text_size(struct json_span string, size_t *ret_size) {
    return decode(string, NULL, ret_size);
}

int json_text(struct json_span string, struct buf *to) {
    size_t size;
    int r;
    if ((r = json_text_size(string, &size)) < 0 || (r = buf_reserve(to, size)) < 0)
        return r;
    if (size > 0)
        r = decode(string, to->data + to->len, &size);
    to->len += size;
    return r;
}
