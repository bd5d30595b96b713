/* Asked by test_layer_json.py; not a test. Reads a struct isolation as the kernel would copy it, and writes what
 * GET /isolation and doctor --json say of it. */
#include "base/fd.h"
#include "base/layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
    struct isolation isolation;
    struct buf buf;
    while (fd_read_all(STDIN_FILENO, &isolation, sizeof isolation) == 0) {
        buf_init(&buf, 1 << 20);
        if (buf_add_text(&buf, "{") < 0 || layer_add_json(&buf, &isolation, ~0u) < 0 || buf_add_text(&buf, "}\n") < 0 ||
            fd_write_all(STDOUT_FILENO, buf.data, buf.len) < 0)
            return EXIT_FAILURE;
        buf_done(&buf);
    }
    return EXIT_SUCCESS;
}
