/* cli/settings and cli/inifile: who said what, and who wins; what a file may look like, and how it is refused. */
#include "unit.h"

#include "cli/settings.h"

#include <errno.h>
#include <stdlib.h>

static char path[64];

/* What stands in the file, in all tests. */
static void write_file(const char *text, size_t size) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fclose(file);
}

static int set_up(void **state) {
    (void)state;
    strcpy(path, "/tmp/px-settings-XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    /* Whatever the machine has in SETTINGS_FILE. */
    return setenv(SETTINGS_VARIABLE, "/dev/null", 1);
}

static int tear_down(void **state) {
    (void)state;
    return unlink(path);
}

static uint64_t number(const struct settings *settings, const struct option_spec *option) {
    uint64_t value;
    memcpy(&value, (const char *)&settings->config + option->offset, sizeof value);
    return value;
}

static enum origin origin_of(const struct settings *settings, const struct option_spec *option) {
    return settings->from[option - config_options].origin;
}

/* Of `on, off or auto; and so on`. */
static const char *first_word(const char *help) {
    static char word[32];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(help, ", ;"), help);
    return word;
}

static const char *last_word(const char *help) {
    static char word[32];
    const char *or = strstr(help, " or ") + 4;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(or, ";"), or);
    return word;
}

/* A value that no other of these takes: counted from the least. */
static const char *text_of(const struct option_spec *option, unsigned which) {
    static char texts[4][CONFIG_TEXT + 64];
    char *text = texts[which];
    if (option->kind == OPTION_NUMBER)
        snprintf(text, sizeof texts[0], "%llu", (unsigned long long)option->min + which);
    else if (option->allowed != NULL)
        snprintf(text, sizeof texts[0], "%.*s", (int)which + 1, option->allowed);
    else
        snprintf(text, sizeof texts[0], "%s", which % 2 == 0 ? first_word(option->help) : last_word(option->help));
    return text;
}

static void assert_value(const struct settings *settings, const struct option_spec *option, unsigned which) {
    char value[CONFIG_TEXT];
    config_value(&settings->config, option, value);
    assert_string_equal(value, text_of(option, which));
}

/* Of every option: a file is under a variable is under a flag, in whatever order they are read. */
static void test_who_wins(void **state) {
    (void)state;
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        struct settings settings;
        struct failure failure = {0};
        char line[CONFIG_TEXT + 64], flag[CONFIG_TEXT + 64], named[80];
        char *const argv[] = {flag, named};
        snprintf(line, sizeof line, "# a comment\n\n%s = %s\n", option->name, text_of(option, 1));
        snprintf(flag, sizeof flag, "--%s=%s", option->name, text_of(option, 3));
        snprintf(named, sizeof named, "--config=%s", path);
        write_file(line, strlen(line));
        settings_init(&settings);
        assert_int_equal(origin_of(&settings, option), ORIGIN_DEFAULT);
        assert_int_equal(settings_read_file(&settings, path, &failure), 0);
        assert_value(&settings, option, 1);
        assert_int_equal(origin_of(&settings, option), ORIGIN_FILE);
        assert_int_equal(settings.from[i].line, 3);
        setenv(option->environment, text_of(option, 2), 1);
        settings_init(&settings);
        assert_int_equal(settings_flag(&settings, 1, argv + 1, &failure), 1);
        assert_int_equal(settings_read(&settings, &failure), 0);
        assert_value(&settings, option, 2);
        assert_int_equal(origin_of(&settings, option), ORIGIN_ENVIRONMENT);
        settings_init(&settings);
        for (int k = 0; k < 2; k++)
            assert_int_equal(settings_flag(&settings, 1, argv + k, &failure), 1);
        assert_int_equal(settings_read(&settings, &failure), 0);
        assert_value(&settings, option, 3);
        assert_int_equal(origin_of(&settings, option), ORIGIN_FLAG);
        unsetenv(option->environment);
    }
}

/* The name of the variable must not be cut either: it is what the operator has to look for. */
static void test_variables_have_their_ranges(void **state) {
    struct settings settings;
    struct failure failure;
    char text[32], range[64];
    (void)state;
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        if (option->kind != OPTION_NUMBER)
            continue;
        settings_init(&settings);
        snprintf(text, sizeof text, "%llu", (unsigned long long)option->max);
        setenv(option->environment, text, 1);
        assert_int_equal(settings_read(&settings, &failure), 0);
        assert_int_equal(number(&settings, option), option->max);
        snprintf(text, sizeof text, "%llu", (unsigned long long)option->max + 1);
        setenv(option->environment, text, 1);
        assert_int_equal(settings_read(&settings, &failure), -EINVAL);
        assert_string_equal(failure.stage, option->environment);
        snprintf(range, sizeof range, "from %llu to %llu", (unsigned long long)option->min,
                 (unsigned long long)option->max);
        assert_non_null(strstr(failure.text, range));
        assert_non_null(strstr(failure.text, text));
        unsetenv(option->environment);
    }
}

static void test_an_empty_variable_is_none(void **state) {
    struct settings settings, before;
    (void)state;
    settings_init(&settings);
    before = settings;
    for (size_t i = 0; i < config_option_count; i++)
        setenv(config_options[i].environment, "", 1);
    assert_int_equal(settings_read(&settings, NULL), 0);
    assert_memory_equal(&settings.config, &before.config, sizeof before.config);
    assert_memory_equal(settings.from, before.from, sizeof before.from);
    for (size_t i = 0; i < config_option_count; i++)
        unsetenv(config_options[i].environment);
}

static struct settings read_text(const char *text) {
    struct settings settings;
    struct failure failure = {0};
    write_file(text, strlen(text));
    settings_init(&settings);
    if (settings_read_file(&settings, path, &failure) != 0)
        fail_msg("%s: %s", failure.stage, failure.text);
    return settings;
}

static void test_forms_of_a_file(void **state) {
    (void)state;
    struct settings settings = read_text("\xef\xbb\xbf# first\r\n; second\r\n  wall-ms=7 ; behind\r\ncpu-ms : 8\r\n\r\n"
                                         "log\t=\tdebug");
    assert_int_equal(settings.config.wall_ms, 7);
    assert_int_equal(settings.config.cpu_ms, 8);
    assert_string_equal(settings.config.log, "debug");
    settings = read_text("preload = numpy,\n  pandas,\n# more\n\tscipy?\nport = 1\norigins =\n");
    assert_string_equal(settings.config.preload, "numpy,pandas,scipy?");
    assert_int_equal(settings.from[config_find("preload") - config_options].line, 1);
    assert_int_equal(settings.from[config_find("port") - config_options].line, 5);
    assert_string_equal(settings.config.origins, "");
    settings = read_text("preload =  ; as a list\n    numpy,\n    pandas\n");
    assert_string_equal(settings.config.preload, "numpy,pandas");
    assert_int_equal(settings.from[config_find("preload") - config_options].line, 1);
    settings = read_text("");
    settings = read_text("# nothing");
}

/* The file, the line and what is wrong with it are named. */
static void assert_refused(const char *text, size_t size, unsigned line, const char *words) {
    struct settings settings;
    struct failure failure = {0};
    char where[80];
    write_file(text, size);
    settings_init(&settings);
    assert_true(settings_read_file(&settings, path, &failure) < 0);
    snprintf(where, sizeof where, line > 0 ? "%s:%u: " : "%s: ", path, line);
    if (strncmp(failure.text, where, strlen(where)) != 0 || strstr(failure.text, words) == NULL)
        fail_msg("%s: %s, but not %s%s", failure.stage, failure.text, where, words);
    assert_string_equal(failure.stage, "configuration");
}

static void test_refusals(void **state) {
    static const struct {
        const char *text;
        unsigned line;
        const char *words;
    } cases[] = {
        {"port = 1\nwall-ms = 0\n", 2, "wall-ms: '0' is not allowed, it takes a whole number from 1 to 3600000"},
        {"wall-ms =\n", 1, "wall-ms: '' is not allowed"},
        {"\n\nwal-ms = 5\n", 3, "unknown option 'wal-ms', did you mean wall-ms?"},
        {"nonsense = 5\n", 1, "unknown option 'nonsense'"},
        {"--wall-ms = 5\n", 1, "unknown option '--wall-ms'"},
        {"config = /dev/null\n", 1, "unknown option 'config'"},
        {"= 5\n", 1, "unknown option ''"},
        {"wall-ms\n", 1, "neither a comment nor name = value"},
        {"port = 1\nwall-ms\nport = x\n", 2, "neither a comment nor name = value"},
        {"port = x\nwall-ms\n", 1, "port: 'x'"},
        {"port = 1\nwall-ms = 5\nport = 2\n", 3, "port: it is there already, in line 1"},
        {"[limits]\nwall-ms = 5\n", 2, "sections"},
        {"log = loud\n", 1, "log: 'loud' is not allowed, it takes error, warning, info or debug"},
        {"wall-ms = 5\n  6,\n", 1, "wall-ms: '56,'"},
        {"# a\nport = 1\nwall-ms = 0", 3, "wall-ms"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].line, cases[i].words);
}

static void test_lines_that_would_be_taken_apart(void **state) {
    static char text[3 << 20];
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "port = 1\npreload = ", 19);
    text[9 + 198] = text[9 + 199] = '\n'; /* as docs/CONFIGURATION.md says */
    struct settings settings;
    struct failure failure = {0};
    write_file(text, 9 + 199);
    settings_init(&settings);
    assert_int_equal(settings_read_file(&settings, path, &failure), 0);
    text[9 + 198] = 'a';
    assert_refused(text, 9 + 200, 2, "too long");
    text[9 + 199] = 'a';
    text[300] = '\n';
    assert_refused(text, 301, 2, "too long");
    assert_refused(text, sizeof text, 2, "too long");
    assert_refused("port = 1\0\nlog = info\n", 21, 1, "byte 0");
    assert_refused("port = 1\n\0\n", 11, 2, "byte 0");
    memset(text, '\n', sizeof text);
    assert_refused(text, sizeof text, (1 << 20) + 1, "larger than 1 MiB");
    memset(text, 'a', 4000);
    for (size_t i = 0; i < 4000; i += 100) {
        memcpy(text + i, i == 0 ? "preload = " : "          ", 10);
        text[i + 99] = '\n';
    }
    assert_refused(text, 4000, 24, "a name or a value is too long");
    assert_refused(text, 500, 1, "preload");
}

static void test_no_such_file(void **state) {
    struct settings settings;
    struct failure failure = {0};
    char *argv[] = {(char *)"--config", (char *)"/no/such/file"};
    char long_path[300];
    (void)state;
    settings_init(&settings);
    assert_int_equal(settings_flag(&settings, 2, argv, &failure), 2);
    assert_int_equal(settings_read(&settings, &failure), -ENOENT);
    assert_string_equal(failure.text, "/no/such/file: cannot open it: No such file or directory");
    setenv(SETTINGS_VARIABLE, "/", 1);
    settings_init(&settings);
    assert_int_equal(settings_read(&settings, &failure), -EISDIR);
    assert_string_equal(failure.text, "/: cannot read it: Is a directory");
    memset(long_path, 'd', sizeof long_path);
    strcpy(long_path + 290, "/x.conf");
    assert_true(settings_read_file(&settings, long_path, &failure) < 0);
    assert_non_null(strstr(failure.text, "dd/x.conf: cannot open it: "));
    setenv(SETTINGS_VARIABLE, "/dev/null", 1);
}

static void test_flags(void **state) {
    struct settings settings;
    struct failure failure = {0};
    char *argv[] = {(char *)"--port", (char *)"1", (char *)"--wall-ms=2", (char *)"--config"};
    char *unknown[] = {(char *)"--wal-ms=2"};
    char *bare[] = {(char *)"wall-ms"};
    (void)state;
    settings_init(&settings);
    assert_int_equal(settings_flag(&settings, 4, argv, &failure), 2);
    assert_int_equal(settings_flag(&settings, 2, argv + 2, &failure), 1);
    assert_int_equal(settings.config.port, 1);
    assert_int_equal(settings.config.wall_ms, 2);
    assert_int_equal(settings_flag(&settings, 1, argv + 3, &failure), -EINVAL);
    assert_string_equal(failure.stage, "--config");
    assert_string_equal(failure.text, "needs a value");
    assert_int_equal(settings_flag(&settings, 1, argv, &failure), -EINVAL);
    assert_string_equal(failure.stage, "--port");
    assert_int_equal(settings_flag(&settings, 1, unknown, &failure), -EINVAL);
    assert_string_equal(failure.text, "unknown option '--wal-ms', did you mean --wall-ms?");
    assert_int_equal(settings_flag(&settings, 1, bare, &failure), -EINVAL);
    assert_string_equal(failure.text, "unexpected argument 'wall-ms'");
}

/* What a flag overrides is refused all the same: it would count when the flag is gone. */
static void test_what_does_not_count_is_looked_at(void **state) {
    struct settings settings;
    struct failure failure = {0};
    char *argv[] = {(char *)"--wall-ms=2"};
    (void)state;
    settings_init(&settings);
    assert_int_equal(settings_flag(&settings, 1, argv, &failure), 1);
    write_file("wall-ms = 0\n", 12);
    assert_int_equal(settings_read_file(&settings, path, &failure), -EINVAL);
    assert_int_equal(settings.config.wall_ms, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_wins),
        cmocka_unit_test(test_variables_have_their_ranges),
        cmocka_unit_test(test_an_empty_variable_is_none),
        cmocka_unit_test(test_forms_of_a_file),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_lines_that_would_be_taken_apart),
        cmocka_unit_test(test_no_such_file),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_what_does_not_count_is_looked_at),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
