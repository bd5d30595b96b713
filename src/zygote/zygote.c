/* The zygote's loop: see zygote.h. One thread; trusted; privileged as far as making workers needs.
 *
 * It reads from the server (orders), the manager (only its end) and workers that have not seen a job.
 */
#include "zygote/zygote.h"

#include "base/clock.h"
#include "base/fd.h"
#include "wire/inherit.h"
#include "wire/message.h"
#include "zygote/crew.h"
#include "zygote/keeper.h"
#include "zygote/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many workers in a row that die before they are ready mean that none ever will be. */
enum { FAILURES_MAX = 8, ORDERS_MAX = 128 };

/* An order that no idle worker was there for. */
struct waiting_order {
    uint64_t job;
    struct run_order order;
    int fds[MESSAGE_MAX_FDS];
};

struct zygote {
    const struct config *config;
    struct branch *branch;
    struct crew crew;
    struct tally tally;
    struct waiting_order orders[ORDERS_MAX]; /* oldest first */
    size_t order_count;
    uint64_t jobs_begun;
    int child_fd; /* signalfd for SIGCHLD */
    uint64_t alive_us; /* when the manager is to hear of it again */
    bool announced;
    bool retiring;
    bool ended; /* the server or the manager is gone */
};

/* The other end has closed, 0 or an error that says so, and nobody waits for a verdict any more. Or this one has a trouble of its
 * own: to the others of its tree its end must not look like one that the server has wished. */
static void end(struct zygote *zygote, int error) {
    bool closed = error == 0 || error == -EPIPE || error == -ECONNRESET;
    zygote->ended = true;
    zygote->branch->broken = zygote->branch->broken || !closed;
}

static void tell_server(struct zygote *zygote, uint64_t job, const struct verdict *verdict) {
    struct message message = {.kind = MESSAGE_VERDICT, .job = job, .verdict = *verdict};
    int r = message_send(INHERIT_CHANNEL, &message, NULL, 0);
    if (r < 0)
        end(zygote, r);
}

static void tell_manager(struct zygote *zygote, const struct message *message) {
    int r = message_send(INHERIT_CONTROL, message, NULL, 0);
    if (r < 0)
        end(zygote, r);
}

/* --- Orders from the server --- */

static void drop_order(struct zygote *zygote, size_t index) {
    message_close_fds(zygote->orders[index].fds);
    zygote->order_count--;
    memmove(&zygote->orders[index], &zygote->orders[index + 1],
            (zygote->order_count - index) * sizeof zygote->orders[0]);
}

/* Hands waiting orders to idle workers, oldest first. */
static void dispatch(struct zygote *zygote) {
    struct member *member;
    while (zygote->order_count > 0 && (member = crew_idle(&zygote->crew)) != NULL) {
        struct waiting_order *order = &zygote->orders[0];
        /* A worker that died while idle: the next one gets the job. */
        if (crew_hand_over(&zygote->crew, member, order->job, &order->order, order->fds) < 0)
            continue;
        zygote->jobs_begun++;
        drop_order(zygote, 0);
    }
}

static uint64_t at_most(uint64_t value, uint64_t limit) {
    return value < limit ? value : limit;
}

/* The most that the operator lets requests ask for holds whatever the server, which may have been taken over, orders. */
static struct run_order within_limits(const struct config *config, const struct run_order *order) {
    return (struct run_order){
        .wall_ms = at_most(order->wall_ms, config_limit(config, LIMIT_WALL_MS).most),
        .cpu_ms = at_most(order->cpu_ms, config_limit(config, LIMIT_CPU_MS).most),
        .memory_bytes = at_most(order->memory_bytes, config_limit(config, LIMIT_MEMORY_MB).most << 20),
        /* A tmpfs of no bytes is one without a limit (tmpfs(5)). */
        .scratch_bytes = at_most(order->scratch_bytes > 0 ? order->scratch_bytes : 1,
                                 config_limit(config, LIMIT_SCRATCH_MB).most << 20),
    };
}

static void take_order(struct zygote *zygote, const struct message *message, int fds[MESSAGE_MAX_FDS]) {
    const struct verdict refused = {.ending = ENDING_NO_WORKER};
    /* The server keeps to --workers; one that does not was taken over, and gets nothing for it. */
    if (fds[RUN_STDERR] < 0 || zygote->order_count == ORDERS_MAX) {
        message_close_fds(fds);
        tell_server(zygote, message->job, &refused);
        return;
    }
    struct waiting_order *order = &zygote->orders[zygote->order_count++];
    *order = (struct waiting_order){.job = message->job, .order = within_limits(zygote->config, &message->run)};
    memcpy(order->fds, fds, sizeof order->fds);
}

static void cancel(struct zygote *zygote, uint64_t job) {
    const struct verdict cancelled = {.ending = ENDING_CANCELLED};
    for (size_t i = 0; i < zygote->order_count; i++) {
        if (zygote->orders[i].job != job)
            continue;
        drop_order(zygote, i);
        tell_server(zygote, job, &cancelled);
        return;
    }
    keeper_cancel(&zygote->crew, job);
}

static void answered(struct zygote *zygote, uint64_t job) {
    struct verdict verdict;
    if (keeper_answered(&zygote->crew, job, &verdict) > 0)
        tell_server(zygote, job, &verdict);
}

static void hear_server(struct zygote *zygote) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    for (int i = 0; i < MESSAGE_BURST && !zygote->ended; i++) {
        int r = message_receive(INHERIT_CHANNEL, &message, fds);
        if (r == -EAGAIN)
            return;
        if (r != 1) {
            end(zygote, r);
            return;
        }
        if (message.kind == MESSAGE_RUN) {
            take_order(zygote, &message, fds);
            continue;
        }
        message_close_fds(fds);
        if (message.kind == MESSAGE_CANCEL)
            cancel(zygote, message.job);
        else if (message.kind == MESSAGE_ANSWERED)
            answered(zygote, message.job);
    }
}

/* The manager says nothing to a zygote; that it closes is all there is to hear. */
static void hear_manager(struct zygote *zygote) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    int r = message_receive(INHERIT_CONTROL, &message, fds);
    if (r == -EAGAIN)
        return;
    message_close_fds(fds);
    end(zygote, r);
}

/* --- The crew --- */

/* The first of the tree is known by its manager, which has its channel; each other by the server, through the one
 * that it is a fork of. */
static void announce(struct zygote *zygote) {
    struct branch *branch = zygote->branch;
    const struct message ready = {.kind = MESSAGE_READY, .flavours = branch->flavours};
    const struct message channel = {.kind = MESSAGE_CHANNEL, .flavours = branch->flavours};
    int r = branch->announce < 0 ? message_send_layers(INHERIT_CONTROL, &zygote->crew.sandbox->isolation)
                                 : message_send(branch->announce, &channel, &branch->channel, 1);
    branch->announce = fd_close(branch->announce);
    branch->channel = fd_close(branch->channel);
    zygote->announced = true;
    if (r < 0)
        end(zygote, r);
    else
        tell_manager(zygote, &ready);
}

/* A worker failed to get ready. Before the first success that is final. */
static int bear_failure(const struct zygote *zygote, int error) {
    return !zygote->announced || zygote->crew.failures >= FAILURES_MAX ? error : 0;
}

static int hear_workers(struct zygote *zygote, struct failure *ret_failure) {
    for (size_t i = 0; i < CREW_MAX && zygote->crew.starting > 0; i++) {
        struct member *member = &zygote->crew.members[i];
        if (member->state != MEMBER_STARTING || member->control < 0)
            continue;
        int r = crew_hear(&zygote->crew, member, ret_failure);
        if (r < 0 && (r = bear_failure(zygote, r)) < 0)
            return r;
        if (r == 1 && !zygote->announced)
            announce(zygote);
    }
    return 0;
}

/* As it should, when the server has let go of it; or else the whole tree is to be made anew. */
static void next_ended(struct zygote *zygote, const struct verdict *how) {
    if (how->ending != ENDING_EXIT || how->code != 0)
        end(zygote, -ECHILD);
    zygote->branch->next = 0;
}

static void reap(struct zygote *zygote) {
    pid_t pid;
    struct signalfd_siginfo signals[8];
    struct verdict verdict;
    uint64_t job;
    /* One read empties it: a pending SIGCHLD is pending once. */
    ssize_t ignored = read(zygote->child_fd, signals, sizeof signals);
    (void)ignored;
    while ((pid = keeper_reap(&zygote->crew, &job, &verdict)) > 0) {
        if (job != 0)
            tell_server(zygote, job, &verdict);
        if (pid == zygote->branch->next)
            next_ended(zygote, &verdict);
    }
}

static int refill(struct zygote *zygote, bool *ret_more, struct failure *ret_failure) {
    int r = crew_refill(&zygote->crew, zygote->order_count, ret_failure);
    *ret_more = r > 0;
    return r < 0 ? bear_failure(zygote, r) : 0;
}

static void retire_in_time(struct zygote *zygote) {
    const struct message message = {.kind = MESSAGE_RETIRE};
    if (zygote->retiring || zygote->jobs_begun < zygote->config->recycle)
        return;
    zygote->retiring = true;
    tell_manager(zygote, &message);
}

/* The manager judges by it whether this loop still goes round. One that is stopped itself does not read, and what it has
 * to know afterwards must find room: then this is not said. */
static void say_alive(struct zygote *zygote) {
    enum { UNREAD_MAX = 16 << 10 };
    const struct message message = {.kind = MESSAGE_ALIVE, .flavours = zygote->branch->flavours};
    uint64_t now = clock_us();
    int unread = 0;
    if (!zygote->announced || now < zygote->alive_us)
        return;
    zygote->alive_us = now + MESSAGE_ALIVE_MS * 1000ull;
    if (ioctl(INHERIT_CONTROL, SIOCOUTQ, &unread) < 0 || unread < UNREAD_MAX)
        (void)message_send(INHERIT_CONTROL, &message, NULL, 0);
}

/* --- The loop --- */

static int until_alive_ms(const struct zygote *zygote) {
    uint64_t now = clock_us();
    return !zygote->announced ? -1 : zygote->alive_us > now ? (int)((zygote->alive_us - now + 999) / 1000) : 0;
}

/* -1 is for ever. */
static int sooner(int ms, int other_ms) {
    return ms < 0 || (other_ms >= 0 && other_ms < ms) ? other_ms : ms;
}

static int timeout_ms(const struct zygote *zygote) {
    int workers = sooner(keeper_timeout_ms(&zygote->crew), crew_timeout_ms(&zygote->crew));
    return sooner(workers, sooner(tally_timeout_ms(&zygote->tally), until_alive_ms(zygote)));
}

/* Waits for whatever comes first; `hurry` when there is a worker to fork if nothing else is to do. */
static int wait_for_events(struct zygote *zygote, bool hurry, bool *ret_children) {
    struct pollfd polls[3 + CREW_MAX] = {{.fd = INHERIT_CHANNEL, .events = POLLIN},
                                         {.fd = INHERIT_CONTROL, .events = POLLIN},
                                         {.fd = zygote->child_fd, .events = POLLIN}};
    nfds_t count = 3;
    for (size_t i = 0; i < CREW_MAX && zygote->crew.starting > 0; i++) {
        const struct member *member = &zygote->crew.members[i];
        if (member->state == MEMBER_STARTING && member->control >= 0)
            polls[count++] = (struct pollfd){.fd = member->control, .events = POLLIN};
    }
    int r = poll(polls, count, hurry ? 0 : timeout_ms(zygote));
    if (r < 0 && errno != EINTR)
        return -errno;
    *ret_children = r > 0 && polls[2].revents != 0;
    if (r > 0 && polls[1].revents != 0)
        hear_manager(zygote);
    if (r > 0 && polls[0].revents != 0)
        hear_server(zygote);
    return 0;
}

static int serve(struct zygote *zygote, struct failure *ret_failure) {
    bool hurry = true;
    while (!zygote->ended) {
        bool children = false;
        int r = wait_for_events(zygote, hurry, &children);
        if (r < 0)
            return failure_set(ret_failure, -r, "zygote", "poll(): %s", strerror(-r));
        dispatch(zygote);
        if (children)
            reap(zygote);
        keeper_enforce(&zygote->crew);
        crew_end_late(&zygote->crew);
        if ((r = hear_workers(zygote, ret_failure)) < 0)
            return r;
        dispatch(zygote);
        if ((r = refill(zygote, &hurry, ret_failure)) < 0)
            return r;
        retire_in_time(zygote);
        say_alive(zygote);
        if (zygote->announced)
            tally_tell(&zygote->tally, &zygote->crew, INHERIT_CHANNEL);
    }
    return 0;
}

static int make_non_blocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* It has jobs of its own, and goes when the server lets go of it. */
static void wait_for_next(const struct zygote *zygote) {
    if (zygote->branch->next != 0)
        waitpid(zygote->branch->next, NULL, 0);
}

int zygote_serve(const struct config *config, struct sandbox *sandbox, struct branch *branch,
                 struct failure *ret_failure) {
    static struct zygote zygote; /* too large for the stack that every worker inherits */
    sigset_t child;
    zygote = (struct zygote){.config = config, .branch = branch};
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    cleanup_fd int child_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (child_fd < 0 || make_non_blocking(INHERIT_CHANNEL) < 0 || make_non_blocking(INHERIT_CONTROL) < 0)
        return failure_set(ret_failure, errno, "zygote", "cannot start: %s", strerror(errno));
    zygote.child_fd = child_fd;
    crew_init(&zygote.crew, sandbox, branch->first_slot, config->crew);
    zygote.crew.start_limit_us = config->stall_s * 1000000;
    zygote.crew.suspicion = branch->suspicion;
    zygote.crew.flavour = branch->flavours.first;
    int r = serve(&zygote, ret_failure);
    crew_done(&zygote.crew);
    while (zygote.order_count > 0)
        drop_order(&zygote, zygote.order_count - 1);
    if (r >= 0)
        wait_for_next(&zygote);
    return r;
}
