/* server/json: what the validator lets pass is UTF-8 of no more levels than it may have, its parts pass by themselves, and
 * it passes as a part of something larger. */
#include "fuzz.h"

#include "base/utf8.h"
#include "server/json.h"

#include <errno.h>

static void check_utf8(const char *data, size_t size) {
    size_t at = 0;
    for (size_t length; at < size && (length = utf8_sequence(data + at, size - at)) > 0; at += length)
        continue;
    assert(at == size);
}

/* Levels of a text that is JSON. */
static size_t depth_of(const char *data, size_t size) {
    size_t depth = 0, deepest = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        if (quoted && data[i] == '\\')
            i++;
        else if (data[i] == '"')
            quoted = !quoted;
        else if (!quoted && (data[i] == '[' || data[i] == '{') && ++depth > deepest)
            deepest = depth;
        else if (!quoted && (data[i] == ']' || data[i] == '}'))
            depth--;
    }
    assert(depth == 0 && !quoted);
    return deepest;
}

/* What it means, written again, means the same. */
static void check_string(struct json_span string) {
    struct buf text, written, again;
    size_t size = 0;
    buf_init(&text, string.size);
    buf_init(&written, 8 * string.size + 2);
    buf_init(&again, string.size);
    int r = json_text(string, &text);
    assert(r == json_text_size(string, &size) && (r == 0 || r == -EILSEQ));
    if (r == 0) {
        assert(size == text.len && size <= string.size - 2);
        check_utf8(text.data, text.len);
        assert(utf8_add_json_string(&written, text.data, text.len) == 0);
        assert(json_text((struct json_span){written.data, written.len}, &again) == 0);
        assert(again.len == text.len && (text.len == 0 || memcmp(again.data, text.data, text.len) == 0));
    }
    assert(json_string_is(string, "script") == (r == 0 && input_is((struct input){text.data, text.len}, "script")));
    buf_done(&text);
    buf_done(&written);
    buf_done(&again);
}

static int visit(struct json_span key, struct json_span value, void *context) {
    size_t depth = *(size_t *)context;
    if (key.data != NULL)
        check_string(key);
    if (value.data[0] == '"')
        check_string(value);
    assert(json_check(value.data, value.size, depth > 1 ? depth - 1 : 1, NULL) == 0);
    return 0;
}

/* Visits may come before an error, and are to be ignored then. */
static void check_parts(const char *data, size_t size, size_t depth) {
    assert(json_members(data, size, depth, visit, &depth, NULL) == 0 || json_elements(data, size, depth, visit, &depth, NULL) == 0 ||
           depth_of(data, size) == 0);
}

/* The text between these two. */
static void check_inside(const char *before, const char *data, size_t size, const char *behind, size_t depth) {
    struct buf whole;
    buf_init(&whole, size + 16);
    assert(buf_add_text(&whole, before) == 0 && buf_add(&whole, data, size) == 0 && buf_add_text(&whole, behind) == 0);
    assert(json_check(whole.data, whole.len, depth, NULL) == 0);
    buf_done(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    enum { DEPTH = 6 };
    struct json_error error = {0};
    int r = json_check(text, size, DEPTH, &error);
    if (r < 0) {
        assert((r == -EINVAL || r == -E2BIG) && error.offset <= size && error.reason != NULL);
        assert(r == -E2BIG || json_check(text, size, JSON_MAX_DEPTH, NULL) == -EINVAL);
        return 0;
    }
    size_t depth = depth_of(text, size);
    check_utf8(text, size);
    assert(depth <= DEPTH && (depth < 2 || json_check(text, size, depth - 1, NULL) == -E2BIG));
    check_parts(text, size, DEPTH);
    check_inside("[0, ", text, size, "]", depth + 1);
    check_inside("{\"k\":", text, size, "}", depth + 1);
    return 0;
}
