/* Frames on a job's channel: see frame.h. */
#include "wire/frame.h"

#include "base/fd.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

void frame_reader_init(struct frame_reader *reader, size_t max_payload) {
    *reader = (struct frame_reader){0};
    buf_init(&reader->payload, max_payload);
}

void frame_reader_done(struct frame_reader *reader) {
    buf_done(&reader->payload);
}

static ssize_t read_some(int fd, void *to, size_t size) {
    ssize_t n;
    do
        n = read(fd, to, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n == 0 ? -EPIPE : n;
}

/* 1 when the header is whole and its length acceptable. */
static int read_header(struct frame_reader *reader, int fd) {
    while (reader->header_len < sizeof reader->header) {
        ssize_t n = read_some(fd, (char *)&reader->header + reader->header_len,
                              sizeof reader->header - reader->header_len);
        if (n < 0)
            return n == -EAGAIN ? 0 : (int)n;
        reader->header_len += (size_t)n;
    }
    return reader->header.length > reader->payload.max ? -EMSGSIZE : 1;
}

int frame_read(struct frame_reader *reader, int fd) {
    struct buf *payload = &reader->payload;
    int r = read_header(reader, fd);
    if (r <= 0)
        return r;
    while (payload->len < reader->header.length) {
        /* Memory is taken as bytes arrive, not because a header promised them. */
        size_t piece = reader->header.length - payload->len;
        if (piece > 65536)
            piece = 65536;
        r = buf_reserve(payload, piece);
        if (r < 0)
            return r;
        ssize_t n = read_some(fd, payload->data + payload->len, piece);
        if (n < 0)
            return n == -EAGAIN ? 0 : (int)n;
        payload->len += (size_t)n;
    }
    return 1;
}

int frame_write(int fd, enum frame_kind kind, const struct iovec *parts, size_t count) {
    struct frame_header header = {.kind = kind};
    struct iovec all[FRAME_MAX_PARTS + 1] = {{&header, sizeof header}};
    size_t length = 0;
    ssize_t n;
    assert(count <= FRAME_MAX_PARTS);
    for (size_t i = 0; i < count; i++) {
        all[i + 1] = parts[i];
        if (parts[i].iov_len > UINT32_MAX - length)
            return -EMSGSIZE;
        length += parts[i].iov_len;
    }
    header.length = (uint32_t)length;
    do
        n = writev(fd, all, (int)count + 1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    size_t done = (size_t)n;
    for (size_t i = 0; i <= count; i++) {
        size_t skip = done < all[i].iov_len ? done : all[i].iov_len;
        done -= skip;
        int r = fd_write_all(fd, (const char *)all[i].iov_base + skip, all[i].iov_len - skip);
        if (r < 0)
            return r;
    }
    return 0;
}
