/* server/queue: first come, first served, of bounded length. */
#include "unit.h"

#include "server/queue.h"

#include <errno.h>

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
        assert_null(jobs[out].next);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
