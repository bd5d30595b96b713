/* Which web pages may talk to us, by the list in --origins. It stands for two things.
 *
 * A page of anybody's gets a browser to send requests to services on its user's own machine (DNS rebinding); what it sends
 * to /mcp is refused. And a browser lets a page read answers, or send what is no plain form, where these say so alone
 * (CORS: the Fetch standard, section 3.2). The browser says in the header Origin whose page it is.
 */
#ifndef PX_SERVER_ORIGIN_H
#define PX_SERVER_ORIGIN_H

#include <stdbool.h>

/* Whether a page of this origin may send: one of this machine (localhost, 127.0.0.1 or [::1] over http or https, any
 * port), or one that is in `listed`, separated by commas; `*` is all. Browsers write an origin in one way only (RFC 6454,
 * section 6.2), so it is compared byte by byte; `null` is anybody's. */
bool origin_allowed(const char *origin, const char *listed);

/* Who may read, as Access-Control-Allow-Origin has it: the origin itself where it is listed, `*` where that is, or NULL.
 * Those of this machine are not without being listed. */
const char *origin_shared_with(const char *origin, const char *listed);

#endif
