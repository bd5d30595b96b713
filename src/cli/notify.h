/* What the service manager that started us is told, by the protocol of sd_notify(3): a datagram of lines to the
 * socket that $NOTIFY_SOCKET names. Where it names none, as on a terminal or in a container, nothing is sent. Errors
 * never matter: who does not hear that we serve is no reason not to. */
#ifndef PX_CLI_NOTIFY_H
#define PX_CLI_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t address_size;
    uint64_t watchdog_us; /* a sign of life is due that often; 0: never */
    uint64_t watchdog_at_us;
};

/* Takes the socket's name, and how often a sign of life is wanted (sd_watchdog_enabled(3)), from the environment. */
void notify_init(struct notify *ret_notify);

/* It serves, for the first time or again after notify_reloading(). The words are for people (`systemctl status`), here
 * and below; they may hold what a child said, and no byte of them becomes an assignment of its own. */
void notify_ready(const struct notify *notify, const char *format, ...) __attribute__((format(printf, 2, 3)));

void notify_status(const struct notify *notify, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* It reads its configuration anew; notify_ready() is due when it has. */
void notify_reloading(const struct notify *notify);

/* It takes no more and will have ended in `at_most_us`, so that nobody kills it earlier for being slow. */
void notify_stopping(const struct notify *notify, uint64_t at_most_us);

/* Sends a sign of life if it is time. Returns when the next one is due, UINT64_MAX for never. */
uint64_t notify_watchdog(struct notify *notify, uint64_t now_us);

void notify_done(struct notify *notify);

#endif
