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
    char *brk; /* where malloc's memory began */
} heap;

static char *align(char *address) {
    return (char *)(((uintptr_t)address + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
}

void heap_begin(void) {
    /* All in one piece, not in mappings of their own. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
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
    return arena;
}

void heap_arena_free(void *context, void *arena, size_t size) {
    (void)context;
    munmap(arena, size);
}

/* Takes every chunk of malloc's that is free below the top one, from which all others come then. */
static void fill_chunks(void) {
    for (size_t size = 1 << 20; size >= 16; size = size > 1024 ? size / 2 : size - 16) {
        char *chunk;
        do {
            char *top = (char *)sbrk(0) - mallinfo2().keepcost - PAGE;
            chunk = malloc(size);
            if (chunk == NULL || chunk >= top)
                break;
        } while (true);
        free(chunk);
    }
}

static bool is_in_last_arena(const void *block) {
    const char *at = block;
    return at >= heap.last && at < heap.last + heap.last_size;
}

/* The same for Python's pools: first those that no size has, until there is a fresh arena, then those of each size. */
static void fill_pools(void *(*allocate)(size_t size), void (*release)(void *block)) {
    enum { LARGEST = 512, STEP = 16 };
    const char *before = heap.last;
    while (heap.last == before)
        if (allocate(LARGEST) == NULL)
            return;
    for (size_t size = STEP; size < LARGEST; size += STEP) {
        void *block;
        while ((block = allocate(size)) != NULL && !is_in_last_arena(block))
            continue;
        release(block);
    }
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
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    join_pages(heap.brk, sbrk(0));
}
