/* server/history: what is remembered of scripts' run times, and what is forgotten. */
#include "unit.h"

#include "base/clock.h"
#include "server/history.h"

#include <stdlib.h>

enum { LONG = HISTORY_LONG_MS + 1 };

static void test_only_what_is_long_is_remembered(void **state) {
    static struct history history;
    (void)state;
    assert_int_equal(history_init(&history), 0);
    assert_int_equal(history_usual_ms(&history, 7), 0);
    history_note(&history, 7, HISTORY_LONG_MS);
    assert_int_equal(history_usual_ms(&history, 7), 0);
    history_note(&history, 7, LONG);
    assert_int_equal(history_usual_ms(&history, 7), LONG);
    assert_int_equal(history_usual_ms(&history, 7 + HISTORY_BUCKETS), 0); /* in the same bucket, another script */
    history_note(&history, 0, 5000); /* a key like any other */
    assert_int_equal(history_usual_ms(&history, 0), 5000);
}

static void test_short_runs_make_it_short_again(void **state) {
    static struct history history;
    (void)state;
    assert_int_equal(history_init(&history), 0);
    history_note(&history, 1, 5000);
    history_note(&history, 1, 1);
    assert_int_equal(history_usual_ms(&history, 1), 2500);
    for (int i = 0; i < 3; i++)
        history_note(&history, 1, 1);
    assert_int_equal(history_usual_ms(&history, 1), 313);
    history_note(&history, 1, 1);
    assert_int_equal(history_usual_ms(&history, 1), 0);
    history_note(&history, 1, 5000); /* nothing of before is left */
    assert_int_equal(history_usual_ms(&history, 1), 5000);
}

/* Who gives up on a long script, or lowers its limit, does not make it a short one. */
static void test_what_did_not_come_to_its_end(void **state) {
    static struct history history;
    (void)state;
    assert_int_equal(history_init(&history), 0);
    history_note_at_least(&history, 1, HISTORY_LONG_MS);
    assert_int_equal(history_usual_ms(&history, 1), 0);
    history_note_at_least(&history, 1, 1000);
    assert_int_equal(history_usual_ms(&history, 1), 1000);
    for (int i = 0; i < 10; i++)
        history_note_at_least(&history, 1, 10);
    assert_int_equal(history_usual_ms(&history, 1), 1000);
    history_note_at_least(&history, 1, 2000);
    assert_int_equal(history_usual_ms(&history, 1), 1500);
}

static void test_the_one_not_heard_of_for_longest_goes(void **state) {
    static struct history history;
    uint64_t keys[HISTORY_WAYS + 1];
    (void)state;
    assert_int_equal(history_init(&history), 0);
    for (uint64_t i = 0; i <= HISTORY_WAYS; i++)
        keys[i] = 5 + i * HISTORY_BUCKETS;
    for (size_t i = 0; i < HISTORY_WAYS; i++)
        history_note(&history, keys[i], 1000 + i);
    history_note(&history, keys[0], 1000);
    history_note(&history, keys[HISTORY_WAYS], 3000);
    assert_int_equal(history_usual_ms(&history, keys[1]), 0);
    for (size_t i = 0; i <= HISTORY_WAYS; i++)
        if (i != 1)
            assert_true(history_usual_ms(&history, keys[i]) >= 1000);
    /* One that has turned short leaves its place, and no other goes. */
    for (int i = 0; i < 4; i++)
        history_note(&history, keys[2], 0);
    history_note(&history, keys[1], 4000);
    for (size_t i = 0; i <= HISTORY_WAYS; i++)
        assert_int_equal(history_usual_ms(&history, keys[i]) == 0, i == 2);
}

/* However many short scripts there are, and other buckets' long ones. */
static void test_others_drive_nothing_out(void **state) {
    static struct history history;
    (void)state;
    assert_int_equal(history_init(&history), 0);
    history_note(&history, 5, 2000);
    for (uint64_t key = 6; key < 100000; key++)
        history_note(&history, key, 100);
    for (uint64_t key = 6; key < 5 + HISTORY_BUCKETS; key++)
        for (uint64_t way = 0; way < 10; way++)
            history_note(&history, key + way * HISTORY_BUCKETS, 5000);
    assert_int_equal(history_usual_ms(&history, 5), 2000);
}

static void test_every_byte_that_counts_changes_the_key(void **state) {
    enum { SIZE = 300 };
    static struct history history, other;
    char script[SIZE];
    (void)state;
    assert_int_equal(history_init(&history), 0);
    assert_int_equal(history_init(&other), 0);
    memset(script, 0, sizeof script); /* the least that a text can differ by is its size */
    uint64_t key = history_key(&history, script, SIZE);
    assert_int_equal(history_key(&history, script, SIZE), key);
    assert_int_not_equal(history_key(&other, script, SIZE), key);
    for (size_t i = 0; i < SIZE; i++) {
        assert_int_not_equal(history_key(&history, script, i), key);
        for (int bit = 0; bit < 8; bit++) {
            script[i] = (char)(1 << bit);
            assert_int_not_equal(history_key(&history, script, SIZE), key);
        }
        script[i] = 0;
    }
}

static int compare(const void *a, const void *b) {
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

static void test_keys_of_like_scripts_differ_and_spread(void **state) {
    enum { SCRIPTS = 20000 };
    static struct history history;
    static uint64_t keys[SCRIPTS];
    size_t used[HISTORY_BUCKETS] = {0};
    char script[64];
    (void)state;
    assert_int_equal(history_init(&history), 0);
    for (int i = 0; i < SCRIPTS; i++) {
        int size = snprintf(script, sizeof script, "def main(): return %d", i);
        keys[i] = history_key(&history, script, (size_t)size);
        used[keys[i] % HISTORY_BUCKETS]++;
    }
    for (size_t i = 0; i < HISTORY_BUCKETS; i++) /* 78 on average */
        assert_in_range(used[i], 20, 200);
    qsort(keys, SCRIPTS, sizeof keys[0], compare);
    for (size_t i = 1; i < SCRIPTS; i++)
        assert_int_not_equal(keys[i], keys[i - 1]);
}

/* The ends and the size of a large script count. */
static void test_large_scripts(void **state) {
    enum { END = 64 << 10, SIZE = 1 << 20 };
    static struct history history;
    static const size_t counts[] = {0, END - 1, SIZE - END, SIZE - 1}, ignored[] = {END, SIZE / 2, SIZE - END - 1};
    char *script = calloc(1, SIZE); /* on the heap: a sanitizer sees who reads beyond it */
    (void)state;
    assert_non_null(script);
    assert_int_equal(history_init(&history), 0);
    uint64_t key = history_key(&history, script, SIZE);
    assert_int_not_equal(history_key(&history, script, SIZE - 8), key);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        script[counts[i]] = 1;
        assert_int_not_equal(history_key(&history, script, SIZE), key);
        script[counts[i]] = 0;
    }
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        script[ignored[i]] = 1;
        assert_int_equal(history_key(&history, script, SIZE), key);
    }
    /* Where both ends meet nothing is left out, and nothing counts twice. */
    for (size_t size = 2 * END - 9; size <= 2 * END; size++) {
        key = history_key(&history, script, size);
        for (size_t at = END - 1; at <= END + 1; at++) {
            script[at] ^= 2;
            assert_int_not_equal(history_key(&history, script, size), key);
            script[at] ^= 2;
        }
    }
    uint64_t begin = clock_us();
    for (int i = 0; i < 100; i++)
        key ^= history_key(&history, script, SIZE);
    print_message("# %llu us for the key of 1 MiB (%llx)\n", (unsigned long long)(clock_us() - begin) / 100, (unsigned long long)key);
    free(script);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_is_long_is_remembered),
        cmocka_unit_test(test_short_runs_make_it_short_again),
        cmocka_unit_test(test_what_did_not_come_to_its_end),
        cmocka_unit_test(test_the_one_not_heard_of_for_longest_goes),
        cmocka_unit_test(test_others_drive_nothing_out),
        cmocka_unit_test(test_every_byte_that_counts_changes_the_key),
        cmocka_unit_test(test_keys_of_like_scripts_differ_and_spread),
        cmocka_unit_test(test_large_scripts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
