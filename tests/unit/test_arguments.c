/* cli/arguments: what the command line becomes, frame by frame, and what of the configuration `run` decides itself. */
#include "unit.h"

#include "base/fd.h"
#include "cli/arguments.h"
#include "wire/console.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static char folder[64];

static const char *in(const char *name) {
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *data, size_t size) {
    cleanup_fd int fd = open(in(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(fd_write_all(fd, data, size), 0);
}

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/px-arguments-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    write_file("s.py", "script", 6);
    write_file("a=b", "\0\xff", 2);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(in("s.py"));
    unlink(in("a=b"));
    return rmdir(folder);
}

/* The next frame must be this one. */
static void assert_part(const struct buf *request, size_t *at, enum console_part part, const char *data, size_t size) {
    struct frame_header header;
    assert_true(*at + sizeof header <= request->len);
    memcpy(&header, request->data + *at, sizeof header);
    assert_int_equal(header.kind, part);
    assert_int_equal(header.length, size);
    assert_memory_equal(request->data + *at + sizeof header, data, size);
    *at += sizeof header + size;
}

static void test_all_options(void **state) {
    struct arguments arguments;
    struct failure failure = {0};
    char file[160], named[160];
    size_t at = 0;
    (void)state;
    snprintf(file, sizeof file, "%s", in("s.py"));
    snprintf(named, sizeof named, "--file=x/y=%s", in("a=b"));
    char *argv[] = {(char *)"--input", (char *)"{\"a\": [1]}", (char *)"--limit", (char *)"wall_ms=9", file, named,
                    (char *)"--file", file, (char *)"--json", (char *)"--output=*.csv", (char *)"--wall-ms", (char *)"8", (char *)"--convert"};
    if (arguments_take(&arguments, sizeof argv / sizeof argv[0], argv, &failure) != 0)
        fail_msg("%s: %s", failure.stage, failure.text);
    assert_part(&arguments.request, &at, CONSOLE_SCRIPT, "script", 6);
    assert_part(&arguments.request, &at, CONSOLE_INPUT, "{\"a\": [1]}", 10);
    assert_part(&arguments.request, &at, CONSOLE_FILE, "x/y\0\0\xff", 6);
    assert_part(&arguments.request, &at, CONSOLE_FILE, "s.py\0script", 11);
    assert_part(&arguments.request, &at, CONSOLE_DOCUMENT, "", 0);
    assert_part(&arguments.request, &at, CONSOLE_OUTPUT, "*.csv", 5);
    assert_part(&arguments.request, &at, CONSOLE_CONVERT, "", 0);
    assert_part(&arguments.request, &at, CONSOLE_END, "", 0);
    assert_int_equal(at, arguments.request.len);
    assert_int_equal(arguments.config.wall_ms, 8);
    assert_false(arguments.script_was_stdin);
    buf_done(&arguments.request);
}

/* What is right for a service beside it must not be in the way. */
static void test_what_a_service_is_told_does_not_count(void **state) {
    struct arguments arguments;
    struct failure failure = {0};
    char file[160];
    (void)state;
    snprintf(file, sizeof file, "%s", in("s.py"));
    char *argv[] = {file, (char *)"--wall-ms=7000", (char *)"--workers=8", (char *)"--body-kb=1"};
    setenv("PYTHON_EXECUTOR_MAX_WALL_MS", "6000", 1);
    assert_int_equal(arguments_take(&arguments, 4, argv, &failure), 0);
    unsetenv("PYTHON_EXECUTOR_MAX_WALL_MS");
    assert_int_equal(arguments.config.workers, 1);
    assert_int_equal(arguments.config.crew, 1);
    assert_int_equal(arguments.config.queue, 1);
    assert_int_equal(arguments.config.body_kb, CONSOLE_MAX >> 10);
    assert_int_equal(config_limit(&arguments.config, LIMIT_WALL_MS).most, 7000);
    assert_string_equal(arguments.config.log, "warning");
    buf_done(&arguments.request);
}

static void assert_refused(int argc, char *const *argv, const char *stage) {
    struct arguments arguments;
    struct failure failure = {0};
    assert_true(arguments_take(&arguments, argc, argv, &failure) < 0);
    assert_string_equal(failure.stage, stage);
    assert_true(*failure.text != '\0');
    buf_done(&arguments.request);
}

static void test_refusals(void **state) {
    char file[160];
    (void)state;
    snprintf(file, sizeof file, "%s", in("s.py"));
    assert_refused(0, NULL, "usage");
    assert_refused(2, (char *[]){file, file}, "usage");
    assert_refused(2, (char *[]){file, (char *)"-x"}, "usage");
    assert_refused(2, (char *[]){file, (char *)"--x"}, "usage");
    assert_refused(2, (char *[]){file, (char *)"--input"}, "--input");
    assert_refused(2, (char *[]){file, (char *)"--json=1"}, "--json");
    assert_refused(3, (char *[]){file, (char *)"--limit", (char *)"cpu_ms=0"}, "--limit cpu_ms");
    assert_refused(3, (char *[]){file, (char *)"--limit", (char *)"cpu=1"}, "--limit");
    assert_refused(2, (char *[]){file, (char *)"--file=/no/such"}, "--file");
    assert_refused(2, (char *[]){file, (char *)"--file=/"}, "--file");
    assert_refused(3, (char *[]){file, (char *)"--scratch-mb=1", (char *)"--file=/dev/zero"}, "--file");
    assert_refused(2, (char *[]){(char *)"/dev/zero", (char *)"--script-kb=1"}, "the script");
    assert_refused(1, (char *[]){(char *)"/no/such"}, "the script");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_options),
        cmocka_unit_test(test_what_a_service_is_told_does_not_count),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
