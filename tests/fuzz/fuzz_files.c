/* server/files: names that are taken can stand beside one another in an empty folder, and those that are refused could
 * not, or are too many. The input is names, so that all of it is about those. */
#include "fuzz.h"

#include "base/utf8.h"
#include "server/files.h"

#include <errno.h>

enum { NAMES = 24 };

static bool is_good_part(const char *part, size_t size) {
    return size > 0 && size <= FILES_PART && !input_is((struct input){part, size}, ".") && !input_is((struct input){part, size}, "..");
}

static bool is_good_name(struct input name, size_t *ret_folders) {
    size_t parts = 0;
    if (name.size == 0 || memchr(name.data, '\0', name.size) != NULL || name.data[name.size - 1] == '/')
        return false;
    for (struct input part; name.size > 0; parts++)
        if (part = input_part(&name, '/'), !is_good_part(part.data, part.size))
            return false;
    *ret_folders += parts - 1;
    return parts <= FILES_LEVELS;
}

/* Whether one is the other, or a folder of it. */
static bool collide(struct input one, struct input other) {
    return one.size <= other.size && memcmp(one.data, other.data, one.size) == 0 &&
           (one.size == other.size || other.data[one.size] == '/');
}

/* Folders that several names share count as often as they are named: at most so many entries are there. */
static bool can_stand(const struct input *names, size_t count, size_t *ret_entries) {
    *ret_entries = count;
    for (size_t i = 0; i < count; i++) {
        if (!is_good_name(names[i], ret_entries))
            return false;
        for (size_t k = 0; k < count; k++)
            if (k != i && collide(names[i], names[k]))
                return false;
    }
    return true;
}

static void add_name(struct buf *json, bool first, struct input name) {
    assert(buf_add_text(json, first ? "{" : ",") == 0 && utf8_add_json_string(json, name.data, name.size) == 0);
    assert(buf_add_text(json, ":{\"text\":\"\"}") == 0);
}

static bool is_utf8(struct input text) {
    size_t at = 0;
    for (size_t length; at < text.size && (length = utf8_sequence(text.data + at, text.size - at)) > 0; at += length)
        continue;
    return at == text.size;
}

static void check_patterns(struct input pattern) {
    struct files_error error = {0};
    struct buf json;
    buf_init(&json, 8 * pattern.size + 8);
    assert(buf_add_text(&json, "[") == 0 && utf8_add_json_string(&json, pattern.data, pattern.size) == 0 && buf_add_text(&json, "]") == 0);
    int r = files_check_patterns((struct json_span){json.data, json.len}, &error);
    assert((r == 0) == (*error.text == '\0') && (r == 0 || r == -EINVAL));
    assert(is_utf8((struct input){error.text, strlen(error.text)}));
    size_t folders = 0;
    assert(r == 0 || !is_good_name(pattern, &folders) || pattern.size > PATTERN_BYTES);
    buf_done(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size), names[NAMES];
    struct files_error error = {0};
    struct config config;
    struct buf json;
    size_t count = 0, entries = 0;
    config_init(&config);
    config.scratch_files = 32;
    if (size == 0 || !is_utf8(input))
        return 0;
    buf_init(&json, 8 * size + 1024);
    for (; count < NAMES && input.size > 0; count++) {
        names[count] = input_part(&input, '\n');
        add_name(&json, count == 0, names[count]);
    }
    assert(buf_add_text(&json, "}") == 0);
    int r = files_check(&config, (struct json_span){json.data, json.len}, 1 << 20, &error);
    bool good = can_stand(names, count, &entries);
    assert(r == 0 || r == -EINVAL);
    assert((r == 0) == (*error.text == '\0') && is_utf8((struct input){error.text, strlen(error.text)}));
    assert(r == 0 ? good : !good || entries > config.scratch_files);
    check_patterns(names[0]);
    buf_done(&json);
    return 0;
}
