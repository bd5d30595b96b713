/* A bearer key as the manager hands it to the server: who it is, what is known of the secret, and what he may.
 *
 * Of the secret there is the SHA-256 alone. A password needs a hash that takes long, since it can be guessed; a key has
 * 192 random bits, which nobody guesses at any speed, so that would cost right callers and no attacker.
 */
#ifndef PX_WIRE_KEY_H
#define PX_WIRE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_NAME = 32, KEY_DIGEST = 32, KEY_HEX = 2 * KEY_DIGEST, KEYS_MAX = 1000 };

/* No limit on how many runs of a key there may be at once. */
#define KEY_ANY UINT32_MAX

struct key {
    char name[KEY_NAME + 1];
    uint8_t digest[KEY_DIGEST];
    uint64_t interval_ns; /* between requests, on average; 0: as fast as it likes */
    uint32_t burst;       /* requests that may come at once */
    uint32_t concurrent;  /* runs that may wait and run; 0: this key may read only */
};

void key_hash(const char *secret, size_t size, uint8_t ret_digest[KEY_DIGEST]);

/* In a time that does not depend on where they differ. */
bool key_same(const uint8_t a[KEY_DIGEST], const uint8_t b[KEY_DIGEST]);

/* The digest in lower case, ended by NUL. */
void key_write_hex(const uint8_t digest[KEY_DIGEST], char ret_hex[KEY_HEX + 1]);

#endif
