/* The zygotes, one after the other: which of them has the jobs, and who comes next.
 *
 * At most times there is one, whose channel the server has. For a fresh one (after a number of runs, or since it is
 * wanted: succession_renew()) the channel is kept here until all that is to be imported is there, and the server gets
 * none of it before: one that fails has never been in anybody's way. Where there is none that serves, a fresh one
 * serves as soon as its first flavour is ready.
 */
#ifndef PX_CLI_SUCCESSION_H
#define PX_CLI_SUCCESSION_H

#include "base/config.h"
#include "base/failure.h"
#include "base/flavour.h"
#include "base/layer.h"
#include "cli/children.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Two may live at once, each with user ids of its own: as many slots as a crew can have. */
enum { SUCCESSION_ZYGOTES = 2 };

enum zygote_stage {
    ZYGOTE_NONE,
    ZYGOTE_FRESH,    /* the server does not know of it */
    ZYGOTE_PRESENT,  /* takes jobs */
    ZYGOTE_RETIRING, /* another one has taken over; it ends by itself */
};

struct zygote {
    struct child child;
    struct succession *succession;
    enum zygote_stage stage;
    int channel;   /* the server's end of it, while it is FRESH */
    bool ready;    /* its first flavours are: */
    struct flavours flavours;
    bool complete; /* all its flavours are */
    struct isolation isolation; /* of its workers, as it says */
    unsigned age_s;             /* in its stage */
    bool heard[CONFIG_FLAVOURS];    /* of that flavour, since it serves: */
    unsigned silent_s[CONFIG_FLAVOURS];
    bool killed;
};

struct succession {
    const struct config *config;
    const struct programs *programs;
    int server; /* the server's control channel; -1 while there is none */
    struct zygote zygotes[SUCCESSION_ZYGOTES];
    bool wanted;   /* a fresh one is to take over */
    bool stopping; /* nothing is begun any more */
    bool served;   /* a zygote has been handed to the server once */
    bool complete; /* and all that is preloaded was there */
    bool failed;   /* before that: for ever then */
    struct failure failure; /* of it; its stage is empty where the zygote has not said why */
    uint64_t start_after_us; /* not before that is a dead one replaced */
    uint64_t renew_after_us; /* nor a living one, after one that failed */
    unsigned start_pause_ms, renew_pause_ms;
};

void succession_init(struct succession *succession, const struct config *config, const struct programs *programs);

/* Another one, with the packages as they are on disk now, takes over when it is complete. */
void succession_renew(struct succession *succession);

/* Whether what succession_renew() asked for has come to an end, good or bad. */
bool succession_is_settled(const struct succession *succession);

/* Starts what is missing or wanted, if it is time. To be called whenever something has happened, and when
 * succession_timeout_ms() is over. */
void succession_go_on(struct succession *succession);

/* Milliseconds until then; -1 where it waits for others only. */
int succession_timeout_ms(const struct succession *succession);

/* A second is over: kills what has been silent for --stall-s, or has not done in time what it is to do. Only seconds in
 * which the manager has run itself count, so nobody pays for a machine that stood still. */
void succession_tick(struct succession *succession);

/* Takes what the zygote says on its control channel. */
void succession_hear(struct zygote *zygote);

/* One that takes jobs, or NULL. */
struct zygote *succession_present(struct succession *succession);

/* Takes note of a child's end; false where it was no zygote. */
bool succession_reap(struct succession *succession, pid_t pid, int status);

/* The server has ended, and with it every job. So do those that had it for a master: at once, also where one imports and
 * would not notice before it is through. */
void succession_lose_server(struct succession *succession);

void succession_kill_all(struct succession *succession);

#endif
