/* server/queue: first come, first served, of bounded length. */
#include "unit.h"

#include "server/queue.h"

#include <errno.h>

static void test_order_and_bound(void **state) {
    struct queue queue;
    struct job jobs[3] = {0};
    (void)state;
    queue_init(&queue, 2);
    assert_null(queue_next(&queue));
    assert_int_equal(queue_admit(&queue, &jobs[0]), 0);
    assert_int_equal(queue_admit(&queue, &jobs[1]), 0);
    assert_int_equal(queue_admit(&queue, &jobs[2]), -EBUSY);
    assert_ptr_equal(queue_next(&queue), &jobs[0]);
    assert_int_equal(queue_admit(&queue, &jobs[2]), 0);
    assert_ptr_equal(queue_next(&queue), &jobs[1]);
    assert_ptr_equal(queue_next(&queue), &jobs[2]);
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
    struct job *first = queue_next(&queue);
    queue_put_back(&queue, first);
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(queue_next(&queue), &jobs[i]);
    queue_put_back(&queue, &jobs[1]);
    queue_admit(&queue, &jobs[0]);
    assert_ptr_equal(queue_next(&queue), &jobs[1]);
    assert_ptr_equal(queue_next(&queue), &jobs[0]);
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
        cmocka_unit_test(test_no_queue_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
