/* Health: see health.h. Runs in the server; asks nobody and runs nothing. */
#include "server/health.h"

#include "base/flavour.h"

/* Whoever asks again this soon may find another answer. */
enum { RETRY_S = 1 };

const char *health_unready(const struct runs *runs) {
    if (runs->draining)
        return "Shutting down.";
    if (runs->pool.current[0] == NULL)
        return "No worker is ready yet.";
    if (runs->pool.reached < flavour_count(runs->config->preload))
        return "Not all that is preloaded is there yet.";
    return NULL;
}

int health_alive(struct response *ret_response) {
    return response_document(ret_response, "{\"status\": \"ok\"}");
}

int health_ready(struct response *ret_response, const struct runs *runs) {
    const char *why = health_unready(runs);
    if (why == NULL)
        return response_document(ret_response, "{\"status\": \"ready\"}");
    int r = response_error(ret_response, 503, why);
    ret_response->retry_after = RETRY_S;
    return r;
}
