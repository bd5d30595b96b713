/* The succession of zygotes: see succession.h. Runs in the manager. */
#include "cli/succession.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/cgroup.h"
#include "wire/message.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum { START_FIRST_MS = 100, START_MAX_MS = 5000, RENEW_FIRST_MS = 1000, RENEW_MAX_MS = 60000 };

static void forget(struct zygote *zygote) {
    fd_close(zygote->child.control);
    fd_close(zygote->channel);
    *zygote = (struct zygote){.child = {.control = -1}, .channel = -1, .succession = zygote->succession};
}

void succession_init(struct succession *succession, const struct config *config, const struct programs *programs) {
    *succession = (struct succession){
        .config = config, .programs = programs, .server = -1, .renew_pause_ms = RENEW_FIRST_MS};
    for (size_t i = 0; i < SUCCESSION_ZYGOTES; i++)
        succession->zygotes[i] = (struct zygote){.child = {.control = -1}, .channel = -1, .succession = succession};
}

static struct zygote *find(struct succession *succession, enum zygote_stage stage) {
    for (size_t i = 0; i < SUCCESSION_ZYGOTES; i++)
        if (succession->zygotes[i].stage == stage)
            return &succession->zygotes[i];
    return NULL;
}

struct zygote *succession_present(struct succession *succession) {
    return find(succession, ZYGOTE_PRESENT);
}

/* --- Beginning --- */

static int start(struct zygote *zygote) {
    const struct succession *succession = zygote->succession;
    int ends[2] = {-1, -1};
    int channel[2] = {-1, -1};
    unsigned first_slot = (unsigned)(zygote - succession->zygotes) * CONFIG_FLAVOURS * CONFIG_SLOTS;
    pid_t pid = message_pair(ends);
    if (pid == 0)
        pid = message_pair(channel);
    if (pid == 0)
        pid = children_start_zygote(succession->programs, succession->config, ends[1], channel[1], first_slot, false);
    fd_close(ends[1]);
    fd_close(channel[1]);
    if (pid < 0) {
        fd_close(ends[0]);
        fd_close(channel[0]);
        return pid;
    }
    child_init(&zygote->child, pid, ends[0]);
    zygote->channel = channel[0];
    zygote->stage = ZYGOTE_FRESH;
    return 0;
}

void succession_renew(struct succession *succession) {
    succession->wanted = true;
    succession->renew_after_us = 0;
    succession->renew_pause_ms = RENEW_FIRST_MS;
}

bool succession_is_settled(const struct succession *succession) {
    bool waits_after_a_failure = succession->renew_after_us != 0;
    return find((struct succession *)succession, ZYGOTE_FRESH) == NULL && (!succession->wanted || waits_after_a_failure);
}

/* When a zygote is to be started; 0 where none is, or none can be yet. */
static uint64_t start_due_us(const struct succession *succession) {
    struct succession *all = (struct succession *)succession;
    const struct zygote *present = find(all, ZYGOTE_PRESENT);
    if (succession->stopping || find(all, ZYGOTE_FRESH) != NULL || find(all, ZYGOTE_NONE) == NULL)
        return 0;
    if (present == NULL)
        return succession->start_after_us > 1 ? succession->start_after_us : 1;
    /* Two that import at once would take twice the memory. */
    if (!succession->wanted || !present->complete)
        return 0;
    return succession->renew_after_us > 1 ? succession->renew_after_us : 1;
}

/* At once the first time; slower where it fails again before it has been complete. */
static void present_ended(struct succession *succession, bool complete) {
    succession->start_after_us = clock_us() + succession->start_pause_ms * 1000ull;
    succession->start_pause_ms = complete || succession->start_pause_ms == 0 ? START_FIRST_MS : succession->start_pause_ms * 2;
    if (succession->start_pause_ms > START_MAX_MS)
        succession->start_pause_ms = START_MAX_MS;
}

/* What was wrong with it may be put right, so it is tried again. */
static void fresh_ended(struct succession *succession) {
    log_error("a fresh zygote could not take over, the one before serves on; the next attempt is in %u s",
              succession->renew_pause_ms / 1000);
    succession->wanted = true;
    succession->renew_after_us = clock_us() + succession->renew_pause_ms * 1000ull;
    succession->renew_pause_ms *= 2;
    if (succession->renew_pause_ms > RENEW_MAX_MS)
        succession->renew_pause_ms = RENEW_MAX_MS;
}

/* No process, no descriptor, no memory. */
static void did_not_start(struct succession *succession, int error) {
    struct failure failure;
    failure_set(&failure, error, "start", "cannot start a zygote: %s", strerror(error));
    log_error("%s", failure.text);
    if (find(succession, ZYGOTE_PRESENT) != NULL) {
        fresh_ended(succession);
    } else if (succession->served) {
        present_ended(succession, false);
    } else {
        succession->failed = true;
        succession->failure = failure;
    }
}

static void start_what_is_due(struct succession *succession) {
    uint64_t now = clock_us();
    uint64_t due = start_due_us(succession);
    if (due == 0 || due > now)
        return;
    int r = start(find(succession, ZYGOTE_NONE));
    if (r < 0)
        did_not_start(succession, -r);
    else
        succession->wanted = false;
}

/* --- Taking over --- */

static void hand_over(struct succession *succession, struct zygote *fresh, struct zygote *before) {
    const struct message message = {.kind = MESSAGE_CHANNEL, .flavours = fresh->flavours};
    /* The server serves them as GET /isolation. */
    message_send_layers(succession->server, &fresh->isolation);
    if (message_send(succession->server, &message, &fresh->channel, 1) < 0)
        log_warning("the server did not take the channel of a zygote");
    fresh->channel = fd_close(fresh->channel);
    fresh->stage = ZYGOTE_PRESENT;
    if (before != NULL) {
        before->stage = ZYGOTE_RETIRING; /* the server lets go of it when its last job is done */
        before->age_s = 0;
    }
    if (succession->served)
        log_info("a fresh zygote has taken over");
    succession->served = true;
}

static void hand_over_if_due(struct succession *succession) {
    struct zygote *fresh = find(succession, ZYGOTE_FRESH);
    struct zygote *present = find(succession, ZYGOTE_PRESENT);
    if (fresh == NULL || succession->server < 0 || !fresh->ready)
        return;
    if (fresh->complete || present == NULL)
        hand_over(succession, fresh, present);
}

void succession_go_on(struct succession *succession) {
    hand_over_if_due(succession);
    start_what_is_due(succession);
}

int succession_timeout_ms(const struct succession *succession) {
    uint64_t due = start_due_us(succession);
    uint64_t now = clock_us();
    if (due == 0)
        return -1;
    return due > now ? (int)((due - now + 999) / 1000) : 0;
}

/* --- What they say --- */

static void zygote_alive(struct zygote *zygote, struct flavours flavours) {
    if (flavours.first >= CONFIG_FLAVOURS)
        return;
    zygote->heard[flavours.first] = true;
    zygote->silent_s[flavours.first] = 0;
}

static void zygote_ready(struct zygote *zygote, struct flavours flavours) {
    struct succession *succession = zygote->succession;
    zygote_alive(zygote, flavours);
    /* The others' channels come to the server over the one that they are a fork of. */
    if (flavours.first == 0) {
        zygote->flavours = flavours;
        zygote->ready = true;
    }
    if (flavours.last + 1 < flavour_count(succession->config->preload))
        return;
    zygote->complete = succession->complete = true;
    succession->start_pause_ms = 0;
    succession->renew_pause_ms = RENEW_FIRST_MS;
}

static void zygote_failed(const struct zygote *zygote, const struct failure *failure) {
    struct succession *succession = zygote->succession;
    log_error("%.*s: %.*s", (int)sizeof failure->stage, failure->stage, (int)sizeof failure->text, failure->text);
    if (succession->complete || succession->failed)
        return;
    succession->failed = true;
    succession->failure = *failure;
}

static void take_message(void *context, const struct message *message) {
    struct zygote *zygote = context;
    switch (message->kind) {
    case MESSAGE_LAYER:
        if (message->layer.layer < LAYER_COUNT)
            zygote->isolation.layers[message->layer.layer] = message->layer.state;
        break;
    case MESSAGE_READY: zygote_ready(zygote, message->flavours); break;
    case MESSAGE_ALIVE: zygote_alive(zygote, message->flavours); break;
    case MESSAGE_FAILED: zygote_failed(zygote, &message->failure); break;
    case MESSAGE_RETIRE:
        if (zygote->stage == ZYGOTE_PRESENT && find(zygote->succession, ZYGOTE_FRESH) == NULL)
            zygote->succession->wanted = true;
        break;
    default: break;
    }
}

void succession_hear(struct zygote *zygote) {
    child_hear(&zygote->child, take_message, zygote);
}

/* --- Those that do not go on --- */

static void put_down(struct zygote *zygote) {
    zygote->killed = true;
    kill(zygote->child.pid, SIGKILL); /* those that are forks of it die with it */
}

static void check_import(struct zygote *zygote) {
    struct failure failure;
    uint64_t limit_s = zygote->succession->config->import_s;
    if (zygote->complete || zygote->stage == ZYGOTE_RETIRING || zygote->age_s <= limit_s)
        return;
    failure_set(&failure, ETIMEDOUT, "--preload", "not everything was imported within %llu s, see --import-s",
                (unsigned long long)limit_s);
    zygote_failed(zygote, &failure);
    put_down(zygote);
}

static void check_silence(struct zygote *zygote) {
    uint64_t limit_s = zygote->succession->config->stall_s;
    for (unsigned i = 0; i < CONFIG_FLAVOURS && zygote->stage != ZYGOTE_RETIRING && !zygote->killed; i++) {
        if (!zygote->heard[i] || ++zygote->silent_s[i] <= limit_s)
            continue;
        log_error("the zygote (flavour %u) has not been heard of for %llu s and is killed", i, (unsigned long long)limit_s);
        put_down(zygote);
    }
}

/* Those of its tree that have no jobs any more are silent. The last job is over when its time is. */
static void check_retirement(struct zygote *zygote) {
    const struct config *config = zygote->succession->config;
    uint64_t limit_s = (config_limit(config, LIMIT_WALL_MS).most + 999) / 1000 + config->stall_s;
    if (zygote->stage != ZYGOTE_RETIRING || zygote->age_s <= limit_s || zygote->killed)
        return;
    log_error("a zygote has not ended %llu s after another one took over, and is killed", (unsigned long long)limit_s);
    put_down(zygote);
}

void succession_tick(struct succession *succession) {
    for (size_t i = 0; i < SUCCESSION_ZYGOTES; i++) {
        struct zygote *zygote = &succession->zygotes[i];
        if (zygote->stage == ZYGOTE_NONE || zygote->killed)
            continue;
        zygote->age_s++;
        check_import(zygote);
        check_silence(zygote);
        check_retirement(zygote);
    }
}

/* --- Their end --- */

static void ended(struct zygote *zygote, int status) {
    struct succession *succession = zygote->succession;
    succession_hear(zygote); /* its last words */
    enum zygote_stage stage = zygote->stage;
    bool expected = succession->stopping || stage == ZYGOTE_RETIRING, complete = zygote->complete;
    if (!expected && !zygote->killed && WIFSIGNALED(status))
        log_warning("the zygote was killed by signal %d", WTERMSIG(status));
    else if (!expected && succession->served)
        log_warning("the zygote ended with status %d", WEXITSTATUS(status));
    cgroup_sweep(); /* its folders are swept by the next one */
    forget(zygote);
    if (expected || succession->failed)
        return;
    if (stage == ZYGOTE_FRESH && find(succession, ZYGOTE_PRESENT) != NULL)
        fresh_ended(succession);
    else if (succession->served)
        present_ended(succession, complete);
    else {
        log_error("the zygote ended before it was ready");
        succession->failed = true;
    }
}

bool succession_reap(struct succession *succession, pid_t pid, int status) {
    for (size_t i = 0; i < SUCCESSION_ZYGOTES; i++)
        if (pid == succession->zygotes[i].child.pid) {
            ended(&succession->zygotes[i], status);
            return true;
        }
    return false;
}

void succession_lose_server(struct succession *succession) {
    succession->server = -1;
    for (size_t i = 0; i < SUCCESSION_ZYGOTES; i++) {
        struct zygote *zygote = &succession->zygotes[i];
        if (zygote->stage == ZYGOTE_PRESENT || zygote->stage == ZYGOTE_RETIRING)
            put_down(zygote);
    }
}

void succession_kill_all(struct succession *succession) {
    for (size_t i = 0; i < SUCCESSION_ZYGOTES; i++)
        if (succession->zygotes[i].child.pid != 0)
            kill(succession->zygotes[i].child.pid, SIGKILL);
}
