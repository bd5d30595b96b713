/* Assets: see asset.h. Runs in the server. */
#include "server/asset.h"

#include <string.h>
#include <strings.h>

static bool is_at_root(const struct asset *asset) {
    return strcmp(asset->path, "/") == 0;
}

/* The page itself. */
static bool is_page(const struct asset *asset) {
    return is_at_root(asset) && strncmp(asset->type, "text/html", strlen("text/html")) == 0;
}

/* Weights are not looked at: nobody names a type to have none of it. */
static bool takes_html(const char *accept) {
    return accept != NULL && (strcasestr(accept, "text/html") != NULL || strstr(accept, "*/*") != NULL);
}

static bool is_for(const struct asset *asset, const char *accept) {
    return !is_at_root(asset) || is_page(asset) == takes_html(accept);
}

const struct asset *asset_find(const char *path, const char *accept) {
    for (const struct asset *asset = assets; asset->path != NULL; asset++)
        if (strcmp(asset->path, path) == 0 && is_for(asset, accept))
            return asset;
    return NULL;
}

const char *asset_varies_by(const struct asset *asset) {
    return is_at_root(asset) ? "Accept, Accept-Encoding" : "Accept-Encoding";
}

/* The page loads and asks nothing but this service, and is shown in no other page. `data:` and `blob:` are the pictures that
 * scripts make. */
const char *asset_policy(const struct asset *asset) {
    static const char page[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
                               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    static const char other[] = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
                                "frame-ancestors 'none'";
    return is_page(asset) ? page : other;
}

/* --- What they accept --- */

static const char blanks[] = " \t";

/* Whether a weight, what stands behind `q=`, is none: 0 with perhaps a point and more of them. */
static bool is_zero(const char *weight, const char *end) {
    size_t used = strspn(weight, "0.");
    return used > 0 && (weight + used == end || strchr(" \t;", weight[used]) != NULL);
}

/* Of the parameters of a coding, which begin with a semicolon and end at `end`. */
static bool is_refused(const char *at, const char *end) {
    while (at < end && *at == ';') {
        at++;
        at += strspn(at, blanks);
        if (strncasecmp(at, "q=", 2) == 0)
            return is_zero(at + 2, end);
        at += strcspn(at, ";,");
    }
    return false;
}

static bool is_word(const char *at, size_t size, const char *word) {
    return size == strlen(word) && strncasecmp(at, word, size) == 0;
}

/* RFC 9110, 12.5.3: what is named counts before `*`, which is all that is not. */
static bool accepts_gzip(const char *at) {
    bool any = false;
    while (*at != '\0') {
        at += strspn(at, " \t,");
        size_t size = strcspn(at, " \t,;");
        const char *word = at, *end = at + strcspn(at, ",");
        at += size;
        at += strspn(at, blanks);
        bool taken = !is_refused(at, end);
        if (is_word(word, size, "gzip") || is_word(word, size, "x-gzip"))
            return taken;
        if (is_word(word, size, "*"))
            any = taken;
        at = end;
    }
    return any;
}

const struct asset_form *asset_choose(const struct asset *asset, const char *accept_encoding) {
    return accept_encoding != NULL && accepts_gzip(accept_encoding) ? &asset->packed : &asset->plain;
}

/* A tag has its quotes, and a quote is in no tag, so it is found only as a whole; whether `W/` stands before it is all one. */
bool asset_is_known(const struct asset_form *form, const char *if_none_match) {
    if (if_none_match == NULL)
        return false;
    return strcmp(if_none_match, "*") == 0 || strstr(if_none_match, form->tag) != NULL;
}
