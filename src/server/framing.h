/* Where a request's body ends, as its headers say: whether that can be read in one way only.
 *
 * Two programs that read it in two ways take a part of one request for another, of somebody else (request smuggling,
 * RFC 9112, sections 6.3 and 11.2). libmicrohttpd, 0.9.75 (Debian 12) as well as 1.0.1 (Debian 13), answers
 * what has several lengths, or one beside a Transfer-Encoding; 1.0.1 alone refuses a blank behind a name. So we look ourselves.
 */
#ifndef PX_SERVER_FRAMING_H
#define PX_SERVER_FRAMING_H

#include <stdbool.h>
#include <stddef.h>

struct framing {
    size_t lengths;   /* headers Content-Length */
    size_t encodings; /* headers Transfer-Encoding */
    bool doubtful;    /* one of all headers is not written as one is */
};

/* One header, as it came; the value may be NULL for an empty one. */
void framing_add(struct framing *framing, const char *name, const char *value);

/* Whether the body ends where anybody would say; version is that of the request line. */
bool framing_is_clear(const struct framing *framing, const char *version);

#endif
