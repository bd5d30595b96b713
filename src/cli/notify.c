/* Messages to the service manager: see notify.h. Runs in the manager. The protocol is a promise of systemd's
 * (sd_notify(3), "Notes"), and short: a library would be one more thing in a program that root runs. */
#include "cli/notify.h"

#include "base/clock.h"
#include "base/fd.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOTIFY_TEXT = 512 }; /* a datagram of ours at most */

/* A path, or the name of an abstract socket behind an @ (unix(7)); there are others, which need a virtual machine. */
static socklen_t parse_address(const char *name, struct sockaddr_un *ret_address) {
    size_t length = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof ret_address->sun_path)
        return 0;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, name, length);
    if (name[0] == '@')
        ret_address->sun_path[0] = '\0';
    /* The name of an abstract socket has no end mark: one more byte would be part of it. */
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (name[0] == '/'));
}

static uint64_t number_in(const char *variable) {
    const char *text = getenv(variable);
    return text != NULL && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : 0;
}

void notify_init(struct notify *ret_notify) {
    const char *name = getenv("NOTIFY_SOCKET");
    *ret_notify = (struct notify){.fd = -1};
    if (name == NULL || (ret_notify->address_size = parse_address(name, &ret_notify->address)) == 0)
        return;
    ret_notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* What was meant for another process, and came to us through its environment, is not ours to answer. */
    uint64_t pid = number_in("WATCHDOG_PID");
    if (pid == 0 || pid == (uint64_t)getpid())
        ret_notify->watchdog_us = number_in("WATCHDOG_USEC") / 2; /* as sd_watchdog_enabled(3) advises */
}

static void send_text(const struct notify *notify, const char *text, int length) {
    if (notify->fd >= 0 && length > 0 && length < NOTIFY_TEXT)
        sendto(notify->fd, text, (size_t)length, MSG_NOSIGNAL, (const struct sockaddr *)&notify->address,
               notify->address_size);
}

/* With room for the assignments before them. */
enum { WORDS = NOTIFY_TEXT - 64 };

/* A line end in the words would begin an assignment, MAINPID=1 for one. What does not fit is cut off. */
__attribute__((format(printf, 3, 0))) static void send_with_words(const struct notify *notify, const char *assignments,
                                                                  const char *format, va_list arguments) {
    char words[WORDS];
    char text[NOTIFY_TEXT];
    vsnprintf(words, sizeof words, format, arguments);
    for (char *at = words; *at != '\0'; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
    send_text(notify, text, snprintf(text, sizeof text, "%sSTATUS=%s", assignments, words));
}

void notify_ready(const struct notify *notify, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    send_with_words(notify, "READY=1\n", format, arguments);
    va_end(arguments);
}

void notify_status(const struct notify *notify, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    send_with_words(notify, "", format, arguments);
    va_end(arguments);
}

void notify_reloading(const struct notify *notify) {
    char text[NOTIFY_TEXT];
    send_text(notify, text, snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_us()));
}

void notify_stopping(const struct notify *notify, uint64_t at_most_us) {
    char text[NOTIFY_TEXT];
    send_text(notify, text, snprintf(text, sizeof text, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu\nSTATUS=Finishing what runs",
                                     (unsigned long long)at_most_us));
}

uint64_t notify_watchdog(struct notify *notify, uint64_t now_us) {
    static const char sign[] = "WATCHDOG=1";
    if (notify->fd < 0 || notify->watchdog_us == 0)
        return UINT64_MAX;
    if (now_us >= notify->watchdog_at_us) {
        send_text(notify, sign, sizeof sign - 1);
        notify->watchdog_at_us = now_us + notify->watchdog_us;
    }
    return notify->watchdog_at_us;
}

void notify_done(struct notify *notify) {
    notify->fd = fd_close(notify->fd);
}
