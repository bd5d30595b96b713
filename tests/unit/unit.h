/* cmocka wants these before itself; every unit test includes this file alone. */
#ifndef PX_TESTS_UNIT_H
#define PX_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Skips the test that calls it where only root could make it. As root, as in CI, it always runs. */
static inline void need_root(const char *for_what) {
    if (geteuid() == 0)
        return;
    printf("# needs root: %s\n", for_what);
    fflush(stdout);
    skip();
}

#endif
