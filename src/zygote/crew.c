/* The crew: see crew.h. Runs in the zygote, between jobs and during them; trusted. */
#include "zygote/crew.h"

#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/rlimits.h"
#include "zygote/python.h"
#include "zygote/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STARTING_MAX = 2, QUIET_US = 2000, FEW_US = 1000000 };
/* Above our own, so that no worker takes the time of the server or of a zygote. Getting ready is nobody's hurry. */
enum { NICE_RUNNING = 5, NICE_GETTING_READY = 15 };

/* Linux shows every page that was only read as one and the same page of zeros. gVisor takes memory for each, and what
 * numpy.zeros() is innocent of elsewhere counts there: then the limit is where the address space ends as well. */
static uint64_t find_resident_factor(const struct crew *crew) {
    enum { PROBE = 8 << 20 };
    const struct member self = {.pid = getpid()};
    struct member_usage before = {0};
    struct member_usage after = {0};
    char *memory = mmap(NULL, PROBE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    crew_measure(crew, &self, &before);
    for (size_t i = 0; i < PROBE; i += 4096)
        *(volatile char *)(memory + i);
    crew_measure(crew, &self, &after);
    munmap(memory, PROBE);
    return after.resident_bytes > before.resident_bytes + PROBE / 2 ? RLIMITS_ADDRESS_FACTOR : 1;
}

/* Whether a priority that was lowered can be raised again: setpriority(2) has it that CAP_SYS_NICE of the first user namespace
 * may, or who has the RLIMIT_NICE. It is tried by a child, which would keep what it cannot take back. */
static bool may_raise_priority(int own) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(setpriority(PRIO_PROCESS, 0, own + 1) < 0 || setpriority(PRIO_PROCESS, 0, own) < 0);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void crew_init(struct crew *crew, struct sandbox *sandbox, unsigned first_slot, size_t usual_idle) {
    *crew = (struct crew){.sandbox = sandbox, .first_slot = first_slot, .usual_idle = usual_idle};
    crew->wanted_idle = (usual_idle + 3) / 4;
    crew->few_until_us = clock_us() + FEW_US;
    for (size_t i = 0; i < CREW_MAX; i++)
        crew->members[i].control = crew->members[i].tmpfs = -1;
    crew->resident_factor = find_resident_factor(crew);
    crew->nice = getpriority(PRIO_PROCESS, 0);
    crew->raises = may_raise_priority(crew->nice);
}

void crew_done(struct crew *crew) {
    for (size_t i = 0; i < CREW_MAX; i++)
        if (crew->members[i].state != MEMBER_NONE)
            kill(crew->members[i].pid, SIGKILL);
    for (size_t i = 0; i < CREW_MAX; i++) {
        if (crew->members[i].state == MEMBER_NONE)
            continue;
        waitpid(crew->members[i].pid, NULL, 0);
        crew_forget(crew, &crew->members[i]);
    }
}

static size_t *counter_of(struct crew *crew, enum member_state state) {
    return state == MEMBER_STARTING ? &crew->starting : state == MEMBER_IDLE ? &crew->idle : &crew->running;
}

static void set_state(struct crew *crew, struct member *member, enum member_state state) {
    if (member->state != MEMBER_NONE)
        --*counter_of(crew, member->state);
    if (state != MEMBER_NONE)
        ++*counter_of(crew, state);
    member->state = state;
}

uint64_t crew_be_quiet(struct crew *crew) {
    return crew->quiet_until_us = clock_us() + QUIET_US;
}

static unsigned slot_of(const struct crew *crew, const struct member *member) {
    return crew->first_slot + (unsigned)(member - crew->members);
}

void crew_forget(struct crew *crew, struct member *member) {
    if (member->state == MEMBER_STARTING)
        crew->failures++;
    set_state(crew, member, MEMBER_NONE);
    sandbox_release(crew->sandbox, slot_of(crew, member));
    member->control = fd_close(member->control);
    member->tmpfs = fd_close(member->tmpfs);
    member->pid = 0;
}

static struct member *find(struct crew *crew, enum member_state state) {
    for (size_t i = 0; i < CREW_MAX; i++)
        if (crew->members[i].state == state)
            return &crew->members[i];
    return NULL;
}

struct member *crew_idle(struct crew *crew) {
    return crew->idle > 0 ? find(crew, MEMBER_IDLE) : NULL;
}

static void kill_member(const struct member *member) {
    /* No one else reaps, so the pid is still this worker's. */
    kill(member->pid, SIGKILL);
}

static pid_t fork_worker(struct crew *crew, unsigned slot, int control, bool hurry, struct failure *ret_failure) {
    python_before_fork();
    pid_t pid = sandbox_clone(crew->sandbox, slot, ret_failure);
    if (pid != 0) {
        python_after_fork_parent();
        return pid;
    }
    python_after_fork_child();
    /* Where it cannot be raised for the job all are as low, so that none that runs has more than another. */
    setpriority(PRIO_PROCESS, 0, crew->nice + (hurry && crew->raises ? NICE_RUNNING : NICE_GETTING_READY));
    worker_main(control, crew->sandbox, slot, hurry);
}

static int admit(struct crew *crew, const struct member *member, struct failure *ret_failure) {
    const struct message go = {.kind = MESSAGE_GO};
    int r = sandbox_admit(crew->sandbox, member->pid, slot_of(crew, member), ret_failure);
    if (r < 0)
        return r;
    r = message_send(member->control, &go, NULL, 0);
    return r < 0 ? failure_set(ret_failure, -r, "worker", "it died before it was admitted") : 0;
}

/* Whether a job is at work that could end while we are busy forking, which takes a millisecond or two. */
static bool someone_works(const struct crew *crew) {
    size_t seen = 0;
    for (size_t i = 0; i < CREW_MAX && seen < crew->running; i++) {
        if (crew->members[i].state != MEMBER_RUNNING)
            continue;
        if (crew->members[i].killed_for == 0)
            return true;
        seen++;
    }
    return false;
}

/* Few at a time: each takes CPU from the jobs that run, and none is ready sooner for the company. While
 * the crew is large enough, not beside a job, which would wait for its verdict, nor right behind one:
 * the server has been woken on this CPU and would wait for the end of the fork. */
static bool wants_another(const struct crew *crew, size_t waiting) {
    size_t coming = crew->idle + crew->starting;
    if (coming >= crew->wanted_idle + waiting || crew->starting >= STARTING_MAX)
        return false;
    return coming < crew->wanted_idle / 2 + waiting || (!someone_works(crew) && clock_us() >= crew->quiet_until_us);
}

void crew_end_late(const struct crew *crew) {
    uint64_t now = clock_us();
    for (size_t i = 0; i < CREW_MAX && crew->starting > 0; i++) {
        const struct member *member = &crew->members[i];
        if (member->state == MEMBER_STARTING && now >= member->started_us + crew->start_limit_us)
            kill_member(member);
    }
}

int crew_timeout_ms(const struct crew *crew) {
    uint64_t now = clock_us();
    uint64_t next = UINT64_MAX;
    if (crew->idle + crew->starting < crew->wanted_idle && crew->quiet_until_us > now)
        next = crew->quiet_until_us;
    if (crew->wanted_idle < crew->usual_idle && crew->few_until_us < next)
        next = crew->few_until_us > now ? crew->few_until_us : now;
    for (size_t i = 0; i < CREW_MAX && crew->starting > 0; i++) {
        const struct member *member = &crew->members[i];
        uint64_t late = member->started_us + crew->start_limit_us;
        /* One that is late already has been killed, and its end is an event. */
        if (member->state == MEMBER_STARTING && late > now && late < next)
            next = late;
    }
    return next == UINT64_MAX ? -1 : (int)((next - now + 999) / 1000);
}

int crew_refill(struct crew *crew, size_t waiting, struct failure *ret_failure) {
    int ends[2];
    struct member *member;
    if (clock_us() >= crew->few_until_us)
        crew->wanted_idle = crew->usual_idle;
    if (!wants_another(crew, waiting) || (member = find(crew, MEMBER_NONE)) == NULL)
        return 0;
    int r = message_pair(ends);
    if (r < 0)
        return failure_set(ret_failure, -r, "worker", "no descriptor for another worker: %s", strerror(-r));
    cleanup_fd int ours = ends[0];
    cleanup_fd int theirs = ends[1];
    /* Ours alone: no worker, however slow, may hold the zygote up. */
    if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
        return failure_set(ret_failure, errno, "worker", "fcntl(): %s", strerror(errno));
    /* When few are left, two that are half warm are worth more than one that is warm. */
    bool hurry = waiting > 0 || crew->idle <= crew->wanted_idle / 4;
    pid_t pid = fork_worker(crew, slot_of(crew, member), theirs, hurry, ret_failure);
    if (pid < 0)
        return pid;
    crew->forks++;
    *member = (struct member){.pid = pid, .control = fd_steal(&ours), .tmpfs = -1, .started_us = clock_us()};
    set_state(crew, member, MEMBER_STARTING);
    r = admit(crew, member, ret_failure);
    if (r < 0) {
        kill_member(member);
        return r;
    }
    return 1;
}

int crew_measure(const struct crew *crew, const struct member *member, struct member_usage *ret_usage) {
    char path[32];
    char text[512];
    unsigned long long system, threads, address, pages;
    snprintf(path, sizeof path, "%d/stat", (int)member->pid);
    if (fd_read_file(crew->sandbox->proc_fd, path, text, sizeof text) <= 0)
        return -EIO;
    /* The second field is a name of the script's choosing, in brackets. proc(5): the third is behind the last one;
     * 15 stime in ticks, 20 num_threads, 23 vsize in bytes, 24 rss in pages. */
    const char *rest = strrchr(text, ')');
    if (rest == NULL || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %llu %*d %*d %*d %*d %llu %*d %*u %llu %llu",
                               &system, &threads, &address, &pages) != 4)
        return -EIO;
    *ret_usage = (struct member_usage){
        .address_bytes = address,
        .resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE),
        .threads = threads,
        .system_us = system * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK),
    };
    return 0;
}

bool crew_is_full(const struct crew *crew, const struct member *member, uint64_t *ret_bytes) {
    uint64_t bytes = member->order.scratch_bytes;
    *ret_bytes = 0;
    if (member->tmpfs >= 0)
        return scratch_tmpfs_is_too_large(member->tmpfs, bytes);
    return sandbox_is_full(crew->sandbox, slot_of(crew, member), bytes, ret_bytes);
}

int crew_hear(struct crew *crew, struct member *member, struct failure *ret_failure) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    int r = message_receive(member->control, &message, fds);
    if (r == -EAGAIN)
        return 0;
    if (r == 1 && message.kind == MESSAGE_SCRATCH && member->tmpfs < 0) {
        member->tmpfs = fd_steal(&fds[0]);
        member->tmpfs_bytes = message.scratch_bytes;
        message_close_fds(fds);
        return 0;
    }
    message_close_fds(fds);
    if (r == 1 && message.kind == MESSAGE_READY) {
        member->baseline = message.baseline;
        /* The limits of the job are counted from here. */
        struct member_usage usage;
        r = crew_measure(crew, member, &usage);
        if (r == 0) {
            member->baseline.address_bytes = usage.address_bytes;
            member->baseline.resident_bytes = usage.resident_bytes;
            set_state(crew, member, MEMBER_IDLE);
            crew->failures = 0;
            return 1;
        }
    }
    if (r == 1 && message.kind == MESSAGE_FAILED) {
        *ret_failure = message.failure;
        r = -(message.failure.error != 0 ? message.failure.error : EIO);
    } else {
        r = failure_set(ret_failure, EIO, "worker", "it died before it was ready");
    }
    member->control = fd_close(member->control);
    kill_member(member);
    return r;
}

/* Before the job is there: has the worker's tmpfs hold what the job may keep. Where that cannot be done, or there is none,
 * what differs from it is counted. */
static void fit_scratch(const struct crew *crew, struct member *member, uint64_t bytes) {
    uint64_t bounded = member->tmpfs >= 0 ? member->tmpfs_bytes : crew->sandbox->policy.scratch_bytes;
    member->counted = bytes != bounded && (member->tmpfs < 0 || scratch_resize(member->tmpfs, bytes) < 0);
}

int crew_hand_over(struct crew *crew, struct member *member, uint64_t job, const struct run_order *order,
                   const int fds[MESSAGE_MAX_FDS]) {
    struct message message = {.kind = MESSAGE_RUN, .job = job, .baseline = member->baseline};
    uint64_t used_us = member->baseline.user_us + member->baseline.system_us;
    fit_scratch(crew, member, order->scratch_bytes);
    int r = message_send(member->control, &message, fds, message_count_fds(fds));
    member->control = fd_close(member->control);
    if (!member->counted)
        member->tmpfs = fd_close(member->tmpfs);
    if (crew->running == 0)
        crew->disk_before = scratch_used(&crew->sandbox->scratch);
    set_state(crew, member, MEMBER_RUNNING);
    crew->wanted_idle = crew->usual_idle;
    if (r < 0) {
        kill_member(member);
        return r;
    }
    if (crew->raises)
        setpriority(PRIO_PROCESS, (id_t)member->pid, crew->nice + NICE_RUNNING);
    member->job = job;
    member->order = *order;
    member->started_us = clock_us();
    member->cpu_limit_us = used_us + order->cpu_ms * 1000;
    return 0;
}
