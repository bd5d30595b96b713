/* Bearer keys: see key.h. Runs in the manager, and in the server on what clients send. */
#include "wire/key.h"

#include <nettle/memops.h>
#include <nettle/sha2.h>

void key_hash(const char *secret, size_t size, uint8_t ret_digest[KEY_DIGEST]) {
    struct sha256_ctx hash;
    sha256_init(&hash);
    sha256_update(&hash, size, (const uint8_t *)secret);
    sha256_digest(&hash, KEY_DIGEST, ret_digest);
}

bool key_same(const uint8_t a[KEY_DIGEST], const uint8_t b[KEY_DIGEST]) {
    return memeql_sec(a, b, KEY_DIGEST) != 0;
}

void key_write_hex(const uint8_t digest[KEY_DIGEST], char ret_hex[KEY_HEX + 1]) {
    for (size_t i = 0; i < KEY_DIGEST; i++) {
        ret_hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        ret_hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    ret_hex[KEY_HEX] = '\0';
}
