/* Callers: see callers.h. Runs in the server; what clients say who they are is hostile. */
#include "server/callers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of a secret; longer ones are not even hashed. */
enum { SECRET_MAX = 512 };

struct caller *caller_ref(struct caller *caller) {
    caller->references++;
    return caller;
}

void caller_unref(struct caller *caller) {
    if (caller != NULL && --caller->references == 0)
        free(caller);
}

static void forget(struct caller **list, size_t count) {
    for (size_t i = 0; i < count; i++)
        caller_unref(list[i]);
    free(list);
}

/* The one of this name, or a new one; with a reference, or NULL. */
static struct caller *take_over(const struct callers *callers, const struct key *key) {
    for (size_t i = 0; i < callers->count; i++)
        if (strcmp(callers->list[i]->key.name, key->name) == 0)
            return caller_ref(callers->list[i]);
    struct caller *caller = calloc(1, sizeof *caller);
    if (caller != NULL) {
        turn_init(&caller->turn);
        caller->references = 1;
    }
    return caller;
}

int callers_set(struct callers *callers, const struct key *keys, size_t count) {
    struct caller **list = calloc(count + 1, sizeof(struct caller *));
    size_t made = 0;
    int r = list == NULL ? -ENOMEM : count > KEYS_MAX ? -EBADMSG : 0;
    for (; r == 0 && made < count; made++) {
        bool is_text = memchr(keys[made].name, '\0', sizeof keys[made].name) != NULL;
        if (!is_text || (list[made] = take_over(callers, &keys[made])) == NULL) {
            r = is_text ? -ENOMEM : -EBADMSG;
            break;
        }
    }
    if (r < 0) {
        forget(list, made);
        return r;
    }
    for (size_t i = 0; i < count; i++)
        list[i]->key = keys[i];
    forget(callers->list, callers->count);
    callers->list = list;
    callers->count = count;
    callers->state = CALLERS_KEYS;
    return 0;
}

void callers_set_anybody(struct callers *callers) {
    callers_done(callers);
    callers->state = CALLERS_ANYBODY;
}

void callers_done(struct callers *callers) {
    forget(callers->list, callers->count);
    *callers = (struct callers){0};
}

/* RFC 6750, section 2.1; the scheme's name in any case (RFC 9110, section 11.1). */
static const char *secret_of(const char *authorization) {
    if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    const char *secret = authorization + 7 + strspn(authorization + 7, " ");
    return *secret != '\0' ? secret : NULL;
}

enum callers_answer callers_find(struct callers *callers, const char *authorization, struct caller **ret_caller) {
    uint8_t digest[KEY_DIGEST];
    struct caller *found = NULL;
    const char *secret = secret_of(authorization);
    if (secret == NULL) {
        callers->without_key++;
        return CALLERS_WITHOUT;
    }
    size_t size = strlen(secret);
    if (size <= SECRET_MAX) {
        key_hash(secret, size, digest);
        /* Every one of them, whichever it is. The most there may be take some 5 microseconds. */
        for (size_t i = 0; i < callers->count; i++)
            if (key_same(digest, callers->list[i]->key.digest))
                found = callers->list[i];
    }
    if (found == NULL) {
        callers->wrong_key++;
        return CALLERS_WRONG;
    }
    found->requests++;
    *ret_caller = caller_ref(found);
    return CALLERS_FOUND;
}

/* A bucket that leaks: free_ns is when it has leaked dry, and it holds as much as `burst` requests pour in. */
unsigned caller_take_request(struct caller *caller, uint64_t now_us) {
    const struct key *key = &caller->key;
    uint64_t now_ns = now_us * 1000, room_ns = (uint64_t)(key->burst > 0 ? key->burst - 1 : 0) * key->interval_ns;
    if (key->interval_ns == 0)
        return 0;
    uint64_t free_ns = caller->free_ns > now_ns ? caller->free_ns : now_ns;
    if (free_ns - now_ns > room_ns) {
        caller->too_fast++;
        return (unsigned)((free_ns - now_ns - room_ns + 999999999u) / 1000000000u);
    }
    caller->free_ns = free_ns + key->interval_ns;
    return 0;
}

bool caller_may_run(const struct caller *caller) {
    return caller->runs < caller->key.concurrent;
}

/* Their limits' average: the shortest of them is no longer. */
unsigned caller_retry_after(const struct caller *caller) {
    uint64_t ms = caller->runs > 0 ? caller->wall_ms / caller->runs : 0;
    return ms < 1000 ? 1 : (unsigned)((ms + 999) / 1000);
}

void caller_enter(struct caller *caller, uint64_t wall_ms) {
    caller_ref(caller);
    caller->runs++;
    caller->wall_ms += wall_ms;
}

void caller_leave(struct caller *caller, uint64_t wall_ms) {
    caller->runs--;
    caller->wall_ms -= wall_ms;
    caller_unref(caller);
}
