/* A greeting on a terminal: see welcome.h. */
#include "cli/welcome.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* An address that means all of this machine's is one to listen on, and not for a browser to go to. */
static void reachable(const char *url, char *ret_url, size_t size) {
    static const char *const instead[][2] = {{"http://0.0.0.0:", "http://127.0.0.1:"}, {"http://[::]:", "http://[::1]:"}};
    snprintf(ret_url, size, "%s", url);
    for (size_t i = 0; i < sizeof instead / sizeof instead[0]; i++)
        if (strncmp(url, instead[i][0], strlen(instead[i][0])) == 0)
            snprintf(ret_url, size, "%s%s", instead[i][1], url + strlen(instead[i][0]));
}

void welcome(const struct config *config, const char *url, bool wants_key) {
    char here[160];
    if (log_is_json() || !isatty(STDOUT_FILENO))
        return;
    reachable(url, here, sizeof here);
    log_announce("%s", "");
    if (strcmp(config->page, "on") == 0)
        log_announce("Open  %s/", here);
    log_announce("Try   curl %s/execute %s-d '{\"script\": \"def main(): return 6 * 7\"}'", here,
                 wants_key ? "-H 'Authorization: Bearer YOUR-KEY' " : "");
    log_announce("Ctrl-C ends it.");
}
