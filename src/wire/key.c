/* Bearer keys: see key.h. Runs in the manager, and in the server on what clients send. */
#include "wire/key.h"

#include <nettle/sha2.h>
#include <string.h>

void key_hash(const char *secret, size_t size, uint8_t ret_digest[KEY_DIGEST]) {
    struct sha256_ctx hash;
    sha256_init(&hash);
    sha256_update(&hash, size, (const uint8_t *)secret);
    sha256_digest(&hash, KEY_DIGEST, ret_digest);
}

bool key_same(const uint8_t a[KEY_DIGEST], const uint8_t b[KEY_DIGEST]) {
    uint64_t x[KEY_DIGEST / sizeof(uint64_t)], y[KEY_DIGEST / sizeof(uint64_t)], different = 0;
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    /* All words, and one look at the end: no branch depends on where they differ. memeql_sec() of nettle goes byte by byte,
     * which with a thousand keys was most of what a request took. What could be learnt by the time is a hash at that. */
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++)
        different |= x[i] ^ y[i];
    return different == 0;
}

void key_write_hex(const uint8_t digest[KEY_DIGEST], char ret_hex[KEY_HEX + 1]) {
    for (size_t i = 0; i < KEY_DIGEST; i++) {
        ret_hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        ret_hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    ret_hex[KEY_HEX] = '\0';
}
