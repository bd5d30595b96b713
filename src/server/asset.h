/* What browsers are served, built into the server by tools/embed.py: the page, what belongs to it, the reference. */
#ifndef PX_SERVER_ASSET_H
#define PX_SERVER_ASSET_H

#include <stdbool.h>
#include <stddef.h>

/* The same in one of its codings. */
struct asset_form {
    const char *data;
    size_t size;
    const char *tag; /* its ETag, in its quotes */
};

struct asset {
    const char *path; /* of requests */
    const char *type;
    struct asset_form plain, packed; /* as it is, and by gzip */
};

/* Ended by a row of NULL. */
extern const struct asset assets[];

/* For whoever accepts these types, NULL for no word of it. At / the page is for those who take HTML: browsers say so, curl takes
 * anything; who says nothing, as programs do, gets the same as JSON. NULL where there is none. */
const struct asset *asset_find(const char *path, const char *accept);

/* What of a request decides which form of it there is, for caches. */
const char *asset_varies_by(const struct asset *asset);

/* What a browser may do with it, as a Content-Security-Policy. */
const char *asset_policy(const struct asset *asset);

/* The form for whoever accepts these codings, NULL for no word of it. */
const struct asset_form *asset_choose(const struct asset *asset, const char *accept_encoding);

/* Whether If-None-Match says that they have it, NULL for no word of it. */
bool asset_is_known(const struct asset_form *form, const char *if_none_match);

#endif
