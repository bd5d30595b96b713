/* Tests that a process can make only once in its life, or that would end the test program: each runs in a
 * child, which says what went wrong by the line it exits at. cmocka's own asserts are the parent's. */
#ifndef PX_TESTS_CHILD_H
#define PX_TESTS_CHILD_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child: says where and why, and ends it. */
#define CHECK(condition)                                                                                   \
    do {                                                                                                   \
        if (!(condition)) {                                                                                \
            fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #condition);                              \
            _exit(1);                                                                                      \
        }                                                                                                  \
    } while (0)

/* The wait status of a child that ran `body` and exited with 0. */
static inline int status_of(void (*body)(void)) {
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        fail_msg("no child");
    return status;
}

static inline void in_child(void (*body)(void)) {
    int status = status_of(body);
    if (status != 0)
        fail_msg("the child ended with status %x", (unsigned)status);
}

#endif
