/* server/stream: the text of events, to the byte, and when the script is made to wait for who reads them. */
#include "unit.h"

#include "base/fd.h"
#include "server/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { HIGH = 64 << 10 };

struct scene {
    struct config config;
    struct job *job;
    struct stream stream;
    unsigned readied;
    int pipe[2];
};

static void count(void *owner) {
    struct scene *scene = owner;
    scene->readied++;
}

static void begin(struct scene *scene) {
    *scene = (struct scene){0};
    config_init(&scene->config);
    scene->config.stdout_kb = 1024;
    scene->job = job_new(&scene->config, &(struct job_request){.script = {"x", 1}, .streams = true});
    assert_non_null(scene->job);
    assert_true(job_streams(scene->job));
    assert_int_equal(pipe2(scene->pipe, O_CLOEXEC | O_NONBLOCK), 0);
    stream_begin(&scene->stream, scene->job, count, scene);
}

static void end(struct scene *scene) {
    stream_done(&scene->stream);
    job_unref(scene->job);
    close(scene->pipe[0]);
    close(scene->pipe[1]);
}

static void print(struct scene *scene, struct capture *capture, const char *data, size_t size) {
    assert_int_equal(write(scene->pipe[1], data, size), size);
    assert_int_equal(capture_read(capture, scene->pipe[0]), 1);
}

static void out(struct scene *scene, const char *text) {
    print(scene, &scene->job->out, text, strlen(text));
}

static void err(struct scene *scene, const char *text) {
    print(scene, &scene->job->err, text, strlen(text));
}

static void finish(struct scene *scene, const char *json) {
    stream_finish(&scene->stream, strdup(json), strlen(json));
}

/* Reads `max` bytes at a time, up to the end or to where nothing is left. */
static ssize_t read_all(struct scene *scene, struct buf *text, size_t max) {
    char piece[4096];
    ssize_t n;
    buf_init(text, 1 << 24);
    while ((n = stream_read(&scene->stream, piece, max)) > 0) {
        assert_true((size_t)n <= max);
        assert_int_equal(buf_add(text, piece, (size_t)n), 0);
    }
    return n;
}

static void assert_reads(struct scene *scene, ssize_t last, const char *wanted) {
    struct buf text;
    assert_int_equal(read_all(scene, &text, 7), last);
    if (text.len != strlen(wanted) || memcmp(text.data != NULL ? text.data : "", wanted, text.len) != 0)
        fail_msg("%.*s\nis not\n%s", (int)text.len, text.data, wanted);
    buf_done(&text);
}

#define OUT(text) "event: stdout\ndata: {\"text\": \"" text "\"}\n\n"
#define ERR(text) "event: stderr\ndata: {\"text\": \"" text "\"}\n\n"
#define RESULT(json) "event: result\ndata: " json "\n\n"

static void test_events_in_their_order(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene);
    assert_reads(&scene, 0, "");
    out(&scene, "a\n");
    err(&scene, "\r\n\n\"b");
    assert_int_equal(scene.readied, 2);
    assert_reads(&scene, 0, OUT("a\\n") ERR("\\r\\n\\n\\\"b"));
    assert_reads(&scene, 0, "");
    out(&scene, "c");
    finish(&scene, "{\"status\": 200}");
    assert_reads(&scene, -ENODATA, OUT("c") RESULT("{\"status\": 200}"));
    assert_reads(&scene, -ENODATA, "");
    end(&scene);
}

static void test_characters_that_are_cut(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene);
    out(&scene, "\xc3");
    assert_int_equal(scene.readied, 1);
    assert_reads(&scene, 0, "");
    err(&scene, "\xf0\x9f");
    out(&scene, "\xa9-\xe2\x82");
    err(&scene, "\x98");
    err(&scene, "\x80.");
    out(&scene, "A"); /* not what was expected */
    assert_reads(&scene, 0, OUT("\xc3\xa9-") ERR("\xf0\x9f\x98\x80.") OUT("\xef\xbf\xbd""A"));
    out(&scene, "\xc3");
    err(&scene, "\xe2\x82");
    finish(&scene, "{}");
    assert_reads(&scene, -ENODATA, OUT("\xef\xbf\xbd") ERR("\xef\xbf\xbd") RESULT("{}"));
    end(&scene);
}

/* However a text is cut, it says the same in the end. */
static void test_every_cut(void **state) {
    static const char text[] = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff\xc3\xc3\xa9\xed\xa0\x80\xf4\x90z\xe2\x82";
    static const char wanted[] = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                 "\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd";
    size_t size = sizeof text - 1;
    (void)state;
    for (size_t step = 1; step <= size; step++) {
        struct scene scene;
        struct buf all;
        char joined[256] = "";
        begin(&scene);
        for (size_t at = 0; at < size; at += step)
            print(&scene, &scene.job->out, text + at, size - at < step ? size - at : step);
        finish(&scene, "{}");
        assert_int_equal(read_all(&scene, &all, 4096), -ENODATA);
        assert_int_equal(buf_add(&all, "", 1), 0);
        for (char *at = all.data; (at = strstr(at, "\"text\": \"")) != NULL;) {
            at += 9;
            strncat(joined, at, strcspn(at, "\""));
        }
        assert_string_equal(joined, wanted);
        buf_done(&all);
        end(&scene);
    }
}

static void test_a_limit_that_cuts_a_character(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene);
    scene.job->out.kept.max = 4;
    scene.job->err.kept.max = 3;
    out(&scene, "abc\xc3\xa9");
    err(&scene, "a\xe2\x82");
    finish(&scene, "{}");
    assert_true(capture_truncated(&scene.job->out));
    assert_reads(&scene, -ENODATA, OUT("abc") ERR("a") ERR("\xef\xbf\xbd") RESULT("{}"));
    end(&scene);
}

/* In JSON there are line ends between the tokens only. */
static void test_a_result_of_several_lines_is_one(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene);
    finish(&scene, "{\n\"result\":\r\n[1,\n\nevent: stdout\rdata: 2]\n}\n");
    assert_reads(&scene, -ENODATA, RESULT("{ \"result\":  [1,  event: stdout data: 2] } "));
    end(&scene);
}

static void test_who_does_not_read_holds_the_script(void **state) {
    static char piece[HIGH / 2];
    struct scene scene;
    struct buf text;
    char some[1024];
    (void)state;
    memset(piece, 'x', sizeof piece);
    begin(&scene);
    print(&scene, &scene.job->out, piece, sizeof piece);
    assert_false(scene.job->out.held);
    print(&scene, &scene.job->err, piece, sizeof piece);
    assert_true(scene.job->out.held && scene.job->err.held);
    assert_in_range(stream_held(&scene.stream), HIGH, 3 * HIGH);
    /* A little room is not enough to go on. */
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(stream_read(&scene.stream, some, sizeof some), sizeof some);
    assert_true(scene.job->out.held);
    assert_int_equal(read_all(&scene, &text, 4096), 0);
    assert_false(scene.job->out.held || scene.job->err.held);
    assert_true(stream_held(&scene.stream) <= HIGH);
    buf_done(&text);
    print(&scene, &scene.job->out, piece, sizeof piece);
    finish(&scene, "{}");
    assert_int_equal(read_all(&scene, &text, 4096), -ENODATA);
    assert_int_equal(text.len, strlen(OUT("") RESULT("{}")) + sizeof piece);
    assert_int_equal(stream_held(&scene.stream), 0);
    buf_done(&text);
    end(&scene);
}

/* As much as can be on its way when the script is held, of bytes that become six each. */
static void test_the_most_there_can_be(void **state) {
    static char zeros[65536];
    struct scene scene;
    struct buf text;
    (void)state;
    begin(&scene);
    for (size_t i = 0; i < 390; i++)
        out(&scene, "12345678901234567890123456789012345678901234567890123456789012345678901234567890"
                    "12345678901234567890123456789012345678901234567890");
    assert_false(scene.job->out.held);
    print(&scene, &scene.job->out, zeros, sizeof zeros);
    assert_true(scene.job->out.held);
    print(&scene, &scene.job->out, zeros, sizeof zeros);
    scene.job->err.kept.max = sizeof zeros;
    print(&scene, &scene.job->err, zeros, sizeof zeros);
    finish(&scene, "{}");
    assert_in_range(stream_held(&scene.stream), 0, (2 << 20) + 16);
    assert_int_equal(read_all(&scene, &text, 4096), -ENODATA);
    assert_int_equal(text.len, 390 * (strlen(OUT("")) + 130) + 3 * (strlen(OUT("")) + 6 * sizeof zeros) + strlen(RESULT("{}")));
    buf_done(&text);
    end(&scene);
}

static void test_without_memory_it_ends_early(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene);
    out(&scene, "a");
    stream_finish(&scene.stream, NULL, 0);
    assert_reads(&scene, -ENOMEM, "");
    end(&scene);
    begin(&scene);
    scene.stream.events.max = 40;
    out(&scene, "more than there is room for");
    assert_reads(&scene, -ENOMEM, "");
    out(&scene, "a");
    finish(&scene, "{}");
    assert_reads(&scene, -ENOMEM, "");
    end(&scene);
}

static void test_a_job_outlives_its_reader(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene);
    out(&scene, "a\xc3");
    stream_done(&scene.stream);
    out(&scene, "b");
    assert_int_equal(scene.job->out.kept.len, 0);
    assert_int_equal(stream_held(&scene.stream), 0);
    end(&scene);
    struct stream none = {0};
    stream_done(&none);
}

static void test_accept(void **state) {
    static const char *const yes[] = {
        "text/event-stream", "TEXT/Event-Stream", " text/event-stream ", "application/json, text/event-stream",
        "text/event-stream;q=0.1", "a/b;q=0, text/event-stream", "text/event-stream, a/b;q=0", "text/event-stream;charset=utf-8; q=1",
        ",,\ttext/event-stream\t;x=y"};
    static const char *const no[] = {
        "", "*/*", "text/*", "application/json", "text/event-streams", "text/event-strea", "xtext/event-stream", "text/event-stream;q=0",
        "text/event-stream ; x=y ;\tQ=0.000, application/json", ",", ";", "text/event-stream x;q=0"};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!stream_accepted(yes[i]))
            fail_msg("%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (stream_accepted(no[i]))
            fail_msg("%s", no[i]);
    assert_false(stream_accepted(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_in_their_order),
        cmocka_unit_test(test_characters_that_are_cut),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_a_limit_that_cuts_a_character),
        cmocka_unit_test(test_a_result_of_several_lines_is_one),
        cmocka_unit_test(test_who_does_not_read_holds_the_script),
        cmocka_unit_test(test_the_most_there_can_be),
        cmocka_unit_test(test_without_memory_it_ends_early),
        cmocka_unit_test(test_a_job_outlives_its_reader),
        cmocka_unit_test(test_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
