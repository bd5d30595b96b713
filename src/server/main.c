/* The server program: python-executor-server [options].
 *
 * Started by the manager under its own user id, without capabilities but the one that leaving the file
 * system takes, and with no other descriptors than its control channel and the listening socket. Confines
 * itself, then speaks HTTP with clients and messages with zygotes; or, where there is no listening socket, has one
 * request from the command line.
 */
#include "base/config.h"
#include "base/fd.h"
#include "base/log.h"
#include "server/callers.h"
#include "server/confine.h"
#include "server/console.h"
#include "server/drain.h"
#include "server/http.h"
#include "server/journal.h"
#include "server/run.h"
#include "wire/inherit.h"
#include "wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#ifdef __SANITIZE_ADDRESS__
/* To look for leaks at its end it would have to trace itself, which it may not, confined. valgrind looks for them. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}
#endif

struct server {
    uv_loop_t loop;
    uv_poll_t control;
    struct config config;
    struct journal journal;
    struct runs runs;
    struct callers callers;
    struct http http;
    struct drain drain;
    uv_timer_t alive;
    struct console console;
};

static void open_console(struct server *server, int take_fds[MESSAGE_MAX_FDS]) {
    if (server->console.runs != NULL)
        return; /* there is one only */
    int r = console_start(&server->console, &server->loop, &server->runs, &server->config, INHERIT_CONTROL, take_fds);
    if (r < 0) {
        log_error("cannot open the console: %s", strerror(-r));
        _exit(EXIT_FAILURE);
    }
}

/* The file is ours to read once. Where it is not sound nobody new may call, and those who might still may. */
static int take_keys(struct callers *callers, const struct message *message, int fd) {
    size_t count = message->keys.count;
    if (message->keys.on == 0) {
        callers_set_anybody(callers);
        return 0;
    }
    struct key *list = count > KEYS_MAX ? NULL : calloc(count + 1, sizeof *list);
    int r = list == NULL ? -ENOMEM : fd_read_all(fd, list, count * sizeof *list);
    if (r == 0)
        r = callers_set(callers, list, count);
    free(list);
    if (r < 0)
        log_error("cannot take the keys: %s", strerror(-r));
    else
        log_info("keys in force: %zu", count);
    return r;
}

/* Who may call is the first that a manager says, before there is a server to hear it: nobody is answered without. */
static int hear_keys(struct callers *callers) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    int r = message_receive(INHERIT_CONTROL, &message, fds);
    if (r != 1)
        return r < 0 ? r : -EPIPE;
    r = message.kind == MESSAGE_KEYS ? take_keys(callers, &message, fds[0]) : -EBADMSG;
    message_close_fds(fds);
    return r;
}

static void hear_manager(uv_poll_t *poll, int status, int events) {
    struct server *server = poll->data;
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    (void)events;
    for (;;) {
        int r = status < 0 ? 0 : message_receive(INHERIT_CONTROL, &message, fds);
        if (r == -EAGAIN)
            return;
        if (r != 1)
            _exit(EXIT_FAILURE); /* the manager is gone, and so is what this server is for */
        if (message.kind == MESSAGE_CHANNEL && fds[0] >= 0) {
            if (pool_add(&server->runs.pool, fd_steal(&fds[0]), message.flavours) < 0)
                log_error("no memory for the channel to a zygote");
        } else if (message.kind == MESSAGE_KEYS) {
            (void)take_keys(&server->callers, &message, fds[0]);
        } else if (message.kind == MESSAGE_LAYER && message.layer.layer < LAYER_COUNT) {
            server->http.api.isolation.layers[message.layer.layer] = message.layer.state;
        } else if (message.kind == MESSAGE_DRAIN) {
            drain_begin(&server->drain);
        } else if (message.kind == MESSAGE_SHUT) {
            drain_shut(&server->drain);
        } else if (message.kind == MESSAGE_LEAVE) {
            daemon_close_door(&server->http.daemon, true);
            drain_shut(&server->drain);
        } else if (message.kind == MESSAGE_CONSOLE && fds[CONSOLE_PRINTED] >= 0) {
            open_console(server, fds);
        }
        message_close_fds(fds);
    }
}

/* The manager judges by it whether this loop still goes round. */
static void say_alive(uv_timer_t *timer) {
    const struct message message = {.kind = MESSAGE_ALIVE};
    (void)timer;
    (void)message_send(INHERIT_CONTROL, &message, NULL, 0);
}

static int start(struct server *server, const struct isolation *layers, bool listens) {
    uv_loop_t *loop = &server->loop;
    int r;
    if ((r = uv_loop_init(loop)) < 0 || (r = journal_start(&server->journal, loop, &server->config)) < 0 ||
        (r = runs_init(&server->runs, loop, &server->config)) < 0 ||
        (r = drain_init(&server->drain, loop, &server->http, &server->runs, &server->config)) < 0 ||
        (r = uv_poll_init(loop, &server->control, INHERIT_CONTROL)) < 0 ||
        (r = uv_poll_start(&server->control, UV_READABLE | UV_DISCONNECT, hear_manager)) < 0)
        return r;
    server->control.data = server;
    if (!listens)
        return 0;
    const struct api api = {.config = &server->config, .runs = &server->runs, .callers = &server->callers, .own = *layers};
    if ((r = hear_keys(&server->callers)) < 0 || (r = uv_timer_init(loop, &server->alive)) < 0 ||
        (r = uv_timer_start(&server->alive, say_alive, 0, MESSAGE_ALIVE_MS)) < 0)
        return r;
    return http_start(&server->http, loop, &api, &server->journal, INHERIT_LISTEN);
}

static void log_layers(const struct isolation *layers) {
    char words[256] = "";
    size_t length = 0;
    for (unsigned i = 0; i < LAYER_COUNT; i++) {
        const struct layer_state *layer = &layers->layers[i];
        if (layer->status == LAYER_ACTIVE)
            length += (size_t)snprintf(words + length, sizeof words - length, "%s%s", length > 0 ? ", " : "", layer_name(i));
        if (*layer->detail != '\0')
            log_debug("%s: %s", layer_name(i), layer->detail);
    }
    log_info("confined: %s", words);
}

/* Before anything is open that a client can reach, and 0 or the manager is told. What libraries do at their
 * first use, with files that will be out of reach, is done here. */
static int confine(struct isolation *ret_layers) {
    struct message message = {.kind = MESSAGE_FAILED};
    tzset(); /* /etc/localtime: libmicrohttpd writes dates */
    int r = confine_server(ret_layers, &message.failure);
    if (r < 0)
        message_send(INHERIT_CONTROL, &message, NULL, 0);
    else
        log_layers(ret_layers);
    return r;
}

int main(int argc, char **argv) {
    static struct server server;
    struct failure failure;
    config_init(&server.config);
    if (config_from_args(&server.config, argc - 1, argv + 1, &failure) < 0) {
        log_error("python-executor-server is started by python-executor, not by hand");
        return EXIT_FAILURE;
    }
    log_start("server", server.config.log, server.config.log_format);
    signal(SIGPIPE, SIG_IGN);
    /* Large bodies go back to the kernel when they are freed. By default malloc raises this bound to the largest
     * it has seen (mallopt(3)), and memory then depends on what clients once sent. */
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    /* Before anything else is opened, which would get its number. */
    bool listens = fcntl(INHERIT_LISTEN, F_GETFD) >= 0;
    struct isolation layers;
    if (confine(&layers) < 0)
        return EXIT_FAILURE;
    int r = start(&server, &layers, listens);
    if (r < 0) {
        log_error("cannot start: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    uv_run(&server.loop, UV_RUN_DEFAULT);
    journal_flush(&server.journal);
    /* The end of the process closes every connection and channel; the zygotes end by that. */
    return EXIT_SUCCESS;
}
