/* server/compose: parts as the command line of `run` hands them over make a body that is JSON, in which each part means
 * itself alone. A part is its letter and its bytes. */
#include "fuzz.h"

#include "server/compose.h"
#include "server/json.h"

struct found {
    struct json_span script;
    size_t scripts, seeds, files, details;
};

static int take(struct json_span key, struct json_span value, void *context) {
    struct found *found = context;
    if (json_string_is(key, "script"))
        found->script = value;
    found->scripts += json_string_is(key, "script");
    found->seeds += json_string_is(key, "seed");
    found->files += json_string_is(key, "files");
    found->details += json_string_is(key, "details");
    return 0;
}

static void check_script(const struct found *found, struct input script) {
    struct buf text;
    if (script.size >= 3 && memcmp(script.data, "\xef\xbb\xbf", 3) == 0)
        script = (struct input){script.data + 3, script.size - 3};
    buf_init(&text, found->script.size);
    assert(json_text(found->script, &text) == 0 && text.len == script.size);
    assert(text.len == 0 || memcmp(text.data, script.data, text.len) == 0);
    buf_done(&text);
}

static void check_request(const struct config *config, const struct buf *body) {
    struct request_error error = {0};
    struct job *job;
    if (request_parse(config, body->data, body->len, false, &job, &error) < 0) {
        assert(*error.text != '\0');
        return;
    }
    assert(job->wants_details);
    job_unref(job);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = input_of(data, size), script = {0};
    struct found found = {0}, given = {.details = 1};
    struct request_error error = {0};
    struct compose compose;
    struct config config;
    int r = 0;
    config_init(&config);
    config.json_depth = 8;
    compose_init(&compose, &config);
    while (r == 0 && input.size > 0) {
        struct input part = input_part(&input, PART);
        enum console_part kind = 1 + input_pick(&part, CONSOLE_END + 1);
        r = compose_add(&compose, kind, part.size > 0 ? part.data : "", part.size, &error);
        script = kind == CONSOLE_SCRIPT ? part : script;
        given.scripts += kind == CONSOLE_SCRIPT;
        given.seeds += kind == CONSOLE_SEED;
        given.files |= kind == CONSOLE_FILE;
    }
    if (r == 0 && (r = compose_finish(&compose, &error)) == 0) {
        assert(json_members(compose.body.data, compose.body.len, config.json_depth + 2, take, &found, NULL) == 0);
        assert(found.scripts == given.scripts && found.seeds == given.seeds && found.files == given.files && found.details == 1);
        if (given.scripts > 0)
            check_script(&found, script);
        check_request(&config, &compose.body);
    }
    assert(r == 0 || memchr(error.text, '\0', sizeof error.text) > (void *)error.text);
    compose_done(&compose);
    return 0;
}
