/* base/outcome: the names are part of the contract, so they stand here a second time. */
#include "unit.h"

#include "base/outcome.h"

static const char *const names[] = {
    [OUTCOME_OK] = "ok",
    [OUTCOME_NO_MAIN] = "no_main",
    [OUTCOME_EXCEPTION] = "exception",
    [OUTCOME_NOT_SERIALIZABLE] = "not_serializable",
    [OUTCOME_OUTPUT_LIMIT] = "output_limit",
    [OUTCOME_SCRATCH_LIMIT] = "scratch_limit",
    [OUTCOME_THREAD_LIMIT] = "thread_limit",
    [OUTCOME_TIMEOUT] = "timeout",
    [OUTCOME_MEMORY] = "memory",
    [OUTCOME_KILLED] = "killed",
    [OUTCOME_EXITED] = "exited",
    [OUTCOME_CANCELLED] = "cancelled",
    [OUTCOME_LOST] = "lost",
};

static void test_names(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_string_equal(outcome_name((enum outcome)i), names[i]);
}

/* A number from nowhere is the service's own fault, and must not be a NULL in a header. */
static void test_a_number_from_nowhere(void **state) {
    (void)state;
    assert_string_equal(outcome_name((enum outcome)99), "lost");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_number_from_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
