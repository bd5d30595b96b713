/* The memory that workers are forks of, laid out for being forked: see heap.c.
 *
 * Used in the zygote, which has one thread.
 */
#ifndef PX_ZYGOTE_HEAP_H
#define PX_ZYGOTE_HEAP_H

#include <stddef.h>

/* Before anything is loaded. */
void heap_begin(void);

/* Memory for Python's arenas, and back; NULL where there is none. As PyObjectArenaAllocator has them. */
void *heap_arena(void *context, size_t size);
void heap_arena_free(void *context, void *arena, size_t size);

/* Behind everything that is loaded: what is free is taken, so that what is new lies together. `allocate` and `release`
 * are those of Python's allocator for small objects. */
void heap_settle(void *(*allocate)(size_t size), void (*release)(void *block));

#endif
