/* wire/message: packets of any size with any number of descriptors, and what a process does with the texts and numbers in
 * one that it takes. A packet that is taken is as it was sent, and no descriptor is lost or kept. */
#include "fuzz.h"

#include "base/fd.h"
#include "base/line.h"
#include "base/outcome.h"
#include "server/response.h"
#include "wire/message.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS = MESSAGE_MAX_FDS + 2 };

/* Not by message_send(), which has its own mind. */
static void send_packet(int fd, struct input packet, size_t fds) {
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * FDS)];
    } control = {0};
    struct iovec part = {(void *)packet.data, packet.size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fds > 0) {
        header.msg_control = control.space;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fds);
        struct cmsghdr *item = CMSG_FIRSTHDR(&header);
        *item = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int) * fds)};
        for (size_t i = 0; i < fds; i++)
            memcpy(CMSG_DATA(item) + i * sizeof(int), &fd, sizeof fd);
    }
    assert(sendmsg(fd, &header, MSG_NOSIGNAL) == (ssize_t)packet.size);
}

/* The lowest number that is free: the same before and behind, or something is left open. */
static int next_fd(void) {
    int fd = dup(0);
    assert(fd >= 0);
    close(fd);
    return fd;
}

static void check_json(struct response *response) {
    assert(json_check(response->body, response->size, 4, NULL) == 0);
    free(response->body);
}

/* As the server does (main.c), and serves it. */
static void use_layer(const struct layer_report *report) {
    struct isolation isolation = {0};
    struct response response;
    if (report->layer < LAYER_COUNT)
        isolation.layers[report->layer] = report->state;
    assert(response_isolation(&response, &isolation, &isolation, UINT32_MAX) == 0);
    check_json(&response);
}

/* As `run` does with the end of a console, and everybody with a failure. */
static void use_words(const struct message *message) {
    const struct failure *failure = &message->failure;
    struct line line;
    assert(outcome_name((enum outcome)message->end.outcome) != NULL);
    line_begin(&line);
    line_add_bytes(&line, "stage", failure->stage, strnlen(failure->stage, sizeof failure->stage));
    line_add_bytes(&line, "text", failure->text, strnlen(failure->text, sizeof failure->text));
    line_end(&line, 0);
    assert(line.len < LINE_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size);
    size_t fds = input_pick(&input, FDS);
    struct message message;
    int ends[2], got[MESSAGE_MAX_FDS], free_before = next_fd();
    assert(message_pair(ends) == 0);
    bool whole = input.size >= sizeof message && input_pick(&input, 8) != 7;
    if (whole)
        input.size = sizeof message < input.size ? sizeof message : input.size;
    send_packet(ends[0], input, fds);
    int r = message_receive(ends[1], &message, got);
    size_t count = message_count_fds(got);
    if (r == 1) {
        assert(input.size == sizeof message && fds <= MESSAGE_MAX_FDS && count == fds);
        assert(memcmp(&message, input.data, sizeof message) == 0);
        use_layer(&message.layer);
        use_words(&message);
        assert(message_send(ends[1], &message, got, count) == 0);
    } else {
        assert((r == -EBADMSG || (r == 0 && input.size == 0 && fds == 0)) && count == 0);
        assert(input.size != sizeof message || fds > MESSAGE_MAX_FDS);
    }
    message_close_fds(got);
    fd_close(ends[0]);
    fd_close(ends[1]);
    assert(next_fd() == free_before);
    return 0;
}
