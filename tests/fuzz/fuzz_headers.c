/* What the server reads in the headers of a request: framing, trace, request id, origin, key, what the client accepts. The
 * input is a request's head without its request line, a header a line; first the version and a path. Whatever they
 * say, what goes back to the client and into the log is sound. */
#include "fuzz.h"

#include "server/headers.h"
#include "server/framing.h"
#include "server/origin.h"
#include "server/stream.h"

#include <ctype.h>
#include <strings.h>

enum { HEADERS = 24 };
static const char listed[] = "https://a.example,http://b.example:8080";

struct head {
    char *names[HEADERS], *values[HEADERS];
    size_t count;
};

/* The library hands on names and values as strings, with the blanks around a value taken off. */
static void read_head(struct input *input, struct head *ret_head) {
    *ret_head = (struct head){0};
    while (input->size > 0 && ret_head->count < HEADERS) {
        struct input line = input_part(input, '\n'), name = input_part(&line, ':');
        while (line.size > 0 && *line.data == ' ')
            line = (struct input){line.data + 1, line.size - 1};
        ret_head->names[ret_head->count] = input_text(name);
        ret_head->values[ret_head->count++] = input_text(line);
    }
}

static const char *value_of(const struct head *head, const char *name) {
    for (size_t i = 0; i < head->count; i++)
        if (strcasecmp(head->names[i], name) == 0)
            return head->values[i];
    return NULL;
}

static void check_framing(const struct head *head, const char *version) {
    struct framing framing = {0};
    size_t lengths = 0, encodings = 0;
    bool sound = true;
    for (size_t i = 0; i < head->count; i++) {
        const char *name = head->names[i], *value = head->values[i];
        framing_add(&framing, name, value);
        for (const char *at = name; *at != '\0'; at++)
            sound = sound && !isspace((unsigned char)*at);
        sound = sound && *name != '\0';
        if (strcasecmp(name, "Content-Length") == 0) {
            lengths++;
            for (const char *at = value; *at != '\0'; at++)
                sound = sound && isdigit((unsigned char)*at);
            sound = sound && *value != '\0';
        } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
            encodings++;
            sound = sound && strcasecmp(value, "chunked") == 0 && strcmp(version, "HTTP/1.0") != 0;
        }
    }
    assert(framing_is_clear(&framing, version) == (sound && lengths + encodings <= 1));
}

static void check_trace(const struct trace *trace) {
    size_t id = strlen(trace->id), span = strlen(trace->span);
    assert((id == 0 || id == TRACE_ID) && (span == 0 || (span == TRACE_SPAN && id > 0)));
    assert(trace->id[strspn(trace->id, "0123456789abcdef")] == '\0' && trace->span[strspn(trace->span, "0123456789abcdef")] == '\0');
    assert(id == 0 || trace->id[strspn(trace->id, "0")] != '\0');
}

/* Two lines, for machines and for people. */
static void check_lines(const struct access *access) {
    static const char *const formats[] = {"json", "text"};
    for (size_t i = 0; i < 2; i++) {
        struct line line;
        log_start("server", "info", formats[i]);
        access_make_line(access, "project", &line);
        assert(line.len <= LINE_BYTES && memchr(line.data, '\n', line.len) == line.data + line.len - 1);
        for (size_t k = 0; k < line.len - 1; k++)
            assert(line.data[k] >= ' ' && line.data[k] < 0x7f);
        assert(i == 1 || json_check(line.data, line.len, 2, NULL) == 0);
    }
}

/* What begins as a page of this machine and goes on as another is another. */
static void check_origin(const char *origin) {
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]", "a.example", "b.example"};
    const char *host = strstr(origin, "://"), *shared = origin_shared_with(origin, listed);
    bool known = false;
    assert(shared == NULL || shared == origin);
    if (!origin_allowed(origin, listed)) {
        assert(shared == NULL);
        return;
    }
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        size_t size = strlen(hosts[i]);
        known = known || (strncmp(host + 3, hosts[i], size) == 0 && (host[3 + size] == '\0' || host[3 + size] == ':'));
    }
    assert(known && strlen(origin) < 40);
}

static void check_key(const char *authorization) {
    struct callers callers = {0};
    struct caller *caller = NULL;
    struct key key = {.name = "alice", .concurrent = KEY_ANY};
    key_hash("pxk_1", 5, key.digest);
    assert(callers_set(&callers, &key, 1) == 0);
    enum callers_answer answer = callers_find(&callers, authorization, &caller);
    bool scheme = authorization != NULL && strncasecmp(authorization, "Bearer ", 7) == 0;
    const char *secret = scheme ? authorization + 7 + strspn(authorization + 7, " ") : "";
    assert(answer == (strcmp(secret, "pxk_1") == 0 ? CALLERS_FOUND : *secret != '\0' ? CALLERS_WRONG : CALLERS_WITHOUT));
    assert((caller != NULL) == (answer == CALLERS_FOUND));
    caller_unref(caller);
    callers_done(&callers);
}

/* Nothing that would begin a header of its own. */
static void add_header(void *to, const char *name, const char *value) {
    (*(size_t *)to)++;
    assert(*name != '\0' && *value != '\0');
    for (const char *at = value; *at != '\0'; at++)
        assert((unsigned char)*at >= ' ' && *at != 0x7f);
}

/* Of /mcp: what it refuses it refuses in words. */
static void check_mcp(const struct head *head) {
    const char *origin = value_of(head, "Origin");
    struct response response = {0};
    struct config config;
    config_init(&config);
    memcpy(config.origins, listed, sizeof listed);
    int r = mcp_check_headers(&config, origin, value_of(head, "MCP-Protocol-Version"), &response);
    assert(r == (response.status != 0) && (r == 0 || json_check(response.body, response.size, 2, NULL) == 0));
    assert(origin == NULL || (response.status == 403) == !origin_allowed(origin, listed));
    free(response.body);
}

static void check_answer(struct call *call, const struct head *head) {
    struct response response = {.status = 200};
    const struct asset *asset = asset_find(call->access.path, value_of(head, "Accept"));
    size_t count = 0;
    if (asset != NULL)
        response_asset(&response, asset);
    response_negotiate(&response, value_of(head, "Accept-Encoding"), value_of(head, "If-None-Match"));
    assert(response.asset == NULL || response.form == &asset->plain || response.form == &asset->packed);
    const char *origin = value_of(head, "Origin");
    call->shared_with = origin != NULL ? origin_shared_with(origin, listed) : NULL;
    headers_of_answer((struct headers){add_header, &count}, call, &response, true);
    headers_of_stream((struct headers){add_header, &count}, call, stream_accepted(value_of(head, "Accept")));
    assert(count > 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size);
    static struct access_ids ids;
    struct call call = {0};
    struct head head;
    char *version = input_text(input_part(&input, '\n')), *path = input_text(input_part(&input, '\n'));
    read_head(&input, &head);
    check_framing(&head, version);
    access_begin(&call.access, &ids, version, path, value_of(&head, "X-Request-Id"), value_of(&head, "traceparent"),
                 value_of(&head, "X-Cloud-Trace-Context"));
    assert(access_id_is_sane(call.access.id));
    check_trace(&call.access.trace);
    access_keep_script(&call.access, (struct json_span){path, strlen(path)});
    check_lines(&call.access);
    check_mcp(&head);
    if (value_of(&head, "Origin") != NULL)
        check_origin(value_of(&head, "Origin"));
    check_key(value_of(&head, "Authorization"));
    check_answer(&call, &head);
    access_done(&call.access);
    for (size_t i = 0; i < head.count; i++) {
        free(head.names[i]);
        free(head.values[i]);
    }
    free(version);
    free(path);
    return 0;
}
