/* The self-test: every escape against every layer by itself, and against all of them together. */
#ifndef PX_CLI_SELFTEST_H
#define PX_CLI_SELFTEST_H

#include "base/buf.h"
#include "base/layer.h"
#include "sandbox/policy.h"
#include "sandbox/probe.h"

#include <stdbool.h>
#include <stdio.h>

enum { SELFTEST_ESCAPES = 32 };

struct selftest {
    size_t count;
    struct selftest_row {
        const char *name;
        bool fact;                /* see struct escape */
        int without;              /* errno without any layer: 0 where it succeeds */
        uint32_t stopped_by;      /* layers that stop it by themselves */
        int together;             /* errno behind all layers; 0 where it got out */
        int how[LAYER_COUNT];     /* errno, or -signal, of each layer alone */
    } rows[SELFTEST_ESCAPES];
};

/* Takes a second or so. 0, or a negative errno where it could not be made. */
int selftest_run(const struct policy *policy, const struct probe *probe, struct selftest *ret_test, struct failure *ret_failure);

/* How many escapes got out behind all layers together, facts apart. */
size_t selftest_escaped(const struct selftest *test);

void selftest_print(FILE *to, const struct selftest *test);

/* Appends `"self_test": […]`. As buf_add(). */
int selftest_add_json(struct buf *buf, const struct selftest *test);

#endif
