/* server/asset: what is served to browsers, in which form, and when not at all. */
#include "unit.h"

#include "server/asset.h"

static const struct asset_form *choose(const char *accept_encoding) {
    return asset_choose(&assets[0], accept_encoding);
}

static void test_there_is_what_the_page_needs(void **state) {
    static const struct {
        const char *path, *type;
    } some[] = {
        {"/", "text/html; charset=utf-8"},
        {"/page/editor.js", "text/javascript; charset=utf-8"},
        {"/page/licenses.txt", "text/plain; charset=utf-8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const struct asset *asset = asset_find(some[i].path, "text/html");
        assert_non_null(asset);
        assert_string_equal(asset->type, some[i].type);
    }
}

static void test_nothing_else_is_there(void **state) {
    static const char *const paths[] = {"", "//", "/page", "/page/", "/page/editor-plain.js", "/page/index.html", "/page/../",
                                        "/index.html", "/page/meson.build", "/page/editor/editor.js"};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_null(asset_find(paths[i], "*/*"));
}

static void test_who_takes_html_has_the_page(void **state) {
    static const char *const takes[] = {"text/html", "*/*", "Text/HTML;q=0.9", "text/html,application/xhtml+xml,*/*;q=0.8",
                                        "application/json, */*"};
    static const char *const others[] = {NULL, "", "application/json", "text/plain", "text/htm", "*"};
    (void)state;
    for (size_t i = 0; i < sizeof takes / sizeof takes[0]; i++)
        assert_string_equal(asset_find("/", takes[i])->type, "text/html; charset=utf-8");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_string_equal(asset_find("/", others[i])->type, "application/json");
        assert_string_equal(asset_find("/docs", others[i])->type, "text/html; charset=utf-8"); /* there it is all there is */
    }
}

static void test_each_is_whole(void **state) {
    (void)state;
    for (const struct asset *asset = assets; asset->path != NULL; asset++) {
        assert_true(asset->plain.size > 0);
        assert_int_equal(strlen(asset->plain.data), asset->plain.size); /* text, so without a NUL */
        assert_memory_equal(asset->packed.data, "\x1f\x8b\x08", 3);
        assert_memory_equal(asset->packed.data + 4, "\0\0\0\0", 4); /* built at no time */
        assert_string_not_equal(asset->plain.tag, asset->packed.tag);
    }
}

static void test_gzip_for_whoever_takes_it(void **state) {
    static const char *const takes[] = {
        "gzip", "GZip", "x-gzip", "deflate, gzip", "gzip, deflate, br, zstd", "br,gzip", "br;q=1.0,gzip;q=0.1", "gzip;q=1",
        "gzip;q=0.001", "gzip ; q=0.5", "\tgzip", "*", "br, *;q=0.1", "identity;q=0, *", "gzip;x=1;q=0.3", "gzip;", ",,gzip",
        "*;q=0, gzip", "gzip;Q=1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof takes / sizeof takes[0]; i++)
        if (choose(takes[i]) != &assets[0].packed)
            fail_msg("'%s' takes gzip", takes[i]);
}

static void test_plain_for_whoever_does_not(void **state) {
    static const char *const refuses[] = {
        "", "identity", "br", "gzipp", "xgzip", "gzip;q=0", "gzip;q=0.0", "gzip;q=0.000", "gzip;Q=0", "gzip ;\tq=0", "br, gzip;q=0",
        "gzip;q=0, *", "*, gzip;q=0", "*;q=0", "br;q=1, *;q=0.000", ",", ";", "gzip;x=1;q=0", "=gzip", "\"gzip\"",
    };
    (void)state;
    assert_ptr_equal(choose(NULL), &assets[0].plain);
    for (size_t i = 0; i < sizeof refuses / sizeof refuses[0]; i++)
        if (choose(refuses[i]) != &assets[0].plain)
            fail_msg("'%s' does not take gzip", refuses[i]);
}

static void test_whether_they_have_it(void **state) {
    static const struct asset_form form = {.tag = "\"ab\""};
    static const char *const known[] = {"\"ab\"", "W/\"ab\"", "*", "\"x\", \"ab\"", "\"x\",W/\"ab\" , \"y\""};
    static const char *const unknown[] = {"", "ab", "\"a\"", "\"abc\"", "\"xab\"", "\"AB\"", "\"ab-gzip\"", "\"x\", \"a\", \"b\"", "**"};
    (void)state;
    assert_false(asset_is_known(&form, NULL));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_true(asset_is_known(&form, known[i]));
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_false(asset_is_known(&form, unknown[i]));
}

static void test_only_the_page_has_scripts(void **state) {
    (void)state;
    for (const struct asset *asset = assets; asset->path != NULL; asset++) {
        assert_non_null(strstr(asset_policy(asset), "default-src 'none'; "));
        bool is_page = strcmp(asset->path, "/") == 0 && strstr(asset->type, "html") != NULL;
        assert_int_equal(strstr(asset_policy(asset), "script-src") != NULL, is_page);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_is_what_the_page_needs), cmocka_unit_test(test_nothing_else_is_there),
        cmocka_unit_test(test_who_takes_html_has_the_page),
        cmocka_unit_test(test_each_is_whole),                cmocka_unit_test(test_gzip_for_whoever_takes_it),
        cmocka_unit_test(test_plain_for_whoever_does_not),   cmocka_unit_test(test_whether_they_have_it),
        cmocka_unit_test(test_only_the_page_has_scripts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
