/* The keeper: see keeper.h. Runs in the zygote; trusted. */
#include "zygote/keeper.h"

#include "base/clock.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* How often memory, files and threads are looked at. A script that touches pages as fast as the kernel clears them gets
 * some 50 MiB beyond its limit in that time; twice the limit is where RLIMIT_AS stops it for good. */
enum { SAMPLE_MS = 25 };

/* More threads than that are a crowd, and get the least of the CPU. */
enum { CROWD = 4, NICE_CROWDED = 19 };

/* 8 GB in a second: nobody writes to files faster. */
enum { BYTES_PER_US = 8000 };

static void end(struct member *member, enum ending why) {
    if (member->killed_for == 0) {
        member->killed_for = why;
        kill(member->pid, SIGKILL);
    }
}

static void kill_answered(struct member *member) {
    member->kill_us = 0;
    kill(member->pid, SIGKILL);
}

static uint64_t deadline_us(const struct member *member) {
    return member->started_us + member->order.wall_ms * 1000;
}

/* Without control groups the kernel divides the CPU among threads: one that fills its worker with them would take the share of many. All
 * of a worker's threads are of its process group, which it cannot leave. */
static void make_room_for_others(struct member *member) {
    member->crowded = true;
    setpriority(PRIO_PGRP, (id_t)member->pid, NICE_CROWDED);
}

static void look_at(const struct crew *crew, struct member *member, struct member_usage *ret_usage, uint64_t *visible) {
    uint64_t bytes = 0;
    if (crew_measure(crew, member, ret_usage) < 0)
        return;
    if (ret_usage->resident_bytes > member->baseline.resident_bytes + crew->resident_factor * member->order.memory_bytes)
        end(member, ENDING_MEMORY);
    else if (crew_is_full(crew, member, &bytes))
        end(member, ENDING_SCRATCH);
    /* Where the user is the whole service's the kernel cannot count them. */
    else if (ret_usage->threads > crew->sandbox->policy.threads)
        end(member, ENDING_THREADS);
    else if (ret_usage->threads > CROWD && !member->crowded && !cgroup_shares_cpu(&crew->sandbox->cgroup))
        make_room_for_others(member);
    *visible += bytes;
}

/* What one script may keep. */
static uint64_t largest_scratch(const struct crew *crew) {
    uint64_t bytes = crew->sandbox->policy.scratch_bytes;
    for (size_t i = 0; i < CREW_MAX; i++)
        if (crew->members[i].state == MEMBER_RUNNING && crew->members[i].order.scratch_bytes > bytes)
            bytes = crew->members[i].order.scratch_bytes;
    return bytes;
}

/* Tells the other zygotes whom we would accuse, and says whether one of theirs has worked more. */
static bool others_have_worked_more(const struct crew *crew, uint64_t system_us) {
    struct suspicion *suspicion = crew->suspicion;
    bool more = false;
    if (suspicion == NULL)
        return false;
    for (unsigned i = 0; i < CONFIG_FLAVOURS; i++)
        more = more || (i != crew->flavour && __atomic_load_n(&suspicion->system_us[i], __ATOMIC_RELAXED) > system_us);
    __atomic_store_n(&suspicion->system_us[crew->flavour], system_us, __ATOMIC_RELAXED);
    return more;
}

/* Files that are open and have no name are in no folder, and cannot be counted; but the file system has them. Where
 * more is gone from it than all folders have, by as much as one script may keep, the one that has worked longest in
 * the kernel, of all zygotes' workers, is ended for it, if it can have written that much. If that gives nothing back it
 * was somebody else. */
static void look_for_hidden_files(struct crew *crew, uint64_t visible, struct member *suspect, uint64_t system_us) {
    uint64_t limit = largest_scratch(crew);
    uint64_t used = scratch_used(&crew->sandbox->scratch);
    bool of_others = others_have_worked_more(crew, suspect != NULL ? system_us : 0);
    if (crew->accused != 0)
        return;
    if (used > crew->disk_before + visible + limit)
        visible = scratch_visible(&crew->sandbox->scratch); /* what other zygotes' workers have, too */
    if (used <= crew->disk_before + visible + limit) {
        crew->exonerated = false;
        return;
    }
    if (crew->exonerated) {
        crew->disk_before = used - visible;
        crew->exonerated = false;
        return;
    }
    if (suspect == NULL || of_others || system_us < limit / BYTES_PER_US)
        return;
    crew->accused = suspect->pid;
    end(suspect, ENDING_SCRATCH);
}

void keeper_enforce(struct crew *crew) {
    uint64_t now = clock_us();
    uint64_t visible = 0;
    uint64_t system_us = 0;
    struct member *suspect = NULL;
    if (crew->running == 0) {
        (void)others_have_worked_more(crew, 0);
        return;
    }
    for (size_t i = 0; i < CREW_MAX; i++) {
        struct member *member = &crew->members[i];
        struct member_usage usage = {0};
        if (member->state == MEMBER_RUNNING && member->kill_us != 0 && now >= member->kill_us)
            kill_answered(member);
        if (member->state != MEMBER_RUNNING || member->killed_for != 0)
            continue;
        if (now >= deadline_us(member))
            end(member, ENDING_DEADLINE);
        else if (now - member->started_us >= SAMPLE_MS * 1000ull)
            look_at(crew, member, &usage, &visible);
        if (member->killed_for == 0 && usage.system_us > system_us) {
            system_us = usage.system_us;
            suspect = member;
        }
    }
    if (crew->sandbox->scratch.fd >= 0)
        look_for_hidden_files(crew, visible, suspect, system_us);
}

int keeper_timeout_ms(const struct crew *crew) {
    uint64_t now = clock_us();
    uint64_t left = SAMPLE_MS * 1000ull;
    if (crew->running == 0)
        return -1;
    for (size_t i = 0; i < CREW_MAX; i++) {
        const struct member *member = &crew->members[i];
        if (member->state != MEMBER_RUNNING || (member->killed_for != 0 && member->kill_us == 0))
            continue;
        uint64_t deadline = member->kill_us != 0 ? member->kill_us : deadline_us(member);
        if (deadline <= now)
            return 0;
        if (deadline - now < left)
            left = deadline - now;
    }
    return (int)((left + 999) / 1000);
}

static struct member *runner_of(struct crew *crew, uint64_t job) {
    for (size_t i = 0; i < CREW_MAX; i++)
        if (crew->members[i].state == MEMBER_RUNNING && crew->members[i].job == job)
            return &crew->members[i];
    return NULL;
}

void keeper_cancel(struct crew *crew, uint64_t job) {
    struct member *member = runner_of(crew, job);
    if (member != NULL)
        end(member, ENDING_CANCELLED);
}

/* A script may be done before its files are looked at. */
static bool has_kept_too_much(const struct crew *crew, const struct member *member) {
    uint64_t bytes;
    return member->counted && crew_is_full(crew, member, &bytes);
}

int keeper_answered(struct crew *crew, uint64_t job, struct verdict *ret_verdict) {
    struct member *member = runner_of(crew, job);
    if (member == NULL || member->killed_for != 0)
        return 0;
    if (has_kept_too_much(crew, member)) {
        end(member, ENDING_SCRATCH);
        return 0;
    }
    member->killed_for = ENDING_ANSWERED;
    member->kill_us = crew_be_quiet(crew);
    *ret_verdict = (struct verdict){.ending = ENDING_ANSWERED, .wall_us = clock_us() - member->started_us};
    return 1;
}

static uint64_t less(uint64_t all, uint64_t before) {
    return all > before ? all - before : 0;
}

/* By itself or not, as the kernel says. */
static struct verdict verdict_of(int status) {
    return WIFEXITED(status) ? (struct verdict){.ending = ENDING_EXIT, .code = (uint32_t)WEXITSTATUS(status)}
                             : (struct verdict){.ending = ENDING_SIGNAL, .code = (uint32_t)WTERMSIG(status)};
}

static void judge(const struct member *member, int status, const struct rusage *usage,
                  struct verdict *ret_verdict) {
    uint64_t user = clock_timeval_us(usage->ru_utime);
    uint64_t system = clock_timeval_us(usage->ru_stime);
    *ret_verdict = verdict_of(status);
    ret_verdict->wall_us = clock_us() - member->started_us;
    ret_verdict->user_us = less(user, member->baseline.user_us);
    ret_verdict->system_us = less(system, member->baseline.system_us);
    ret_verdict->peak_bytes = less((uint64_t)usage->ru_maxrss * 1024, member->baseline.resident_bytes);
    if (ret_verdict->ending == ENDING_EXIT || ret_verdict->code != SIGKILL)
        return;
    if (member->killed_for != 0)
        ret_verdict->ending = member->killed_for;
    else if (user + system >= member->cpu_limit_us)
        ret_verdict->ending = ENDING_CPU;
    else
        /* Nobody else sends it: the kernel ran out of memory and chose a worker, as it was told. */
        ret_verdict->ending = ENDING_MEMORY;
}

static struct member *member_of(struct crew *crew, pid_t pid) {
    for (size_t i = 0; i < CREW_MAX; i++)
        if (crew->members[i].state != MEMBER_NONE && crew->members[i].pid == pid)
            return &crew->members[i];
    return NULL;
}

pid_t keeper_reap(struct crew *crew, uint64_t *ret_job, struct verdict *ret_verdict) {
    struct rusage usage;
    int status;
    /* Without WUNTRACED: a stopped worker has not ended. */
    pid_t pid = wait4(-1, &status, WNOHANG, &usage);
    if (pid <= 0)
        return 0;
    *ret_job = 0;
    struct member *member = member_of(crew, pid);
    if (member == NULL) {
        *ret_verdict = verdict_of(status);
        return pid;
    }
    if (member->state == MEMBER_RUNNING && member->killed_for != ENDING_ANSWERED) {
        *ret_job = member->job;
        judge(member, status, &usage, ret_verdict);
        if (ret_verdict->ending == ENDING_EXIT && has_kept_too_much(crew, member))
            ret_verdict->ending = ENDING_SCRATCH;
        crew_be_quiet(crew);
    }
    if (pid == crew->accused) {
        crew->accused = 0;
        crew->exonerated = true; /* if there is as much missing without it */
    }
    crew_forget(crew, member);
    return pid;
}
