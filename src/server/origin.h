/* Which web pages may talk to us: against DNS rebinding, by which a page of anybody's gets a browser to send requests
 * to services on its user's own machine. The browser says in the header Origin whose page it is. */
#ifndef PX_SERVER_ORIGIN_H
#define PX_SERVER_ORIGIN_H

#include <stdbool.h>

/* Whether a page of this origin may: one of this machine (localhost, 127.0.0.1 or [::1] over http or https, any port),
 * or one that is in `listed`, separated by commas. Browsers write an origin in one way only (RFC 6454, section 6.2),
 * so it is compared byte by byte; `null` is anybody's. */
bool origin_allowed(const char *origin, const char *listed);

#endif
