/* sandbox/policy: what the configuration says, and that nothing is left out unless it is said. */
#include "unit.h"

#include "sandbox/policy.h"

static struct policy policy_of(struct config *config) {
    struct policy policy;
    memset(&policy, 0xff, sizeof policy);
    policy_init(&policy, config);
    return policy;
}

static void test_what_the_configuration_says(void **state) {
    struct config config;
    (void)state;
    config_init(&config);
    config.scratch_mb = 3;
    config.scratch_files = 41;
    config.open_files = 42;
    config.threads = 43;
    config.uid_base = 70000;
    struct policy policy = policy_of(&config);
    assert_int_equal(policy.scratch_bytes, 3 << 20);
    assert_int_equal(policy.scratch_most_bytes, 3 << 20);
    config.max_scratch_mb = 5;
    policy_init(&policy, &config);
    assert_int_equal(policy.scratch_bytes, 3 << 20);
    assert_int_equal(policy.scratch_most_bytes, 5 << 20);
    assert_int_equal(policy.scratch_files, 41);
    assert_int_equal(policy.open_files, 42);
    assert_int_equal(policy.threads, 43);
    assert_int_equal(policy.uid_base, 70000);
    assert_null(policy.read_only[0]);
    assert_null(policy.read_only[POLICY_MAX_PATHS - 1]);
}

static void test_every_layer_is_used(void **state) {
    struct config config;
    (void)state;
    config_init(&config);
    struct policy policy = policy_of(&config);
    assert_int_equal(policy.off, 0);
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++)
        assert_true(policy_uses(&policy, (enum layer)layer));
}

static void test_one_that_is_off_is_off_alone(void **state) {
    (void)state;
    for (unsigned off = 0; off < LAYER_COUNT; off++) {
        const struct policy policy = {.off = layer_bit(off)};
        for (unsigned layer = 0; layer < LAYER_COUNT; layer++)
            assert_int_equal(policy_uses(&policy, (enum layer)layer), layer != off);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_configuration_says),
        cmocka_unit_test(test_every_layer_is_used),
        cmocka_unit_test(test_one_that_is_off_is_off_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
