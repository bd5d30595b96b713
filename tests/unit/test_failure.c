/* base/failure: what went wrong, in words that always fit and always end. */
#include "unit.h"

#include "base/failure.h"

#include <errno.h>

static void test_it_is_filled_in_and_returned(void **state) {
    struct failure failure = {0};
    (void)state;
    assert_int_equal(failure_set(&failure, EPERM, "mount namespace", "%s(%d)", "unshare", 5), -EPERM);
    assert_int_equal(failure.error, EPERM);
    assert_string_equal(failure.stage, "mount namespace");
    assert_string_equal(failure.text, "unshare(5)");
}

/* Where no system call is to blame the answer is negative all the same: a 0 would read as success. */
static void test_no_errno_is_a_failure_too(void **state) {
    struct failure failure = {.error = 7};
    (void)state;
    assert_int_equal(failure_set(&failure, 0, "usage", "no"), -EINVAL);
    assert_int_equal(failure.error, 0);
}

static void test_nobody_has_to_listen(void **state) {
    (void)state;
    assert_int_equal(failure_set(NULL, ENOMEM, "stage", "text"), -ENOMEM);
    assert_int_equal(failure_set(NULL, 0, "stage", "text"), -EINVAL);
}

/* It crosses a process boundary as it is, so what does not fit is cut, and ended. */
static void test_too_long_is_cut(void **state) {
    struct failure failure;
    char longer[400];
    (void)state;
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    memset(&failure, 'x', sizeof failure);
    assert_int_equal(failure_set(&failure, EIO, longer, "%s", longer), -EIO);
    assert_int_equal(strlen(failure.stage), sizeof failure.stage - 1);
    assert_int_equal(strlen(failure.text), sizeof failure.text - 1);
    assert_memory_equal(failure.stage, longer, sizeof failure.stage - 1);
    assert_memory_equal(failure.text, longer, sizeof failure.text - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_filled_in_and_returned),
        cmocka_unit_test(test_no_errno_is_a_failure_too),
        cmocka_unit_test(test_nobody_has_to_listen),
        cmocka_unit_test(test_too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
