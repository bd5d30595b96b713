/* server/run and server/pool: a job's way through the server's event loop, with this test as the zygote
 * and the worker. Every scene ends with a loop that has nothing open. */
#include "runs_scene.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

static void test_a_job_goes_out_and_its_answer_comes_back(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 2, 2);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit(&scene, false);
    assert_int_equal(job->stage, JOB_RUNNING);
    runs_scene_take(&scene, 0, job, &worker);
    assert_int_equal(worker.order.wall_ms, scene.config.wall_ms);
    runs_scene_assert_quiet(&scene);
    runs_scene_print(worker.fds[1], "out");
    runs_scene_print(worker.fds[2], "err");
    runs_scene_answer(&worker, FRAME_RESULT, "[1]");
    runs_scene_assert_quiet(&scene);
    /* Nothing is finished by what a worker says. */
    assert_int_equal(job->stage, JOB_RUNNING);
    assert_int_equal(runs_scene_hear(&scene, 0, job), MESSAGE_ANSWERED);
    runs_scene_verdict(&scene, 0, job, ENDING_ANSWERED);
    runs_scene_assert_finished(&scene, job, OUTCOME_OK);
    assert_memory_equal(job->answer.payload.data, "[1]", 3);
    assert_memory_equal(job->out.kept.data, "out", 3);
    assert_memory_equal(job->err.kept.data, "err", 3);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

/* What a script prints to must block, as anywhere else; what the server reads from must not. */
static void test_which_ends_block(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit(&scene, false);
    runs_scene_take(&scene, 0, job, &worker);
    for (size_t i = 0; i < RUN_STDIN; i++) {
        assert_int_equal(fcntl(worker.fds[i], F_GETFL) & O_NONBLOCK, 0);
        assert_int_equal(fcntl(job->fds[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        assert_int_equal(fcntl(job->fds[i], F_GETFD), FD_CLOEXEC);
    }
    runs_scene_verdict(&scene, 0, job, ENDING_EXIT);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

/* The exact figures come with the end of the process only. */
static void test_details_wait_for_the_end(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit(&scene, true);
    runs_scene_take(&scene, 0, job, &worker);
    runs_scene_answer(&worker, FRAME_RESULT, "1");
    runs_scene_turn(&scene);
    assert_int_equal(runs_scene_hear(&scene, 0, job), 0);
    runs_scene_verdict(&scene, 0, job, ENDING_EXIT);
    runs_scene_assert_finished(&scene, job, OUTCOME_OK);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

/* A thread or an orphan that holds the pipes open holds nobody up, and what was written before counts. */
static void test_the_verdict_ends_it_with_everything_still_open(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit(&scene, false);
    runs_scene_take(&scene, 0, job, &worker);
    /* First, so that it is what the loop hears first. */
    runs_scene_send_verdict(&scene, 0, job, ENDING_EXIT);
    runs_scene_answer(&worker, FRAME_RESULT, "2");
    runs_scene_print(worker.fds[1], "last words");
    runs_scene_print(worker.fds[2], "last error");
    runs_scene_turn(&scene);
    runs_scene_assert_finished(&scene, job, OUTCOME_OK);
    assert_int_equal(job->out.total, strlen("last words"));
    assert_int_equal(job->err.total, strlen("last error"));
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

static void test_an_end_without_a_verdict_is_none(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit(&scene, false);
    runs_scene_take(&scene, 0, job, &worker);
    runs_scene_close_worker(&worker);
    runs_scene_assert_quiet(&scene);
    assert_int_equal(job->stage, JOB_RUNNING);
    runs_scene_verdict(&scene, 0, job, ENDING_DEADLINE);
    runs_scene_assert_finished(&scene, job, OUTCOME_TIMEOUT);
    runs_scene_end(&scene);
}

static void test_what_is_written_behind_the_frame_is_not_read(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit(&scene, false);
    runs_scene_take(&scene, 0, job, &worker);
    runs_scene_answer(&worker, FRAME_NO_MAIN, "");
    runs_scene_answer(&worker, FRAME_RESULT, "1");
    runs_scene_assert_quiet(&scene);
    runs_scene_verdict(&scene, 0, job, ENDING_EXIT);
    runs_scene_assert_finished(&scene, job, OUTCOME_NO_MAIN);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

/* Larger than a socket's buffer: it goes out in pieces while the worker reads. */
static void test_a_large_script(void **state) {
    enum { SIZE = 1 << 20 };
    static char script[SIZE], got[SIZE];
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        script[i] = (char)(i * 13 / 7);
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit_script(&scene, script, SIZE);
    runs_scene_take_unread(&scene, 0, job, &worker);
    fcntl(worker.fds[0], F_SETFL, O_NONBLOCK);
    size_t length = 0, head = sizeof(struct frame_header) + sizeof(struct job_order);
    char skipped[sizeof(struct frame_header) + sizeof(struct job_order)];
    assert_int_equal(read(worker.fds[0], skipped, head), (int)head);
    while (length < SIZE) {
        ssize_t n = read(worker.fds[0], got + length, SIZE - length);
        assert_true(n > 0 || errno == EAGAIN);
        length += n > 0 ? (size_t)n : 0;
        uv_run(&scene.loop, UV_RUN_NOWAIT);
    }
    assert_memory_equal(got, script, SIZE);
    runs_scene_assert_quiet(&scene);
    assert_null(job->order.data); /* a script is not kept longer than it takes to send it */
    runs_scene_answer(&worker, FRAME_RESULT, "3");
    runs_scene_turn(&scene);
    assert_int_equal(runs_scene_hear(&scene, 0, job), MESSAGE_ANSWERED);
    runs_scene_verdict(&scene, 0, job, ENDING_ANSWERED);
    runs_scene_assert_finished(&scene, job, OUTCOME_OK);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

/* Through a pipe of its own, as the script reads it, however little that is; then the end. */
static void test_stdin_is_fed_and_then_ends(void **state) {
    enum { SIZE = 1 << 18 };
    static char text[SIZE], got[SIZE + 1];
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        text[i] = (char)(i * 13 / 7);
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit_stdin(&scene, text, SIZE);
    runs_scene_take(&scene, 0, job, &worker);
    assert_true(worker.fds[RUN_STDIN] >= 0);
    assert_int_equal(fcntl(worker.fds[RUN_STDIN], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(job->fds[WATCH_STDIN], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    runs_scene_assert_quiet(&scene); /* the pipe is full, and nobody reads */
    fcntl(worker.fds[RUN_STDIN], F_SETFL, O_NONBLOCK);
    for (size_t length = 0;;) {
        ssize_t n = read(worker.fds[RUN_STDIN], got + length, sizeof got - length);
        if (n == 0) {
            assert_int_equal(length, SIZE);
            break;
        }
        assert_true(n > 0 || errno == EAGAIN);
        length += n > 0 ? (size_t)n : 0;
        uv_run(&scene.loop, UV_RUN_NOWAIT);
    }
    assert_memory_equal(got, text, SIZE);
    assert_null(job->stdin_text.data);
    assert_int_equal(job->fds[WATCH_STDIN], -1);
    runs_scene_assert_quiet(&scene);
    runs_scene_verdict(&scene, 0, job, ENDING_EXIT);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

/* What somebody else feeds is handed on as it is, once there is a zygote, and is nothing of ours then. */
static void test_stdin_that_somebody_else_feeds(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    char text[8];
    int ends[2];
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct job *job = runs_scene_submit_from(&scene, ends[0]);
    assert_int_equal(job->stage, JOB_WAITING);
    assert_int_equal(job->stdin_fd, ends[0]);
    runs_scene_add_zygote(&scene, 0);
    assert_int_equal(job->stdin_fd, -1);
    assert_int_equal(fcntl(ends[0], F_GETFD), -1);
    assert_true((job->worker_limits.flags & JOB_STDIN) != 0);
    runs_scene_take(&scene, 0, job, &worker);
    runs_scene_print(ends[1], "abc");
    assert_int_equal(read(worker.fds[RUN_STDIN], text, sizeof text), 3);
    runs_scene_assert_quiet(&scene);
    runs_scene_close_worker(&worker);
    assert_int_equal(write(ends[1], "x", 1), -1); /* nobody else has kept it open */
    assert_int_equal(errno, EPIPE);
    runs_scene_verdict(&scene, 0, job, ENDING_EXIT);
    runs_scene_assert_finished(&scene, job, OUTCOME_EXITED);
    close(ends[1]);
    runs_scene_end(&scene);
}

/* A script that closes its stdin, or ends without reading it, holds up nobody. */
static void test_stdin_that_nobody_reads(void **state) {
    static char text[1 << 18];
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    for (int closes = 0; closes < 2; closes++) {
        runs_scene_begin(&scene, 1, 1);
        runs_scene_add_zygote(&scene, 0);
        struct job *job = runs_scene_submit_stdin(&scene, text, sizeof text);
        runs_scene_take(&scene, 0, job, &worker);
        runs_scene_assert_quiet(&scene);
        if (closes) {
            worker.fds[RUN_STDIN] = fd_close(worker.fds[RUN_STDIN]);
            runs_scene_assert_quiet(&scene);
            assert_int_equal(job->fds[WATCH_STDIN], -1);
            assert_null(job->stdin_text.data);
        }
        runs_scene_answer(&worker, FRAME_RESULT, "1");
        runs_scene_turn(&scene);
        assert_int_equal(runs_scene_hear(&scene, 0, job), MESSAGE_ANSWERED);
        runs_scene_verdict(&scene, 0, job, ENDING_ANSWERED);
        runs_scene_assert_finished(&scene, job, OUTCOME_OK);
        runs_scene_close_worker(&worker);
        runs_scene_end(&scene);
    }
}

/* Whoever takes the output may have enough for now; what was printed meanwhile is not lost. */
static void test_output_that_is_held_back(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 1, 0);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit(&scene, false);
    runs_scene_take(&scene, 0, job, &worker);
    runs_hold_output(job, true);
    runs_scene_print(worker.fds[RUN_STDOUT], "one");
    runs_scene_print(worker.fds[RUN_STDERR], "two");
    runs_scene_assert_quiet(&scene);
    assert_int_equal(job->out.total + job->err.total, 0);
    runs_hold_output(job, false);
    runs_scene_turn(&scene);
    assert_int_equal(job->out.total, 3);
    assert_int_equal(job->err.total, 3);
    runs_hold_output(job, true);
    runs_scene_print(worker.fds[RUN_STDOUT], " more");
    runs_scene_verdict(&scene, 0, job, ENDING_DEADLINE);
    assert_int_equal(job->out.total, 8);
    runs_scene_assert_finished(&scene, job, OUTCOME_TIMEOUT);
    runs_hold_output(job, false); /* nothing is watched any more */
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

static void test_no_more_at_once_than_workers(void **state) {
    struct runs_scene scene;
    struct runs_worker workers[3];
    struct job *jobs[3];
    (void)state;
    runs_scene_begin(&scene, 1, 2);
    runs_scene_add_zygote(&scene, 0);
    for (size_t i = 0; i < 3; i++)
        jobs[i] = runs_scene_submit(&scene, false);
    assert_int_equal(runs_scene_try(&scene), -EBUSY);
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(jobs[k]->stage, k < i ? JOB_FINISHED : k == i ? JOB_RUNNING : JOB_WAITING);
        runs_scene_take(&scene, 0, jobs[i], &workers[i]); /* and in their order */
        assert_int_equal(runs_scene_hear(&scene, 0, NULL), 0);
        runs_scene_verdict(&scene, 0, jobs[i], ENDING_EXIT);
        runs_scene_assert_finished(&scene, jobs[i], OUTCOME_EXITED);
        runs_scene_close_worker(&workers[i]);
    }
    assert_true(jobs[2]->started_us >= jobs[0]->finished_us);
    runs_scene_end(&scene);
}

static void test_who_comes_later_does_not_overtake(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 2, 4);
    struct job *first = runs_scene_submit(&scene, false); /* no zygote yet */
    runs_scene_add_zygote(&scene, 0);
    struct job *second = runs_scene_submit(&scene, false);
    runs_scene_take(&scene, 0, first, &worker);
    runs_scene_close_worker(&worker);
    runs_scene_take(&scene, 0, second, &worker);
    runs_scene_close_worker(&worker);
    assert_true(first->number < second->number);
    runs_scene_verdict(&scene, 0, second, ENDING_EXIT); /* an end in another order is nobody's trouble */
    runs_scene_assert_finished(&scene, second, OUTCOME_EXITED);
    runs_scene_verdict(&scene, 0, first, ENDING_SIGNAL);
    runs_scene_assert_finished(&scene, first, OUTCOME_KILLED);
    runs_scene_end(&scene);
}

static void test_a_job_waits_for_so_long_only(void **state) {
    struct runs_scene scene;
    (void)state;
    runs_scene_begin(&scene, 1, 2);
    scene.config.queue_ms = 20;
    struct job *jobs[2] = {runs_scene_submit(&scene, false), runs_scene_submit(&scene, false)};
    assert_int_equal(jobs[0]->stage, JOB_WAITING);
    while (scene.finished < 2)
        uv_run(&scene.loop, UV_RUN_ONCE);
    for (size_t i = 0; i < 2; i++) {
        assert_true(jobs[i]->expired);
        assert_true(jobs[i]->finished_us - jobs[i]->admitted_us >= 20000);
        runs_scene_assert_finished(&scene, jobs[i], OUTCOME_LOST);
    }
    runs_scene_end(&scene);
}

static void test_cancelled_while_it_waits(void **state) {
    struct runs_scene scene;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    struct job *job = runs_scene_submit(&scene, false);
    runs_cancel(job);
    assert_int_equal(scene.runs.queue.length, 0);
    runs_scene_assert_finished(&scene, job, OUTCOME_CANCELLED);
    runs_scene_add_zygote(&scene, 0);
    runs_scene_turn(&scene);
    assert_int_equal(runs_scene_hear(&scene, 0, NULL), 0);
    runs_scene_end(&scene);
}

/* It had its answer already; nobody is there to read it. */
static void test_cancelled_while_it_runs(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit(&scene, true);
    runs_scene_take(&scene, 0, job, &worker);
    runs_scene_answer(&worker, FRAME_RESULT, "1");
    runs_cancel(job);
    assert_int_equal(job->stage, JOB_RUNNING);
    assert_int_equal(runs_scene_hear(&scene, 0, job), MESSAGE_CANCEL);
    runs_scene_verdict(&scene, 0, job, ENDING_EXIT);
    runs_scene_assert_finished(&scene, job, OUTCOME_CANCELLED);
    runs_cancel(job); /* too late, and without effect */
    runs_scene_turn(&scene);
    assert_int_equal(runs_scene_hear(&scene, 0, NULL), 0);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

static void test_a_client_that_goes_away(void **state) {
    struct runs_scene scene;
    struct runs_worker worker;
    int ends[2];
    (void)state;
    runs_scene_begin(&scene, 1, 1);
    runs_scene_add_zygote(&scene, 0);
    struct job *job = runs_scene_submit(&scene, false);
    runs_scene_take(&scene, 0, job, &worker);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    runs_watch_client(job, ends[0]);
    runs_scene_print(ends[1], "a second request"); /* is no reason to cancel */
    runs_scene_turn(&scene);
    assert_false(job->cancelled);
    fd_close(ends[1]);
    runs_scene_turn(&scene);
    assert_true(job->cancelled);
    assert_int_equal(runs_scene_hear(&scene, 0, job), MESSAGE_CANCEL);
    runs_scene_verdict(&scene, 0, job, ENDING_CANCELLED);
    runs_scene_assert_finished(&scene, job, OUTCOME_CANCELLED);
    assert_true(fcntl(ends[0], F_GETFD) >= 0); /* the library's still */
    fd_close(ends[0]);
    runs_scene_close_worker(&worker);
    runs_scene_end(&scene);
}

static void test_when_to_come_again(void **state) {
    struct job *jobs[5];
    struct runs_scene scene;
    struct runs_worker worker;
    (void)state;
    runs_scene_begin(&scene, 2, 100);
    runs_scene_add_zygote(&scene, 0);
    assert_int_equal(runs_retry_after(&scene.runs), 1); /* nothing is before the caller */
    scene.config.wall_ms = 1500;
    jobs[0] = runs_scene_submit(&scene, false);
    assert_int_equal(runs_retry_after(&scene.runs), 1);
    jobs[1] = runs_scene_submit(&scene, false);
    assert_int_equal(runs_retry_after(&scene.runs), 2);
    jobs[2] = runs_scene_submit(&scene, false); /* waits: two workers, 4.5 seconds */
    assert_int_equal(runs_retry_after(&scene.runs), 3);
    scene.config.wall_ms = 10000; /* as a request may ask for */
    jobs[3] = runs_scene_submit(&scene, false);
    assert_int_equal(runs_retry_after(&scene.runs), 8);
    scene.config.wall_ms = 3600000;
    jobs[4] = runs_scene_submit(&scene, false);
    assert_int_equal(runs_retry_after(&scene.runs), 60);
    for (size_t i = 4; i >= 2; i--)
        runs_cancel(jobs[i]);
    assert_int_equal(runs_retry_after(&scene.runs), 2);
    runs_scene_take_unread(&scene, 0, jobs[0], &worker);
    runs_scene_verdict(&scene, 0, jobs[0], ENDING_EXIT);
    assert_int_equal(runs_retry_after(&scene.runs), 1);
    runs_scene_close_worker(&worker);
    runs_scene_take_unread(&scene, 0, jobs[1], &worker);
    runs_scene_verdict(&scene, 0, jobs[1], ENDING_EXIT);
    runs_scene_close_worker(&worker);
    assert_int_equal(scene.runs.wall_ms, 0);
    runs_scene_end(&scene);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* as the server does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_goes_out_and_its_answer_comes_back),
        cmocka_unit_test(test_which_ends_block),
        cmocka_unit_test(test_details_wait_for_the_end),
        cmocka_unit_test(test_the_verdict_ends_it_with_everything_still_open),
        cmocka_unit_test(test_an_end_without_a_verdict_is_none),
        cmocka_unit_test(test_what_is_written_behind_the_frame_is_not_read),
        cmocka_unit_test(test_a_large_script),
        cmocka_unit_test(test_stdin_is_fed_and_then_ends),
        cmocka_unit_test(test_stdin_that_somebody_else_feeds),
        cmocka_unit_test(test_stdin_that_nobody_reads),
        cmocka_unit_test(test_output_that_is_held_back),
        cmocka_unit_test(test_no_more_at_once_than_workers),
        cmocka_unit_test(test_who_comes_later_does_not_overtake),
        cmocka_unit_test(test_a_job_waits_for_so_long_only),
        cmocka_unit_test(test_cancelled_while_it_waits),
        cmocka_unit_test(test_cancelled_while_it_runs),
        cmocka_unit_test(test_a_client_that_goes_away),
        cmocka_unit_test(test_when_to_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
