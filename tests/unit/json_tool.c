/* Asks server/json about many texts, for test_json_differential.py: json_tool DEPTH.
 *
 * On standard input each text stands behind its length, four bytes in the machine's order; on standard
 * output comes a line for each: ok, invalid or deep. Not a test by itself. */
#include "base/fd.h"
#include "server/json.h"

#include <errno.h>
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

int main(int argc, char **argv) {
    size_t depth = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    uint32_t size;
    if (depth == 0)
        return 2;
    while (fd_read_all(STDIN_FILENO, &size, sizeof size) == 0) {
        /* Exactly as long as the text: sanitizers see a look beyond its end. */
        char *text = malloc(size);
        if ((text == NULL && size > 0) || fd_read_all(STDIN_FILENO, text, size) < 0)
            return 1;
        int r = check(text, size, depth);
        free(text);
        puts(r == 0 ? "ok" : r == -E2BIG ? "deep" : "invalid");
    }
    return 0;
}
