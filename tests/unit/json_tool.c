/* Asks server/json about many texts, for test_json_differential.py: json_tool DEPTH.
 *
 * On standard input each text stands behind its length, four bytes in the machine's order; on standard
 * output comes a line for each: ok, invalid or deep. With `strings` for DEPTH each text is a string, and the line is
 * what it means in hexadecimal, or half. Not a test by itself. */
#include "base/fd.h"
#include "server/json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ignore(struct json_span key, struct json_span value, void *context) {
    (void)key;
    (void)value;
    (void)context;
    return 0;
}

/* An object must be the same to both entrances. */
static int check(const char *text, size_t size, size_t depth) {
    struct json_error error = {0, ""};
    int r = json_check(text, size, depth, NULL);
    int members = json_members(text, size, depth, ignore, NULL, &error);
    if (members != r && strcmp(error.reason, "not an object") != 0)
        abort();
    return r;
}

static void print_string(const char *text, size_t size) {
    struct json_span string = {text, size};
    struct buf decoded;
    size_t length = 0;
    buf_init(&decoded, size);
    int r = json_text(string, &decoded);
    if (json_text_size(string, &length) != r || (r == 0 && length != decoded.len))
        abort();
    for (size_t i = 0; i < decoded.len && r == 0; i++)
        printf("%02x", (unsigned char)decoded.data[i]);
    puts(r == 0 ? "" : "half");
    buf_done(&decoded);
}

int main(int argc, char **argv) {
    bool strings = argc == 2 && strcmp(argv[1], "strings") == 0;
    size_t depth = strings ? 1 : argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    uint32_t size;
    if (depth == 0)
        return 2;
    while (fd_read_all(STDIN_FILENO, &size, sizeof size) == 0) {
        /* Exactly as long as the text: sanitizers see a look beyond its end. */
        char *text = malloc(size);
        if ((text == NULL && size > 0) || fd_read_all(STDIN_FILENO, text, size) < 0)
            return 1;
        int r = check(text, size, depth);
        if (strings)
            print_string(text, size);
        free(text);
        if (!strings)
            puts(r == 0 ? "ok" : r == -E2BIG ? "deep" : "invalid");
    }
    return 0;
}
