/* cli/keys: a file of keys that is taken has names and hashes of which each is there once, and says the same when it is
 * written anew; one that is refused has its line named, and no word of it repeated, which may be a secret. */
#include "fuzz.h"

#include "cli/keys.h"

#include <stdio.h>

static struct key list[KEYS_MAX], again[KEYS_MAX];

static void check_key(const struct key *key) {
    size_t size = strnlen(key->name, sizeof key->name);
    assert(size > 0 && size <= KEY_NAME);
    for (size_t i = 0; i < size; i++)
        assert(key->name[i] > ' ' && key->name[i] < 0x7f && strchr("\"\\#=:/", key->name[i]) == NULL);
    assert(key->concurrent <= 1000000 || key->concurrent == KEY_ANY);
    assert((key->interval_ns == 0) == (key->burst == 0) && key->interval_ns <= 60000000000u);
}

static void check_list(size_t count) {
    for (size_t i = 0; i < count; i++) {
        check_key(&list[i]);
        for (size_t k = 0; k < i; k++)
            assert(strcmp(list[i].name, list[k].name) != 0 && !key_same(list[i].digest, list[k].digest));
    }
}

static void write_list(size_t count, char **ret_text, size_t *ret_size) {
    FILE *file = open_memstream(ret_text, ret_size);
    assert(file != NULL);
    for (size_t i = 0; i < count; i++) {
        char hex[KEY_HEX + 1];
        key_write_hex(list[i].digest, hex);
        fprintf(file, "\t%s  sha256:%s", list[i].name, hex);
        if (list[i].concurrent != KEY_ANY)
            fprintf(file, " concurrent=%u", list[i].concurrent);
        if (list[i].interval_ns > 0)
            fprintf(file, " burst=%u rate=1/s", list[i].burst);
        fprintf(file, " # comment\r\n");
    }
    fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct failure failure = {0};
    size_t count = 0, second = 0, length;
    char *text;
    int r = keys_parse((const char *)data, size, list, &count, &failure);
    if (r < 0) {
        assert(count == 0 && strncmp(failure.text, "line ", 5) == 0);
        for (const char *at = failure.text; *at != '\0'; at++)
            assert(*at >= ' ' && *at < 0x7f);
        return 0;
    }
    check_list(count);
    write_list(count, &text, &length);
    assert(keys_parse(text, length, again, &second, &failure) == 0 && second == count);
    for (size_t i = 0; i < count; i++)
        assert(strcmp(again[i].name, list[i].name) == 0 && key_same(again[i].digest, list[i].digest) &&
               again[i].burst == list[i].burst && again[i].concurrent == list[i].concurrent);
    free(text);
    return 0;
}
