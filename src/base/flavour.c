/* Flavours: see flavour.h. */
#include "base/flavour.h"

#include <stdbool.h>
#include <string.h>

/* The module at *at, and moves on to the next; false at the end. */
static bool next_module(const char **at, const char **ret_module, size_t *ret_size) {
    *at += strspn(*at, ",");
    *ret_module = *at;
    *ret_size = strcspn(*at, ",");
    *at += *ret_size;
    return *ret_size > 0;
}

/* Of the module with this index. */
static unsigned flavour_at(unsigned index) {
    return index + 1 < FLAVOUR_MAX ? index + 1 : FLAVOUR_MAX - 1;
}

unsigned flavour_count(const char *preload) {
    const char *module;
    size_t size;
    unsigned count = 1;
    for (unsigned i = 0; next_module(&preload, &module, &size); i++)
        count = flavour_at(i) + 1;
    return count;
}

void flavour_modules(const char *preload, unsigned flavour, char ret_modules[CONFIG_TEXT]) {
    const char *module;
    size_t size;
    size_t length = 0;
    ret_modules[0] = '\0';
    for (unsigned i = 0; next_module(&preload, &module, &size); i++) {
        if (flavour_at(i) != flavour || length + size + 2 > CONFIG_TEXT)
            continue;
        if (length > 0)
            ret_modules[length++] = ',';
        memcpy(ret_modules + length, module, size);
        length += size;
        ret_modules[length] = '\0';
    }
}

static bool is_of_word(char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c & 0x80) != 0;
}

/* As a word of its own, in whatever place. */
static bool mentions(const char *script, size_t size, const char *word, size_t length) {
    const char *end = script + size;
    const char *at = script;
    if (size == 0 || length == 0)
        return false; /* there may be nothing to point to; and a name of nothing but its ? is everywhere */
    while ((at = memmem(at, (size_t)(end - at), word, length)) != NULL) {
        if ((at == script || !is_of_word(at[-1])) && (at + length == end || !is_of_word(at[length])))
            return true;
        at++;
    }
    return false;
}

unsigned flavour_of(const char *preload, const char *script, size_t size) {
    const char *module;
    size_t length;
    unsigned flavour = 0;
    for (unsigned i = 0; next_module(&preload, &module, &length); i++)
        /* A package by its name: what is imported of it may be written in many ways. */
        if (flavour_at(i) > flavour && mentions(script, size, module, strcspn(module, "?,.")))
            flavour = flavour_at(i);
    return flavour;
}

void flavour_narrow(char preload[CONFIG_TEXT], const char *script, size_t size) {
    unsigned flavour = flavour_of(preload, script, size);
    const char *at = preload;
    const char *module;
    size_t length;
    for (unsigned i = 0; next_module(&at, &module, &length) && flavour_at(i) <= flavour; i++)
        continue;
    preload[module - preload] = '\0';
}
