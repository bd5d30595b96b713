/* The tally: see tally.h. Runs in the zygote; trusted. */
#include "zygote/tally.h"

#include "base/clock.h"
#include "zygote/python.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

enum { DELAY_US = 200 * 1000 };

static bool is_told(const struct tally *tally, const struct crew_report *now) {
    const struct crew_report *told = &tally->told;
    return told->idle == now->idle && told->starting == now->starting && told->forks == now->forks;
}

/* While the server does not read it is told nothing, so that this never takes the room of a verdict. */
static bool is_read(int channel) {
    int unread = 0;
    return ioctl(channel, SIOCOUTQ, &unread) < 0 || unread == 0;
}

void tally_tell(struct tally *tally, const struct crew *crew, int channel) {
    struct message message = {.kind = MESSAGE_CREW,
                              .crew = {.idle = (uint32_t)crew->idle,
                                       .starting = (uint32_t)crew->starting,
                                       .forks = crew->forks,
                                       .python = python_version()}};
    if (is_told(tally, &message.crew)) {
        tally->due_us = 0;
        return;
    }
    uint64_t now = clock_us();
    bool first = tally->told.forks == 0;
    if (tally->due_us == 0 && !first)
        tally->due_us = now + DELAY_US;
    if (now < tally->due_us)
        return;
    tally->due_us = now + DELAY_US; /* to try again */
    if (!is_read(channel) || message_send(channel, &message, NULL, 0) < 0)
        return;
    tally->told = message.crew;
    tally->due_us = 0;
}

int tally_timeout_ms(const struct tally *tally) {
    uint64_t now = clock_us();
    if (tally->due_us == 0)
        return -1;
    return tally->due_us > now ? (int)((tally->due_us - now + 999) / 1000) : 0;
}
