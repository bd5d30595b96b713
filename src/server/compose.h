/* From what the command line of `run` says (src/wire/console.h) to the body of a POST /execute. */
#ifndef PX_SERVER_COMPOSE_H
#define PX_SERVER_COMPOSE_H

#include "base/buf.h"
#include "base/config.h"
#include "server/request.h"
#include "wire/console.h"

#include <stdbool.h>

struct compose {
    const struct config *config;
    struct buf body;
    struct buf files;   /* members of the object */
    struct buf outputs; /* elements of the array */
    bool document;      /* CONSOLE_DOCUMENT was there */
};

void compose_init(struct compose *compose, const struct config *config);
void compose_done(struct compose *compose);

/* Takes one part in. 0, or a negative errno with a sentence for the user that names the option. */
int compose_add(struct compose *compose, enum console_part part, const char *data, size_t size,
                struct request_error *ret_error);

/* Behind the last part: compose->body is whole. 0 or as above. */
int compose_finish(struct compose *compose, struct request_error *ret_error);

#endif
