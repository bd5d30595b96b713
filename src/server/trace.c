/* Trace context: see trace.h. Runs in the server, on hostile input. */
#include "server/trace.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The value of a hexadecimal digit, or -1. */
static int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* So many lower-case digits, then `end`, and nothing of what they stand before is read. */
static bool is_hex(const char *text, size_t count, char end) {
    for (size_t i = 0; i < count; i++)
        if (digit(text[i]) < 0)
            return false;
    return text[count] == end;
}

static bool is_zero(const char *digits) {
    return digits[strspn(digits, "0")] == '\0';
}

/* version "-" trace-id "-" parent-id "-" flags; what a version above 00 has behind it begins with a dash. */
static bool read_parent(struct trace *trace, const char *header) {
    const char *id = header + 3, *span = id + TRACE_ID + 1, *flags = span + TRACE_SPAN + 1;
    if (!is_hex(header, 2, '-') || strncmp(header, "ff", 2) == 0 || !is_hex(id, TRACE_ID, '-') ||
        !is_hex(span, TRACE_SPAN, '-') || !(is_hex(flags, 2, '\0') || (is_hex(flags, 2, '-') && strncmp(header, "00", 2) != 0)))
        return false;
    snprintf(trace->id, sizeof trace->id, "%.*s", (int)TRACE_ID, id);
    snprintf(trace->span, sizeof trace->span, "%.*s", (int)TRACE_SPAN, span);
    trace->sampled = (digit(flags[1]) & 1) != 0;
    return !is_zero(trace->id) && !is_zero(trace->span);
}

/* A decimal number that fits; stops at what is no digit. */
static bool read_decimal(const char **text, uint64_t *ret_number) {
    uint64_t number = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(number, 10u, &number) || __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
            return false;
    bool some = at != *text;
    *text = at;
    *ret_number = number;
    return some;
}

/* TRACE_ID["/"SPAN_ID][";o="OPTIONS]: the trace in either case, the span decimal. */
static bool read_cloud(struct trace *trace, const char *header) {
    uint64_t span = 0, options = 0;
    for (size_t i = 0; i < TRACE_ID; i++) {
        char c = header[i] >= 'A' && header[i] <= 'F' ? (char)(header[i] - 'A' + 'a') : header[i];
        if (digit(c) < 0)
            return false;
        trace->id[i] = c;
    }
    const char *at = header + TRACE_ID;
    if (*at == '/') {
        at++;
        if (!read_decimal(&at, &span))
            return false;
    }
    if (strncmp(at, ";o=", 3) == 0) {
        at += 3;
        if (!read_decimal(&at, &options))
            return false;
    }
    if (span != 0)
        snprintf(trace->span, sizeof trace->span, "%016" PRIx64, span);
    trace->sampled = (options & 1) != 0;
    return *at == '\0' && !is_zero(trace->id);
}

void trace_read(struct trace *ret_trace, const char *traceparent, const char *cloud_context) {
    *ret_trace = (struct trace){0};
    if (traceparent != NULL && read_parent(ret_trace, traceparent))
        return;
    *ret_trace = (struct trace){0};
    if (cloud_context != NULL && !read_cloud(ret_trace, cloud_context))
        *ret_trace = (struct trace){0};
}
