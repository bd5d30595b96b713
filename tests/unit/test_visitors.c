/* server/visitors: whose turn it is, and who has to go for others, on socket pairs. */
#include "unit.h"

#include "server/visitors.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GUESTS = 5 };

struct scene {
    struct visitors visitors;
    int ours[GUESTS], theirs[GUESTS];
    struct visitor *guests[GUESTS];
};

static int pair(struct scene *scene, size_t guest) {
    int ends[2];
    int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    scene->ours[guest] = ends[0];
    scene->theirs[guest] = ends[1];
    return r;
}

static void begin(struct scene *scene, size_t most) {
    *scene = (struct scene){0};
    visitors_init(&scene->visitors, most);
    for (size_t i = 0; i < GUESTS; i++)
        assert_int_equal(pair(scene, i), 0);
}

static void enter(struct scene *scene, size_t guest) {
    scene->guests[guest] = visitors_enter(&scene->visitors, scene->ours[guest]);
    assert_non_null(scene->guests[guest]);
}

static void leave(struct scene *scene, size_t guest) {
    visitors_leave(&scene->visitors, scene->guests[guest]);
    scene->guests[guest] = NULL;
}

static void end(struct scene *scene) {
    for (size_t i = 0; i < GUESTS; i++) {
        leave(scene, i);
        close(scene->ours[i]);
        close(scene->theirs[i]);
    }
    assert_int_equal(scene->visitors.count, 0);
    assert_int_equal(scene->visitors.lines[0].count + scene->visitors.lines[1].count, 0);
}

/* By what its client sees of it. */
static bool is_cut(const struct scene *scene, size_t guest) {
    struct pollfd end = {.fd = scene->theirs[guest], .events = POLLIN};
    bool cut = poll(&end, 1, 0) == 1;
    assert_int_equal(scene->guests[guest]->ended, cut);
    return cut;
}

static void test_the_longest_on_turn_goes(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene, 3);
    for (size_t i = 0; i < 3; i++)
        enter(&scene, i);
    visitors_wait(&scene.visitors, scene.guests[0]); /* it has had an answer, and has a new turn */
    enter(&scene, 3);
    assert_true(is_cut(&scene, 1));
    leave(&scene, 1);
    enter(&scene, 4);
    assert_true(is_cut(&scene, 2));
    assert_false(is_cut(&scene, 0) || is_cut(&scene, 3) || is_cut(&scene, 4));
    assert_int_equal(scene.visitors.cut_place, 2);
    visitors_wait(&scene.visitors, scene.guests[2]); /* who was cut has no turn any more */
    assert_int_equal(scene.visitors.lines[0].count, 3);
    end(&scene);
}

static void test_strangers_go_while_they_have_more_than_half(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene, 4);
    for (size_t i = 0; i < 4; i++)
        enter(&scene, i);
    visitors_serve(&scene.visitors, scene.guests[0]);
    visitors_wait(&scene.visitors, scene.guests[0]);
    enter(&scene, 4); /* three strangers */
    assert_true(is_cut(&scene, 1) && !is_cut(&scene, 0));
    leave(&scene, 1);
    visitors_serve(&scene.visitors, scene.guests[2]);
    visitors_wait(&scene.visitors, scene.guests[2]);
    close(scene.ours[1]), close(scene.theirs[1]);
    assert_int_equal(pair(&scene, 1), 0);
    enter(&scene, 1); /* two of them, and two who are known */
    assert_true(is_cut(&scene, 0) && !is_cut(&scene, 3));
    end(&scene);
}

static void test_who_is_served_stays(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene, 2);
    for (size_t i = 0; i < 3; i++) {
        enter(&scene, i);
        visitors_serve(&scene.visitors, scene.guests[i]);
    }
    visitors_make_place(&scene.visitors);
    assert_false(is_cut(&scene, 0) || is_cut(&scene, 1) || is_cut(&scene, 2));
    visitors_wait(&scene.visitors, scene.guests[1]);
    visitors_make_place(&scene.visitors); /* it has had no time to read its answer */
    assert_false(is_cut(&scene, 1));
    scene.guests[1]->since_us -= 2000000;
    visitors_make_place(&scene.visitors);
    assert_true(is_cut(&scene, 1));
    leave(&scene, 1);
    visitors_make_place(&scene.visitors);
    assert_false(is_cut(&scene, 0) || is_cut(&scene, 2));
    end(&scene);
}

static void test_who_holds_the_most_goes(void **state) {
    struct scene scene;
    (void)state;
    begin(&scene, 5);
    for (size_t i = 0; i < 4; i++) {
        enter(&scene, i);
        scene.guests[i]->held = 100 * (i + 1);
    }
    visitors_serve(&scene.visitors, scene.guests[3]); /* its run is bounded in time */
    assert_null(visitors_largest(&scene.visitors, 300));
    assert_ptr_equal(visitors_largest(&scene.visitors, 150), scene.guests[2]);
    visitors_cut_for_bytes(&scene.visitors, scene.guests[2]);
    assert_ptr_equal(visitors_largest(&scene.visitors, 150), scene.guests[1]);
    scene.guests[1]->held = 0;
    assert_null(visitors_largest(&scene.visitors, 150));
    assert_true(is_cut(&scene, 2) && !is_cut(&scene, 0) && !is_cut(&scene, 1) && !is_cut(&scene, 3));
    assert_int_equal(scene.visitors.cut_bytes, 1);
    end(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_longest_on_turn_goes),
        cmocka_unit_test(test_strangers_go_while_they_have_more_than_half),
        cmocka_unit_test(test_who_is_served_stays),
        cmocka_unit_test(test_who_holds_the_most_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
