/* The manager: see manager.h. Runs as whoever started the service, usually root; reads signals and the
 * messages of its own children, nothing from the network.
 *
 * One server, and zygotes as succession.h has it. A zygote whose server dies ends too, so both are then started anew.
 */
#include "cli/manager.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/children.h"
#include "cli/grants.h"
#include "cli/keys.h"
#include "cli/listener.h"
#include "cli/notify.h"
#include "cli/succession.h"
#include "cli/welcome.h"
#include "sandbox/cgroup.h"
#include "sandbox/credentials.h"
#include "sandbox/policy.h"
#include "sandbox/scratch.h"
#include "wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAUSE_FIRST_MS = 100, PAUSE_MAX_MS = 5000, TICK_MS = 1000 };

struct manager {
    const struct config *config;
    struct programs programs;
    char url[128];
    int listen_fd;
    int signal_fd;
    int terminal_fd; /* the one that it was started from, or -1 */
    struct notify notify;
    struct child server;
    struct succession succession;
    uint64_t begun_us;
    uint64_t server_after_us; /* not before that is a dead server started again */
    unsigned server_pause_ms;
    bool server_heard; /* since it was started */
    unsigned server_silent_s;
    uint64_t tick_us; /* when the next second is over */
    bool served;   /* it has been ready once */
    bool complete; /* and all that is preloaded was there */
    bool reloading; /* SIGHUP came */
    bool kept;      /* another holds the listening socket, for the next start as well */
    enum stage { STAGE_SERVING, STAGE_ANNOUNCING, STAGE_SHUT } stage;
    uint64_t stage_ends_us; /* of those behind SIGTERM */
    int status;
    bool done;
    struct keys keys;
};

/* --- The server --- */

/* At once the first time; slower where it goes on so. */
static void pause_server(struct manager *manager) {
    uint64_t now = clock_us();
    if (now > manager->server_after_us + PAUSE_MAX_MS * 1000ull)
        manager->server_pause_ms = 0;
    manager->server_after_us = now + manager->server_pause_ms * 1000ull;
    manager->server_pause_ms = manager->server_pause_ms == 0 ? PAUSE_FIRST_MS : manager->server_pause_ms * 2;
    if (manager->server_pause_ms > PAUSE_MAX_MS)
        manager->server_pause_ms = PAUSE_MAX_MS;
}

static int start_server(struct manager *manager) {
    int ends[2];
    int r = message_pair(ends);
    if (r < 0)
        return r;
    /* Before there is a server: it answers nobody until it knows who may call. */
    pid_t pid = keys_send(&manager->keys, ends[0]);
    if (pid == 0)
        pid = children_start_server(&manager->programs, manager->config, ends[1], manager->listen_fd);
    fd_close(ends[1]);
    if (pid < 0) {
        fd_close(ends[0]);
        return pid;
    }
    child_init(&manager->server, pid, ends[0]);
    manager->server_heard = false;
    manager->server_silent_s = 0;
    manager->succession.server = ends[0];
    return 0;
}

/* Before the service has been ready once, what fails would fail again: say it and stop. */
static void give_up(struct manager *manager, const struct failure *failure) {
    if (failure != NULL) {
        grants_tell_for(failure);
        notify_status(&manager->notify, "Cannot serve: %.*s", (int)sizeof failure->text, failure->text);
    }
    manager->status = EXIT_FAILURE;
    manager->done = true;
}

static void server_did_not_start(struct manager *manager, int error) {
    struct failure failure;
    failure_set(&failure, error, "start", "cannot start the server: %s", strerror(error));
    log_error("%s", failure.text);
    if (manager->served)
        pause_server(manager);
    else
        give_up(manager, &failure);
}

/* Starts whatever is missing, unless it was tried too short a time ago. */
static void start_missing(struct manager *manager) {
    bool server_is_due = manager->server.pid == 0 && manager->stage == STAGE_SERVING && clock_us() >= manager->server_after_us;
    int r = server_is_due ? start_server(manager) : 0;
    if (r < 0)
        server_did_not_start(manager, -r);
    succession_go_on(&manager->succession);
}

/* --- What children say --- */

static void print_limits(const struct config *config) {
    log_announce("limits: wall %llu ms, CPU %llu ms, memory %llu MiB, stdout %llu KiB, stderr %llu KiB, result %llu KiB, "
                 "script %llu KiB, body %llu KiB, /tmp %llu MiB in %llu files, %llu open files, %llu threads",
                 (unsigned long long)config->wall_ms, (unsigned long long)config->cpu_ms,
                 (unsigned long long)config->memory_mb, (unsigned long long)config->stdout_kb,
                 (unsigned long long)config->stderr_kb, (unsigned long long)config->result_kb,
                 (unsigned long long)config->script_kb, (unsigned long long)config->body_kb,
                 (unsigned long long)config->scratch_mb, (unsigned long long)config->scratch_files,
                 (unsigned long long)config->open_files, (unsigned long long)config->threads);
    log_announce("at once: %llu running, %llu kept ready, %llu waiting; preloaded: %s",
                 (unsigned long long)config->workers, (unsigned long long)config->crew,
                 (unsigned long long)config->queue, *config->preload != '\0' ? config->preload : "nothing");
}

static void print_layers(const struct isolation *isolation) {
    for (unsigned i = 0; i < LAYER_COUNT; i++) {
        const struct layer_state *state = &isolation->layers[i];
        log_announce("layer %-17s %-7s %.*s", layer_name(i), layer_status_name(state->status), (int)sizeof state->detail,
                     state->detail);
    }
}

/* It can be used; what it is and where is printed. */
static void announce(struct manager *manager) {
    manager->served = true;
    print_layers(&succession_present(&manager->succession)->isolation);
#ifdef PX_LAYERS_OFF
    log_warning("this is a test build, which can leave out layers of confinement: never deploy it");
#endif
    print_limits(manager->config);
    log_announce("ready in %.2f s, listening on %s", (double)(clock_us() - manager->begun_us) / 1e6, manager->url);
    welcome(manager->config, manager->url, manager->keys.on);
    notify_status(&manager->notify, "Serving on %s, importing what is preloaded", manager->url);
}

static void watch_succession(struct manager *manager) {
    const struct succession *succession = &manager->succession;
    if (succession->failed && !manager->done)
        give_up(manager, *succession->failure.stage != '\0' ? &succession->failure : NULL);
    if (succession->served && !manager->served)
        announce(manager);
    if (succession->complete && !manager->complete) {
        log_info("all that is preloaded is there after %.2f s", (double)(clock_us() - manager->begun_us) / 1e6);
        /* Not before: an import that fails ends the service, as GET /readyz has it too. */
        notify_ready(&manager->notify, "Serving on %s", manager->url);
    }
    manager->complete = succession->complete;
    if (manager->reloading && manager->served && manager->stage == STAGE_SERVING && succession_is_settled(succession)) {
        manager->reloading = false;
        notify_ready(&manager->notify, "Serving on %s", manager->url);
    }
}

/* The server has little to say: it reads hostile bytes, and what it is not to say is not believed. */
static void take_from_server(void *context, const struct message *message) {
    struct manager *manager = context;
    const struct failure *failure = &message->failure;
    if (message->kind == MESSAGE_ALIVE) {
        manager->server_heard = true;
        manager->server_silent_s = 0;
    }
    if (message->kind != MESSAGE_FAILED)
        return;
    log_error("%.*s: %.*s", (int)sizeof failure->stage, failure->stage, (int)sizeof failure->text, failure->text);
    if (!manager->complete)
        give_up(manager, failure);
}

static void hear_server(struct manager *manager) {
    child_hear(&manager->server, take_from_server, manager);
    manager->succession.server = manager->server.control;
}

/* --- Signals --- */

static void server_ended(struct manager *manager, int status) {
    hear_server(manager); /* its last words */
    bool stopping = manager->stage != STAGE_SERVING;
    if (!stopping && WIFSIGNALED(status))
        log_warning("the server was killed by signal %d", WTERMSIG(status));
    else if (!stopping && manager->served)
        log_warning("the server ended with status %d", WEXITSTATUS(status));
    fd_close(manager->server.control);
    manager->server = (struct child){.control = -1};
    succession_lose_server(&manager->succession);
    manager->done = manager->done || stopping;
    if (manager->done)
        return;
    if (!manager->served) {
        log_error("the server ended before it was ready");
        give_up(manager, NULL);
        return;
    }
    pause_server(manager);
}

static void reap(struct manager *manager) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == manager->server.pid)
            server_ended(manager, status);
        else
            succession_reap(&manager->succession, pid, status);
}

static void tell_server(struct manager *manager, enum message_kind kind) {
    const struct message message = {.kind = kind};
    if (message_send(manager->server.control, &message, NULL, 0) < 0)
        manager->done = true;
}

/* Those who have connected are served, within the grace; and what ends now ends for good. */
static void shut(struct manager *manager) {
    manager->stage = STAGE_SHUT;
    manager->succession.stopping = true;
    /* The server keeps to the time itself; the second more is for one that does not. */
    manager->stage_ends_us = clock_us() + (manager->config->drain_ms + 1000) * 1000;
    log_info("stopping: finishing what runs, at most %llu ms", (unsigned long long)manager->config->drain_ms);
    /* The kernel refuses connections only when the last descriptor of the socket is closed; the server
     * closes its own. One that is kept goes on taking them, for the next start. */
    if (!manager->kept)
        listener_shut(manager->listen_fd);
    manager->listen_fd = fd_close(manager->listen_fd);
    tell_server(manager, manager->kept ? MESSAGE_LEAVE : MESSAGE_SHUT);
}

static void stop(struct manager *manager) {
    if (manager->stage != STAGE_SERVING || !manager->served || manager->server.pid == 0) {
        manager->done = true; /* the second time, or nothing to wait for: at once */
        return;
    }
    /* And another second until all are gone. */
    notify_stopping(&manager->notify, (manager->config->announce_ms + manager->config->drain_ms + 2000) * 1000);
    tell_server(manager, MESSAGE_DRAIN);
    if (manager->config->announce_ms == 0) {
        shut(manager);
        return;
    }
    manager->stage = STAGE_ANNOUNCING;
    manager->stage_ends_us = clock_us() + manager->config->announce_ms * 1000;
    log_info("stopping: no more connections in %llu ms", (unsigned long long)manager->config->announce_ms);
}

/* Its time is over. */
static void end_stage(struct manager *manager) {
    if (manager->stage == STAGE_ANNOUNCING) {
        shut(manager);
        return;
    }
    log_warning("the server did not end in time");
    manager->done = true;
}

/* What was read at the start is read again, and takes effect without an interruption. */
static void reload(struct manager *manager) {
    if (manager->stage != STAGE_SERVING)
        return;
    keys_reload(&manager->keys, manager->config, manager->server.control);
    log_info("SIGHUP: a fresh zygote takes over when it has imported what is installed now");
    notify_reloading(&manager->notify);
    manager->reloading = true;
    succession_renew(&manager->succession);
}

/* What its terminal says when it is closed is SIGHUP as well. */
static bool has_lost_terminal(const struct manager *manager) {
    struct pollfd terminal = {.fd = manager->terminal_fd};
    return poll(&terminal, 1, 0) == 1 && (terminal.revents & POLLHUP) != 0;
}

static void take_signals(struct manager *manager) {
    struct signalfd_siginfo info;
    while (read(manager->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(manager);
        else if (info.ssi_signo == SIGHUP && !has_lost_terminal(manager))
            reload(manager);
        else
            stop(manager);
    }
}

/* --- The loop --- */

/* As succession_tick(). The end of a server that drains is bounded without this. */
static void tick(struct manager *manager) {
    uint64_t now = clock_us();
    if (now < manager->tick_us)
        return;
    manager->tick_us = now + TICK_MS * 1000ull;
    succession_tick(&manager->succession);
    /* To begin may take longer, as it may for a zygote. */
    uint64_t limit_s = manager->server_heard ? manager->config->stall_s : manager->config->import_s;
    if (manager->server.pid == 0 || manager->stage == STAGE_SHUT || ++manager->server_silent_s != limit_s + 1)
        return;
    log_error("the server has not been heard of for %llu s and is killed", (unsigned long long)limit_s);
    kill(manager->server.pid, SIGKILL);
}

static int sooner(int one_ms, int other_ms) {
    return one_ms < 0 || (other_ms >= 0 && other_ms < one_ms) ? other_ms : one_ms;
}

static int until_ms(uint64_t at_us) {
    uint64_t now = clock_us();
    return at_us > now ? (int)((at_us - now + 999) / 1000) : 0;
}

static int timeout_ms(struct manager *manager) {
    uint64_t alive_us = notify_watchdog(&manager->notify, clock_us());
    int ms = sooner(succession_timeout_ms(&manager->succession), until_ms(alive_us < manager->tick_us ? alive_us : manager->tick_us));
    if (manager->stage != STAGE_SERVING)
        return sooner(ms, until_ms(manager->stage_ends_us));
    return manager->server.pid == 0 ? sooner(ms, until_ms(manager->server_after_us)) : ms;
}

static void wait_and_hear(struct manager *manager) {
    struct zygote *zygotes = manager->succession.zygotes;
    struct pollfd polls[2 + SUCCESSION_ZYGOTES] = {{.fd = manager->signal_fd, .events = POLLIN},
                                                   {.fd = manager->server.control, .events = POLLIN}};
    for (size_t i = 0; i < SUCCESSION_ZYGOTES; i++)
        polls[2 + i] = (struct pollfd){.fd = zygotes[i].child.control, .events = POLLIN};
    if (poll(polls, 2 + SUCCESSION_ZYGOTES, timeout_ms(manager)) < 0)
        return;
    if (polls[1].revents != 0)
        hear_server(manager);
    for (size_t i = 0; i < SUCCESSION_ZYGOTES; i++)
        if (polls[2 + i].revents != 0)
            succession_hear(&zygotes[i]);
    if (polls[0].revents != 0)
        take_signals(manager);
}

/* What zygotes that were killed have left behind. */
static void sweep(void) {
    scratch_sweep();
    cgroup_sweep();
}

/* Zygotes that are forks of others, and workers, end with those and are ours then. A child that whoever became this
 * program has left behind is not waited for longer than it takes them. */
static void wait_for_all(void) {
    enum { AT_MOST_MS = 1000, STEP_MS = 2 };
    pid_t pid = 0;
    for (int waited = 0; pid >= 0 && waited < AT_MOST_MS;) {
        pid = waitpid(-1, NULL, WNOHANG);
        if (pid == 0)
            waited += STEP_MS + poll(NULL, 0, STEP_MS);
    }
}

static void run(struct manager *manager) {
    while (!manager->done) {
        start_missing(manager);
        watch_succession(manager);
        tick(manager);
        wait_and_hear(manager);
        if (manager->stage != STAGE_SERVING && clock_us() >= manager->stage_ends_us)
            end_stage(manager);
    }
    if (manager->server.pid != 0)
        kill(manager->server.pid, SIGKILL);
    succession_kill_all(&manager->succession);
    wait_for_all();
    sweep();
}

static int prepare(struct manager *manager, struct failure *ret_failure) {
    sigset_t signals;
    int r = programs_open(&manager->programs, ret_failure);
    if (r < 0)
        return r;
    if (geteuid() == POLICY_UID)
        log_warning("user id %d is nobody's, and so everybody's who has no other: start the service as a user of its own",
                    (int)POLICY_UID);
    cgroup_sweep();
    manager->listen_fd = listener_inherit(manager->url, sizeof manager->url, ret_failure);
    manager->kept = manager->listen_fd >= 0;
    if (manager->listen_fd == -ENOENT)
        manager->listen_fd = listener_open(manager->config->host, manager->config->port, manager->url,
                                           sizeof manager->url, ret_failure);
    if (manager->listen_fd < 0)
        return manager->listen_fd;
    /* From here on it starts the others and ends them; nobody may look into it either. */
    if ((r = credentials_keep_for_workers(ret_failure)) < 0)
        return r;
    /* With the rights that there will be when they are read again. */
    if ((r = keys_read(&manager->keys, manager->config, ret_failure)) < 0)
        return r;
    if (!manager->keys.on && strcmp(manager->config->origins, "*") == 0)
        log_warning("--origins is * and there are no keys: every web page may run scripts here by the browsers of those who see it");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    manager->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return manager->signal_fd < 0 ? failure_set(ret_failure, errno, "start", "signalfd(): %s", strerror(errno)) : 0;
}

int manager_serve(const struct config *config) {
    struct manager manager = {.config = config, .begun_us = clock_us(), .listen_fd = -1, .signal_fd = -1};
    struct failure failure;
    manager.terminal_fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    notify_init(&manager.notify);
    manager.server = (struct child){.control = -1};
    manager.programs = (struct programs){-1, -1};
    succession_init(&manager.succession, config, &manager.programs);
    if (prepare(&manager, &failure) < 0) {
        log_error("%s: %s", failure.stage, failure.text);
        notify_status(&manager.notify, "Cannot serve: %s", failure.text);
        return EXIT_FAILURE;
    }
    run(&manager);
    notify_done(&manager.notify);
    programs_close(&manager.programs);
    keys_done(&manager.keys);
    fd_close(manager.listen_fd);
    fd_close(manager.signal_fd);
    fd_close(manager.terminal_fd);
    return manager.status;
}
