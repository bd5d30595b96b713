/* cli/claim: no two processes have the same ids, and those of a dead one are to be had again. */
#include "child.h"

#include "cli/claim.h"

#include <errno.h>
#include <signal.h>

enum { BASE = 1700000000 };

static void test_each_has_its_own(void **state) {
    enum { PLACES = CLAIM_IDS / CLAIM_EACH };
    static bool seen[PLACES];
    struct failure failure = {0};
    uint64_t mine;
    (void)state;
    for (int i = 0; i < PLACES; i++) {
        assert_int_equal(claim_ids(BASE, &mine, &failure), 0);
        assert_true(mine >= BASE - CLAIM_IDS && mine + CLAIM_EACH <= BASE);
        assert_int_equal((BASE - mine) % CLAIM_EACH, 0);
        size_t place = (size_t)(mine - (BASE - CLAIM_IDS)) / CLAIM_EACH;
        assert_false(seen[place]);
        seen[place] = true;
    }
    assert_int_equal(claim_ids(BASE, &mine, &failure), -EUSERS);
    assert_string_equal(failure.stage, "--uid-base");
    assert_int_equal(claim_ids(BASE + 1000, &mine, &failure), 0); /* another base has others */
}

static void claim_one(void) {
    uint64_t mine;
    CHECK(claim_ids(BASE + 2000, &mine, NULL) == 0);
}

static void test_the_dead_hold_nothing(void **state) {
    (void)state;
    for (int i = 0; i < 2 * CLAIM_IDS / CLAIM_EACH; i++)
        in_child(claim_one);
}

static void test_there_must_be_ids_below(void **state) {
    struct failure failure = {0};
    uint64_t mine;
    (void)state;
    assert_int_equal(claim_ids(1399, &mine, &failure), -EINVAL);
    assert_int_equal(claim_ids(1400, &mine, &failure), 0);
    assert_true(mine >= 1000 && mine < 1400);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_has_its_own),
        cmocka_unit_test(test_the_dead_hold_nothing),
        cmocka_unit_test(test_there_must_be_ids_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
