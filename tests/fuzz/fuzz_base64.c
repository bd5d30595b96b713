/* server/files: base64 that is taken is the one way to write some bytes, and what server/compose writes is taken. */
#include "fuzz.h"

#include "server/compose.h"
#include "server/files.h"

static unsigned sextet(char c) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return (unsigned)(strchr(letters, c) - letters);
}

/* Of base64 that was taken. */
static void decode(const char *text, size_t size, struct buf *ret_bytes) {
    buf_init(ret_bytes, size);
    for (size_t at = 0; at < size; at += 4) {
        unsigned long group = 0;
        size_t count = text[at + 2] == '=' ? 1 : text[at + 3] == '=' ? 2 : 3;
        for (size_t i = 0; i < 4; i++)
            group = group << 6 | (text[at + i] == '=' ? 0 : sextet(text[at + i]));
        const char bytes[] = {(char)(group >> 16), (char)(group >> 8), (char)group};
        assert(buf_add(ret_bytes, bytes, count) == 0);
    }
}

/* As `--file` brings it, with the base64 of it in ret_text. */
static void encode(const struct config *config, const char *data, size_t size, struct buf *ret_text) {
    static const char head[] = "\"n\": {\"base64\": \"", tail[] = "\"}";
    struct compose compose;
    struct request_error error;
    struct buf file;
    buf_init(&file, size + 2);
    buf_init(ret_text, 2 * size + 4);
    compose_init(&compose, config);
    assert(buf_add(&file, "n", 2) == 0 && buf_add(&file, data, size) == 0);
    assert(compose_add(&compose, CONSOLE_FILE, file.data, file.len, &error) == 0);
    size_t length = compose.files.len - (sizeof head - 1) - (sizeof tail - 1);
    assert(memcmp(compose.files.data, head, sizeof head - 1) == 0);
    assert(buf_add(ret_text, compose.files.data + sizeof head - 1, length) == 0);
    compose_done(&compose);
    buf_done(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct config config;
    struct buf text, bytes;
    config_init(&config);
    encode(&config, (const char *)data, size, &text);
    assert(files_base64_size(text.data, text.len) == (int64_t)size);
    decode(text.data, text.len, &bytes);
    assert(bytes.len == size && (size == 0 || memcmp(bytes.data, data, size) == 0));
    buf_done(&text);
    buf_done(&bytes);
    int64_t taken = files_base64_size((const char *)data, size);
    assert(taken <= (int64_t)size);
    if (taken < 0)
        return 0;
    decode((const char *)data, size, &bytes);
    assert(bytes.len == (size_t)taken);
    encode(&config, bytes.data, bytes.len, &text);
    assert(text.len == size && (size == 0 || memcmp(text.data, data, size) == 0));
    buf_done(&text);
    buf_done(&bytes);
    return 0;
}
