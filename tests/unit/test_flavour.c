/* base/flavour: what is imported before a script comes, by what the script mentions. */
#include "unit.h"

#include "base/flavour.h"

static void test_how_many(void **state) {
    (void)state;
    assert_int_equal(flavour_count(""), 1);
    assert_int_equal(flavour_count(",,"), 1);
    assert_int_equal(flavour_count("numpy"), 2);
    assert_int_equal(flavour_count("numpy,pandas"), 3);
    assert_int_equal(flavour_count("a,b,c"), 4);
    assert_int_equal(flavour_count("a,b,c,d,e"), FLAVOUR_MAX);
}

static void assert_modules(const char *preload, unsigned flavour, const char *expected) {
    char modules[CONFIG_TEXT];
    flavour_modules(preload, flavour, modules);
    assert_string_equal(modules, expected);
}

static void test_what_each_imports(void **state) {
    (void)state;
    assert_modules("numpy,pandas", 0, "");
    assert_modules("numpy,pandas", 1, "numpy");
    assert_modules("numpy,pandas", 2, "pandas");
    assert_modules("numpy,pandas", 3, "");
    assert_modules(",a,,b.x,c?,d,e,", 2, "b.x");
    assert_modules(",a,,b.x,c?,d,e,", 3, "c?,d,e");
}

static void test_what_is_as_long_as_can_be(void **state) {
    char preload[CONFIG_TEXT];
    (void)state;
    memset(preload, 'x', sizeof preload);
    memcpy(preload, "a,b,c,", 6);
    preload[sizeof preload - 1] = '\0';
    assert_modules(preload, 3, preload + 4);
}

static unsigned of(const char *preload, const char *script) {
    return flavour_of(preload, script, strlen(script));
}

static void test_what_a_script_mentions(void **state) {
    (void)state;
    assert_int_equal(of("numpy,pandas", ""), 0);
    assert_int_equal(of("numpy,pandas", "def main(): return 1"), 0);
    assert_int_equal(of("numpy,pandas", "import numpy as np"), 1);
    assert_int_equal(of("numpy,pandas", "from numpy.linalg import norm"), 1);
    assert_int_equal(of("numpy,pandas", "import numpy, pandas"), 2);
    assert_int_equal(of("numpy,pandas", "pandas\nnumpy"), 2);
    assert_int_equal(of("numpy,pandas", "pandas"), 2);
    assert_int_equal(of("", "import numpy"), 0);
    assert_int_equal(of("matplotlib.pyplot?", "from matplotlib import pyplot"), 1);
    assert_int_equal(of("a,b,c,d,e", "e"), 3);
}

static void test_a_part_of_a_word_is_no_mention(void **state) {
    (void)state;
    assert_int_equal(of("numpy", "mynumpy numpyro _numpy numpy_ 1numpy numpy\xc3\xa9"), 0);
    assert_int_equal(of("numpy", "numpyro numpy"), 1);
    assert_int_equal(of("numpy", "(numpy)"), 1);
}

/* The text is not ended by a NUL, and may have some in it. */
static void test_not_beyond_its_end(void **state) {
    (void)state;
    assert_int_equal(flavour_of("numpy", "numpy", 4), 0);
    assert_int_equal(flavour_of("numpy", "\0numpy\0", 7), 1);
    assert_int_equal(flavour_of("numpy", NULL, 0), 0);
}

static void assert_narrowed(const char *preload, const char *script, const char *expected) {
    char modules[CONFIG_TEXT];
    snprintf(modules, sizeof modules, "%s", preload);
    flavour_narrow(modules, script, strlen(script));
    assert_string_equal(modules, expected);
}

static void test_what_one_script_does_without(void **state) {
    (void)state;
    assert_narrowed("numpy,pandas", "", "");
    assert_narrowed("numpy,pandas", "numpy", "numpy,");
    assert_narrowed("numpy,pandas", "pandas", "numpy,pandas");
    assert_narrowed("a,b,c,d,e", "d", "a,b,c,d,e");
    assert_narrowed("", "numpy", "");
}

/* An operator's slip, and any script would have been read beyond its end, where no module was ever found. */
static void test_a_module_of_no_name(void **state) {
    (void)state;
    assert_int_equal(of("?", "x"), 0);
    assert_int_equal(of("numpy,?", "import numpy"), 1);
    assert_int_equal(of("numpy,.", "x"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_how_many),
        cmocka_unit_test(test_what_each_imports),
        cmocka_unit_test(test_what_is_as_long_as_can_be),
        cmocka_unit_test(test_what_a_script_mentions),
        cmocka_unit_test(test_a_part_of_a_word_is_no_mention),
        cmocka_unit_test(test_not_beyond_its_end),
        cmocka_unit_test(test_what_one_script_does_without),
        cmocka_unit_test(test_a_module_of_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
