/* base/config: the one table. Every option takes its bounds and refuses what lies beyond, by name. */
#include "unit.h"

#include "base/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int set(struct config *config, const char *name, const char *value, struct failure *failure) {
    char flag[64];
    char *args[] = {flag, (char *)value};
    snprintf(flag, sizeof flag, "--%s", name);
    return config_from_args(config, 2, args, failure);
}

static uint64_t number(const struct config *config, const struct option_spec *option) {
    uint64_t value;
    memcpy(&value, (const char *)config + option->offset, sizeof value);
    return value;
}

static void test_numbers_take_their_bounds(void **state) {
    struct config config;
    struct failure failure;
    char text[32];
    (void)state;
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        if (option->kind != OPTION_NUMBER)
            continue;
        config_init(&config);
        snprintf(text, sizeof text, "%llu", (unsigned long long)option->min);
        assert_int_equal(set(&config, option->name, text, &failure), 0);
        assert_int_equal(number(&config, option), option->min);
        snprintf(text, sizeof text, "%llu", (unsigned long long)option->max);
        assert_int_equal(set(&config, option->name, text, &failure), 0);
        assert_int_equal(number(&config, option), option->max);
    }
}

static void assert_refused(const struct option_spec *option, const char *value) {
    struct config config;
    struct failure failure = {0};
    char text[32];
    config_init(&config);
    uint64_t before = number(&config, option);
    assert_int_equal(set(&config, option->name, value, &failure), -EINVAL);
    assert_int_equal(number(&config, option), before);
    assert_non_null(strstr(failure.stage, option->name));
    snprintf(text, sizeof text, "from %llu to %llu", (unsigned long long)option->min,
             (unsigned long long)option->max);
    assert_non_null(strstr(failure.text, text));
}

static void test_numbers_refuse_the_rest(void **state) {
    static const char *const rubbish[] = {"", " 1", "1 ", "-1", "+1", "0x10", "1e3", "many", "99999999999999999999999"};
    char text[32];
    (void)state;
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        if (option->kind != OPTION_NUMBER)
            continue;
        for (size_t k = 0; k < sizeof rubbish / sizeof rubbish[0]; k++)
            assert_refused(option, rubbish[k]);
        snprintf(text, sizeof text, "%llu", (unsigned long long)option->max + 1);
        assert_refused(option, text);
        if (option->min > 0) {
            snprintf(text, sizeof text, "%llu", (unsigned long long)option->min - 1);
            assert_refused(option, text);
        }
    }
}

static void test_texts(void **state) {
    struct config config;
    struct failure failure;
    (void)state;
    config_init(&config);
    assert_int_equal(set(&config, "log", "debug", &failure), 0);
    assert_int_equal(set(&config, "log", "loud", &failure), -EINVAL);
    assert_string_equal(config.log, "debug");
    assert_int_equal(set(&config, "preload", "", &failure), 0);
    assert_int_equal(set(&config, "preload", "os;import x", &failure), -EINVAL);
    assert_int_equal(set(&config, "host", "::1", &failure), 0);
    assert_int_equal(set(&config, "host", "example.org", &failure), -EINVAL);
}

static void test_usage_errors(void **state) {
    struct config config;
    struct failure failure;
    char *unknown[] = {(char *)"--wall", (char *)"5"};
    char *bare[] = {(char *)"wall-ms"};
    char *half[] = {(char *)"--wall-ms"};
    (void)state;
    config_init(&config);
    assert_int_equal(config_from_args(&config, 2, unknown, &failure), -EINVAL);
    assert_non_null(strstr(failure.text, "--wall"));
    assert_int_equal(config_from_args(&config, 1, bare, &failure), -EINVAL);
    assert_int_equal(config_from_args(&config, 1, half, &failure), -EINVAL);
    assert_string_equal(failure.stage, "--wall-ms");
}

static void test_environment_yields_to_flags(void **state) {
    struct config config;
    struct failure failure;
    char *args[] = {(char *)"--port=2000"};
    (void)state;
    config_init(&config);
    setenv("PORT", "1000", 1);
    assert_int_equal(config_from_environment(&config, &failure), 0);
    assert_int_equal(config.port, 1000);
    assert_int_equal(config_from_args(&config, 1, args, &failure), 0);
    assert_int_equal(config.port, 2000);
    setenv("PORT", "http", 1);
    assert_int_equal(config_from_environment(&config, &failure), -EINVAL);
    assert_string_equal(failure.stage, "PORT");
    unsetenv("PORT");
}

static void test_children_get_the_same(void **state) {
    struct config config, again;
    struct failure failure;
    char *args[CONFIG_ARGS] = {NULL};
    int count = 0;
    (void)state;
    config_init(&config);
    assert_int_equal(set(&config, "wall-ms", "1234", &failure), 0);
    assert_int_equal(set(&config, "preload", "json,re", &failure), 0);
    assert_int_equal(config_to_args(&config, args, CONFIG_ARGS), 0);
    while (args[count] != NULL)
        count++;
    assert_int_equal(count, (int)config_option_count);
    config_init(&again);
    assert_int_equal(config_from_args(&again, count, args, &failure), 0);
    assert_memory_equal(&again, &config, sizeof config);
    for (int i = 0; i < count; i++)
        free(args[i]);
}

static void test_contradictions(void **state) {
    struct config config;
    struct failure failure;
    (void)state;
    config_init(&config);
    assert_int_equal(config_check(&config, &failure), 0);
    config.script_kb = config.body_kb + 1;
    assert_int_equal(config_check(&config, &failure), -EINVAL);
    config_init(&config);
    config.uid_base = 65534 - CONFIG_UIDS;
    assert_int_equal(config_check(&config, &failure), 0);
    config.uid_base++;
    assert_int_equal(config_check(&config, &failure), -EINVAL);
    config.uid_base = 65536;
    assert_int_equal(config_check(&config, &failure), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_take_their_bounds), cmocka_unit_test(test_numbers_refuse_the_rest),
        cmocka_unit_test(test_texts),                     cmocka_unit_test(test_usage_errors),
        cmocka_unit_test(test_environment_yields_to_flags), cmocka_unit_test(test_children_get_the_same),
        cmocka_unit_test(test_contradictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
