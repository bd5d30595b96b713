/* server/callers: who may call, and how much. */
#include "unit.h"

#include "server/callers.h"

#include <errno.h>

enum { SECOND = 1000000 };

static struct key make_key(const char *name, const char *secret) {
    struct key key = {.concurrent = KEY_ANY};
    snprintf(key.name, sizeof key.name, "%s", name);
    key_hash(secret, strlen(secret), key.digest);
    return key;
}

static void begin(struct callers *callers) {
    const struct key keys[] = {make_key("alice", "secret of alice"), make_key("bob", "secret-of-bob")};
    *callers = (struct callers){0};
    assert_int_equal(callers_set(callers, keys, 2), 0);
}

static void test_hash(void **state) {
    uint8_t digest[KEY_DIGEST];
    char hex[KEY_HEX + 1];
    (void)state;
    key_hash("abc", 3, digest); /* FIPS 180-2, B.1 */
    key_write_hex(digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(key_same(digest, digest));
    for (size_t i = 0; i < KEY_DIGEST; i++) {
        uint8_t other[KEY_DIGEST];
        memcpy(other, digest, sizeof other);
        other[i] ^= 1;
        assert_false(key_same(digest, other));
    }
}

static void test_finding(void **state) {
    static const char *const right[] = {"Bearer secret-of-bob", "bearer secret-of-bob", "BEARER   secret-of-bob"};
    static const char *const wrong[] = {"Bearer secret-of-bo", "Bearer secret-of-bob ", "Bearer secret-of-bob,", "Bearer x"};
    static const char *const without[] = {NULL, "", "Bearer", "Bearer ", "Basic secret-of-bob", "secret-of-bob", "Bearersecret-of-bob"};
    struct callers callers;
    struct caller *caller = NULL;
    char large[2000];
    (void)state;
    begin(&callers);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(callers_find(&callers, right[i], &caller), CALLERS_FOUND);
        assert_string_equal(caller->key.name, "bob");
        caller_unref(caller);
        caller = NULL;
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(callers_find(&callers, wrong[i], &caller), CALLERS_WRONG);
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++)
        assert_int_equal(callers_find(&callers, without[i], &caller), CALLERS_WITHOUT);
    memset(large, 'x', sizeof large);
    memcpy(large, "Bearer ", 7);
    large[sizeof large - 1] = '\0';
    assert_int_equal(callers_find(&callers, large, &caller), CALLERS_WRONG);
    assert_null(caller);
    assert_int_equal(callers.wrong_key, 5);
    assert_int_equal(callers.without_key, 7);
    assert_int_equal(callers.list[1]->requests, 3);
    callers_done(&callers);
}

/* Before the first word of the manager there is nobody, and an empty list is nobody as well. */
static void test_nobody(void **state) {
    struct callers callers = {0};
    struct caller *caller = NULL;
    (void)state;
    assert_int_equal(callers.state, CALLERS_UNKNOWN);
    assert_int_equal(callers_find(&callers, "Bearer x", &caller), CALLERS_WRONG);
    assert_int_equal(callers_set(&callers, NULL, 0), 0);
    assert_int_equal(callers.state, CALLERS_KEYS);
    assert_int_equal(callers_find(&callers, "Bearer x", &caller), CALLERS_WRONG);
    callers_set_anybody(&callers);
    assert_int_equal(callers.state, CALLERS_ANYBODY);
    callers_done(&callers);
}

/* Who stays keeps what he has running and what he has used; who is gone stays as long as somebody needs him. */
static void test_other_keys(void **state) {
    struct callers callers;
    struct caller *alice = NULL, *bob = NULL, *found = NULL;
    (void)state;
    begin(&callers);
    assert_int_equal(callers_find(&callers, "Bearer secret of alice", &alice), CALLERS_FOUND);
    assert_int_equal(callers_find(&callers, "Bearer secret-of-bob", &bob), CALLERS_FOUND);
    caller_enter(alice, 5000);
    caller_enter(bob, 5000);
    const struct key keys[] = {make_key("carol", "secret-of-bob"), make_key("alice", "another secret")};
    assert_int_equal(callers_set(&callers, keys, 2), 0);
    assert_ptr_equal(callers.list[1], alice);
    assert_int_equal(alice->runs, 1);
    assert_int_equal(callers_find(&callers, "Bearer secret of alice", &found), CALLERS_WRONG);
    assert_int_equal(callers_find(&callers, "Bearer another secret", &found), CALLERS_FOUND);
    assert_ptr_equal(found, alice);
    caller_unref(found);
    assert_int_equal(callers_find(&callers, "Bearer secret-of-bob", &found), CALLERS_FOUND);
    assert_string_equal(found->key.name, "carol");
    assert_int_equal(found->runs, 0);
    caller_unref(found);
    assert_int_equal(bob->references, 2);
    caller_leave(bob, 5000);
    caller_leave(alice, 5000);
    caller_unref(alice);
    caller_unref(bob);
    callers_done(&callers);
}

static void test_what_are_no_keys(void **state) {
    struct callers callers;
    struct key keys[2] = {make_key("new", "s"), make_key("bob", "secret-of-bob")};
    struct caller *found = NULL;
    (void)state;
    begin(&callers);
    memset(keys[1].name, 'x', sizeof keys[1].name);
    assert_int_equal(callers_set(&callers, keys, 2), -EBADMSG);
    assert_int_equal(callers_set(&callers, keys, KEYS_MAX + 1), -EBADMSG);
    assert_int_equal(callers.count, 2);
    assert_int_equal(callers_find(&callers, "Bearer secret-of-bob", &found), CALLERS_FOUND);
    caller_unref(found);
    callers_done(&callers);
}

/* As many as it may have at once, then one in each interval, and what it is told of the wait is so. */
static void test_rate(void **state) {
    struct caller caller = {.key = {.interval_ns = SECOND * 1000ull / 4, .burst = 3}};
    uint64_t now = 77 * SECOND;
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(caller_take_request(&caller, now), 0);
    assert_int_equal(caller_take_request(&caller, now), 1);
    assert_int_equal(caller_take_request(&caller, now + SECOND / 4 - 1), 1);
    assert_int_equal(caller_take_request(&caller, now + SECOND / 4), 0);
    assert_int_equal(caller_take_request(&caller, now + SECOND / 4), 1);
    assert_int_equal(caller.too_fast, 3);
    now += 100 * SECOND; /* no more than the burst has come together meanwhile */
    for (int i = 0; i < 3; i++)
        assert_int_equal(caller_take_request(&caller, now), 0);
    assert_int_equal(caller_take_request(&caller, now), 1);
}

static void test_a_slow_rate_says_how_long(void **state) {
    struct caller caller = {.key = {.interval_ns = 60 * 1000000000ull, .burst = 2}};
    uint64_t now = SECOND;
    (void)state;
    assert_int_equal(caller_take_request(&caller, now), 0);
    assert_int_equal(caller_take_request(&caller, now), 0);
    unsigned seconds = caller_take_request(&caller, now + SECOND / 2);
    assert_int_equal(seconds, 60);
    assert_int_equal(caller_take_request(&caller, now + 59 * SECOND), 1);
    assert_int_equal(caller_take_request(&caller, now + SECOND / 2 + (uint64_t)seconds * SECOND), 0);
}

static void test_no_rate(void **state) {
    struct caller caller = {0};
    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(caller_take_request(&caller, SECOND), 0);
}

static void test_runs_at_once(void **state) {
    struct caller caller = {.key = {.concurrent = 2}, .references = 1};
    (void)state;
    assert_true(caller_may_run(&caller));
    caller_enter(&caller, 1500);
    assert_true(caller_may_run(&caller));
    caller_enter(&caller, 6000);
    assert_false(caller_may_run(&caller));
    assert_int_equal(caller_retry_after(&caller), 4);
    caller_leave(&caller, 6000);
    assert_true(caller_may_run(&caller));
    assert_int_equal(caller_retry_after(&caller), 2);
    caller_leave(&caller, 1500);
    assert_int_equal(caller_retry_after(&caller), 1);
    caller.key.concurrent = 0;
    assert_false(caller_may_run(&caller));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_finding),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_other_keys),
        cmocka_unit_test(test_what_are_no_keys),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_a_slow_rate_says_how_long),
        cmocka_unit_test(test_no_rate),
        cmocka_unit_test(test_runs_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
