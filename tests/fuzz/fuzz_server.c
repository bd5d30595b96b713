/* The server as it takes bytes off a socket: libmicrohttpd, framing, http, api, request, queue, run, pool. Only the processes
 * beside it are played: a zygote's end of the channel, from which jobs are taken, and the workers' ends of their lines.
 *
 * An input is all that a client sends, in two pieces. Whatever it is: what comes back is HTTP, and when the client has gone
 * nothing is left of it, no connection, no run, no byte. libFuzzer runs it, and AFL++ together with the library: afl.py.
 */
#include "fuzz.h"

#include "base/fd.h"
#include "server/http.h"
#include "server/journal.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 20000, BODY_KB = 16 };

struct house {
    uv_loop_t loop;
    struct config config;
    struct journal journal;
    struct runs runs;
    struct callers callers;
    struct http http;
    int zygote;
    struct sockaddr_in address;
};

/* --- Beside it --- */

/* Printed, answered and over: by the job's number, so that what an input does is always the same. */
static void answer(struct house *house, const struct message *run, const int fds[MESSAGE_MAX_FDS]) {
    static const enum frame_kind kinds[] = {FRAME_RESULT, FRAME_EXCEPTION, FRAME_NO_MAIN, FRAME_EXITED};
    struct message verdict = {.kind = MESSAGE_VERDICT, .job = run->job, .verdict = {.ending = ENDING_EXIT, .wall_us = 1000}};
    enum frame_kind kind = kinds[run->run.wall_ms % 4];
    const struct iovec part = {(void *)(kind == FRAME_RESULT ? "[1]" : "E: x"), kind == FRAME_RESULT ? 3 : 4};
    (void)!write(fds[RUN_STDOUT], "out\n", 4);
    (void)!write(fds[RUN_STDERR], "err\n", 4);
    /* The job was not read: the worker need not have, to say what it likes. */
    (void)frame_write(fds[RUN_CHANNEL], kind, &part, 1);
    (void)message_send(house->zygote, &verdict, NULL, 0);
}

static bool take_orders(struct house *house) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    bool any = false;
    while (message_receive(house->zygote, &message, fds) == 1) {
        any = true;
        if (message.kind == MESSAGE_RUN)
            answer(house, &message, fds);
        message_close_fds(fds);
    }
    return any;
}

/* --- The house --- */

static int listen_somewhere(struct sockaddr_in *ret_address) {
    socklen_t length = sizeof *ret_address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert(fd >= 0 && bind(fd, (struct sockaddr *)ret_address, length) == 0 && listen(fd, 16) == 0);
    assert(getsockname(fd, (struct sockaddr *)ret_address, &length) == 0);
    return fd;
}

static void open_house(struct house *house) {
    int ends[2];
    signal(SIGPIPE, SIG_IGN); /* as the server does */
    config_init(&house->config);
    house->config.workers = 2;
    house->config.body_kb = house->config.script_kb = BODY_KB;
    (void)snprintf(house->config.access_log, sizeof house->config.access_log, "off"); /* fuzz_headers has the lines of requests */
    assert(uv_loop_init(&house->loop) == 0 && journal_start(&house->journal, &house->loop, &house->config) == 0);
    assert(runs_init(&house->runs, &house->loop, &house->config) == 0);
    callers_set_anybody(&house->callers);
    const struct api api = {.config = &house->config, .runs = &house->runs, .callers = &house->callers};
    assert(http_start(&house->http, &house->loop, &api, &house->journal, listen_somewhere(&house->address)) == 0);
    assert(message_pair(ends) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    house->zygote = ends[1];
    assert(pool_add(&house->runs.pool, ends[0], (struct flavours){0, FLAVOUR_MAX - 1}) == 0);
}

/* Until there is nothing to do: what a client sends on this machine is there when it has been sent. */
static void turn(struct house *house) {
    struct pollfd ready = {.fd = uv_backend_fd(&house->loop), .events = POLLIN};
    int rounds = 0;
    do {
        uv_run(&house->loop, UV_RUN_NOWAIT);
        assert(++rounds < ROUNDS);
    } while (take_orders(house) || uv_backend_timeout(&house->loop) == 0 || poll(&ready, 1, 0) > 0);
}

static bool is_empty(const struct house *house) {
    return daemon_connections(&house->http.daemon) == 0 && house->http.exchanges == 0 && house->http.held == 0 &&
           house->runs.running == 0 && house->runs.queue.length == 0;
}

/* --- A client --- */

static int enter(const struct house *house) {
    const struct linger reset = {.l_onoff = 1}; /* closed with a reset: no port is left waiting */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    assert(connect(fd, (const struct sockaddr *)&house->address, sizeof house->address) == 0 || errno == EINPROGRESS);
    return fd;
}

/* What it has heard up to now, which is nothing or begins as an answer does. */
static void hear(struct house *house, int fd, size_t *heard) {
    char text[65536];
    ssize_t n;
    turn(house);
    while ((n = recv(fd, text, sizeof text, 0)) > 0) {
        assert(*heard > 0 || (n >= 12 && memcmp(text, "HTTP/1.", 7) == 0 && text[8] == ' ' && text[9] >= '1' && text[9] <= '5'));
        *heard += (size_t)n;
        turn(house);
    }
}

static void say(struct house *house, int fd, const uint8_t *data, size_t size, size_t *heard) {
    for (ssize_t n; size > 0 && (n = send(fd, data, size, MSG_NOSIGNAL)) > 0; data += n, size -= (size_t)n)
        hear(house, fd, heard);
    hear(house, fd, heard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct house house;
    size_t heard = 0, half = size / 2;
    if (house.address.sin_port == 0)
        open_house(&house);
    int fd = enter(&house);
    turn(&house);
    say(&house, fd, data, half, &heard);
    say(&house, fd, data + half, size - half, &heard);
    close(fd);
    turn(&house);
    assert(is_empty(&house));
    return 0;
}
