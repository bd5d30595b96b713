/* Origins: see origin.h. Runs in the server, on what browsers send. */
#include "server/origin.h"

#include <stddef.h>
#include <string.h>

/* What is behind `start`, or NULL where text does not begin with it. */
static const char *behind(const char *text, const char *start) {
    size_t size = strlen(start);
    return strncmp(text, start, size) == 0 ? text + size : NULL;
}

/* Nothing, or a colon and one to five digits: localhost.example, localhost:80@example and the like are others. */
static bool is_port(const char *text) {
    if (*text == '\0')
        return true;
    size_t digits = *text == ':' ? strspn(text + 1, "0123456789") : 0;
    return digits >= 1 && digits <= 5 && text[1 + digits] == '\0';
}

static bool is_loopback(const char *origin) {
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *host = behind(origin, "http://");
    if (host == NULL)
        host = behind(origin, "https://");
    for (size_t i = 0; host != NULL && i < sizeof hosts / sizeof hosts[0]; i++) {
        const char *port = behind(host, hosts[i]);
        if (port != NULL && is_port(port))
            return true;
    }
    return false;
}

static bool is_listed(const char *origin, const char *listed) {
    size_t size = strlen(origin);
    while (*listed != '\0') {
        size_t item = strcspn(listed, ",");
        if (item == size && memcmp(listed, origin, size) == 0)
            return size > 0;
        listed += item + (listed[item] == ',');
    }
    return false;
}

const char *origin_shared_with(const char *origin, const char *listed) {
    if (strcmp(listed, "*") == 0)
        return listed;
    return is_listed(origin, listed) ? origin : NULL;
}

bool origin_allowed(const char *origin, const char *listed) {
    return is_loopback(origin) || origin_shared_with(origin, listed) != NULL;
}
