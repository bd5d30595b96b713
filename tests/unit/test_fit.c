/* cli/fit: the arithmetic of memory, and the numbers that follow what is granted. */
#include "child.h"

#include "cli/fit.h"

#include <stdlib.h>
#include <string.h>

enum { GIB = 1024 };

static struct container grants(uint64_t mib, uint64_t cpu_milli) {
    return (struct container){.memory_bytes = mib << 20, .memory_limited = true, .cpu_milli = cpu_milli};
}

static struct config usual(void) {
    struct config config;
    config_init(&config);
    strcpy(config.preload, "numpy,pandas");
    return config;
}

static void test_enough_for_two_a_cpu(void **state) {
    struct container container = grants(64 * GIB, 3000);
    struct config config = usual();
    (void)state;
    fit_automatic(&config, &container);
    assert_int_equal(config.workers, 6);
    assert_int_equal(config.crew, 12);
}

static void test_part_of_a_cpu_is_one(void **state) {
    struct container container = grants(64 * GIB, 250);
    struct config config = usual();
    (void)state;
    fit_automatic(&config, &container);
    assert_int_equal(config.workers, 2);
    assert_int_equal(config.crew, 4);
}

static void test_no_more_than_there_are_slots(void **state) {
    struct container container = grants(1024 * GIB, 1000 * 1000);
    struct config config = usual();
    (void)state;
    fit_automatic(&config, &container);
    assert_int_equal(config.workers, 64);
    assert_int_equal(config.crew, 128);
}

/* As many as fit, and not one more. */
static void test_fewer_where_memory_is_short(void **state) {
    (void)state;
    for (uint64_t mib = 512; mib <= 8 * GIB; mib += 256) {
        struct container container = grants(mib, 16000);
        struct config config = usual();
        struct config more;
        struct fit fit;
        fit_automatic(&config, &container);
        fit_count(&config, &container, &fit);
        assert_in_range(config.workers, 1, 31);
        assert_int_equal(config.crew, 2 * config.workers);
        assert_true(fit_is_met(&fit) || config.workers == 1);
        more = config;
        more.workers++;
        more.crew += 2;
        fit_count(&more, &container, &fit);
        assert_false(fit_is_met(&fit));
    }
}

static void test_what_is_set_stays(void **state) {
    struct container container = grants(64, 1000);
    struct config config = usual();
    (void)state;
    config.workers = 50;
    config.crew = 7;
    fit_automatic(&config, &container);
    assert_int_equal(config.workers, 50);
    assert_int_equal(config.crew, 7);
    config.crew = 0;
    fit_automatic(&config, &container);
    assert_int_equal(config.workers, 50);
    assert_int_equal(config.crew, 2);
}

static struct fit count(const struct config *config) {
    struct container container = grants(64 * GIB, 1000);
    struct fit fit;
    fit_count(config, &container, &fit);
    assert_int_equal(fit.total, fit.zygotes + fit.takeover + fit.idle + fit.held + fit.runs);
    assert_int_equal(fit.runs, config->workers * fit.run);
    return fit;
}

static void test_every_option_that_costs_memory_counts(void **state) {
    struct config config = usual();
    struct config other;
    (void)state;
    config.workers = 4;
    config.crew = 8;
    struct fit fit = count(&config);
    assert_in_range(fit.takeover, fit.zygotes + fit.idle - 1, fit.zygotes + fit.idle); /* each is rounded by itself */
#define ONE(field, value, part, by)                     \
    other = config;                                     \
    other.field = (value);                              \
    assert_int_equal(count(&other).part - fit.part, by)
    ONE(workers, 5, runs, fit.run);
    ONE(memory_mb, 300, run, 44);
    ONE(max_memory_mb, 1000, run, 744); /* what a request may ask for is what it may take */
    ONE(scratch_mb, 100, run, 36);
    ONE(max_scratch_mb, 164, run, 100);
    ONE(stdout_kb, 3072, run, 2);
    ONE(max_output_kb, 4096, run, 3);
    ONE(result_kb, 10240, run, 2);
    ONE(outputs_kb, 6144, run, 2);
    ONE(body_kb, 16384 + 1024, held, CONFIG_HELD);
    ONE(connections, 2048, held, 1024 * CONFIG_CONNECTION_KB / 1024);
#undef ONE
    other = config;
    other.crew = 16;
    assert_int_equal(count(&other).idle, 2 * fit.idle);
    strcpy(other.preload, "");
    assert_true(count(&other).zygotes < fit.zygotes && count(&other).idle < fit.idle);
    strcpy(other.preload, "numpy,pandas,sqlite3,decimal"); /* unknown ones are not taken for nothing */
    assert_true(count(&other).zygotes > fit.zygotes);
}

static void test_one_that_is_not_installed_costs_nothing(void **state) {
    struct config config = usual();
    struct config other = config;
    (void)state;
    config.workers = other.workers = 4;
    config.crew = other.crew = 8;
    strcpy(other.preload, "numpy,pandas,no_such_package_anywhere?");
    assert_int_equal(count(&other).total, count(&config).total);
    strcpy(other.preload, "numpy,pandas,no_such_package_anywhere"); /* without ? it must be there, else nothing starts */
    assert_true(count(&other).total > count(&config).total);
}

static void test_packages_of_a_virtual_environment(void **state) {
    struct config config = usual();
    (void)state;
    config.workers = config.crew = 1;
    strcpy(config.preload, "only_there?");
    strcpy(config.venv, "/tmp/test_fit_venv");
    uint64_t without = count(&config).zygotes;
    assert_int_equal(system("mkdir -p /tmp/test_fit_venv/lib/python3.99/site-packages/only_there"), 0);
    assert_int_equal(count(&config).zygotes, without + 48);
    assert_int_equal(system("rm -r /tmp/test_fit_venv"), 0);
}

static void test_the_sentence(void **state) {
    struct container container = grants(256, 1000);
    struct config config = usual();
    struct fit fit;
    char text[FIT_TEXT], total[32];
    (void)state;
    fit_automatic(&config, &container);
    fit_count(&config, &container, &fit);
    fit_describe(&fit, &config, text);
    snprintf(total, sizeof total, "at most %llu MiB ", (unsigned long long)fit.total);
    assert_non_null(strstr(text, total));
    assert_non_null(strstr(text, " of the 256 that the container may have"));
    assert_non_null(strstr(text, "does not fit"));
    assert_non_null(strstr(text, "--memory-mb (256)"));
    container = (struct container){.memory_bytes = 8192ull << 20, .cpu_milli = 1000};
    fit_count(&config, &container, &fit);
    fit_describe(&fit, &config, text);
    assert_non_null(strstr(text, " of the 8192 that the machine has"));
    assert_null(strstr(text, "does not fit"));
}

/* Nothing is cut off, however large the numbers. */
static void test_the_sentence_has_room(void **state) {
    struct container container = grants(1, 1);
    struct config config = usual();
    struct fit fit;
    char text[FIT_TEXT];
    (void)state;
    for (size_t i = 0; i < config_option_count; i++)
        if (config_options[i].kind == OPTION_NUMBER)
            *(uint64_t *)(void *)((char *)&config + config_options[i].offset) = config_options[i].max;
    fit_count(&config, &container, &fit);
    fit_describe(&fit, &config, text);
    assert_true(strlen(text) < FIT_TEXT - 1 && text[strlen(text) - 1] == ')');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enough_for_two_a_cpu),
        cmocka_unit_test(test_part_of_a_cpu_is_one),
        cmocka_unit_test(test_no_more_than_there_are_slots),
        cmocka_unit_test(test_fewer_where_memory_is_short),
        cmocka_unit_test(test_what_is_set_stays),
        cmocka_unit_test(test_every_option_that_costs_memory_counts),
        cmocka_unit_test(test_one_that_is_not_installed_costs_nothing),
        cmocka_unit_test(test_packages_of_a_virtual_environment),
        cmocka_unit_test(test_the_sentence),
        cmocka_unit_test(test_the_sentence_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
