/* base/layer: the words for the layers, what meets a floor, and what is told of it. */
#include "unit.h"

#include "base/layer.h"

#include <errno.h>
#include <stdlib.h>

static const char *const words[LAYER_WORDS] = {
    "seccomp",       "rlimits",       "identity",       "landlock", "chroot",     "mount-namespace",
    "user-namespace", "pid-namespace", "network-namespace", "ipc-namespace", "uts-namespace", "time-namespace",
    "cgroup-namespace", "cgroup", "filesystem", "network",
};

static void test_names(void **state) {
    (void)state;
    for (unsigned i = 0; i < LAYER_WORDS; i++)
        assert_string_equal(layer_name(i), words[i]);
    assert_string_equal(layer_status_name(LAYER_REFUSED), "refused");
    assert_string_equal(layer_status_name(LAYER_ACTIVE), "on");
    assert_string_equal(layer_status_name(LAYER_UNUSED), "unused");
    /* From a message that may be wrong: never taken for one that is on. */
    assert_string_equal(layer_status_name(LAYER_UNUSED + 1), "refused");
    assert_string_equal(layer_status_name(UINT32_MAX), "refused");
}

/* --- Lists --- */

static uint32_t parse(const char *text) {
    struct failure failure = {0};
    uint32_t set = ~0u;
    assert_int_equal(layer_parse(text, &set, &failure), 0);
    return set;
}

static void test_lists(void **state) {
    char all[512] = "";
    (void)state;
    for (unsigned i = 0; i < LAYER_WORDS; i++) {
        assert_int_equal(parse(words[i]), layer_bit(i));
        strcat(strcat(all, words[i]), ",");
    }
    assert_int_equal(parse(all), layer_bit(LAYER_WORDS) - 1); /* with a comma at the end */
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse("cgroup,cgroup"), layer_bit(LAYER_CGROUP));
    assert_int_equal(parse("cgroup-namespace"), layer_bit(LAYER_CGROUP_NAMESPACE));
}

static void test_what_is_no_layer_is_named(void **state) {
    static const char *const wrong[] = {"x", "seccom", "seccompx", "SECCOMP", " seccomp", "seccomp ", "seccomp;rlimits",
                                        "-", "%s%n", "\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct failure failure = {0};
        char list[64];
        uint32_t set = 77;
        snprintf(list, sizeof list, "rlimits,%s,identity", wrong[i]);
        assert_int_equal(layer_parse(list, &set, &failure), -EINVAL);
        assert_int_equal(set, 77); /* untouched on failure */
        assert_int_equal(failure.error, EINVAL);
        assert_non_null(strstr(failure.text, wrong[i]));
        assert_non_null(strstr(failure.text, "doctor"));
    }
}

static void test_empty_words(void **state) {
    uint32_t set = 77;
    struct failure failure = {0};
    (void)state;
    assert_int_equal(layer_parse(",", &set, &failure), -EINVAL);
    assert_int_equal(layer_parse(",seccomp", &set, &failure), -EINVAL);
    assert_int_equal(layer_parse("seccomp,,rlimits", &set, &failure), -EINVAL);
    assert_int_equal(layer_parse("nonsense", &set, NULL), -EINVAL); /* nobody wants to know */
    assert_int_equal(set, 77);
}

static void test_a_long_word_is_cut(void **state) {
    char list[4096];
    struct failure failure = {0};
    uint32_t set;
    (void)state;
    memset(list, 'w', sizeof list);
    list[sizeof list - 1] = '\0';
    assert_int_equal(layer_parse(list, &set, &failure), -EINVAL);
    assert_non_null(memchr(failure.text, '\0', sizeof failure.text));
    assert_non_null(strstr(failure.text, "doctor"));
}

/* --- The floor --- */

static struct isolation with(uint32_t layers) {
    struct isolation isolation = {0};
    for (unsigned i = 0; i < LAYER_COUNT; i++)
        if ((layers & layer_bit(i)) != 0)
            layer_active(&isolation, (enum layer)i, "on");
    return isolation;
}

/* Against the words of the header, for every set of those that matter. */
static void test_who_meets_what(void **state) {
    (void)state;
    for (uint32_t set = 0; set < layer_bit(LAYER_COUNT); set++) {
        const struct isolation isolation = with(set);
        bool files = (set & (layer_bit(LAYER_MOUNT) | layer_bit(LAYER_CHROOT) | layer_bit(LAYER_LANDLOCK))) != 0;
        bool net = (set & (layer_bit(LAYER_NET) | layer_bit(LAYER_SECCOMP))) != 0;
        assert_int_equal(layer_missing(&isolation, layer_bit(LAYER_ANY_FILESYSTEM)), files ? LAYER_WORDS : LAYER_ANY_FILESYSTEM);
        assert_int_equal(layer_missing(&isolation, layer_bit(LAYER_ANY_NETWORK)), net ? LAYER_WORDS : LAYER_ANY_NETWORK);
        assert_int_equal(layer_missing(&isolation, set), LAYER_WORDS);
        assert_int_equal(layer_missing(&isolation, 0), LAYER_WORDS);
    }
}

/* No layer stands in for another that was named itself. */
static void test_a_layer_is_met_by_itself_alone(void **state) {
    (void)state;
    for (unsigned i = 0; i < LAYER_COUNT; i++) {
        const struct isolation others = with(~layer_bit(i));
        assert_int_equal(layer_missing(&others, layer_bit(i)), i);
    }
}

static void test_what_is_refused_or_unused_meets_nothing(void **state) {
    struct isolation isolation = {0};
    (void)state;
    for (unsigned i = 0; i < LAYER_COUNT; i++) {
        layer_unused(&isolation, (enum layer)i, "granted");
        assert_int_equal(layer_missing(&isolation, layer_bit(i)), i);
        layer_active(&isolation, (enum layer)i, "on");
        layer_refused(&isolation, (enum layer)i, "unshare", EPERM);
        assert_int_equal(layer_missing(&isolation, layer_bit(i)), i);
        isolation.layers[i].status = 3; /* no status at all */
        assert_int_equal(layer_missing(&isolation, layer_bit(i)), i);
    }
}

static void test_the_first_missing_one_is_said(void **state) {
    const struct isolation isolation = with(layer_bit(LAYER_SECCOMP) | layer_bit(LAYER_IDENTITY));
    (void)state;
    assert_int_equal(layer_missing(&isolation, ~0u), LAYER_RLIMITS);
    assert_int_equal(layer_missing(&isolation, parse("cgroup,pid-namespace,identity")), LAYER_PID);
    assert_int_equal(layer_missing(&isolation, parse("network,filesystem")), LAYER_ANY_FILESYSTEM);
}

/* --- Why --- */

static void test_the_reason(void **state) {
    struct isolation isolation = {0};
    struct failure failure = {0};
    (void)state;
    layer_refused(&isolation, LAYER_CGROUP_NAMESPACE, "unshare(NEWCGROUP)", ENOSPC);
    assert_string_equal(isolation.layers[LAYER_CGROUP_NAMESPACE].call, "unshare(NEWCGROUP)");
    assert_string_equal(isolation.layers[LAYER_CGROUP_NAMESPACE].detail, "unshare(NEWCGROUP): No space left on device (ENOSPC)");
    assert_int_equal(layer_explain(&isolation, LAYER_CGROUP_NAMESPACE, &failure), -ENOSPC);
    assert_string_equal(failure.stage, "cgroup-namespace");
    assert_string_equal(failure.text, "cgroup-namespace: unshare(NEWCGROUP): No space left on device (ENOSPC)");
}

/* A word that several can meet: why none of them does. */
static void test_the_reasons_of_several(void **state) {
    struct isolation isolation = {0};
    struct failure failure = {0};
    (void)state;
    layer_refused(&isolation, LAYER_LANDLOCK, "landlock_create_ruleset", ENOSYS);
    layer_refused(&isolation, LAYER_CHROOT, "chroot", EPERM);
    layer_unused(&isolation, LAYER_MOUNT, "switched off");
    assert_true(layer_explain(&isolation, LAYER_ANY_FILESYSTEM, &failure) < 0);
    assert_string_equal(failure.stage, "filesystem");
    assert_non_null(strstr(failure.text, "landlock: landlock_create_ruleset: Function not implemented"));
    assert_non_null(strstr(failure.text, "; chroot: chroot: Operation not permitted (EPERM)"));
    assert_non_null(strstr(failure.text, "; mount-namespace: switched off"));
}

static void test_a_reason_that_is_too_long(void **state) {
    struct isolation isolation = {0};
    struct failure failure;
    (void)state;
    memset(&failure, 'x', sizeof failure);
    for (unsigned i = 0; i < LAYER_COUNT; i++)
        memset(isolation.layers[i].detail, 'd', sizeof isolation.layers[i].detail);
    assert_int_equal(layer_explain(&isolation, LAYER_ANY_FILESYSTEM, &failure), -EPERM);
    assert_non_null(memchr(failure.text, '\0', sizeof failure.text));
}

static void test_long_details_are_cut(void **state) {
    char text[512];
    struct isolation isolation;
    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    layer_refused(&isolation, LAYER_CGROUP, text, EPERM);
    assert_int_equal(strlen(isolation.layers[LAYER_CGROUP].call), sizeof isolation.layers[0].call - 1);
    assert_int_equal(strlen(isolation.layers[LAYER_CGROUP].detail), sizeof isolation.layers[0].detail - 1);
    layer_active(&isolation, LAYER_CGROUP, text);
    assert_int_equal(strlen(isolation.layers[LAYER_CGROUP].detail), sizeof isolation.layers[0].detail - 1);
    assert_int_equal(isolation.layers[LAYER_CGROUP].error, 0); /* nothing is left of what was refused */
    assert_string_equal(isolation.layers[LAYER_CGROUP].call, "");
}

/* --- The tier --- */

static void test_tiers(void **state) {
    static const struct {
        uint32_t layers;
        const char *tier;
    } tiers[] = {
        {1u << LAYER_MOUNT | 1u << LAYER_PID | 1u << LAYER_USER | 1u << LAYER_LANDLOCK, "namespaces"},
        {1u << LAYER_MOUNT | 1u << LAYER_PID, "namespaces"},
        {1u << LAYER_MOUNT | 1u << LAYER_USER | 1u << LAYER_LANDLOCK, "mount-namespace"},
        {1u << LAYER_MOUNT | 1u << LAYER_CHROOT, "mount-namespace"},
        {1u << LAYER_CHROOT | 1u << LAYER_LANDLOCK, "chroot+landlock"},
        {1u << LAYER_CHROOT | 1u << LAYER_LANDLOCK | 1u << LAYER_PID, "chroot+landlock"},
        {1u << LAYER_LANDLOCK | 1u << LAYER_USER | 1u << LAYER_PID, "landlock"},
        {1u << LAYER_LANDLOCK, "landlock"},
        {1u << LAYER_CHROOT | 1u << LAYER_PID, "chroot"},
        {1u << LAYER_SECCOMP | 1u << LAYER_RLIMITS | 1u << LAYER_IDENTITY | 1u << LAYER_PID | 1u << LAYER_NET, "bare"},
        {0, "bare"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof tiers / sizeof tiers[0]; i++) {
        const struct isolation isolation = with(tiers[i].layers);
        assert_string_equal(layer_tier(&isolation), tiers[i].tier);
    }
}

/* --- JSON --- */

/* What test_layer_json.py reads as JSON is the same function; here it is held against the bytes. */
static void test_hostile_texts(void **state) {
    struct isolation isolation = {0};
    struct buf buf;
    (void)state;
    for (unsigned i = 0; i < LAYER_COUNT; i++) {
        struct layer_state *layer = &isolation.layers[i];
        layer->status = i % 4;
        layer->error = (int[]){0, EPERM, -5, 99999, INT32_MIN, INT32_MAX}[i % 6];
        for (size_t k = 0; k < sizeof layer->detail; k++)
            layer->detail[k] = (char)(1 + (k + i * 20) % 255); /* no NUL at its end */
        memset(layer->call, "\"\\\n\x7f\xff<"[i % 6], sizeof layer->call);
    }
    buf_init(&buf, 1 << 20);
    assert_int_equal(layer_add_json(&buf, &isolation, ~0u), 0);
    for (size_t i = 0; i < buf.len; i++)
        assert_in_range((unsigned char)buf.data[i], ' ', '~');
    assert_int_equal(buf_add(&buf, "", 1), 0);
    assert_null(strchr(buf.data, '\\'));
    assert_non_null(strstr(buf.data, "\"errno\": \"EPERM\""));
    assert_non_null(strstr(buf.data, "\"errno\": \"unknown\""));
    /* Each call is as long as its field and no longer. */
    assert_non_null(strstr(buf.data, "\"call\": \"????????????????????????\"}"));
    buf_done(&buf);
}

static void test_no_room(void **state) {
    const struct isolation isolation = with(~0u);
    (void)state;
    for (size_t max = 1; max < 1000; max++) {
        struct buf buf;
        buf_init(&buf, max);
        assert_true(layer_add_json(&buf, &isolation, ~0u) < 0);
        assert_true(buf.len <= max);
        buf_done(&buf);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_what_is_no_layer_is_named),
        cmocka_unit_test(test_empty_words),
        cmocka_unit_test(test_a_long_word_is_cut),
        cmocka_unit_test(test_who_meets_what),
        cmocka_unit_test(test_a_layer_is_met_by_itself_alone),
        cmocka_unit_test(test_what_is_refused_or_unused_meets_nothing),
        cmocka_unit_test(test_the_first_missing_one_is_said),
        cmocka_unit_test(test_the_reason),
        cmocka_unit_test(test_the_reasons_of_several),
        cmocka_unit_test(test_a_reason_that_is_too_long),
        cmocka_unit_test(test_long_details_are_cut),
        cmocka_unit_test(test_tiers),
        cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
