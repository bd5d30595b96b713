/* cli/nearest: what counts as a slip, and what is another word. */
#include "unit.h"

#include "cli/nearest.h"

static void test_distances(void **state) {
    static const struct {
        const char *one, *other;
        size_t distance;
    } cases[] = {
        {"", "", 0},           {"", "abc", 3},          {"serve", "serve", 0},    {"serv", "serve", 1},
        {"servve", "serve", 1}, {"swrve", "serve", 1},   {"sevre", "serve", 1},    {"kitten", "sitting", 3},
        {"ab", "ba", 1},        {"abc", "xyz", 3},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(nearest_distance(cases[i].one, cases[i].other), cases[i].distance);
        assert_int_equal(nearest_distance(cases[i].other, cases[i].one), cases[i].distance);
    }
}

static void test_a_long_word_is_near_to_nothing(void **state) {
    char word[1000];
    (void)state;
    memset(word, 'a', sizeof word);
    word[999] = '\0';
    assert_true(nearest_distance(word, "a") > 3);
    assert_true(nearest_distance("a", word) > 3);
    word[64] = '\0';
    assert_int_equal(nearest_distance(word, "a"), 63);
}

static const char *nearest_of(const char *word) {
    static const char *const names[] = {"run", "serve", "doctor", "wall-ms", "max-wall-ms", "cpu-ms"};
    struct nearest nearest = {.word = word};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        nearest_try(&nearest, names[i]);
    return nearest.found;
}

static void test_the_nearest_is_found(void **state) {
    (void)state;
    assert_string_equal(nearest_of("rum"), "run");
    assert_string_equal(nearest_of("wal-ms"), "wall-ms");
    assert_string_equal(nearest_of("max-wal-ms"), "max-wall-ms");
    assert_string_equal(nearest_of("doktor"), "doctor");
    assert_null(nearest_of("xyz"));
    assert_null(nearest_of(""));
    assert_null(nearest_of("nonsense"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_a_long_word_is_near_to_nothing),
        cmocka_unit_test(test_the_nearest_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
