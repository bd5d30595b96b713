/* The heap: see heap.h. Runs in the zygote, before it forks.
 *
 * A worker pays for each page that it writes to, and for each that the fork has to note and the exit to give back. So
 * what is loaded lies in pages of 2 MiB where the kernel has some: the fork then notes one entry instead of 512, and
 * a page that is written to is copied by 4 KiB all the same. And what is free between it is taken for good: what a
 * worker allocates lies side by side in fresh pages then, not in holes all over the heap.
 */
#include "zygote/heap.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/* Address space for arenas; what is not used is given back. */
enum { PAGE = 4096, HUGE = 2 << 20, REGION = 512 << 20 };

static struct {
    char *start, *next, *end; /* of the region; next is NULL before and after */
    char *last; /* the last arena, wherever */
    size_t last_size;
    size_t bytes; /* of all arenas there ever were */
    char *brk; /* where malloc's memory began */
} heap;

static char *align(char *address) {
    return (char *)(((uintptr_t)address + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
}

void heap_begin(void) {
    heap.brk = sbrk(0);
    char *region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED)
        return; /* as it would be without us */
    heap.start = heap.next = align(region);
    heap.end = region + REGION;
    (void)madvise(heap.start, (size_t)(heap.end - heap.start), MADV_HUGEPAGE);
}

void *heap_arena(void *context, size_t size) {
    (void)context;
    char *arena;
    if (heap.next != NULL && size <= (size_t)(heap.end - heap.next)) {
        arena = heap.next;
        heap.next += size;
    } else {
        arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (arena == MAP_FAILED)
            return NULL;
    }
    heap.last = arena;
    heap.last_size = size;
    heap.bytes += size;
    return arena;
}

void heap_arena_free(void *context, void *arena, size_t size) {
    (void)context;
    munmap(arena, size);
}

/* Takes every chunk of malloc's that is free below the top one, from which all others come then. More than is free it
 * does not take, wherever the chunks may come from. */
static void fill_chunks(void) {
    size_t left = mallinfo2().fordblks;
    for (size_t size = 1 << 20; size >= 16; size = size > 1024 ? size / 2 : size - 16) {
        while (left >= size) {
            const char *top = (char *)sbrk(0) - mallinfo2().keepcost - PAGE;
            char *chunk = malloc(size);
            if (chunk == NULL || chunk >= top) {
                free(chunk);
                break;
            }
            left -= size;
        }
    }
}

/* Takes blocks of one size until one is in another arena than all before. */
static void fill_pools_of(size_t size, const char *before, void *(*allocate)(size_t size), void (*release)(void *block)) {
    for (size_t left = heap.bytes / size; left > 0; left--) {
        char *block = allocate(size);
        if (block == NULL || (heap.last != before && block >= heap.last && block < heap.last + heap.last_size)) {
            release(block);
            return;
        }
    }
}

/* The same for Python's pools: first those that belong to no size, until there is a fresh arena. */
static void fill_pools(void *(*allocate)(size_t size), void (*release)(void *block)) {
    enum { LARGEST = 512, STEP = 16 };
    const char *before = heap.last;
    for (size_t size = LARGEST; size >= STEP; size -= STEP)
        fill_pools_of(size, before, allocate, release);
}

/* Where it is not so from the start, or was until a fork shared it. */
static void join_pages(char *from, const char *end) {
    for (char *page = align(from); page + HUGE <= end; page += HUGE)
        (void)madvise(page, HUGE, MADV_COLLAPSE);
}

/* What is loaded from now on gets ordinary pages: a worker that needs one shall not be given 2 MiB. */
static void close_region(void) {
    if (heap.next == NULL)
        return;
    char *rest = align(heap.next);
    munmap(rest, (size_t)(heap.end - rest));
    join_pages(heap.start, rest);
    /* Nor shall the kernel join again what workers have written to. */
    (void)madvise(heap.start, (size_t)(rest - heap.start), MADV_NOHUGEPAGE);
    heap.next = NULL;
}

void heap_settle(void *(*allocate)(size_t size), void (*release)(void *block)) {
    close_region();
    fill_pools(allocate, release);
    mallopt(M_MXFAST, 0); /* no chunks to be joined later, by each worker anew */
    fill_chunks();
    join_pages(heap.brk, sbrk(0));
}
