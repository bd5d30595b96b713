/* server/console: one request in, what is printed out as it comes, and the manager is told the end behind all of it. */
#include "runs_scene.h"

#include "server/console.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

struct console_scene {
    struct runs_scene runs;
    struct console console;
    int control[2];             /* the manager's end and the server's */
    int ends[CONSOLE_FDS];      /* the command line's */
};

static void begin(struct console_scene *scene) {
    int theirs[MESSAGE_MAX_FDS] = {-1, -1, -1, -1};
    runs_scene_begin(&scene->runs, 1, 1);
    assert_int_equal(message_pair(scene->control), 0);
    assert_int_equal(fcntl(scene->control[0], F_SETFL, O_NONBLOCK), 0);
    for (int i = 0; i < CONSOLE_FDS; i++) {
        int ends[2];
        bool they_read = i != CONSOLE_PRINTED;
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        scene->ends[i] = ends[they_read];
        theirs[i] = ends[!they_read];
        if (!they_read)
            fcntl(scene->ends[i], F_SETFL, O_NONBLOCK);
    }
    assert_int_equal(console_start(&scene->console, &scene->runs.loop, &scene->runs.runs, &scene->runs.config,
                                   scene->control[1], theirs), 0);
    for (int i = 0; i < CONSOLE_FDS; i++)
        assert_int_equal(theirs[i], -1);
}

static void end(struct console_scene *scene) {
    uv_close((uv_handle_t *)&scene->console.request, NULL);
    uv_close((uv_handle_t *)&scene->console.printed, NULL);
    runs_scene_turn(&scene->runs);
    buf_done(&scene->console.pending);
    frame_reader_done(&scene->console.part);
    compose_done(&scene->console.compose);
    fd_close(scene->console.request_fd);
    fd_close(scene->console.stdin_fd);
    for (int i = 0; i < CONSOLE_FDS; i++)
        fd_close(scene->ends[i]);
    fd_close(scene->control[0]);
    fd_close(scene->control[1]);
    runs_scene_end(&scene->runs);
}

static void say(struct console_scene *scene, enum console_part part, const char *text) {
    const struct iovec piece = {(void *)text, strlen(text)};
    assert_int_equal(frame_write(scene->ends[CONSOLE_REQUEST], (enum frame_kind)part, &piece, 1), 0);
}

static void submit(struct console_scene *scene, bool document, struct runs_worker *ret_worker) {
    runs_scene_add_zygote(&scene->runs, 0);
    say(scene, CONSOLE_SCRIPT, "script");
    if (document)
        say(scene, CONSOLE_DOCUMENT, "");
    say(scene, CONSOLE_END, "");
    runs_scene_turn(&scene->runs);
    assert_non_null(scene->console.job);
    runs_scene_take(&scene->runs, 0, scene->console.job, ret_worker);
}

/* Replaces frames by what is in them, behind "1" or "2" for the stream of each where it is wanted. The length that is left. */
static size_t take_apart(char *data, size_t size, bool with_stream) {
    size_t from = 0, to = 0;
    while (from < size) {
        struct frame_header header;
        assert_true(size - from > sizeof header);
        memcpy(&header, data + from, sizeof header);
        from += sizeof header;
        assert_true(header.length > 0 && header.length <= size - from);
        if (with_stream)
            data[to++] = (char)('0' + header.kind);
        memmove(data + to, data + from, header.length);
        to += header.length;
        from += header.length;
    }
    return to;
}

static void assert_reads(struct console_scene *scene, const char *text) {
    char got[1024];
    runs_scene_turn(&scene->runs);
    ssize_t n = read(scene->ends[CONSOLE_PRINTED], got, sizeof got);
    assert_true(n > 0);
    assert_int_equal(take_apart(got, (size_t)n, true), strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static void assert_waits(struct console_scene *scene) {
    char got;
    assert_int_equal(read(scene->ends[CONSOLE_PRINTED], &got, 1), -1);
    assert_int_equal(errno, EAGAIN);
}

static void assert_not_told(struct console_scene *scene) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    assert_int_equal(message_receive(scene->control[0], &message, fds), -EAGAIN);
}

/* Nothing more is printed then. */
static void assert_told(struct console_scene *scene, uint32_t refused, enum outcome outcome) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    char got;
    runs_scene_turn(&scene->runs);
    assert_int_equal(read(scene->ends[CONSOLE_PRINTED], &got, 1), 0);
    assert_int_equal(message_receive(scene->control[0], &message, fds), 1);
    assert_int_equal(message.kind, MESSAGE_OUTCOME);
    assert_int_equal(message.end.refused, refused);
    if (!refused)
        assert_int_equal(message.end.outcome, outcome);
    assert_not_told(scene); /* once */
}

static void finish(struct console_scene *scene, struct runs_worker *worker, enum frame_kind kind, const char *payload) {
    runs_scene_answer(worker, kind, payload);
    runs_scene_turn(&scene->runs);
    assert_not_told(scene); /* the verdict is not in */
    runs_scene_verdict(&scene->runs, 0, scene->console.job, ENDING_EXIT);
    runs_scene_close_worker(worker);
}

static void test_a_run(void **state) {
    struct console_scene scene;
    struct runs_worker worker;
    char got[8];
    (void)state;
    begin(&scene);
    submit(&scene, false, &worker);
    runs_scene_print(scene.ends[CONSOLE_STDIN], "in"); /* past the server */
    assert_int_equal(read(worker.fds[RUN_STDIN], got, sizeof got), 2);
    runs_scene_print(worker.fds[RUN_STDOUT], "out\x1b\n");
    assert_reads(&scene, "1out\x1b\n"); /* as it comes, as it is */
    runs_scene_print(worker.fds[RUN_STDERR], "err\n");
    runs_scene_turn(&scene.runs);
    runs_scene_print(worker.fds[RUN_STDOUT], "more\n");
    assert_reads(&scene, "2err\n1more\n"); /* in their order */
    runs_scene_assert_quiet(&scene.runs);
    runs_scene_print(worker.fds[RUN_STDOUT], "last\n");
    finish(&scene, &worker, FRAME_RESULT, "[1]");
    assert_reads(&scene, "1last\n1[1]\n");
    assert_told(&scene, 0, OUTCOME_OK);
    end(&scene);
}

static void test_a_document(void **state) {
    struct console_scene scene;
    struct runs_worker worker;
    char got[2048];
    (void)state;
    begin(&scene);
    submit(&scene, true, &worker);
    runs_scene_print(worker.fds[RUN_STDOUT], "out\n");
    runs_scene_turn(&scene.runs);
    assert_waits(&scene);
    finish(&scene, &worker, FRAME_NO_MAIN, "");
    runs_scene_turn(&scene.runs);
    ssize_t n = read(scene.ends[CONSOLE_PRINTED], got, sizeof got - 1);
    assert_true(n > 0);
    got[take_apart(got, (size_t)n, true)] = '\0';
    assert_int_equal(got[0], '1');
    assert_int_equal(got[strlen(got) - 1], '\n');
    assert_non_null(strstr(got, "\"stdout\": \"out\\n\""));
    assert_non_null(strstr(got, "\"outcome\": \"no_main\""));
    assert_told(&scene, 0, OUTCOME_NO_MAIN);
    end(&scene);
}

/* A reader that takes its time holds up the script, not the server; nothing is lost, and the end waits for it. */
static void test_a_slow_reader(void **state) {
    enum { SIZE = 1 << 20 };
    static char data[SIZE], got[2 * SIZE];
    struct console_scene scene;
    struct runs_worker worker;
    size_t written = 0, length = 0;
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 13 / 7);
    begin(&scene);
    submit(&scene, false, &worker);
    fcntl(worker.fds[RUN_STDOUT], F_SETFL, O_NONBLOCK);
    for (ssize_t n; (n = write(worker.fds[RUN_STDOUT], data + written, SIZE - written)) > 0;) {
        written += (size_t)n;
        runs_scene_turn(&scene.runs);
    }
    assert_true(written < SIZE); /* held back */
    runs_scene_assert_quiet(&scene.runs);
    while (length < SIZE) {
        ssize_t n = written < SIZE ? write(worker.fds[RUN_STDOUT], data + written, SIZE - written) : 0;
        written += n > 0 ? (size_t)n : 0;
        if (written == SIZE && n >= 0 && scene.console.job != NULL && length > SIZE / 2)
            finish(&scene, &worker, FRAME_RESULT, "7");
        runs_scene_turn(&scene.runs);
        n = read(scene.ends[CONSOLE_PRINTED], got + length, 4096);
        length += n > 0 ? (size_t)n : 0;
        if (scene.console.pending.len > 0)
            assert_not_told(&scene);
    }
    runs_scene_turn(&scene.runs);
    for (ssize_t n; (n = read(scene.ends[CONSOLE_PRINTED], got + length, sizeof got - length)) > 0;)
        length += (size_t)n;
    length = take_apart(got, length, false);
    assert_int_equal(length, SIZE + 2);
    assert_memory_equal(got, data, SIZE);
    assert_memory_equal(got + SIZE, "7\n", 2);
    assert_told(&scene, 0, OUTCOME_OK);
    end(&scene);
}

/* The command line is about to end us; until then nothing goes wrong. */
static void test_a_reader_that_is_gone(void **state) {
    struct console_scene scene;
    struct runs_worker worker;
    (void)state;
    begin(&scene);
    submit(&scene, false, &worker);
    scene.ends[CONSOLE_PRINTED] = fd_close(scene.ends[CONSOLE_PRINTED]);
    runs_scene_print(worker.fds[RUN_STDOUT], "out");
    runs_scene_turn(&scene.runs);
    runs_scene_assert_quiet(&scene.runs);
    finish(&scene, &worker, FRAME_RESULT, "1");
    end(&scene);
}

static void test_a_wrong_request_is_refused(void **state) {
    struct console_scene scene;
    (void)state;
    begin(&scene);
    say(&scene, CONSOLE_SCRIPT, "script");
    say(&scene, CONSOLE_INPUT, "{\x1b");
    assert_reads(&scene, "2python-executor: --input is not JSON: expected a string at byte 1.\n");
    assert_told(&scene, 1, OUTCOME_OK);
    assert_null(scene.console.job);
    end(&scene);
}

static void test_a_request_without_an_end(void **state) {
    struct console_scene scene;
    (void)state;
    begin(&scene);
    say(&scene, CONSOLE_SCRIPT, "script");
    scene.ends[CONSOLE_REQUEST] = fd_close(scene.ends[CONSOLE_REQUEST]);
    assert_reads(&scene, "2python-executor: The request did not come to its end, or is too large.\n");
    assert_told(&scene, 1, OUTCOME_OK);
    end(&scene);
}

static void test_a_zygote_that_dies(void **state) {
    struct console_scene scene;
    struct runs_worker worker;
    (void)state;
    begin(&scene);
    submit(&scene, false, &worker);
    scene.runs.zygotes[0] = fd_close(scene.runs.zygotes[0]);
    runs_scene_close_worker(&worker);
    assert_reads(&scene, "2python-executor: lost: there was no worker for it, or the zygote has died\n");
    assert_told(&scene, 0, OUTCOME_LOST);
    end(&scene);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* as the server does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run),
        cmocka_unit_test(test_a_document),
        cmocka_unit_test(test_a_slow_reader),
        cmocka_unit_test(test_a_reader_that_is_gone),
        cmocka_unit_test(test_a_wrong_request_is_refused),
        cmocka_unit_test(test_a_request_without_an_end),
        cmocka_unit_test(test_a_zygote_that_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
