/* The crew: every worker this zygote has, from its fork to its end.
 *
 * A member is STARTING until its worker says it is confined and warmed up, IDLE until it gets a job,
 * RUNNING until it is reaped. Each has a slot, and with it a user id that no other has.
 */
#ifndef PX_ZYGOTE_CREW_H
#define PX_ZYGOTE_CREW_H

#include "base/config.h"
#include "sandbox/sandbox.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { CREW_MAX = CONFIG_SLOTS }; /* running, idle and starting together; see --workers and --crew */

enum member_state { MEMBER_NONE, MEMBER_STARTING, MEMBER_IDLE, MEMBER_RUNNING };

struct member {
    enum member_state state;
    pid_t pid;
    int control; /* set while STARTING and IDLE; afterwards nothing is read from the worker */
    int tmpfs;   /* its /tmp, while it can be resized or must be counted; else -1 */
    uint64_t tmpfs_bytes; /* that it holds */
    struct worker_baseline baseline;
    uint64_t started_us; /* the process, and once there is a job, that */
    /* of the job */
    uint64_t job;
    struct run_order order;
    uint64_t cpu_limit_us; /* of the worker's whole life */
    uint32_t killed_for;   /* enum ending, 0 while its end is open */
    uint64_t kill_us;      /* when it is to be killed for that, 0 when it has been */
    bool crowded;          /* it has many threads, and less of the CPU for each */
    bool counted;          /* its files are bounded by being counted, in the end as well */
};

/* How much time in the kernel the one has spent that each zygote would accuse. */
struct suspicion {
    uint64_t system_us[CONFIG_FLAVOURS];
};

struct crew {
    struct sandbox *sandbox;
    struct member members[CREW_MAX];
    unsigned first_slot;
    uint64_t resident_factor; /* of a job's memory, before it has too much: see crew.c */
    size_t wanted_idle; /* few at first: the next flavours are imported meanwhile; the usual once there is a job */
    size_t usual_idle;
    uint64_t few_until_us;
    size_t starting;
    size_t idle;
    size_t running;
    uint64_t disk_before; /* bytes in use where scripts keep files, before any of those that run began */
    pid_t accused;        /* ended for files that nobody can see, and not reaped yet */
    bool exonerated;      /* it has been reaped, and it is to be seen whether it was the one */
    struct suspicion *suspicion; /* shared by the zygotes of a tree, which share that file system; NULL without others */
    unsigned flavour;            /* ours in there */
    uint64_t forks;          /* workers made so far */
    uint64_t quiet_until_us; /* a job has just ended: its answer is on the way */
    uint64_t start_limit_us; /* who is not ready after that hangs */
    unsigned failures; /* workers that died before they were ready, since the last that was */
    int nice;          /* our own priority, in terms of nice(2) */
    bool raises;       /* a worker's is raised when it has a job */
};

/* first_slot keeps the user ids of two zygotes apart while one takes over from the other. */
void crew_init(struct crew *crew, struct sandbox *sandbox, unsigned first_slot, size_t usual_idle);

/* Kills all and waits for their end. */
void crew_done(struct crew *crew);

/* Forks one worker if one is wanted. 1 when it did, 0 when none is, or a negative errno with the
 * reason. `waiting` jobs count as wanted on top. */
int crew_refill(struct crew *crew, size_t waiting, struct failure *ret_failure);

/* Kills those that should have been ready long ago: there are never more than a few that start, and two that hang would
 * keep all others from being made. */
void crew_end_late(const struct crew *crew);

/* Milliseconds until crew_refill() or crew_end_late() is worth another call; -1 where only an event changes that. */
int crew_timeout_ms(const struct crew *crew);

/* Reads what a STARTING member has to say. 1 when it became IDLE, 0 when nothing was there, a negative
 * errno with the worker's own words when it failed; it is then killed and will be reaped. */
int crew_hear(struct crew *crew, struct member *member, struct failure *ret_failure);

/* An idle member, or NULL. */
struct member *crew_idle(struct crew *crew);

/* Gives an idle member its job with its descriptors, which stay the caller's. On failure the
 * member is killed and the caller takes another. */
int crew_hand_over(struct crew *crew, struct member *member, uint64_t job, const struct run_order *order,
                   const int fds[MESSAGE_MAX_FDS]);

/* A verdict is about to be sent: no fork for a moment. Until when, in µs of clock_us(). */
uint64_t crew_be_quiet(struct crew *crew);

struct member_usage {
    uint64_t address_bytes;
    uint64_t resident_bytes;
    uint64_t threads;
    uint64_t system_us; /* of its whole life */
};

/* What the member has now, as the kernel says. -EIO where it is ending. */
int crew_measure(const struct crew *crew, const struct member *member, struct member_usage *ret_usage);

/* Whether it keeps more files than it may, and how many bytes of a file system that all share that are. */
bool crew_is_full(const struct crew *crew, const struct member *member, uint64_t *ret_bytes);

/* Takes note that the process of this member is gone. */
void crew_forget(struct crew *crew, struct member *member);

#endif
