/* How long scripts have run: which of those that wait had better not have all places at once.
 *
 * Only long scripts are remembered, so that short ones, however many, drive none of them out. What is remembered is a
 * guess about the next run: it says where a job waits and never how it ends.
 */
#ifndef PX_SERVER_HISTORY_H
#define PX_SERVER_HISTORY_H

#include <stddef.h>
#include <stdint.h>

/* What runs for longer is long. */
enum { HISTORY_LONG_MS = 250 };

enum { HISTORY_BUCKETS = 256, HISTORY_WAYS = 4 };

struct history {
    uint64_t secrets[2];
    uint64_t notes; /* so far, the clock of the entries */
    struct history_entry {
        uint64_t key;
        uint64_t noted; /* when it was last; 0: free */
        uint64_t usual_ms;
    } entries[HISTORY_BUCKETS][HISTORY_WAYS];
};

/* Empty, with secrets of its own (getrandom(2)): nobody outside can tell which scripts share a place. 0 or a negative
 * errno. */
int history_init(struct history *history);

/* What the script goes by. Of a large one the first and the last 64 KiB count, and its size, so this takes microseconds;
 * scripts with the same key are taken for one. */
uint64_t history_key(const struct history *history, const char *script, size_t size);

/* What such a script usually takes; 0 where it is not known, or not long. */
uint64_t history_usual_ms(const struct history *history, uint64_t key);

/* It came to its end after so long. Each run counts as much as all before it, so what is long once is long for a few
 * runs more. */
void history_note(struct history *history, uint64_t key, uint64_t ms);

/* It runs, or was ended by somebody else, after so long: says nothing where it usually takes longer. */
void history_note_at_least(struct history *history, uint64_t key, uint64_t ms);

#endif
