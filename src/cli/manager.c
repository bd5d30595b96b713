/* The manager: see manager.h. Runs as whoever started the service, usually root; reads signals and the
 * messages of its own children, nothing from the network.
 *
 * One server and one zygote at most times. A zygote that retires keeps its jobs while a fresh one
 * starts; it ends by itself when the server has closed its channel. A zygote whose server dies ends
 * too, so both are then started anew.
 */
#include "cli/manager.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/children.h"
#include "cli/grants.h"
#include "cli/listener.h"
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

/* Two zygotes may live at once, each with user ids of its own: as many slots as a crew can have. */
enum { ZYGOTES = 2, BACKOFF_FIRST_MS = 100, BACKOFF_MAX_MS = 5000 };

struct child {
    pid_t pid;   /* 0: none */
    int control; /* messages to and from it */
    int channel; /* zygote: the server's end of its channel until the zygote is ready */
    bool ready;
    bool complete; /* zygote: all its flavours are ready */
    bool retiring; /* zygote: another one takes, or has taken, over */
};

struct manager {
    const struct config *config;
    struct programs programs;
    char url[128];
    int listen_fd;
    int signal_fd;
    struct child server;
    struct child zygotes[ZYGOTES];
    uint64_t begun_us;
    uint64_t start_after_us; /* not before that is a dead child started again */
    unsigned backoff_ms;
    bool served;   /* it has been ready once */
    bool complete; /* and all that is preloaded was there */
    bool stopping; /* SIGTERM came */
    uint64_t stop_by_us;
    int status;
    bool done;
    struct isolation isolation; /* of the workers, as the last zygote said */
};

/* --- Children --- */

static void set_non_blocking(int fd) {
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void forget(struct child *child) {
    fd_close(child->control);
    fd_close(child->channel);
    *child = (struct child){.control = -1, .channel = -1};
}

static void start_server(struct manager *manager) {
    int ends[2];
    if (message_pair(ends) < 0)
        return;
    pid_t pid = children_start_server(&manager->programs, manager->config, ends[1], manager->listen_fd);
    fd_close(ends[1]);
    if (pid < 0) {
        fd_close(ends[0]);
        return;
    }
    set_non_blocking(ends[0]);
    manager->server = (struct child){.pid = pid, .control = ends[0], .channel = -1};
}

static void start_zygote(struct manager *manager, struct child *child) {
    int ends[2] = {-1, -1};
    int channel[2] = {-1, -1};
    unsigned first_slot = (unsigned)(child - manager->zygotes) * CONFIG_FLAVOURS * CONFIG_SLOTS;
    pid_t pid = -1;
    if (message_pair(ends) == 0 && message_pair(channel) == 0)
        pid = children_start_zygote(&manager->programs, manager->config, ends[1], channel[1], first_slot, false);
    fd_close(ends[1]);
    fd_close(channel[1]);
    if (pid < 0) {
        fd_close(ends[0]);
        fd_close(channel[0]);
        return;
    }
    set_non_blocking(ends[0]);
    *child = (struct child){.pid = pid, .control = ends[0], .channel = channel[0]};
}

/* The zygote that takes jobs, or is about to. */
static struct child *present_zygote(struct manager *manager) {
    for (size_t i = 0; i < ZYGOTES; i++)
        if (manager->zygotes[i].pid != 0 && !manager->zygotes[i].retiring)
            return &manager->zygotes[i];
    return NULL;
}

/* Starts whatever is missing, unless it was tried too short a time ago. */
static void start_missing(struct manager *manager) {
    if (manager->stopping || clock_us() < manager->start_after_us)
        return;
    if (manager->server.pid == 0)
        start_server(manager);
    if (present_zygote(manager) != NULL)
        return;
    for (size_t i = 0; i < ZYGOTES; i++)
        if (manager->zygotes[i].pid == 0) {
            start_zygote(manager, &manager->zygotes[i]);
            return;
        }
}

static void kill_all(struct manager *manager) {
    if (manager->server.pid != 0)
        kill(manager->server.pid, SIGKILL);
    for (size_t i = 0; i < ZYGOTES; i++)
        if (manager->zygotes[i].pid != 0)
            kill(manager->zygotes[i].pid, SIGKILL);
}

/* --- What children say --- */

static void print_limits(const struct config *config) {
    printf("limits: wall %llu ms, CPU %llu ms, memory %llu MiB, stdout %llu KiB, stderr %llu KiB, result %llu KiB, "
           "script %llu KiB, body %llu KiB, /tmp %llu MiB in %llu files, %llu open files, %llu threads\n",
           (unsigned long long)config->wall_ms, (unsigned long long)config->cpu_ms,
           (unsigned long long)config->memory_mb, (unsigned long long)config->stdout_kb,
           (unsigned long long)config->stderr_kb, (unsigned long long)config->result_kb,
           (unsigned long long)config->script_kb, (unsigned long long)config->body_kb,
           (unsigned long long)config->scratch_mb, (unsigned long long)config->scratch_files,
           (unsigned long long)config->open_files, (unsigned long long)config->threads);
    printf("at once: %llu running, %llu kept ready, %llu waiting; preloaded: %s\n",
           (unsigned long long)config->workers, (unsigned long long)config->crew,
           (unsigned long long)config->queue, *config->preload != '\0' ? config->preload : "nothing");
}

static void print_layers(const struct isolation *isolation) {
    for (unsigned i = 0; i < LAYER_COUNT; i++) {
        const struct layer_state *state = &isolation->layers[i];
        printf("layer %-17s %-7s %.*s\n", layer_name(i), layer_status_name(state->status), (int)sizeof state->detail, state->detail);
    }
}

/* All that it imports is there. */
static void zygote_complete(struct manager *manager, struct child *child) {
    if (!manager->complete)
        log_info("all that is preloaded is there after %.2f s", (double)(clock_us() - manager->begun_us) / 1e6);
    child->complete = manager->complete = true;
    manager->backoff_ms = 0;
}

static void zygote_ready(struct manager *manager, struct child *child, struct flavours flavours) {
    const struct message message = {.kind = MESSAGE_CHANNEL, .flavours = flavours};
    if (flavours.last + 1 >= flavour_count(manager->config->preload))
        zygote_complete(manager, child);
    if (flavours.first > 0)
        return; /* the server has its channel from the zygote that it is a fork of */
    child->ready = true;
    /* The server serves them as GET /isolation. */
    message_send_layers(manager->server.control, &manager->isolation);
    /* A server that is just being started anew gets the channel of the zygote that starts with it. */
    if (message_send(manager->server.control, &message, &child->channel, 1) < 0)
        log_warning("the server did not take the channel of a zygote");
    child->channel = fd_close(child->channel);
    if (manager->served) {
        log_info("a fresh zygote has taken over");
        return;
    }
    manager->served = true;
    print_layers(&manager->isolation);
#ifdef PX_LAYERS_OFF
    log_warning("this is a test build, which can leave out layers of confinement: never deploy it");
#endif
    print_limits(manager->config);
    printf("ready in %.2f s, listening on %s\n", (double)(clock_us() - manager->begun_us) / 1e6, manager->url);
    fflush(stdout);
}

/* Before the service has been ready once, what fails would fail again: say it and stop. */
static void child_failed(struct manager *manager, const struct failure *failure) {
    log_error("%.*s: %.*s", (int)sizeof failure->stage, failure->stage, (int)sizeof failure->text, failure->text);
    if (manager->complete)
        return;
    grants_print_for(stderr, failure);
    manager->status = EXIT_FAILURE;
    manager->done = true;
}

/* The server has little to say: it reads hostile bytes, and what it is not to say is not believed. */
static void take_message(struct manager *manager, struct child *child, const struct message *message) {
    if (child == &manager->server && message->kind != MESSAGE_FAILED)
        return;
    switch (message->kind) {
    case MESSAGE_LAYER:
        if (message->layer.layer < LAYER_COUNT)
            manager->isolation.layers[message->layer.layer] = message->layer.state;
        break;
    case MESSAGE_READY: zygote_ready(manager, child, message->flavours); break;
    case MESSAGE_FAILED: child_failed(manager, &message->failure); break;
    case MESSAGE_RETIRE:
        log_debug("a zygote has run its number of jobs");
        child->retiring = true;
        break;
    default: break;
    }
}

static void hear(struct manager *manager, struct child *child) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    for (int i = 0; i < MESSAGE_BURST && child->control >= 0; i++) {
        int r = message_receive(child->control, &message, fds);
        if (r == -EAGAIN)
            return;
        message_close_fds(fds);
        if (r == 1)
            take_message(manager, child, &message);
        else if (r != -EBADMSG)
            child->control = fd_close(child->control); /* its end is reported by SIGCHLD */
    }
}

/* --- Signals --- */

static void child_ended(struct manager *manager, struct child *child, const char *name, int status) {
    hear(manager, child); /* its last words */
    bool expected = manager->stopping || child->retiring;
    if (!expected && WIFSIGNALED(status))
        log_warning("the %s was killed by signal %d", name, WTERMSIG(status));
    else if (!expected && manager->served)
        log_warning("the %s ended with status %d", name, WEXITSTATUS(status));
    bool was_ready = child->complete || child == &manager->server;
    if (child != &manager->server)
        cgroup_sweep(); /* its folders are swept by the next one */
    forget(child);
    if (expected || manager->done)
        return;
    if (!manager->served) {
        log_error("the %s ended before it was ready", name);
        manager->status = EXIT_FAILURE;
        manager->done = true;
        return;
    }
    /* At once the first time; slower where it fails again before it has been ready. */
    manager->start_after_us = clock_us() + manager->backoff_ms * 1000u;
    manager->backoff_ms = was_ready ? BACKOFF_FIRST_MS : manager->backoff_ms * 2;
    if (manager->backoff_ms > BACKOFF_MAX_MS)
        manager->backoff_ms = BACKOFF_MAX_MS;
}

static void reap(struct manager *manager) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == manager->server.pid) {
            child_ended(manager, &manager->server, "server", status);
            continue;
        }
        for (size_t i = 0; i < ZYGOTES; i++)
            if (pid == manager->zygotes[i].pid)
                child_ended(manager, &manager->zygotes[i], "zygote", status);
    }
}

static void stop(struct manager *manager) {
    const struct message drain = {.kind = MESSAGE_DRAIN};
    if (manager->stopping || !manager->served || manager->server.pid == 0) {
        manager->done = true; /* the second time, or nothing to wait for: at once */
        return;
    }
    manager->stopping = true;
    /* The server keeps to the time itself; the second more is for one that does not. */
    manager->stop_by_us = clock_us() + (manager->config->drain_ms + 1000) * 1000;
    log_info("stopping: finishing what runs, at most %llu ms", (unsigned long long)manager->config->drain_ms);
    /* The kernel refuses connections only when the last descriptor of the socket is closed; the server
     * closes its own. */
    manager->listen_fd = fd_close(manager->listen_fd);
    if (message_send(manager->server.control, &drain, NULL, 0) < 0)
        manager->done = true;
}

static void take_signals(struct manager *manager) {
    struct signalfd_siginfo info;
    while (read(manager->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(manager);
        else
            stop(manager);
    }
}

/* --- The loop --- */

static int timeout_ms(struct manager *manager) {
    uint64_t now = clock_us();
    uint64_t at = manager->stopping ? manager->stop_by_us : manager->start_after_us;
    if (!manager->stopping && manager->server.pid != 0 && present_zygote(manager) != NULL)
        return -1;
    return at > now ? (int)((at - now + 999) / 1000) : manager->stopping ? 0 : 100;
}

static void wait_and_hear(struct manager *manager) {
    struct pollfd polls[] = {{.fd = manager->signal_fd, .events = POLLIN},
                             {.fd = manager->server.control, .events = POLLIN},
                             {.fd = manager->zygotes[0].control, .events = POLLIN},
                             {.fd = manager->zygotes[1].control, .events = POLLIN}};
    if (poll(polls, 4, timeout_ms(manager)) < 0)
        return;
    if (polls[1].revents != 0)
        hear(manager, &manager->server);
    for (size_t i = 0; i < ZYGOTES; i++)
        if (polls[2 + i].revents != 0)
            hear(manager, &manager->zygotes[i]);
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
        wait_and_hear(manager);
        if (manager->stopping && manager->server.pid == 0)
            manager->done = true;
        if (manager->stopping && clock_us() > manager->stop_by_us) {
            log_warning("the server did not end in time");
            manager->done = true;
        }
    }
    kill_all(manager);
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
    manager->listen_fd = listener_open(manager->config->host, manager->config->port, manager->url,
                                       sizeof manager->url, ret_failure);
    if (manager->listen_fd < 0)
        return manager->listen_fd;
    /* From here on it starts the others and ends them; nobody may look into it either. */
    if ((r = credentials_keep_for_workers(ret_failure)) < 0)
        return r;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed standard output must not end the service */
    manager->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return manager->signal_fd < 0 ? failure_set(ret_failure, errno, "start", "signalfd(): %s", strerror(errno)) : 0;
}

int manager_serve(const struct config *config) {
    struct manager manager = {.config = config, .begun_us = clock_us(), .listen_fd = -1, .signal_fd = -1};
    struct failure failure;
    for (size_t i = 0; i < ZYGOTES; i++)
        manager.zygotes[i] = (struct child){.control = -1, .channel = -1};
    manager.server = (struct child){.control = -1, .channel = -1};
    manager.programs = (struct programs){-1, -1};
    if (prepare(&manager, &failure) < 0) {
        log_error("%s: %s", failure.stage, failure.text);
        return EXIT_FAILURE;
    }
    run(&manager);
    programs_close(&manager.programs);
    fd_close(manager.listen_fd);
    fd_close(manager.signal_fd);
    return manager.status;
}
