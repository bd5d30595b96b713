/* base/flavour: which modules a script mentions, beside a look at every word of it. First the list of --preload. */
#include "fuzz.h"

#include "base/flavour.h"

#include <stdio.h>

static bool is_of_word(char c) {
    return strchr("_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", c) != NULL ? c != '\0' : (c & 0x80) != 0;
}

static bool has_word(struct input script, const char *word) {
    for (size_t at = 0, end; at < script.size; at = end + 1) {
        for (end = at; end < script.size && is_of_word(script.data[end]); end++)
            continue;
        if (input_is((struct input){script.data + at, end - at}, word))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size), first = input_part(&input, '\n');
    char *preload = input_text(first), modules[CONFIG_TEXT], narrow[CONFIG_TEXT];
    struct config config;
    struct failure failure;
    unsigned expected = 0, index = 0;
    config_init(&config);
    if (config_set(&config, config_find("preload"), "--preload", preload, &failure) == 0) {
        unsigned flavour = flavour_of(preload, input.data, input.size), count = flavour_count(preload);
        assert(count >= 1 && count <= FLAVOUR_MAX && flavour < count);
        for (unsigned i = 0; i < count; i++) {
            flavour_modules(preload, i, modules);
            assert((i == 0) == (*modules == '\0'));
        }
        struct input list = {preload, strlen(preload)};
        while (list.size > 0) {
            struct input item = input_part(&list, ',');
            char *word = input_text(item);
            word[strcspn(word, "?.")] = '\0';
            index += item.size > 0;
            if (*word != '\0' && has_word(input, word))
                expected = index < FLAVOUR_MAX ? index : FLAVOUR_MAX - 1;
            free(word);
        }
        assert(flavour == expected);
        snprintf(narrow, sizeof narrow, "%s", preload);
        flavour_narrow(narrow, input.data, input.size);
        assert(flavour_of(narrow, input.data, input.size) == flavour);
    }
    free(preload);
    return 0;
}
