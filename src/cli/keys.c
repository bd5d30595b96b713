/* Bearer keys: see keys.h. Runs in the manager, on files and variables of whoever starts the service. */
#include "cli/keys.h"

#include "base/fd.h"
#include "base/log.h"
#include "wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define BLANKS " \t\r"

/* MFD_NOEXEC_SEAL of Linux 6.3, without which some systems refuse (vm.memfd_noexec = 2). */
#define NOT_EXECUTABLE 8u

enum { TEXT_MAX = 1 << 20, LINE_MAX_BYTES = 256, RATE_MAX = 100000, COUNT_MAX = 1000000, SECRET_BYTES = 24 };

/* --- One line --- */

static int refuse(struct failure *ret_failure, const char *text) {
    return failure_set(ret_failure, EINVAL, "keys", "%s", text);
}

static int parse_name(const char *word, struct key *ret_key, struct failure *ret_failure) {
    size_t size = strlen(word);
    if (size > KEY_NAME || word[strspn(word, LETTERS "._-")] != '\0' || strchr(LETTERS, word[0]) == NULL)
        return refuse(ret_failure, "a name has 1 to 32 letters, digits, dots, dashes and underscores, a letter or digit first");
    memcpy(ret_key->name, word, size + 1);
    return 0;
}

static int hex_value(char digit) {
    const char *found = strchr("0123456789abcdef", digit >= 'A' && digit <= 'F' ? digit + ('a' - 'A') : digit);
    return digit != '\0' && found != NULL ? (int)(found - "0123456789abcdef") : -1;
}

/* What is wrong may be the secret itself, in the wrong place, so it is not repeated. */
static int parse_digest(const char *word, struct key *ret_key, struct failure *ret_failure) {
    static const char words[] = "behind the name there must be sha256: and 64 hexadecimal digits";
    if (strncmp(word, "sha256:", 7) != 0 || strlen(word + 7) != KEY_HEX)
        return refuse(ret_failure, words);
    for (size_t i = 0; i < KEY_DIGEST; i++) {
        int high = hex_value(word[7 + 2 * i]), low = hex_value(word[8 + 2 * i]);
        if (high < 0 || low < 0)
            return refuse(ret_failure, words);
        ret_key->digest[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

/* The number at the beginning; what is behind it, or NULL where there is none of up to `most`. */
static const char *parse_number(const char *text, uint64_t most, uint64_t *ret_number) {
    uint64_t number = 0;
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < digits && number <= most; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    *ret_number = number;
    return digits > 0 && number <= most ? text + digits : NULL;
}

struct found {
    bool rate, burst, concurrent;
};

static bool set_once(bool *found) {
    bool first = !*found;
    *found = true;
    return first;
}

static int parse_option(const char *word, struct key *key, struct found *found, struct failure *ret_failure) {
    uint64_t number;
    const char *rest = NULL;
    if (strncmp(word, "rate=", 5) == 0 && set_once(&found->rate)) {
        rest = parse_number(word + 5, RATE_MAX, &number);
        bool minutes = rest != NULL && strcmp(rest, "/min") == 0;
        if (rest == NULL || number == 0 || (!minutes && strcmp(rest, "/s") != 0))
            return refuse(ret_failure, "rate= takes 1 to 100000 and a unit: rate=10/s or rate=100/min");
        key->interval_ns = (minutes ? 60000000000u : 1000000000u) / number;
        key->burst = found->burst ? key->burst : (uint32_t)number;
        return 0;
    }
    if (strncmp(word, "burst=", 6) == 0 && set_once(&found->burst)) {
        rest = parse_number(word + 6, COUNT_MAX, &number);
        key->burst = (uint32_t)number;
        return rest != NULL && *rest == '\0' && number > 0 ? 0 : refuse(ret_failure, "burst= takes 1 to 1000000");
    }
    if (strncmp(word, "concurrent=", 11) == 0 && set_once(&found->concurrent)) {
        rest = parse_number(word + 11, COUNT_MAX, &number);
        key->concurrent = (uint32_t)number;
        return rest != NULL && *rest == '\0' ? 0 : refuse(ret_failure, "concurrent= takes 0 to 1000000");
    }
    return refuse(ret_failure, "behind the hash there may be rate=, burst= and concurrent=, each once");
}

/* 1 with a key, 0 where there is none, or a negative errno. The line is cut into words. */
static int parse_line(char *line, struct key *ret_key, struct failure *ret_failure) {
    struct key key = {.concurrent = KEY_ANY};
    struct found found = {0};
    char *state = NULL;
    size_t words = 0;
    int r = 0;
    for (char *word = strtok_r(line, BLANKS, &state); word != NULL && *word != '#' && r == 0;
         word = strtok_r(NULL, BLANKS, &state), words++)
        r = words == 0   ? parse_name(word, &key, ret_failure)
            : words == 1 ? parse_digest(word, &key, ret_failure)
                         : parse_option(word, &key, &found, ret_failure);
    if (r < 0 || words == 0)
        return r;
    if (words == 1)
        return parse_digest("", &key, ret_failure);
    if (found.burst && !found.rate)
        return refuse(ret_failure, "burst= is of no use without rate=");
    *ret_key = key;
    return 1;
}

/* --- All lines --- */

static int add_key(struct key *list, size_t *count, const struct key *key, struct failure *ret_failure) {
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(list[i].name, key->name) == 0)
            return refuse(ret_failure, "there is a key of this name already");
        if (key_same(list[i].digest, key->digest))
            return refuse(ret_failure, "this key is there already under another name");
    }
    if (*count == KEYS_MAX)
        return refuse(ret_failure, "there are too many keys, 1000 are the most");
    list[(*count)++] = *key;
    return 0;
}

static int parse_next(const char *text, size_t size, struct key *list, size_t *count, struct failure *ret_failure) {
    char line[LINE_MAX_BYTES];
    struct key key;
    /* A comment may be of any length. */
    if (size > 0 && text[0] == '#')
        return 0;
    if (size >= sizeof line || memchr(text, '\0', size) != NULL)
        return refuse(ret_failure, "this is no line of text of up to 255 bytes");
    memcpy(line, text, size);
    line[size] = '\0';
    int r = parse_line(line, &key, ret_failure);
    return r <= 0 ? r : add_key(list, count, &key, ret_failure);
}

int keys_parse(const char *text, size_t size, struct key ret_list[KEYS_MAX], size_t *ret_count,
               struct failure *ret_failure) {
    struct failure failure;
    size_t count = 0, number = 1;
    for (size_t at = 0; at < size; number++) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end != NULL ? (size_t)(end - text) - at : size - at;
        if (parse_next(text + at, length, ret_list, &count, &failure) < 0)
            return failure_set(ret_failure, EINVAL, "keys", "line %zu: %s", number, failure.text);
        at += length + 1;
    }
    *ret_count = count;
    return 0;
}

/* --- Where they come from --- */

/* The bytes of a file, to be freed. It is no pipe, which would keep us waiting, and can be read only once. */
static int read_file(const char *path, char **ret_text, size_t *ret_size, struct failure *ret_failure) {
    struct stat status;
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0)
        return failure_set(ret_failure, errno, "keys", "cannot read %.100s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode) || status.st_size > TEXT_MAX)
        return failure_set(ret_failure, EINVAL, "keys", "%.100s is no file of up to 1 MiB", path);
    if ((status.st_mode & S_IROTH) != 0)
        log_warning("keys: everybody can read %s; it holds no key, but who may call and how much", path);
    size_t size = (size_t)status.st_size;
    char *text = malloc(size + 1);
    ssize_t n = text == NULL ? -1 : pread(fd, text, size, 0);
    if (n < 0) {
        free(text);
        return failure_set(ret_failure, errno, "keys", "cannot read %.100s: %s", path, strerror(errno));
    }
    *ret_text = text;
    *ret_size = (size_t)n; /* less where it has just been cut */
    return 0;
}

static int take_text(struct keys *keys, const char *text, size_t size, struct failure *ret_failure) {
    struct key *list = calloc(KEYS_MAX, sizeof *list);
    size_t count = 0;
    if (list == NULL)
        return failure_set(ret_failure, ENOMEM, "keys", "no memory");
    int r = keys_parse(text, size, list, &count, ret_failure);
    if (r < 0) {
        free(list);
        return r;
    }
    free(keys->list);
    *keys = (struct keys){.on = true, .list = list, .count = count};
    if (count == 0)
        log_warning("keys: there are none, so nobody may call");
    return 0;
}

int keys_read(struct keys *keys, const struct config *config, struct failure *ret_failure) {
    const char *lines = getenv(KEYS_VARIABLE);
    const char *path = config->keys;
    char *text = NULL;
    size_t size = 0;
    if (*path == '\0')
        return lines != NULL ? take_text(keys, lines, strlen(lines), ret_failure) : 0;
    if (lines != NULL)
        return refuse(ret_failure, "there are --keys and " KEYS_VARIABLE ", it takes one of them");
    int r = read_file(path, &text, &size, ret_failure);
    if (r == 0)
        r = take_text(keys, text, size, ret_failure);
    free(text);
    return r;
}

/* In a file without a name, made for the one message: too many bytes for a socket's buffer, which nobody may be
 * reading yet. The server may write to it, which is nothing to us. */
int keys_send(const struct keys *keys, int control) {
    const struct message message = {.kind = MESSAGE_KEYS,
                                    .keys = {.on = keys->on, .count = (uint32_t)keys->count}};
    cleanup_fd int fd = -1;
    if (!keys->on)
        return message_send(control, &message, NULL, 0);
    fd = memfd_create("keys", MFD_CLOEXEC | NOT_EXECUTABLE);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("keys", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fd_write_all(fd, keys->list, keys->count * sizeof *keys->list);
    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    return r < 0 ? r : message_send(control, &message, &fd, 1);
}

void keys_reload(struct keys *keys, const struct config *config, int control) {
    struct failure failure;
    int r;
    if (!keys->on)
        return;
    if (keys_read(keys, config, &failure) < 0)
        log_error("keys: %s; those from before stay in force", failure.text);
    else if ((r = keys_send(keys, control)) < 0) /* where there is no server the next one gets them */
        log_warning("keys: read again, the server did not take them: %s", strerror(-r));
}

void keys_done(struct keys *keys) {
    free(keys->list);
    *keys = (struct keys){0};
}

/* --- A new one --- */

int keys_make(int argc, char *const *argv) {
    static const char prefix[] = "pxk_"; /* so that whoever looks for secrets in the wrong places knows it as one */
    uint8_t bytes[KEY_DIGEST] = {0};
    char hex[KEY_HEX + 1], secret[sizeof prefix + KEY_HEX], line[LINE_MAX_BYTES], words[LINE_MAX_BYTES];
    struct failure failure;
    struct key key;
    if (argc < 1 || argv[0][0] == '-') {
        fprintf(stderr, "usage: python-executor key NAME [rate=N/s|N/min] [burst=N] [concurrent=N]\n");
        return 2;
    }
    if (getrandom(bytes, SECRET_BYTES, 0) != SECRET_BYTES) {
        fprintf(stderr, "python-executor: key: no random bytes: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    key_write_hex(bytes, hex);
    snprintf(secret, sizeof secret, "%s%.*s", prefix, 2 * SECRET_BYTES, hex);
    key_hash(secret, strlen(secret), bytes);
    key_write_hex(bytes, hex);
    int length = snprintf(line, sizeof line, "%s sha256:%s", argv[0], hex);
    for (int i = 1; i < argc && length < (int)sizeof line; i++)
        length += snprintf(line + length, sizeof line - (size_t)length, " %s", argv[i]);
    if (length < (int)sizeof line)
        memcpy(words, line, (size_t)length + 1);
    if (length >= (int)sizeof line || strpbrk(line, "#\n") != NULL || parse_line(words, &key, &failure) != 1) {
        fprintf(stderr, "python-executor: key: %s\n", length >= (int)sizeof line || strpbrk(line, "#\n") != NULL
                                                          ? "these words do not make a line" : failure.text);
        return 2;
    }
    printf("%s\n", line);
    fprintf(stderr, "The key, shown this once: %s\nThe line for the file of keys is on standard output.\n", secret);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
