/* The layers of confinement: see layer.h. */
#include "base/layer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static const char *const names[LAYER_WORDS] = {
    [LAYER_SECCOMP] = "seccomp",
    [LAYER_RLIMITS] = "rlimits",
    [LAYER_IDENTITY] = "identity",
    [LAYER_LANDLOCK] = "landlock",
    [LAYER_CHROOT] = "chroot",
    [LAYER_MOUNT] = "mount-namespace",
    [LAYER_USER] = "user-namespace",
    [LAYER_PID] = "pid-namespace",
    [LAYER_NET] = "network-namespace",
    [LAYER_IPC] = "ipc-namespace",
    [LAYER_UTS] = "uts-namespace",
    [LAYER_TIME] = "time-namespace",
    [LAYER_CGROUP_NAMESPACE] = "cgroup-namespace",
    [LAYER_CGROUP] = "cgroup",
    [LAYER_ANY_FILESYSTEM] = "filesystem",
    [LAYER_ANY_NETWORK] = "network",
};

const char *layer_name(unsigned layer) {
    return names[layer];
}

const char *layer_status_name(uint32_t status) {
    static const char *const words[] = {[LAYER_REFUSED] = "refused", [LAYER_ACTIVE] = "on", [LAYER_UNUSED] = "unused"};
    return status < sizeof words / sizeof words[0] ? words[status] : "refused";
}

static unsigned find(const char *word, size_t length) {
    for (unsigned i = 0; i < LAYER_WORDS; i++)
        if (strlen(names[i]) == length && strncmp(names[i], word, length) == 0)
            return i;
    return LAYER_WORDS;
}

int layer_parse(const char *words, uint32_t *ret_set, struct failure *ret_failure) {
    uint32_t set = 0;
    while (*words != '\0') {
        size_t length = strcspn(words, ",");
        unsigned layer = find(words, length);
        if (layer == LAYER_WORDS)
            return failure_set(ret_failure, EINVAL, "layers", "'%.*s' is no layer; 'python-executor doctor' lists them",
                               length > 40 ? 40 : (int)length, words);
        set |= layer_bit(layer);
        words += length + (words[length] == ',');
    }
    *ret_set = set;
    return 0;
}

static void set_state(struct isolation *isolation, enum layer layer, enum layer_status status, const char *detail) {
    struct layer_state *state = &isolation->layers[layer];
    *state = (struct layer_state){.status = status};
    snprintf(state->detail, sizeof state->detail, "%s", detail);
}

void layer_active(struct isolation *isolation, enum layer layer, const char *detail) {
    set_state(isolation, layer, LAYER_ACTIVE, detail);
}

void layer_unused(struct isolation *isolation, enum layer layer, const char *detail) {
    set_state(isolation, layer, LAYER_UNUSED, detail);
}

static const char *name_of_error(int error) {
    const char *name = strerrorname_np(error);
    return name != NULL ? name : "unknown";
}

void layer_refused(struct isolation *isolation, enum layer layer, const char *call, int error) {
    struct layer_state *state = &isolation->layers[layer];
    *state = (struct layer_state){.status = LAYER_REFUSED, .error = error};
    snprintf(state->call, sizeof state->call, "%s", call);
    snprintf(state->detail, sizeof state->detail, "%s: %s (%s)", call, strerror(error), name_of_error(error));
}

void layer_refused_because(struct isolation *isolation, enum layer layer, const struct failure *failure) {
    struct layer_state *state = &isolation->layers[layer];
    *state = (struct layer_state){.status = LAYER_REFUSED, .error = failure->error};
    snprintf(state->call, sizeof state->call, "%.*s", (int)strcspn(failure->text, ":"), failure->text);
    snprintf(state->detail, sizeof state->detail, "%.*s (%s)", (int)sizeof state->detail - 20, failure->text,
             name_of_error(failure->error));
}

static int is_active(const struct isolation *isolation, enum layer layer) {
    return isolation->layers[layer].status == LAYER_ACTIVE;
}

/* Those that meet a word. */
static uint32_t providers(unsigned word) {
    if (word == LAYER_ANY_FILESYSTEM)
        return layer_bit(LAYER_MOUNT) | layer_bit(LAYER_CHROOT) | layer_bit(LAYER_LANDLOCK);
    /* The filter knows no socket but an unnamed pair, and so no network. */
    if (word == LAYER_ANY_NETWORK)
        return layer_bit(LAYER_NET) | layer_bit(LAYER_SECCOMP);
    return layer_bit(word);
}

static int is_met(const struct isolation *isolation, unsigned word) {
    for (unsigned i = 0; i < LAYER_COUNT; i++)
        if ((providers(word) & layer_bit(i)) != 0 && is_active(isolation, (enum layer)i))
            return 1;
    return 0;
}

unsigned layer_missing(const struct isolation *isolation, uint32_t floor) {
    for (unsigned word = 0; word < LAYER_WORDS; word++)
        if ((floor & layer_bit(word)) != 0 && !is_met(isolation, word))
            return word;
    return LAYER_WORDS;
}

int layer_explain(const struct isolation *isolation, unsigned word, struct failure *ret_failure) {
    char text[sizeof ret_failure->text] = "";
    size_t length = 0;
    int error = EPERM;
    for (unsigned i = 0; i < LAYER_COUNT && length < sizeof text; i++) {
        const struct layer_state *state = &isolation->layers[i];
        if ((providers(word) & layer_bit(i)) == 0)
            continue;
        error = state->error != 0 ? state->error : error;
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s: %.*s", length > 0 ? "; " : "", names[i],
                                   (int)sizeof state->detail, state->detail);
    }
    return failure_set(ret_failure, error, names[word], "%s", text);
}

const char *layer_tier(const struct isolation *isolation) {
    if (is_active(isolation, LAYER_MOUNT) && is_active(isolation, LAYER_PID))
        return "namespaces";
    if (is_active(isolation, LAYER_MOUNT))
        return "mount-namespace";
    if (is_active(isolation, LAYER_CHROOT) && is_active(isolation, LAYER_LANDLOCK))
        return "chroot+landlock";
    if (is_active(isolation, LAYER_LANDLOCK))
        return "landlock";
    return is_active(isolation, LAYER_CHROOT) ? "chroot" : "bare";
}

/* Our own words and the kernel's; whatever is no plain character in them is not worth more. */
static int add_string(struct buf *buf, const char *text, size_t size) {
    int r = buf_add_text(buf, "\"");
    for (size_t i = 0; r == 0 && i < size && text[i] != '\0'; i++)
        r = buf_add(buf, text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\' ? "?" : &text[i], 1);
    return r < 0 ? r : buf_add_text(buf, "\"");
}

static int add_layer(struct buf *buf, unsigned layer, const struct layer_state *state) {
    int r = buf_add_format(buf, "%s{\"name\": \"%s\", \"status\": \"%s\", \"active\": %s, \"detail\": ",
                           layer > 0 ? ", " : "", names[layer], layer_status_name(state->status),
                           state->status == LAYER_ACTIVE ? "true" : "false");
    if (r == 0)
        r = add_string(buf, state->detail, sizeof state->detail);
    if (r == 0 && state->error != 0) {
        r = buf_add_format(buf, ", \"errno\": \"%s\", \"call\": ", name_of_error(state->error));
        if (r == 0)
            r = add_string(buf, state->call, sizeof state->call);
    }
    return r < 0 ? r : buf_add_text(buf, "}");
}

int layer_add_list(struct buf *buf, const char *key, const struct isolation *isolation) {
    int r = buf_add_format(buf, "\"%s\": [", key);
    for (unsigned layer = 0; r == 0 && layer < LAYER_COUNT; layer++)
        r = add_layer(buf, layer, &isolation->layers[layer]);
    return r < 0 ? r : buf_add_text(buf, "]");
}

int layer_add_json(struct buf *buf, const struct isolation *isolation, uint32_t floor) {
    struct utsname kernel;
    const char *comma = "";
    uname(&kernel);
    int r = buf_add_format(buf, "\"tier\": \"%s\", \"kernel\": \"%.64s %.64s %.64s\", \"required\": [",
                           layer_tier(isolation), kernel.sysname, kernel.release, kernel.machine);
    for (unsigned word = 0; r == 0 && word < LAYER_WORDS; word++)
        if ((floor & layer_bit(word)) != 0) {
            r = buf_add_format(buf, "%s\"%s\"", comma, names[word]);
            comma = ", ";
        }
    if (r == 0)
        r = buf_add_text(buf, "], ");
    return r < 0 ? r : layer_add_list(buf, "layers", isolation);
}
