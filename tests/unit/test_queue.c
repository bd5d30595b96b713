/* server/queue: first come, first served, of bounded length. */
#include "unit.h"

#include "server/queue.h"

#include <errno.h>
#include <stdlib.h>

static void test_order_and_bound(void **state) {
    struct queue queue;
    struct job jobs[3] = {0};
    (void)state;
    queue_init(&queue, 2);
    assert_null(queue_next(&queue, true));
    assert_int_equal(queue_admit(&queue, &jobs[0]), 0);
    assert_int_equal(queue_admit(&queue, &jobs[1]), 0);
    assert_int_equal(queue_admit(&queue, &jobs[2]), -EBUSY);
    assert_ptr_equal(queue_next(&queue, true), &jobs[0]);
    assert_int_equal(queue_admit(&queue, &jobs[2]), 0);
    assert_ptr_equal(queue_next(&queue, true), &jobs[1]);
    assert_ptr_equal(queue_next(&queue, true), &jobs[2]);
    assert_int_equal(queue.length, 0);
}

static void test_removal_and_putting_back(void **state) {
    struct queue queue;
    struct job jobs[3] = {0};
    (void)state;
    queue_init(&queue, 3);
    for (size_t i = 0; i < 3; i++)
        queue_admit(&queue, &jobs[i]);
    assert_int_equal(queue_remove(&queue, &jobs[2]), 0);
    assert_int_equal(queue_remove(&queue, &jobs[2]), -ENOENT);
    assert_int_equal(queue_admit(&queue, &jobs[2]), 0);
    struct job *first = queue_next(&queue, true);
    queue_put_back(&queue, first);
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(queue_next(&queue, true), &jobs[i]);
    queue_put_back(&queue, &jobs[1]);
    queue_admit(&queue, &jobs[0]);
    assert_ptr_equal(queue_next(&queue, true), &jobs[1]);
    assert_ptr_equal(queue_next(&queue, true), &jobs[0]);
}

/* From every place, and the next one still comes in behind the last. */
static void test_removal_from_every_place(void **state) {
    (void)state;
    for (size_t out = 0; out < 4; out++) {
        struct queue queue;
        struct job jobs[5] = {0};
        queue_init(&queue, 4);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(queue_admit(&queue, &jobs[i]), 0);
        assert_int_equal(queue_remove(&queue, &jobs[out]), 0);
        assert_false(jobs[out].waits);
        assert_int_equal(queue.length, 3);
        assert_int_equal(queue_admit(&queue, &jobs[4]), 0);
        for (size_t i = 0; i < 5; i++)
            if (i != out)
                assert_ptr_equal(queue_next(&queue, true), &jobs[i]);
        assert_null(queue_next(&queue, true));
        assert_int_equal(queue.length, 0);
    }
}

/* A job that was put back had its place before; others must not lose theirs to it. */
static void test_putting_back_into_a_full_queue(void **state) {
    struct queue queue;
    struct job jobs[4] = {0};
    (void)state;
    queue_init(&queue, 2);
    queue_admit(&queue, &jobs[0]);
    queue_admit(&queue, &jobs[1]);
    struct job *first = queue_next(&queue, true);
    assert_int_equal(queue_admit(&queue, &jobs[2]), 0);
    queue_put_back(&queue, first);
    assert_int_equal(queue_admit(&queue, &jobs[3]), -EBUSY);
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(queue_next(&queue, true), &jobs[i]);
}

/* Against an array that does the same slowly. */
static void test_many_random_steps(void **state) {
    enum { JOBS = 12, MAX = 8 };
    struct queue queue;
    struct job jobs[JOBS] = {0};
    struct job *model[JOBS];
    size_t length = 0;
    uint32_t seed = 1;
    (void)state;
    queue_init(&queue, MAX);
    for (int step = 0; step < 20000; step++) {
        seed = seed * 1664525u + 1013904223u;
        struct job *job = &jobs[(seed >> 8) % JOBS];
        size_t at = 0;
        while (at < length && model[at] != job)
            at++;
        if (at < length || (seed >> 24) % 4 == 0) {
            bool next = (seed >> 24) % 3 == 0;
            assert_true(next || queue_remove(&queue, job) == (at < length ? 0 : -ENOENT));
            if (next)
                assert_ptr_equal(queue_next(&queue, true), length > 0 ? model[at = 0] : NULL);
            if (at < length)
                memmove(&model[at], &model[at + 1], (--length - at) * sizeof model[0]);
        } else {
            assert_int_equal(queue_admit(&queue, job), length < MAX ? 0 : -EBUSY);
            if (length < MAX)
                model[length++] = job;
        }
        assert_int_equal(queue.length, length);
    }
}

/* One order over all lines, and those behind a long one that has no place are no worse for it. */
static void test_long_ones_are_passed_over(void **state) {
    struct queue queue;
    struct job jobs[6];
    (void)state;
    queue_init(&queue, 6);
    for (size_t i = 0; i < 6; i++) {
        jobs[i] = (struct job){.number = i + 1, .is_long = i % 3 == 0};
        assert_int_equal(queue_admit(&queue, &jobs[i]), 0);
    }
    assert_int_equal(queue_admit(&queue, &(struct job){.number = 7}), -EBUSY); /* one bound for all */
    assert_ptr_equal(queue_first(&queue, true), &jobs[0]);
    assert_ptr_equal(queue_first(&queue, false), &jobs[1]);
    assert_ptr_equal(queue_next(&queue, false), &jobs[1]);
    assert_ptr_equal(queue_next(&queue, true), &jobs[0]);
    queue_put_back(&queue, &jobs[0]);
    assert_ptr_equal(queue_next(&queue, false), &jobs[2]);
    queue_put_back(&queue, &jobs[2]);
    assert_ptr_equal(queue_next(&queue, true), &jobs[0]);
    assert_ptr_equal(queue_next(&queue, true), &jobs[2]);
    assert_int_equal(queue_remove(&queue, &jobs[3]), 0);
    assert_int_equal(queue_remove(&queue, &jobs[3]), -ENOENT);
    assert_ptr_equal(queue_next(&queue, true), &jobs[4]);
    assert_ptr_equal(queue_next(&queue, true), &jobs[5]);
    assert_null(queue_first(&queue, true));
    assert_int_equal(queue.length, 0);
}

/* What is known as long only when its turn comes keeps its turn among the long ones. */
static void test_one_that_turns_out_long(void **state) {
    struct queue queue;
    struct job jobs[5];
    (void)state;
    queue_init(&queue, 5);
    for (size_t i = 0; i < 5; i++) {
        jobs[i] = (struct job){.number = i + 1, .is_long = i == 0 || i == 2};
        assert_int_equal(queue_admit(&queue, &jobs[i]), 0);
    }
    for (size_t i = 1; i < 4; i += 2) {
        assert_ptr_equal(queue_next(&queue, false), &jobs[i]);
        queue_put_among_long(&queue, &jobs[i]);
    }
    assert_int_equal(queue.length, 5);
    assert_ptr_equal(queue_next(&queue, false), &jobs[4]);
    assert_null(queue_next(&queue, false));
    assert_ptr_equal(queue_next(&queue, true), &jobs[0]);
    assert_ptr_equal(queue_next(&queue, true), &jobs[1]);
    queue_put_back(&queue, &jobs[1]);
    for (size_t i = 1; i < 4; i++)
        assert_ptr_equal(queue_next(&queue, true), &jobs[i]);
    assert_int_equal(queue.length, 0);
}

enum { CALLERS = 3 };

static struct job *make_job(struct turn *turn, uint64_t number, bool is_long) {
    struct job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    *job = (struct job){.number = number, .turn = turn, .is_long = is_long};
    return job;
}

/* Numbers of the jobs as they come out, which are freed. */
static void assert_comes(struct queue *queue, const uint64_t *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct job *job = queue_next(queue, true);
        assert_non_null(job);
        assert_int_equal(job->number, numbers[i]);
        free(job);
    }
    assert_null(queue_next(queue, true));
    assert_int_equal(queue->length, 0);
}

static void begin_turns(struct queue *queue, size_t max, struct turn turns[CALLERS]) {
    queue_init(queue, max);
    for (size_t i = 0; i < CALLERS; i++)
        turn_init(&turns[i]);
}

static void test_callers_come_in_turn(void **state) {
    static const size_t whose[] = {0, 0, 0, 0, 1, 1, 2};
    static const uint64_t order[] = {1, 5, 7, 2, 6, 3, 4};
    struct queue queue;
    struct turn turns[CALLERS];
    (void)state;
    begin_turns(&queue, 7, turns);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(queue_admit(&queue, make_job(&turns[whose[i]], i + 1, false)), 0);
    assert_int_equal(queue_oldest(&queue)->number, 1);
    assert_comes(&queue, order, 7);
}

/* One who has just been served and comes again is behind those that wait. */
static void test_who_comes_again_is_the_last(void **state) {
    static const uint64_t rest[] = {3, 4, 2};
    struct queue queue;
    struct turn turns[CALLERS];
    (void)state;
    begin_turns(&queue, 9, turns);
    for (size_t i = 0; i < 3; i++)
        queue_admit(&queue, make_job(&turns[i == 2], i + 1, false));
    struct job *first = queue_next(&queue, true);
    assert_int_equal(first->number, 1);
    assert_int_equal(queue_oldest(&queue)->number, 2);
    free(first);
    queue_admit(&queue, make_job(&turns[2], 4, false));
    struct job *third = queue_next(&queue, true);
    assert_int_equal(third->number, 3);
    queue_put_back(&queue, third); /* could not be started: it still is its turn */
    assert_ptr_equal(queue_first(&queue, true), third);
    struct job *second = queue_oldest(&queue);
    assert_int_equal(second->number, 2);
    queue_remove(&queue, second);
    queue_admit(&queue, second);
    assert_comes(&queue, rest, 3);
}

static void test_a_turn_of_long_ones_is_passed_over(void **state) {
    static const uint64_t rest[] = {1, 2, 3};
    struct queue queue;
    struct turn turns[CALLERS];
    (void)state;
    begin_turns(&queue, 9, turns);
    queue_admit(&queue, make_job(&turns[0], 1, true));
    queue_admit(&queue, make_job(&turns[1], 2, false));
    queue_admit(&queue, make_job(&turns[0], 3, false));
    struct job *job = queue_next(&queue, false);
    assert_int_equal(job->number, 3);
    queue_put_among_long(&queue, job);
    assert_int_equal(queue_first(&queue, false)->number, 2);
    assert_int_equal(queue.length, 3);
    assert_comes(&queue, rest, 3);
}

static void test_a_full_queue_is_shared(void **state) {
    static const uint64_t order[] = {1, 5, 7, 2};
    struct queue queue;
    struct turn turns[CALLERS];
    struct job *job;
    (void)state;
    begin_turns(&queue, 4, turns);
    for (size_t i = 0; i < 4; i++)
        queue_admit(&queue, make_job(&turns[0], i + 1, i == 1));
    job = make_job(&turns[0], 8, false);
    assert_int_equal(queue_admit(&queue, job), -EBUSY); /* its own */
    free(job);
    assert_null(queue_displaced(&queue));
    for (uint64_t i = 0, displaced = 4; i < 2; i++, displaced--) {
        assert_int_equal(queue_admit(&queue, make_job(&turns[1 + i], 5 + 2 * i, false)), 0);
        assert_int_equal(queue.length, 4);
        job = queue_displaced(&queue);
        assert_int_equal(job->number, displaced);
        assert_int_equal(queue_remove(&queue, job), 0);
        assert_int_equal(queue_remove(&queue, job), -ENOENT);
        assert_null(queue_displaced(&queue));
        free(job);
    }
    job = make_job(&turns[1], 9, false);
    assert_int_equal(queue_admit(&queue, job), -EBUSY); /* 2 and 1 and 1: it would only change places */
    free(job);
    assert_comes(&queue, order, 4);
}

static void test_no_queue_at_all(void **state) {
    struct queue queue;
    struct job job = {0};
    (void)state;
    queue_init(&queue, 0);
    assert_int_equal(queue_admit(&queue, &job), -EBUSY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_bound),
        cmocka_unit_test(test_removal_and_putting_back),
        cmocka_unit_test(test_removal_from_every_place),
        cmocka_unit_test(test_putting_back_into_a_full_queue),
        cmocka_unit_test(test_many_random_steps),
        cmocka_unit_test(test_long_ones_are_passed_over),
        cmocka_unit_test(test_one_that_turns_out_long),
        cmocka_unit_test(test_no_queue_at_all),
        cmocka_unit_test(test_callers_come_in_turn),
        cmocka_unit_test(test_who_comes_again_is_the_last),
        cmocka_unit_test(test_a_turn_of_long_ones_is_passed_over),
        cmocka_unit_test(test_a_full_queue_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
