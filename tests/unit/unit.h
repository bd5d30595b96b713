/* cmocka wants these before itself; every unit test includes this file alone. */
#ifndef PX_TESTS_UNIT_H
#define PX_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#endif
