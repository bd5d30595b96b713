/* A growing buffer with a hard maximum: see buf.h. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf, size_t max) {
    *buf = (struct buf){.max = max};
}

void buf_done(struct buf *buf) {
    free(buf->data);
    *buf = (struct buf){.max = buf->max};
}

int buf_reserve(struct buf *buf, size_t more) {
    size_t wanted;
    if (more > buf->max - buf->len)
        return -EMSGSIZE;
    wanted = buf->len + more;
    if (wanted <= buf->capacity)
        return 0;
    size_t capacity = buf->capacity < 512 ? 512 : buf->capacity;
    while (capacity < wanted)
        capacity += capacity;
    if (capacity > buf->max)
        capacity = buf->max;
    char *data = realloc(buf->data, capacity);
    if (data == NULL)
        return -ENOMEM;
    buf->data = data;
    buf->capacity = capacity;
    return 0;
}

int buf_add(struct buf *buf, const void *data, size_t size) {
    int r = buf_reserve(buf, size);
    if (r < 0)
        return r;
    if (size > 0)
        memcpy(buf->data + buf->len, data, size);
    buf->len += size;
    return 0;
}

int buf_add_text(struct buf *buf, const char *text) {
    return buf_add(buf, text, strlen(text));
}

int buf_add_format(struct buf *buf, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        return -EMSGSIZE;
    return buf_add(buf, text, (size_t)n);
}

char *buf_steal(struct buf *buf, size_t *ret_size) {
    char *data = buf->data;
    *ret_size = buf->len;
    *buf = (struct buf){.max = buf->max};
    return data;
}
