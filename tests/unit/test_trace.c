/* server/trace: what names a trace, and all that only looks like it. */
#include "unit.h"

#include "server/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define ID "0af7651916cd43dd8448eb211c80319c"
#define UPPER "0AF7651916CD43DD8448EB211C80319C"
#define SPAN "b7ad6b7169203331"
#define ZEROS "00000000000000000000000000000000"

/* The text ends where the memory does: a byte read behind its end is the end of the test. */
static const char *at_the_edge(const char *text) {
    size_t size = text == NULL ? 0 : strlen(text) + 1;
    static char *page;
    if (text == NULL)
        return NULL;
    if (page != NULL)
        munmap(page, 8192);
    page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    mprotect(page + 4096, 4096, PROT_NONE);
    memcpy(page + 4096 - size, text, size);
    return page + 4096 - size;
}

static void expect(const char *parent, const char *cloud, const char *id, const char *span, bool sampled) {
    struct trace trace;
    memset(&trace, 'x', sizeof trace);
    trace_read(&trace, parent != NULL ? at_the_edge(parent) : NULL, parent != NULL ? cloud : at_the_edge(cloud));
    if (strcmp(trace.id, id) != 0 || strcmp(trace.span, span) != 0 || trace.sampled != sampled)
        fail_msg("%s and %s: %s %s %d", parent, cloud, trace.id, trace.span, trace.sampled);
}

static void test_traceparent(void **state) {
    (void)state;
    expect("00-" ID "-" SPAN "-01", NULL, ID, SPAN, true);
    expect("00-" ID "-" SPAN "-00", NULL, ID, SPAN, false);
    expect("00-" ID "-" SPAN "-03", NULL, ID, SPAN, true);
    expect("00-" ID "-" SPAN "-fe", NULL, ID, SPAN, false);
    /* A later version is read as this one, and may go on behind a dash. */
    expect("01-" ID "-" SPAN "-01", NULL, ID, SPAN, true);
    expect("cc-" ID "-" SPAN "-01-what the future brings", NULL, ID, SPAN, true);
}

static void test_what_is_no_traceparent(void **state) {
    static const char *const cases[] = {
        "", "0", "00", "00-", "00-" ID, "00-" ID "-" SPAN, "00-" ID "-" SPAN "-", "00-" ID "-" SPAN "-0", "00-" ID "-" SPAN "-1 ",
        "00-" ID "-" SPAN "-012", "00-" ID "-" SPAN "-01-", "00-" ID "-" SPAN "-01-x", "01-" ID "-" SPAN "-01x", "01-" ID "-" SPAN "-012",
        "ff-" ID "-" SPAN "-01", "0-" ID "-" SPAN "-01", "000-" ID "-" SPAN "-01", "0g-" ID "-" SPAN "-01", "FF-" ID "-" SPAN "-01",
        " 00-" ID "-" SPAN "-01", "00-" ID "-" SPAN "-01 ", "00_" ID "-" SPAN "-01", "00-" ID "_" SPAN "-01", "00-" ID "-" SPAN "_01",
        "00-" UPPER "-" SPAN "-01", "00-" ID "-B7AD6B7169203331-01", "00-" ID "-" SPAN "-0G", "00-" ID "-" SPAN "-0A",
        "00-" ZEROS "-" SPAN "-01", "00-" ID "-0000000000000000-01", "00-" ID "0-" SPAN "-01", "00-" ID "-" SPAN "0-01",
        "00-0af7651916cd43dd8448eb211c80319-" SPAN "-01", "00-\xff" ID "-" SPAN "-01", "00-" ID "-" SPAN "-01\n00-" ID "-" SPAN "-01",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(cases[i], NULL, "", "", false);
}

static void test_the_clouds_header(void **state) {
    static const char *const bad[] = {
        "", ID "/", ID "/x", ID "/1x", ID "/-1", ID "/ 1", ID "/1;", ID "/1;o", ID "/1;o=", ID "/1;o=x", ID "/1;o=1x", ID "/1;O=1",
        ID "/18446744073709551616", ID "/1;o=99999999999999999999", ID ";x=1", ID "0/1", " " ID "/1", ID "/1 ", ZEROS "/1",
        "0af7651916cd43dd8448eb211c80319/1", "0gf7651916cd43dd8448eb211c80319c/1", ID "/1\n",
    };
    (void)state;
    expect(NULL, ID "/1;o=1", ID, "0000000000000001", true);
    expect(NULL, ID "/18446744073709551615;o=0", ID, "ffffffffffffffff", false);
    expect(NULL, UPPER "/255", ID, "00000000000000ff", false);
    expect(NULL, ID, ID, "", false);
    expect(NULL, ID ";o=1", ID, "", true);
    expect(NULL, ID "/0;o=3", ID, "", true);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect(NULL, bad[i], "", "", false);
}

static void test_which_of_both_counts(void **state) {
    static const char other[] = "11111111111111111111111111111111/2;o=1";
    (void)state;
    expect(NULL, NULL, "", "", false);
    expect("00-" ID "-" SPAN "-00", other, ID, SPAN, false);
    expect("00-" ID "-" SPAN "-0", other, "11111111111111111111111111111111", "0000000000000002", true);
    expect("00-" ID "-" SPAN "-0", "x", "", "", false);
    expect("ff-" ID "-" SPAN "-01", NULL, "", "", false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traceparent),
        cmocka_unit_test(test_what_is_no_traceparent),
        cmocka_unit_test(test_the_clouds_header),
        cmocka_unit_test(test_which_of_both_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
