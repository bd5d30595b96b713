/* The headers of an answer, whoever puts them onto the wire. */
#ifndef PX_SERVER_HEADERS_H
#define PX_SERVER_HEADERS_H

#include "server/api.h"

#include <stdbool.h>

/* Where they go, one after the other; the strings are the caller's again when it returns. */
struct headers {
    void (*add)(void *to, const char *name, const char *value);
    void *to;
};

/* Of an answer to this call; `closes`: it is the last on its connection. */
void headers_of_answer(struct headers headers, const struct call *call, const struct response *response, bool closes);

/* Of a stream of events. */
void headers_of_stream(struct headers headers, const struct call *call, bool closes);

#endif
