/* Files of a request: see files.h. Runs in the server, on hostile input. */
#include "server/files.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the longest name. */
enum { NAME_BYTES = FILES_LEVELS * (FILES_PART + 1) - 1, SHOWN = 48 };

struct name {
    const char *data; /* decoded, in struct set */
    size_t size;
    struct json_span raw;
};

struct set {
    const struct config *config;
    struct files_error *error;
    struct buf names[FILES_MAX];
    struct name list[FILES_MAX];
    size_t count;
    uint64_t bytes, bytes_max;
};

/* "files", and the name as it stands in the body. */
__attribute__((format(printf, 4, 5))) static int refuse(struct files_error *ret_error, const char *key,
                                                        struct json_span raw, const char *format, ...) {
    va_list args;
    size_t shown = raw.size > SHOWN ? SHOWN : raw.size;
    shown -= utf8_cut_tail(raw.data, shown);
    int n = snprintf(ret_error->text, sizeof ret_error->text, "%s %.*s%s ", key, (int)shown, raw.data,
                     shown < raw.size ? "..." : "");
    va_start(args, format);
    vsnprintf(ret_error->text + n, sizeof ret_error->text - (size_t)n, format, args);
    va_end(args);
    return -EINVAL;
}

/* --- Names --- */

/* What is wrong with a part, or NULL. */
static const char *part_fault(const char *part, size_t size, bool is_pattern) {
    if (size == 0)
        return "has an empty part.";
    if ((size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.'))
        return "has a part '.' or '..'.";
    return size > FILES_PART && !is_pattern ? "has a part of more than 255 bytes." : NULL;
}

/* A pattern may have longer parts than a name, and more, than there can be files for. */
static const char *path_fault(const char *path, size_t size, bool is_pattern) {
    if (size == 0)
        return "is empty.";
    if (path[0] == '/')
        return "is absolute.";
    if (memchr(path, '\0', size) != NULL)
        return "has a NUL.";
    const char *end = path + size;
    for (size_t parts = 1;; parts++) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        const char *fault = part_fault(path, (size_t)((slash != NULL ? slash : end) - path), is_pattern);
        if (fault != NULL)
            return fault;
        if (parts > FILES_LEVELS && !is_pattern)
            return "has more than 16 levels.";
        if (slash == NULL)
            return NULL;
        path = slash + 1;
    }
}

static int take_name(struct set *set, struct json_span raw) {
    struct name *name = &set->list[set->count];
    struct buf *text = &set->names[set->count];
    size_t size;
    if (json_text_size(raw, &size) < 0)
        return refuse(set->error, "files", raw, "has half of a surrogate pair in its name.");
    if (size > NAME_BYTES)
        return refuse(set->error, "files", raw, "is too long a name.");
    buf_init(text, NAME_BYTES);
    if (json_text(raw, text) < 0)
        return -ENOMEM;
    const char *fault = path_fault(text->data, text->len, false);
    if (fault != NULL)
        return refuse(set->error, "files", raw, "%s", fault);
    *name = (struct name){.data = text->data, .size = text->len, .raw = raw};
    set->count++;
    return 0;
}

/* --- Contents --- */

struct content {
    struct json_span text, base64;
    bool unknown;
};

static int take_content(struct json_span key, struct json_span value, void *context) {
    struct content *content = context;
    if (json_string_is(key, "text"))
        content->text = value;
    else if (json_string_is(key, "base64"))
        content->base64 = value;
    else
        content->unknown = true;
    return 0;
}

/* The value of a character, or -1. */
static int sextet(unsigned char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int64_t files_base64_size(const char *data, size_t size) {
    size_t padding = 0;
    int last = 0;
    if (size % 4 != 0)
        return -1;
    while (padding < 2 && padding < size && data[size - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < size - padding; i++)
        if ((last = sextet((unsigned char)data[i])) < 0)
            return -1;
    if ((padding == 1 && (last & 3) != 0) || (padding == 2 && (last & 15) != 0))
        return -1;
    return (int64_t)(size / 4 * 3 - padding);
}

/* Most have no escape (some writers have one for the slash). */
static int measure_base64(struct json_span string, int64_t *ret_size) {
    struct buf text;
    if (memchr(string.data, '\\', string.size) == NULL) {
        *ret_size = files_base64_size(string.data + 1, string.size - 2);
        return 0;
    }
    buf_init(&text, string.size);
    int r = json_text(string, &text);
    *ret_size = r == 0 ? files_base64_size(text.data, text.len) : -1;
    buf_done(&text);
    return r == -ENOMEM ? r : 0;
}

static int measure(struct set *set, struct json_span name, const struct content *content) {
    struct json_span string = content->text.data != NULL ? content->text : content->base64;
    int64_t bytes = -1;
    size_t size;
    int r = 0;
    if (content->unknown || (content->text.data != NULL) == (content->base64.data != NULL))
        return refuse(set->error, "files", name, "must have one key, \"text\" or \"base64\".");
    if (string.data[0] != '"')
        return refuse(set->error, "files", name, "must have a string.");
    if (content->text.data == NULL)
        r = measure_base64(string, &bytes);
    else if (json_text_size(string, &size) == 0)
        bytes = (int64_t)size;
    if (r < 0)
        return r;
    if (bytes < 0)
        return refuse(set->error, "files", name, content->text.data != NULL ? "has half of a surrogate pair."
                                                                            : "has no proper base64.");
    set->bytes += (uint64_t)bytes;
    return 0;
}

/* --- The set --- */

static int take_file(struct json_span name, struct json_span value, void *context) {
    struct set *set = context;
    struct content content = {0};
    int r;
    if (set->count == FILES_MAX) {
        snprintf(set->error->text, sizeof set->error->text, "files has more than %d files.", FILES_MAX);
        return -EINVAL;
    }
    if ((r = take_name(set, name)) < 0)
        return r;
    if (value.data[0] != '{')
        return refuse(set->error, "files", name, "must be an object with \"text\" or \"base64\".");
    (void)json_members(value.data, value.size, JSON_MAX_DEPTH, take_content, &content, NULL); /* it is an object */
    return measure(set, name, &content);
}

/* A folder comes right before what is in it: the slash is before all other characters. */
static int compare(const void *one, const void *other) {
    const struct name *a = one, *b = other;
    size_t size = a->size < b->size ? a->size : b->size;
    for (size_t i = 0; i < size; i++)
        if (a->data[i] != b->data[i])
            return a->data[i] == '/' ? -1 : b->data[i] == '/' ? 1 : (unsigned char)a->data[i] - (unsigned char)b->data[i];
    return a->size < b->size ? -1 : a->size > b->size;
}

/* Folders of a name that those of the one before it do not have. */
static size_t new_folders(const struct name *before, const struct name *name) {
    size_t same = 0, folders = 0;
    while (before != NULL && same < before->size && same < name->size && before->data[same] == name->data[same])
        same++;
    for (size_t i = same; i < name->size; i++)
        folders += name->data[i] == '/';
    return folders;
}

static int check_set(struct set *set) {
    size_t entries = set->count;
    qsort(set->list, set->count, sizeof set->list[0], compare);
    for (size_t i = 0; i < set->count; i++) {
        const struct name *name = &set->list[i], *before = i > 0 ? name - 1 : NULL;
        bool begins = before != NULL && name->size >= before->size && memcmp(name->data, before->data, before->size) == 0;
        if (begins && name->size == before->size)
            return refuse(set->error, "files", name->raw, "is there twice.");
        if (begins && name->data[before->size] == '/')
            return refuse(set->error, "files", before->raw, "is a file and a folder.");
        entries += new_folders(before, name);
    }
    if (entries > set->config->scratch_files) {
        snprintf(set->error->text, sizeof set->error->text, "files has %zu files and folders, the limit is %llu.", entries,
                 (unsigned long long)set->config->scratch_files);
        return -EINVAL;
    }
    if (set->bytes > set->bytes_max) {
        snprintf(set->error->text, sizeof set->error->text, "files has %llu bytes, the limit is %llu.",
                 (unsigned long long)set->bytes, (unsigned long long)set->bytes_max);
        return -EINVAL;
    }
    return 0;
}

int files_check(const struct config *config, struct json_span files, uint64_t bytes_max,
                struct files_error *ret_error) {
    struct set *set = calloc(1, sizeof *set);
    if (set == NULL)
        return -ENOMEM;
    set->config = config;
    set->bytes_max = bytes_max;
    set->error = ret_error;
    int r = json_members(files.data, files.size, JSON_MAX_DEPTH, take_file, set, NULL);
    if (r == 0)
        r = check_set(set);
    for (size_t i = 0; i < FILES_MAX; i++)
        buf_done(&set->names[i]);
    free(set);
    return r;
}

/* --- Patterns --- */

struct patterns {
    struct files_error *error;
    size_t count;
};

static int take_pattern(struct json_span key, struct json_span value, void *context) {
    struct patterns *patterns = context;
    struct buf text;
    size_t size;
    (void)key;
    if (patterns->count++ == PATTERNS_MAX) {
        snprintf(patterns->error->text, sizeof patterns->error->text, "outputs has more than %d patterns.", PATTERNS_MAX);
        return -EINVAL;
    }
    if (value.data[0] != '"')
        return refuse(patterns->error, "outputs", value, "must be a string.");
    if (json_text_size(value, &size) < 0)
        return refuse(patterns->error, "outputs", value, "has half of a surrogate pair.");
    if (size > PATTERN_BYTES)
        return refuse(patterns->error, "outputs", value, "has more than %d bytes.", PATTERN_BYTES);
    buf_init(&text, PATTERN_BYTES);
    if (json_text(value, &text) < 0) {
        buf_done(&text);
        return -ENOMEM;
    }
    const char *fault = path_fault(text.data, text.len, true);
    buf_done(&text);
    return fault != NULL ? refuse(patterns->error, "outputs", value, "%s", fault) : 0;
}

int files_check_patterns(struct json_span patterns, struct files_error *ret_error) {
    struct patterns found = {.error = ret_error};
    return json_elements(patterns.data, patterns.size, JSON_MAX_DEPTH, take_pattern, &found, NULL);
}
