/* Callers: who may ask for what, by the bearer keys that the manager has read.
 *
 * A key's name goes into logs and metrics, so it is no secret; of the secret there is a hash only (wire/key.h).
 */
#ifndef PX_SERVER_CALLERS_H
#define PX_SERVER_CALLERS_H

#include "server/queue.h"
#include "wire/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct caller {
    struct key key;
    size_t references;
    uint64_t free_ns;   /* its rate: when the next request comes at the pace of it; may be ahead by its burst */
    struct turn turn;   /* in the queue */
    size_t runs;        /* of it that wait or run */
    uint64_t wall_ms;   /* that these may take together */
    uint64_t requests;  /* that its key was right for, those below among them */
    uint64_t too_fast;  /* refused by rate= */
    uint64_t too_many;  /* refused by concurrent= */
    uint64_t displaced; /* came out of a full queue for others */
};

enum callers_state {
    CALLERS_UNKNOWN, /* the manager has not said yet, so nobody may */
    CALLERS_ANYBODY, /* there are no keys */
    CALLERS_KEYS,
};

struct callers {
    enum callers_state state;
    struct caller **list;
    size_t count;
    uint64_t without_key; /* requests that came without one */
    uint64_t wrong_key;
};

/* Puts these keys in place of those before. A caller whose name stays is the same, with what it has running. 0, or a
 * negative errno, and all is as before: -EBADMSG for keys that are none. */
int callers_set(struct callers *callers, const struct key *keys, size_t count);

/* There are no keys. */
void callers_set_anybody(struct callers *callers);

void callers_done(struct callers *callers);

enum callers_answer { CALLERS_FOUND, CALLERS_WITHOUT, CALLERS_WRONG };

/* Whose key the header Authorization has (NULL where it is missing); a reference of its own for whoever asks. It takes
 * as long for every key. */
enum callers_answer callers_find(struct callers *callers, const char *authorization, struct caller **ret_caller);

/* Whether its rate has room for one request more, at this time; then that is counted. 0, or seconds after which there
 * will be, if it asks for nothing until then. */
unsigned caller_take_request(struct caller *caller, uint64_t now_us);

/* Whether it may have one run more. */
bool caller_may_run(const struct caller *caller);

/* Seconds until one of its runs has ended, at the latest, if one of them is running. */
unsigned caller_retry_after(const struct caller *caller);

/* A run of it that may take so long begins to wait or run, and ends. */
void caller_enter(struct caller *caller, uint64_t wall_ms);
void caller_leave(struct caller *caller, uint64_t wall_ms);

struct caller *caller_ref(struct caller *caller);

/* NULL is nobody. */
void caller_unref(struct caller *caller);

#endif
