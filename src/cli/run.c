/* The command `run`: see run.h. A manager of one server, one zygote and one job; runs as whoever calls it.
 *
 * It reads the script and its files with the user's rights, and then copies bytes: from the user's stdin to the script's,
 * and back what the server hands on. It understands nothing that a script wrote. Nobody but this process has the user's
 * own streams: a terminal can be read where it is written, and knows many commands.
 */
#include "cli/run.h"

#include "base/fd.h"
#include "base/log.h"
#include "cli/arguments.h"
#include "cli/children.h"
#include "cli/claim.h"
#include "cli/grants.h"
#include "cli/pump.h"
#include "cli/settings.h"
#include "cli/status.h"
#include "sandbox/cgroup.h"
#include "sandbox/credentials.h"
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

enum { PUMP_STDIN, PUMP_REQUEST, PUMP_PRINTED, PUMP_LOG, PUMPS };

struct run {
    struct arguments arguments;
    struct programs programs;
    int signal_fd;
    struct child server;
    struct child zygote;
    int channel;    /* the server's end of the zygote's, until the zygote is ready */
    int stderr_fd;  /* the user's, while descriptor 2 is the children's log */
    bool alone;     /* every child of this process is of this run */
    bool ended;     /* the server has said how the run ended: `end` */
    struct console_end end;
    int status;     /* what it comes to, once it is not -1 */
};

/* Threads may use them until the process is gone. */
static struct pump pumps[PUMPS];

static void give_up(struct run *run, const char *words) {
    if (run->status >= 0)
        return;
    log_error("%s", words);
    run->status = STATUS_UNHAD;
}

/* --- Pipes --- */

/* From this process to the server, or back. */
static int open_pipe(int ret_ends[2]) {
    return pipe2(ret_ends, O_CLOEXEC) < 0 ? -errno : 0;
}

/* Children log into a pipe as well, from descriptor 2 as ever; ours is put back by restore_stderr(). */
static int redirect_stderr(struct run *run, int *ret_log) {
    int ends[2];
    int r = open_pipe(ends);
    if (r < 0)
        return r;
    *ret_log = ends[0];
    run->stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    r = run->stderr_fd < 0 || dup2(ends[1], STDERR_FILENO) < 0 ? -errno : 0;
    fd_close(ends[1]);
    return r;
}

static void restore_stderr(struct run *run) {
    if (run->stderr_fd >= 0)
        dup2(run->stderr_fd, STDERR_FILENO);
    run->stderr_fd = fd_close(run->stderr_fd);
}

/* The pipes of a console: the server's ends are sent, ours are pumped. */
static int open_console(struct run *run) {
    const struct message message = {.kind = MESSAGE_CONSOLE};
    int ours[MESSAGE_MAX_FDS] = {-1, -1, -1, -1};
    int theirs[MESSAGE_MAX_FDS] = {-1, -1, -1, -1};
    int r = 0;
    for (int i = 0; r == 0 && i < CONSOLE_FDS; i++) {
        int ends[2];
        bool they_read = i != CONSOLE_PRINTED;
        if ((r = open_pipe(ends)) < 0)
            break;
        ours[i] = ends[they_read];
        theirs[i] = ends[!they_read];
    }
    if (r == 0)
        r = message_send(run->server.control, &message, theirs, CONSOLE_FDS);
    if (r == -EPIPE || r == -ECONNRESET)
        r = 0; /* it has died, and has said why */
    message_close_fds(theirs);
    if (r == 0 && run->arguments.script_was_stdin)
        ours[CONSOLE_STDIN] = fd_close(ours[CONSOLE_STDIN]); /* it has been read to its end */
    else if (r == 0)
        r = pump_start(&pumps[PUMP_STDIN], STDIN_FILENO, fd_steal(&ours[CONSOLE_STDIN]));
    if (r == 0)
        r = pump_start_text(&pumps[PUMP_REQUEST], &run->arguments.request, fd_steal(&ours[CONSOLE_REQUEST]));
    if (r == 0)
        r = pump_start_printed(&pumps[PUMP_PRINTED], fd_steal(&ours[CONSOLE_PRINTED]));
    message_close_fds(ours);
    return r;
}

/* --- Children --- */

static int start_server(struct run *run) {
    int ends[2];
    int r = message_pair(ends);
    if (r < 0)
        return r;
    child_init(&run->server, children_start_server(&run->programs, &run->arguments.config, ends[1], -1), ends[0]);
    fd_close(ends[1]);
    return run->server.pid < 0 ? (int)run->server.pid : 0;
}

static int start_zygote(struct run *run) {
    int ends[2], channel[2];
    int r = message_pair(ends);
    if (r < 0)
        return r;
    child_init(&run->zygote, 0, ends[0]);
    if ((r = message_pair(channel)) == 0) {
        run->channel = channel[0];
        run->zygote.pid = children_start_zygote(&run->programs, &run->arguments.config, ends[1], channel[1], 0, true);
        r = run->zygote.pid < 0 ? (int)run->zygote.pid : 0;
        fd_close(channel[1]);
    }
    fd_close(ends[1]);
    return r;
}

/* Both are forked before there is a thread. */
static int start_children(struct run *run) {
    int log = -1;
    int r = redirect_stderr(run, &log);
    if (r == 0)
        r = start_zygote(run); /* it has the longer way */
    if (r == 0)
        r = start_server(run);
    restore_stderr(run);
    if (r < 0) {
        fd_close(log);
        return r;
    }
    return pump_start(&pumps[PUMP_LOG], log, STDERR_FILENO);
}

/* The server first: it would still say that it has lost the zygote. Workers too: they are ours when their zygote is gone,
 * and end with it. */
static void end_children(struct run *run) {
    struct child *const children[] = {&run->server, &run->zygote};
    for (size_t i = 0; i < 2; i++)
        if (children[i]->pid > 0) {
            kill(children[i]->pid, SIGKILL);
            waitpid(children[i]->pid, NULL, 0);
        }
    while (run->alone && waitpid(-1, NULL, 0) > 0)
        continue;
    scratch_sweep();
    cgroup_sweep();
}

/* --- What they say --- */

static void child_failed(struct run *run, const struct failure *failure) {
    if (run->status >= 0)
        return;
    log_error("%.*s: %.*s", (int)sizeof failure->stage, failure->stage, (int)sizeof failure->text, failure->text);
    grants_print_for(stderr, failure);
    run->status = STATUS_UNHAD;
}

static void zygote_ready(struct run *run) {
    const struct message message = {.kind = MESSAGE_CHANNEL, .flavours = {0, FLAVOUR_MAX - 1}};
    if (run->channel < 0)
        return;
    if (message_send(run->server.control, &message, &run->channel, 1) < 0)
        give_up(run, "the server did not take the channel of the zygote");
    run->channel = fd_close(run->channel);
}

/* It is not believed in anything but what it is there to say. */
static void take_from_server(void *context, const struct message *message) {
    struct run *run = context;
    if (message->kind == MESSAGE_FAILED) {
        child_failed(run, &message->failure);
    } else if (message->kind == MESSAGE_OUTCOME && !run->ended) {
        run->ended = true;
        run->end = message->end;
    }
}

static void take_from_zygote(void *context, const struct message *message) {
    struct run *run = context;
    if (message->kind == MESSAGE_FAILED)
        child_failed(run, &message->failure);
    else if (message->kind == MESSAGE_READY)
        zygote_ready(run);
}

static void hear(struct run *run, struct child *child) {
    child_hear(child, child == &run->server ? take_from_server : take_from_zygote, run);
}

/* --- Signals --- */

static void reap(struct run *run) {
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        struct child *child = pid == run->server.pid ? &run->server : pid == run->zygote.pid ? &run->zygote : NULL;
        if (child == NULL)
            continue;
        hear(run, child); /* its last words */
        child->pid = 0;
        /* Of a zygote that dies at work the server tells, for whom the run is lost then. */
        if (child == &run->server && !run->ended)
            give_up(run, "the server has died, and the run is lost");
        else if (child == &run->zygote && run->channel >= 0)
            give_up(run, "the zygote ended before it was ready");
    }
}

static void take_signals(struct run *run) {
    struct signalfd_siginfo info;
    while (read(run->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(run);
        else if (run->status < 0)
            run->status = STATUS_SIGNAL + (int)info.ssi_signo;
    }
}

/* What whoever started us has ignored stays ignored: nohup(1). */
static int open_signals(struct run *run) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct sigaction before;
        if (sigaction(ends[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaddset(&signals, ends[i]);
    }
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN); /* it is an error of the pump that writes, and ends this process in order */
    signal(SIGCHLD, SIG_DFL);
    run->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signal_fd < 0 ? -errno : 0;
}

/* --- The loop --- */

static void printed_ended(struct run *run) {
    int error = pump_join(&pumps[PUMP_PRINTED]);
    if (error == 0 || run->status >= 0)
        return;
    if (error == EPIPE) {
        run->status = STATUS_SIGNAL + SIGPIPE;
        return;
    }
    log_error("cannot write to standard %s: %s", pumps[PUMP_PRINTED].to == STDERR_FILENO ? "error" : "output", strerror(error));
    run->status = STATUS_UNHAD;
}

/* Until it is known how it ended, and everything that was printed is written. */
static void wait_for_end(struct run *run) {
    while (run->status < 0) {
        struct pollfd polls[] = {{.fd = run->signal_fd, .events = POLLIN},
                                 {.fd = run->server.control, .events = POLLIN},
                                 {.fd = run->zygote.control, .events = POLLIN},
                                 {.fd = pumps[PUMP_PRINTED].done}};
        if (poll(polls, 4, -1) < 0)
            continue;
        if (polls[1].revents != 0)
            hear(run, &run->server);
        if (polls[2].revents != 0)
            hear(run, &run->zygote);
        if (polls[3].revents != 0)
            printed_ended(run);
        if (polls[0].revents != 0)
            take_signals(run);
        if (run->status < 0 && run->ended && pumps[PUMP_PRINTED].done < 0)
            run->status = run->end.refused != 0 ? STATUS_USAGE : status_of_outcome(run->end.outcome);
    }
}

/* The log ends when the last child that can write to it does. */
static void finish_log(void) {
    struct pollfd done = {.fd = pumps[PUMP_LOG].done};
    enum { AT_MOST_MS = 1000 }; /* a terminal that has been stopped takes none of it */
    if (done.fd >= 0 && poll(&done, 1, AT_MOST_MS) > 0)
        pump_join(&pumps[PUMP_LOG]);
}

/* Behind it this process has no rights but those that making and ending workers takes. */
static int prepare(struct run *run, struct failure *ret_failure) {
    struct config *config = &run->arguments.config;
    int r = programs_open(&run->programs, ret_failure);
    if (r < 0)
        return r;
    /* Apart from a service on this machine, and from other runs. */
    if (credentials_can_change_ids() && (r = claim_ids(config->uid_base, &config->uid_base, ret_failure)) < 0)
        return r;
    scratch_sweep();
    cgroup_sweep();
    if ((r = credentials_keep_for_workers(ret_failure)) < 0)
        return r;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    /* The end of workers can be waited for where they become our children; but `sh -c "sleep 9 & exec …"` has left us
     * one that is not ours to wait for. */
    run->alone = waitpid(-1, NULL, WNOHANG) < 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
    if ((r = open_signals(run)) < 0 || (r = start_children(run)) < 0 || (r = open_console(run)) < 0)
        return failure_set(ret_failure, -r, "start", "%s", strerror(-r));
    return 0;
}

int run_script(int argc, char *const *argv) {
    struct run run = {.programs = {-1, -1}, .signal_fd = -1, .server = {.control = -1}, .zygote = {.control = -1},
                      .channel = -1, .stderr_fd = -1, .status = -1};
    struct failure failure;
    if (arguments_take(&run.arguments, argc, argv, &failure) < 0) {
        fprintf(stderr, "python-executor: %s: %s\nTry python-executor run --help.\n", failure.stage, failure.text);
        return STATUS_USAGE;
    }
    log_start("python-executor", run.arguments.config.log, run.arguments.config.log_format);
    settings_warn_of_slips();
    for (size_t i = 0; i < PUMPS; i++)
        pumps[i].done = -1;
    if (prepare(&run, &failure) < 0) {
        log_error("%s: %s", failure.stage, failure.text);
        run.status = STATUS_UNHAD;
    }
    wait_for_end(&run);
    end_children(&run);
    finish_log();
    return run.status;
}
