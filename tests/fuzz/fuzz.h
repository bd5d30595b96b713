/* What every fuzzer starts from. fuzz_X.c has the one function that libFuzzer calls with bytes of its choice; what must
 * hold of them is asserted, so that a wrong answer ends it as an overrun does. The same file is linked with replay.c where
 * there is no libFuzzer, and goes through what is kept in corpus/.
 */
#ifndef PX_TESTS_FUZZ_H
#define PX_TESTS_FUZZ_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of an input, which a fuzzer takes apart from the front. */
struct input {
    const char *data;
    size_t size;
};

static inline struct input input_of(const uint8_t *data, size_t size) {
    return (struct input){(const char *)data, size};
}

/* A number below `count`. It is a character, `0` for the first, so that corpora can be read. */
static inline unsigned input_pick(struct input *input, unsigned count) {
    if (input->size == 0)
        return 0;
    input->size--;
    return (uint8_t)(*input->data++ - '0') % count;
}

/* Up to this byte, which is in none of them, or to the end. */
static inline struct input input_part(struct input *input, char separator) {
    const char *end = input->size > 0 ? memchr(input->data, separator, input->size) : NULL;
    struct input part = {input->data, end != NULL ? (size_t)(end - input->data) : input->size};
    input->data += part.size + (end != NULL);
    input->size -= part.size + (end != NULL);
    return part;
}

/* The byte that parts are told apart by where they may be any text: it is nowhere in UTF-8. */
#define PART '\xff'

/* A copy that ends with NUL, or at the first one in it; to be freed. */
static inline char *input_text(struct input input) {
    char *text = strndup(input.size > 0 ? input.data : "", input.size);
    assert(text != NULL);
    return text;
}

static inline bool input_is(struct input input, const char *text) {
    return input.size == strlen(text) && (input.size == 0 || memcmp(input.data, text, input.size) == 0);
}

#endif
