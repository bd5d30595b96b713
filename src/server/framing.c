/* Framing: see framing.h. Runs in the server, on hostile headers. */
#include "server/framing.h"

#include <string.h>
#include <strings.h>

static bool is_number(const char *value) {
    return *value != '\0' && value[strspn(value, "0123456789")] == '\0';
}

void framing_add(struct framing *framing, const char *name, const char *value) {
    if (value == NULL)
        value = "";
    /* "Content-Length : 5" is a Content-Length to some and no header to others. */
    if (*name == '\0' || strpbrk(name, " \t\r\n\v\f") != NULL)
        framing->doubtful = true;
    if (strcasecmp(name, "Content-Length") == 0) {
        framing->lengths++;
        framing->doubtful |= !is_number(value);
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        framing->encodings++;
        framing->doubtful |= strcasecmp(value, "chunked") != 0;
    }
}

bool framing_is_clear(const struct framing *framing, const char *version) {
    /* HTTP/1.0 has no Transfer-Encoding, so what stands before us may have read on to the end of the connection. */
    bool has_encodings = strcmp(version, "HTTP/1.0") != 0;
    return !framing->doubtful && framing->lengths + framing->encodings <= 1 &&
           (framing->encodings == 0 || has_encodings);
}
