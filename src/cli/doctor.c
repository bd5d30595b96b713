/* python-executor doctor: see doctor.h. Starts no Python and serves nothing; runs as whoever calls it, in the place
 * where the service would be started. */
#include "cli/doctor.h"

#include "base/buf.h"
#include "base/layer.h"
#include "cli/grants.h"
#include "cli/selftest.h"
#include "sandbox/credentials.h"
#include "sandbox/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { JSON_MAX = 1 << 20 };

static void print_layers(const struct probe *probe, uint32_t floor, unsigned missing) {
    struct utsname kernel;
    uname(&kernel);
    printf("%s %s %s, user id %u\n\n%-18s %-8s %s\n", kernel.sysname, kernel.release, kernel.machine, (unsigned)geteuid(),
           "layer", "status", "what it is, or what was refused");
    for (unsigned i = 0; i < LAYER_COUNT; i++)
        printf("%-18s %-8s %s\n", layer_name(i), layer_status_name(probe->isolation.layers[i].status),
               probe->isolation.layers[i].detail);
    printf("\ntier      %s\nrequired ", layer_tier(&probe->isolation));
    for (unsigned word = 0; word < LAYER_WORDS; word++)
        if ((floor & layer_bit(word)) != 0)
            printf(" %s", layer_name(word));
    if (missing == LAYER_WORDS) {
        printf(": all met\n\n");
        return;
    }
    printf(": %s is missing, and nothing would be served\n\nto get %s:\n", layer_name(missing), layer_name(missing));
    grants_print(stdout, missing);
    printf("\n");
}

static int print_json(const struct probe *probe, uint32_t floor, unsigned missing, const struct selftest *test, const struct fit *fit,
                      const struct config *config) {
    struct buf buf;
    buf_init(&buf, JSON_MAX);
    int r = buf_add_text(&buf, "{");
    if (r == 0)
        r = layer_add_json(&buf, &probe->isolation, floor);
    if (r == 0)
        r = buf_add_format(&buf, ", \"missing\": %s%s%s, \"escaped\": %zu, ", missing < LAYER_WORDS ? "\"" : "",
                           missing < LAYER_WORDS ? layer_name(missing) : "null", missing < LAYER_WORDS ? "\"" : "",
                           selftest_escaped(test));
    if (r == 0)
        r = selftest_add_json(&buf, test);
    if (r == 0)
        r = buf_add_text(&buf, ", ");
    if (r == 0)
        r = fit_add_json(&buf, fit, config);
    if (r == 0)
        r = buf_add_text(&buf, "}\n");
    if (r == 0)
        fwrite(buf.data, 1, buf.len, stdout);
    buf_done(&buf);
    return r;
}

int doctor_run(const struct config *config, const struct fit *fit, bool json) {
    static struct selftest test;
    struct policy policy;
    struct probe probe;
    struct failure failure;
    uint32_t floor = 0;
    policy_init(&policy, config);
    policy.read_only[0] = "/usr/lib"; /* of a worker it is only the folders of Python */
    layer_parse(config->require, &floor, NULL);
    /* As a manager has them, or it would find what the service does not. */
    if (credentials_keep_for_workers(&failure) < 0 || probe_platform(&policy, &probe, &failure) < 0 ||
        selftest_run(&policy, &probe, &test, &failure) < 0) {
        fprintf(stderr, "python-executor: no worker can be confined here: %s: %s\n", failure.stage, failure.text);
        for (unsigned word = 0; word < LAYER_WORDS; word++)
            if (strcmp(failure.stage, layer_name(word)) == 0)
                grants_print(stderr, word);
        return EXIT_FAILURE;
    }
    unsigned missing = layer_missing(&probe.isolation, floor);
    size_t escaped = selftest_escaped(&test);
    if (json && print_json(&probe, floor, missing, &test, fit, config) < 0)
        return EXIT_FAILURE;
    if (!json) {
        char text[FIT_TEXT];
        print_layers(&probe, floor, missing);
        fit_describe(fit, config, text);
        printf("%s\n\n", text);
        selftest_print(stdout, &test);
        if (escaped == 0)
            printf("\nno attempt got out\n");
        else
            printf("\n%zu ATTEMPTS GOT OUT\n", escaped);
    }
    return missing == LAYER_WORDS && escaped == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
