/* wire/frame, as the server reads a worker's answer: any bytes, in any pieces, cost no more memory than they may, and make
 * the same frame in one piece; a whole frame, written again, is the bytes it was read from. */
#include "fuzz.h"

#include "base/fd.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* What a reader makes of data that comes in pieces of so many bytes, and then ends. Whole: how much it has taken. */
static int read_in_pieces(struct frame_reader *reader, struct input data, size_t piece) {
    int ends[2], r = 0;
    assert(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    while (r == 0 && data.size > 0) {
        size_t size = data.size < piece ? data.size : piece;
        assert(write(ends[1], data.data, size) == (ssize_t)size);
        data.data += size;
        data.size -= size;
        r = frame_read(reader, ends[0]);
        assert(reader->payload.capacity <= reader->payload.max && reader->payload.len <= reader->header.length);
    }
    ends[1] = fd_close(ends[1]);
    if (r == 0)
        r = frame_read(reader, ends[0]);
    fd_close(ends[0]);
    return r;
}

static void check_written(const struct frame_reader *reader, struct input data) {
    static char again[1 << 16];
    struct iovec parts[2] = {{reader->payload.data, reader->payload.len / 2},
                             {reader->payload.data + reader->payload.len / 2, reader->payload.len - reader->payload.len / 2}};
    size_t size = sizeof reader->header + reader->payload.len;
    int ends[2];
    assert(pipe2(ends, O_CLOEXEC) == 0);
    assert(frame_write(ends[1], reader->header.kind, parts, reader->payload.len > 0 ? 2 : 0) == 0);
    assert(read(ends[0], again, sizeof again) == (ssize_t)size && size <= data.size);
    assert(memcmp(again, data.data, size) == 0);
    fd_close(ends[0]);
    fd_close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size);
    size_t max = 16u << input_pick(&input, 8), piece = 1 + input_pick(&input, 64);
    struct frame_reader one, other;
    if (input.size > 32768)
        return 0;
    frame_reader_init(&one, max);
    frame_reader_init(&other, max);
    int r = read_in_pieces(&one, input, piece);
    assert(r == 1 || r == -EMSGSIZE || r == -EPIPE);
    assert(read_in_pieces(&other, input, input.size + 1) == r);
    if (r == 1) {
        assert(one.header.length <= max && one.payload.len == one.header.length && other.payload.len == one.payload.len);
        assert(one.payload.len == 0 || memcmp(one.payload.data, other.payload.data, one.payload.len) == 0);
        check_written(&one, input);
    }
    frame_reader_done(&one);
    frame_reader_done(&other);
    return 0;
}
