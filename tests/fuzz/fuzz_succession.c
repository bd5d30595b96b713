/* cli/succession, with which the manager hears its zygotes: messages of any kind with anything in them. Nothing that one says
 * is a word of another, and what is logged of it is a line. */
#include "fuzz.h"

#include "base/fd.h"
#include "base/log.h"
#include "cli/succession.h"
#include "wire/message.h"

static void check_line(void *context, enum log_level level, const struct line *line) {
    (void)level;
    (*(size_t *)context)++;
    assert(line->len <= LINE_BYTES && memchr(line->data, '\n', line->len) == line->data + line->len - 1);
    for (size_t i = 0; i < line->len - 1; i++)
        assert(line->data[i] >= ' ' && line->data[i] < 0x7f);
}

/* A kind and what is in it; the rest is zeros. */
static void say(int fd, struct input bytes) {
    struct message message = {.kind = input_pick(&bytes, 24)};
    size_t room = sizeof message - offsetof(struct message, run);
    memcpy(&message.run, bytes.size > 0 ? bytes.data : "", bytes.size < room ? bytes.size : room);
    assert(message_send(fd, &message, NULL, 0) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size);
    struct config config;
    struct succession succession;
    struct programs programs = {.server = -1, .zygote = -1};
    size_t lines = 0, heard = 0;
    int ends[2];
    config_init(&config);
    log_divert(check_line, &lines);
    succession_init(&succession, &config, &programs);
    struct zygote *zygote = &succession.zygotes[0], *other = &succession.zygotes[1], before = *other;
    assert(message_pair(ends) == 0);
    child_init(&zygote->child, 0, ends[0]);
    zygote->stage = input_pick(&input, 2) == 0 ? ZYGOTE_FRESH : ZYGOTE_PRESENT;
    for (int messages = 0; messages < 20 && input.size > 0; messages++)
        say(ends[1], input_part(&input, PART));
    fd_close(ends[1]);
    succession_hear(zygote);
    assert(zygote->child.control == -1 && memcmp(other, &before, sizeof before) == 0);
    for (size_t i = 0; i < CONFIG_FLAVOURS; i++)
        heard += zygote->heard[i];
    assert(!zygote->ready || zygote->flavours.first == 0);
    assert(!zygote->complete || succession.complete);
    assert(!zygote->ready || heard > 0);
    assert(!succession.failed || lines > 0);
    log_divert(NULL, NULL);
    return 0;
}
