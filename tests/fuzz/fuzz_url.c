/* cli/health: an address that is taken can be put into the line of a request, and is taken apart the same way again. */
#include "fuzz.h"

#include "cli/health.h"

#include <stdio.h>

static bool is_plain(const char *text) {
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *url = input_text(input_of(data, size)), again[1024];
    struct health_target target, second;
    memset(&target, 0, sizeof target);
    memset(&second, 0, sizeof second);
    if (health_parse_url(url, "/readyz", &target) == 0) {
        bool bracketed = strchr(target.host, ':') != NULL || strchr(url + 7, '[') == url + 7;
        assert(*target.host != '\0' && *target.port != '\0' && *target.path == '/');
        assert(is_plain(target.host) && is_plain(target.path) && target.port[strspn(target.port, "0123456789")] == '\0');
        snprintf(again, sizeof again, "http://%s%s%s:%s%s", bracketed ? "[" : "", target.host, bracketed ? "]" : "", target.port,
                 target.path);
        assert(health_parse_url(again, "/readyz", &second) == 0 && strcmp(second.path, strlen(target.path) > 1 ? target.path : "/readyz") == 0);
        assert(strcmp(second.host, target.host) == 0 && strcmp(second.port, target.port) == 0);
    }
    free(url);
    return 0;
}
