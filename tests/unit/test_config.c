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
    static const char *const rubbish[] = {
        "", " 1", "1 ", "-1", "+1", "0x10", "1e3", "many",
        "18446744073709551616", "18446744073709551617", "99999999999999999999999", /* beyond 64 bits, two just */
    };
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

static void test_both_forms_of_a_flag(void **state) {
    char *const together[] = {(char *)"--port=0", (char *)"--wall-ms=7"};
    char *const apart[] = {(char *)"--port", (char *)"0", (char *)"--wall-ms", (char *)"7"};
    char *const twice[] = {(char *)"--port=1", (char *)"--port=0", (char *)"--wall-ms=7"};
    struct config one, two, three;
    (void)state;
    config_init(&one);
    two = three = one;
    assert_int_equal(config_from_args(&one, 2, together, NULL), 0);
    assert_int_equal(config_from_args(&two, 4, apart, NULL), 0);
    assert_int_equal(config_from_args(&three, 3, twice, NULL), 0); /* the last one counts */
    assert_int_equal(one.port, 0);
    assert_int_equal(one.wall_ms, 7);
    assert_memory_equal(&two, &one, sizeof one);
    assert_memory_equal(&three, &one, sizeof one);
}

static void test_the_table_agrees_with_itself(void **state) {
    struct config config;
    (void)state;
    config_init(&config);
    assert_int_equal(config_check(&config, NULL), 0);
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        assert_true(strlen(option->name) + 2 < sizeof((struct failure *)0)->stage);
        assert_true(strlen(option->environment) < sizeof((struct failure *)0)->stage);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(option->name, config_options[k].name);
            assert_string_not_equal(option->environment, config_options[k].environment);
            assert_int_not_equal(option->offset, config_options[k].offset);
        }
        if (option->kind == OPTION_NUMBER && option->fallback_text != NULL) {
            assert_int_equal(number(&config, option), 0); /* worked out later */
            assert_true(option->min > 0);
        } else if (option->kind == OPTION_NUMBER) {
            assert_true(number(&config, option) >= option->min);
            assert_true(number(&config, option) <= option->max);
        }
    }
}

/* What a service is that nobody configured: not one that all the world can reach, among others. */
static void test_defaults(void **state) {
    struct config config;
    (void)state;
    memset(&config, 'x', sizeof config);
    config_init(&config);
    assert_string_equal(config.host, "127.0.0.1");
    assert_string_equal(config.preload, "numpy,pandas,matplotlib.pyplot?");
    assert_string_equal(config.log, "info");
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        if (option->kind == OPTION_NUMBER && option->fallback_text == NULL)
            assert_int_equal(number(&config, option), option->fallback);
    }
    assert_int_equal(config.workers, 0); /* worked out by whoever starts the service: cli/fit.h */
    assert_int_equal(config.crew, 0);
    assert_int_equal(config.wall_ms, 5000);
    assert_int_equal(config.memory_mb, 256);
}

static void test_the_length_of_a_text(void **state) {
    char text[CONFIG_TEXT + 1];
    struct config config;
    struct failure failure;
    (void)state;
    memset(text, 'a', sizeof text);
    text[CONFIG_TEXT - 1] = '\0';
    config_init(&config);
    assert_int_equal(set(&config, "preload", text, &failure), 0);
    assert_string_equal(config.preload, text);
    text[CONFIG_TEXT - 1] = 'a';
    text[CONFIG_TEXT] = '\0';
    assert_int_equal(set(&config, "preload", text, &failure), -EINVAL);
    assert_string_equal(failure.stage, "--preload");
    assert_int_equal(strlen(config.preload), CONFIG_TEXT - 1);
    assert_int_equal(set(&config, "host", text, &failure), -EINVAL);
    assert_int_equal(set(&config, "log", text, &failure), -EINVAL);
    assert_int_equal(set(&config, "log", "", &failure), -EINVAL);
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

static void test_a_limit_by_its_key(void **state) {
    (void)state;
    assert_ptr_equal(config_limit_option("wall_ms"), config_find("wall-ms"));
    assert_ptr_equal(config_limit_option("cpu_ms"), config_find("cpu-ms"));
    assert_ptr_equal(config_limit_option("memory_mb"), config_find("memory-mb"));
    assert_ptr_equal(config_limit_option("output_kb"), config_find("stdout-kb"));
    assert_ptr_equal(config_limit_option("scratch_mb"), config_find("scratch-mb"));
    assert_null(config_limit_option(""));
    assert_null(config_limit_option("wall"));
    assert_null(config_limit_option("wall-ms"));
}

/* As it is shown, it can be set again. */
static void test_values_as_text(void **state) {
    struct config config, again;
    struct failure failure;
    char text[CONFIG_TEXT];
    (void)state;
    config_init(&config);
    config.workers = config.crew = 1; /* 0 is for the start to work out */
    assert_int_equal(set(&config, "wall-ms", "1234", &failure), 0);
    assert_int_equal(set(&config, "origins", "https://a.example", &failure), 0);
    config_value(&config, config_find("wall-ms"), text);
    assert_string_equal(text, "1234");
    memset(&again, 0, sizeof again);
    for (size_t i = 0; i < config_option_count; i++) {
        config_value(&config, &config_options[i], text);
        assert_int_equal(config_set(&again, &config_options[i], "x", text, &failure), 0);
    }
    assert_memory_equal(&again, &config, sizeof config);
}

static void test_usage_errors(void **state) {
    struct config config;
    struct failure failure;
    char *unknown[] = {(char *)"--wall", (char *)"5"};
    char *bare[] = {(char *)"wall-ms"};
    char *half[] = {(char *)"--wall-ms"};
    char *prefix[] = {(char *)"--wall-m=5"};
    char *more[] = {(char *)"--wall-mss=5"};
    char *nameless[] = {(char *)"--=5"};
    char *dashes[] = {(char *)"--"};
    char *swallowed[] = {(char *)"--wall-ms", (char *)"--port=1"};
    (void)state;
    config_init(&config);
    assert_int_equal(config_from_args(&config, 1, prefix, &failure), -EINVAL);
    assert_int_equal(config_from_args(&config, 1, more, &failure), -EINVAL);
    assert_int_equal(config_from_args(&config, 1, nameless, &failure), -EINVAL);
    assert_int_equal(config_from_args(&config, 1, dashes, &failure), -EINVAL);
    assert_int_equal(config_from_args(&config, 2, swallowed, &failure), -EINVAL);
    assert_string_equal(failure.stage, "--wall-ms");
    config_init(&config);
    assert_int_equal(config_from_args(&config, 2, unknown, &failure), -EINVAL);
    assert_non_null(strstr(failure.text, "--wall"));
    assert_int_equal(config_from_args(&config, 1, bare, &failure), -EINVAL);
    assert_int_equal(config_from_args(&config, 1, half, &failure), -EINVAL);
    assert_string_equal(failure.stage, "--wall-ms");
}

static void test_children_get_the_same(void **state) {
    struct config config, again;
    struct failure failure;
    char *args[CONFIG_ARGS] = {NULL};
    int count = 0;
    (void)state;
    config_init(&config);
    assert_int_equal(set(&config, "wall-ms", "1234", &failure), 0);
    assert_int_equal(set(&config, "preload", "json?,re", &failure), 0);
    config.workers = config.crew = 3;
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

/* All options at once, at either end of their ranges. */
static void test_children_get_every_option(void **state) {
    (void)state;
    for (int end = 0; end < 2; end++) {
        struct config config, again;
        char *args[CONFIG_ARGS] = {NULL};
        int count = 0;
        config_init(&config);
        for (size_t i = 0; i < config_option_count; i++)
            if (config_options[i].kind == OPTION_NUMBER)
                memcpy((char *)&config + config_options[i].offset,
                       end ? &config_options[i].max : &config_options[i].min, sizeof(uint64_t));
        memset(config.preload, end ? 'z' : '\0', CONFIG_TEXT - 1);
        assert_int_equal(config_to_args(&config, args, CONFIG_ARGS), 0);
        while (args[count] != NULL)
            count++;
        config_init(&again);
        assert_int_equal(config_from_args(&again, count, args, NULL), 0);
        for (size_t i = 0; i < config_option_count; i++)
            if (config_options[i].kind == OPTION_NUMBER)
                assert_int_equal(number(&again, &config_options[i]), number(&config, &config_options[i]));
        assert_string_equal(again.preload, config.preload);
        for (int i = 0; i < count; i++)
            free(args[i]);
    }
}

static void test_room_for_the_options_of_a_child(void **state) {
    struct config config;
    char *args[CONFIG_ARGS] = {(char *)"program", NULL};
    (void)state;
    config_init(&config);
    assert_int_equal(config_to_args(&config, args, config_option_count + 2), 0);
    assert_string_equal(args[0], "program");
    assert_null(args[config_option_count + 1]);
    for (size_t i = 1; args[i] != NULL; i++)
        free(args[i]);
    args[1] = NULL;
    assert_int_equal(config_to_args(&config, args, config_option_count + 1), -E2BIG);
    for (size_t i = 1; args[i] != NULL; i++)
        free(args[i]);
}

/* A zygote's list has two entries more, and a NULL at its end. */
static void test_the_list_of_a_child_is_long_enough(void **state) {
    struct config config;
    char *args[CONFIG_ARGS] = {(char *)"program", (char *)"256", NULL};
    (void)state;
    config_init(&config);
    assert_int_equal(config_to_args(&config, args, CONFIG_ARGS), 0);
    for (size_t i = 2; args[i] != NULL; i++)
        free(args[i]);
}

/* Headings, the first of them over the first row, each once. */
static void test_groups(void **state) {
    size_t count = 0;
    (void)state;
    assert_string_equal(config_group(&config_options[0]), "Listening");
    for (size_t i = 0; i < config_option_count; i++)
        count += config_group(&config_options[i]) != NULL;
    assert_int_equal(count, 7);
}

static void test_contradictions(void **state) {
    struct config config;
    struct failure failure;
    (void)state;
    config_init(&config);
    assert_int_equal(config_check(&config, &failure), 0);
    config.script_kb = config.body_kb;
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

static void test_what_a_request_may_ask_for(void **state) {
    struct config config;
    struct failure failure;
    (void)state;
    config_init(&config);
    struct limit_range range = config_limit(&config, LIMIT_MEMORY_MB);
    assert_string_equal(range.key, "memory_mb");
    assert_int_equal(range.least, 16);
    assert_int_equal(range.usual, 256);
    assert_int_equal(range.most, 256);
    config.max_output_kb = 2048;
    range = config_limit(&config, LIMIT_OUTPUT_KB);
    assert_string_equal(range.key, "output_kb");
    assert_int_equal(range.usual, 1024);
    assert_int_equal(range.most, 2048);
    config.max_scratch_mb = 65;
    range = config_limit(&config, LIMIT_SCRATCH_MB);
    assert_string_equal(range.key, "scratch_mb");
    assert_int_equal(range.least, 1);
    assert_int_equal(range.usual, 64);
    assert_int_equal(range.most, 65);
    assert_int_equal(config_check(&config, &failure), 0);
    config.max_wall_ms = 5000;
    assert_int_equal(config_check(&config, &failure), 0);
    config.max_wall_ms = 4999;
    assert_int_equal(config_check(&config, &failure), -EINVAL);
    assert_string_equal(failure.stage, "--max-wall-ms");
    assert_string_equal(failure.text, "4999 is less than --wall-ms, which is 5000");
}

static void test_origins(void **state) {
    static const char *const good[] = {"", "https://a.example", "http://a:1,app://b", "https://[::2]:3", "a://b,", "*"};
    static const char *const bad[] = {"null", "a.example", "https://", "://a", "https://a/", "https://a/b", "https://a,b",
                                      ",", "https://a,,https://b", "*,https://a", "https://a,*", "https://*.a", "**", "https://a,https:/b"};
    struct config config;
    struct failure failure;
    (void)state;
    config_init(&config);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(config.origins, sizeof config.origins, "%s", good[i]);
        assert_int_equal(config_check(&config, &failure), 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(config.origins, sizeof config.origins, "%s", bad[i]);
        assert_int_equal(config_check(&config, &failure), -EINVAL);
        assert_string_equal(failure.stage, "--origins");
    }
    assert_string_equal(failure.text, "'https:/b' is no origin, it takes scheme://host or scheme://host:port, or * alone");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_take_their_bounds), cmocka_unit_test(test_numbers_refuse_the_rest),
        cmocka_unit_test(test_texts),                     cmocka_unit_test(test_usage_errors),
cmocka_unit_test(test_children_get_the_same),
        cmocka_unit_test(test_contradictions),
cmocka_unit_test(test_both_forms_of_a_flag),
        cmocka_unit_test(test_the_table_agrees_with_itself), cmocka_unit_test(test_the_length_of_a_text),
        cmocka_unit_test(test_children_get_every_option), cmocka_unit_test(test_room_for_the_options_of_a_child),
        cmocka_unit_test(test_a_limit_by_its_key), cmocka_unit_test(test_values_as_text),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_the_list_of_a_child_is_long_enough), cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_what_a_request_may_ask_for), cmocka_unit_test(test_origins),

    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
