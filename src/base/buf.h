/* A growing buffer of bytes with a hard maximum.
 *
 * Everything that comes from outside is collected in one of these, so that no client and no worker
 * decides how much memory the service uses.
 */
#ifndef PX_BASE_BUF_H
#define PX_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;
    size_t len;
    size_t capacity;
    size_t max; /* in bytes; len never exceeds it */
};

void buf_init(struct buf *buf, size_t max);
void buf_done(struct buf *buf);

/* Makes room for more bytes behind the present ones. -EMSGSIZE beyond the maximum, -ENOMEM. */
int buf_reserve(struct buf *buf, size_t more);

/* Appends all of it or nothing. */
int buf_add(struct buf *buf, const void *data, size_t size);
int buf_add_text(struct buf *buf, const char *text);
__attribute__((format(printf, 2, 3))) int buf_add_format(struct buf *buf, const char *format, ...);

/* Gives the bytes away to be freed with free(); the buffer is empty afterwards. NULL where it was. */
char *buf_steal(struct buf *buf, size_t *ret_size);

#endif
