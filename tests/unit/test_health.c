/* cli/health: where the question goes. That it is asked rightly is for tests/integration/test_health.py. */
#include "unit.h"

#include "cli/health.h"

#include <errno.h>

static void assert_target(const char *url, const char *host, const char *port, const char *path) {
    struct health_target target;
    assert_int_equal(health_parse_url(url, "/readyz", &target), 0);
    assert_string_equal(target.host, host);
    assert_string_equal(target.port, port);
    assert_string_equal(target.path, path);
}

static void test_urls(void **state) {
    (void)state;
    assert_target("http://a", "a", "80", "/readyz");
    assert_target("http://a/", "a", "80", "/readyz");
    assert_target("http://127.0.0.1:8080", "127.0.0.1", "8080", "/readyz");
    assert_target("http://localhost:1/x?y:z", "localhost", "1", "/x?y:z");
    assert_target("http://[::1]", "::1", "80", "/readyz");
    assert_target("http://[fe80::1]:65535/x", "fe80::1", "65535", "/x");
}

static void test_what_is_no_url(void **state) {
    static const char *const wrong[] = {
        "", "a", "a:80", "/", "https://a", "ftp://a", "HTTP://a", "http:/a", "http://", "http:///x", "http://:80", "http://a:",
        "http://a:/", "http://a:b", "http://a:1b", "http://a:-1", "http://a:+1", "http://a: 1", "http://a:123456789", "http://[::1",
        "http://[]", "http://[::1]x", "http://[a/]:1", "http://a?x", "http://a#x", "http://a b", "http://a/ HTTP/1.1",
        "http://a/\r\nX: y", "http://a/\x7f", "http://\xc3\xa4",
    };
    struct health_target target = {.host = "untouched"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (health_parse_url(wrong[i], "/readyz", &target) != -EINVAL)
            fail_msg("'%s' was taken", wrong[i]);
    assert_string_equal(target.host, "untouched");
}

static void test_too_long(void **state) {
    struct health_target target;
    char url[700];
    (void)state;
    for (size_t length = 200; length < 600; length++) {
        memset(url, 'a', length);
        memcpy(url, "http://", 7);
        url[length] = '\0';
        assert_int_equal(health_parse_url(url, "/", &target), length - 7 < sizeof target.host ? 0 : -EINVAL);
        url[8] = '/';
        assert_int_equal(health_parse_url(url, "/", &target), length - 8 < sizeof target.path ? 0 : -EINVAL);
    }
}

static void test_of_the_service_here(void **state) {
    static const char *const hosts[][2] = {{"0.0.0.0", "127.0.0.1"}, {"::", "::1"}, {"10.1.2.3", "10.1.2.3"}};
    struct health_target target;
    struct config config;
    (void)state;
    config_init(&config);
    config.port = 65535;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        snprintf(config.host, sizeof config.host, "%s", hosts[i][0]);
        health_default_target(&config, "/healthz", &target);
        assert_string_equal(target.host, hosts[i][1]);
        assert_string_equal(target.port, "65535");
        assert_string_equal(target.path, "/healthz");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_what_is_no_url),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_of_the_service_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
