/* What the command line of `run` and the server say to each other, over two pipes: frames (frame.h), each with one of
 * these as its kind.
 *
 * What goes to the server ends with CONSOLE_END, and is raw, as the user gave it. The server makes the request of it that
 * a client would have sent (src/server/compose.c), so that the command line needs to know neither JSON nor base64.
 */
#ifndef PX_WIRE_CONSOLE_H
#define PX_WIRE_CONSOLE_H

#include <stddef.h>

enum console_part {
    CONSOLE_SCRIPT = 1, /* bytes of the file */
    CONSOLE_INPUT,      /* JSON, or what the user took for it, as are the next ones */
    CONSOLE_ARGS,
    CONSOLE_KWARGS,
    CONSOLE_SEED,
    CONSOLE_FILE,     /* its name, NUL, and its bytes */
    CONSOLE_OUTPUT,   /* a pattern */
    CONSOLE_CONVERT,  /* empty */
    CONSOLE_DOCUMENT, /* empty: nothing is printed but one JSON document at the end */
    CONSOLE_END,      /* empty */
};

/* On the way back, in the order in which it is to be written. */
enum console_printed {
    CONSOLE_STDOUT = 1, /* bytes for standard output */
    CONSOLE_STDERR,     /* bytes for standard error */
};

/* Bytes of a request at most, as it is composed; beside that each thing in it has its own limit. */
#define CONSOLE_MAX ((size_t)1 << 30)

#endif
