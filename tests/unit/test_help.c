/* cli/help: nothing that is in the tables is missing from what people read. */
#include "unit.h"

#include "base/config.h"
#include "cli/commands.h"
#include "cli/help.h"

/* Of one command, or of all where that is NULL; there until the next call. */
static char *text_of(const struct command *command) {
    static char text[65536];
    FILE *to = fmemopen(text, sizeof text, "w");
    assert_non_null(to);
    if (command == NULL)
        help_print(to);
    else
        help_print_command(to, command);
    assert_true(ftell(to) < (long)sizeof text);
    fclose(to);
    return text;
}

/* Each with its default, its range and its variable, in lines that fit. */
static void test_every_option(void **state) {
    char *text = text_of(NULL);
    (void)state;
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option_spec *option = &config_options[i];
        char flag[64], fallback[CONFIG_TEXT], line[CONFIG_TEXT + 128];
        snprintf(flag, sizeof flag, "\n  --%s ", option->name);
        const char *about = strstr(text, flag);
        assert_non_null(about);
        config_fallback(option, fallback);
        if (option->kind == OPTION_NUMBER)
            snprintf(line, sizeof line, " default %s; %llu to %llu; %s\n", fallback, (unsigned long long)option->min,
                     (unsigned long long)option->max, option->environment);
        else
            snprintf(line, sizeof line, " default %s; %s\n", *fallback != '\0' ? fallback : "none",
                     option->environment);
        const char *found = strstr(about, line);
        assert_non_null(found);
        assert_true(strstr(about + 1, "\n  --") == NULL || found < strstr(about + 1, "\n  --"));
        if (config_group(option) != NULL)
            assert_non_null(strstr(text, config_group(option)));
    }
}

static void test_every_command(void **state) {
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        char line[128];
        snprintf(line, sizeof line, " python-executor %s %s\n", commands[i].name, commands[i].arguments);
        assert_non_null(strstr(text_of(NULL), line));
        char *text = text_of(&commands[i]);
        assert_non_null(strstr(text, line + 1));
        const struct command_option *option = commands[i].options;
        for (; option != NULL && option->name != NULL; option++) {
            snprintf(line, sizeof line, "\n  --%s ", option->name);
            assert_non_null(strstr(text, line));
        }
            assert_ptr_equal(command_find(commands[i].name), &commands[i]);
    }
    assert_null(command_find("nonsense"));
    assert_null(command_find(""));
}

static void test_lines_fit(void **state) {
    (void)state;
    for (size_t i = 0; i <= command_count; i++) {
        char *text = text_of(i < command_count ? &commands[i] : NULL);
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
            if (strlen(line) > 100)
                fail_msg("%s", line);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_option),
        cmocka_unit_test(test_every_command),
        cmocka_unit_test(test_lines_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
