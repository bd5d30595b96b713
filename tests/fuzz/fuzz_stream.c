/* server/stream: whatever is printed, in whatever pieces, the events of a stream are as many lines as there are events, and
 * their texts together are what was printed; and whatever the result is, no worker writes an event of its own. */
#include "answer.h"

#include "base/fd.h"
#include "base/utf8.h"
#include "server/response.h"
#include "server/stream.h"

#include <fcntl.h>
#include <unistd.h>

static void ready(void *owner) {
    (*(size_t *)owner)++;
}

/* As the pipes bring it. */
static void print(struct capture *capture, struct input piece) {
    int ends[2];
    assert(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    assert(write(ends[1], piece.data, piece.size) == (ssize_t)piece.size);
    assert(capture_read(capture, ends[0]) == 1);
    fd_close(ends[0]);
    fd_close(ends[1]);
}

/* So much of what there is; false where that is nothing. */
static bool read_some(struct stream *stream, size_t room, struct buf *to) {
    char piece[64];
    ssize_t n = stream_read(stream, piece, room);
    assert(n == -ENODATA || (n >= 0 && (size_t)n <= room && buf_add(to, piece, (size_t)n) == 0));
    return n > 0;
}

static int take_text(struct json_span key, struct json_span value, void *context) {
    assert(json_string_is(key, "text"));
    return json_text(value, context);
}

/* The data of an event with this name, and moves on behind it. */
static struct input next_event(struct input *rest, const char *name) {
    struct input head = input_part(rest, '\n'), data = input_part(rest, '\n'), blank = input_part(rest, '\n');
    assert(head.size == 7 + strlen(name) && memcmp(head.data, "event: ", 7) == 0 && memcmp(head.data + 7, name, head.size - 7) == 0);
    assert(data.size > 6 && memcmp(data.data, "data: ", 6) == 0 && blank.size == 0);
    return (struct input){data.data + 6, data.size - 6};
}

static void check_events(const struct buf *events, const struct buf *printed) {
    struct input rest = {events->data, events->len};
    struct buf text, whole;
    buf_init(&text, events->len);
    buf_init(&whole, events->len);
    while (rest.size > 13 && memcmp(rest.data, "event: stdout", 13) == 0) {
        struct input data = next_event(&rest, "stdout");
        assert(json_members(data.data, data.size, 1, take_text, &text, NULL) == 0);
    }
    struct input last = next_event(&rest, "result");
    assert(rest.size == 0 && json_check(last.data, last.size, ANSWER_DEPTH + 2, NULL) == 0);
    /* Repaired as a whole it is the same. */
    struct buf string;
    buf_init(&string, 8 * printed->len + 2);
    assert(utf8_add_json_string(&string, printed->data, printed->len) == 0);
    assert(json_text((struct json_span){string.data, string.len}, &whole) == 0);
    assert(whole.len == text.len && (whole.len == 0 || memcmp(whole.data, text.data, whole.len) == 0));
    buf_done(&text);
    buf_done(&whole);
    buf_done(&string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size);
    struct config config;
    struct job *job = answer_job(&input, &config);
    struct stream stream;
    struct response response;
    struct buf events, printed;
    size_t told = 0, room = 1 + input_pick(&input, 64);
    struct input answer = input_part(&input, PART);
    buf_init(&events, 1 << 20);
    buf_init(&printed, job->out.kept.max);
    stream_begin(&stream, job, ready, &told);
    while (input.size > 0 && size <= job->out.kept.max) {
        struct input piece = input_part(&input, PART);
        if (piece.size == 0)
            continue;
        assert(buf_add(&printed, piece.data, piece.size) == 0);
        print(&job->out, piece);
        read_some(&stream, room, &events);
    }
    if (answer.size <= job->answer.payload.max)
        assert(buf_add(&job->answer.payload, answer.data, answer.size) == 0);
    job->outcome = judge_outcome(job, config.result_depth);
    assert(response_event(&response, job) == 0);
    stream_finish(&stream, response.body, response.size);
    while (read_some(&stream, room, &events))
        continue;
    check_events(&events, &printed);
    stream_done(&stream);
    buf_done(&events);
    buf_done(&printed);
    job_unref(job);
    return 0;
}
