/* base/utf8 and what is built on it, server/report and base/line: any bytes become text that is sound, what is sound
 * already is not touched, and text in pieces becomes what it becomes as a whole. */
#include "fuzz.h"

#include "base/line.h"
#include "base/utf8.h"
#include "server/json.h"
#include "server/report.h"

static bool is_utf8(const char *data, size_t size) {
    size_t at = 0;
    for (size_t length; at < size && (length = utf8_sequence(data + at, size - at)) > 0; at += length)
        assert(utf8_code(data + at, length) <= 0x10ffff);
    return at == size;
}

static void repair(const char *data, size_t size, struct buf *ret_text) {
    struct buf string;
    buf_init(&string, 8 * size + 2);
    buf_init(ret_text, 8 * size + 2);
    assert(utf8_add_json_string(&string, data, size) == 0 && json_check(string.data, string.len, 1, NULL) == 0);
    assert(json_text((struct json_span){string.data, string.len}, ret_text) == 0);
    buf_done(&string);
}

static void check_same(const struct buf *one, const char *data, size_t size) {
    assert(one->len == size && (size == 0 || memcmp(one->data, data, size) == 0));
}

static void check_repair(const char *data, size_t size) {
    struct buf once, twice;
    repair(data, size, &once);
    assert(is_utf8(once.data, once.len));
    repair(once.data, once.len, &twice);
    check_same(&twice, once.data, once.len);
    if (is_utf8(data, size))
        check_same(&once, data, size);
    buf_done(&once);
    buf_done(&twice);
}

/* As stream.c does: what is cut off goes in front of the next piece. */
static void check_pieces(const char *data, size_t size, size_t cut) {
    struct buf whole, front, rest;
    size_t tail = utf8_cut_tail(data, cut);
    assert(tail <= 3 && tail <= cut && (!is_utf8(data, size) || is_utf8(data, cut - tail)));
    repair(data, size, &whole);
    repair(data, cut - tail, &front);
    repair(data + cut - tail, size - cut + tail, &rest);
    assert(whole.len == front.len + rest.len && (front.len == 0 || memcmp(whole.data, front.data, front.len) == 0));
    assert(rest.len == 0 || memcmp(whole.data + front.len, rest.data, rest.len) == 0);
    buf_done(&whole);
    buf_done(&front);
    buf_done(&rest);
}

static void check_visible(const char *data, size_t size) {
    struct buf shown;
    buf_init(&shown, 8 * size);
    assert(report_add_visible(&shown, data, size) == 0 && is_utf8(shown.data, shown.len));
    for (size_t i = 0; i < shown.len; i++)
        assert((unsigned char)shown.data[i] >= ' ' || shown.data[i] == '\n' || shown.data[i] == '\t');
    assert(size == 0 || memmem(shown.data, shown.len, "\xc2\x9b", 2) == NULL); /* CSI in one character */
    buf_done(&shown);
}

static void check_line(const char *data, size_t size) {
    struct line line;
    line_begin(&line);
    line_open(&line, NULL);
    line_add_bytes(&line, "text", data, size);
    line_add_value(&line, "number", "%u", 1u);
    line_end(&line, 1);
    assert(line.len <= LINE_BYTES && memchr(line.data, '\n', line.len) == line.data + line.len - 1);
    for (size_t i = 0; i < line.len - 1; i++)
        assert(line.data[i] >= ' ' && line.data[i] < 0x7f);
    assert(json_check(line.data, line.len, 1, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size);
    size_t cut = input_pick(&input, 256);
    check_repair(input.data, input.size);
    check_pieces(input.data, input.size, cut < input.size ? cut : input.size);
    check_visible(input.data, input.size);
    check_line(input.data, input.size);
    return 0;
}
