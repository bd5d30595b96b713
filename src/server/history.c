/* How long scripts have run: see history.h. Runs in the server. */
#include "server/history.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum { HASHED = 64 << 10 };

__extension__ typedef unsigned __int128 product;

/* Both halves of a product with a secret: without knowing it nobody makes two texts of the same hash. */
static uint64_t mix(uint64_t hash, uint64_t word, uint64_t secret) {
    product wide = (product)(hash ^ word) * secret;
    return (uint64_t)wide ^ (uint64_t)(wide >> 64);
}

static uint64_t add_text(uint64_t hash, const char *text, size_t size, uint64_t secret) {
    uint64_t word;
    for (; size >= sizeof word; text += sizeof word, size -= sizeof word) {
        memcpy(&word, text, sizeof word);
        hash = mix(hash, word, secret);
    }
    word = 0;
    if (size > 0)
        memcpy(&word, text, size);
    return mix(hash, word, secret);
}

uint64_t history_key(const struct history *history, const char *script, size_t size) {
    const uint64_t *secrets = history->secrets;
    size_t head = size < HASHED ? size : HASHED;
    size_t tail = size - head < HASHED ? size - head : HASHED;
    uint64_t hash = mix(secrets[1], size, secrets[0]);
    hash = add_text(hash, script, head, secrets[0]);
    if (tail > 0)
        hash = add_text(hash, script + size - tail, tail, secrets[0]);
    return mix(hash, secrets[1], secrets[0]);
}

int history_init(struct history *history) {
    *history = (struct history){0};
    if (getrandom(history->secrets, sizeof history->secrets, 0) != sizeof history->secrets)
        return -EIO;
    history->secrets[0] |= 1; /* never 0, which would make one of all scripts */
    return 0;
}

static struct history_entry *bucket_of(struct history *history, uint64_t key) {
    return history->entries[key % HISTORY_BUCKETS];
}

/* NULL where it is not known. */
static struct history_entry *find(struct history *history, uint64_t key) {
    struct history_entry *bucket = bucket_of(history, key);
    for (size_t i = 0; i < HISTORY_WAYS; i++)
        if (bucket[i].noted != 0 && bucket[i].key == key)
            return &bucket[i];
    return NULL;
}

/* A free place in its bucket, or that of the one that was not heard of for longest. */
static struct history_entry *make_place(struct history *history, uint64_t key) {
    struct history_entry *bucket = bucket_of(history, key);
    struct history_entry *oldest = &bucket[0];
    for (size_t i = 1; i < HISTORY_WAYS; i++)
        if (bucket[i].noted < oldest->noted)
            oldest = &bucket[i];
    return oldest;
}

uint64_t history_usual_ms(const struct history *history, uint64_t key) {
    const struct history_entry *entry = find((struct history *)history, key);
    return entry == NULL ? 0 : entry->usual_ms;
}

void history_note(struct history *history, uint64_t key, uint64_t ms) {
    struct history_entry *entry = find(history, key);
    uint64_t usual_ms = entry == NULL ? ms : (entry->usual_ms + ms) / 2;
    if (usual_ms <= HISTORY_LONG_MS) {
        if (entry != NULL)
            *entry = (struct history_entry){0};
        return;
    }
    if (entry == NULL)
        entry = make_place(history, key);
    *entry = (struct history_entry){.key = key, .noted = ++history->notes, .usual_ms = usual_ms};
}

void history_note_at_least(struct history *history, uint64_t key, uint64_t ms) {
    if (ms > history_usual_ms(history, key))
        history_note(history, key, ms);
}
