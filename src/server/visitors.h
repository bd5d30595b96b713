/* Visitors: the open connections, and whose turn it is on each.
 *
 * While a job waits or runs for a client it is our turn, for a time that is bounded. Else it is the client's: to send a
 * request, or to read the answer. A client may take as long as it likes, but not at the cost of others. Where there is no
 * place for a newcomer, whoever has been on turn for the longest loses his: of those who never had a run, as long as they
 * have more than half of the places. Where there are too many bytes, whoever holds the most gives way. So those who mean to be slow,
 * however many, are in nobody's way; and where there are keys, nobody without one drives out somebody who has.
 *
 * Knows sockets and not HTTP. Runs in the server's event loop.
 */
#ifndef PX_SERVER_VISITORS_H
#define PX_SERVER_VISITORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct visitor {
    struct visitor *previous; /* in line, the longest on turn first; NULL while it is our turn */
    struct visitor *next;
    int socket; /* borrowed */
    uint64_t since_us;
    size_t held; /* bytes of its request or answer that are in memory */
    void *holder; /* what they are in; NULL between requests */
    bool known; /* has had a run */
    bool ended; /* by us; the library has yet to notice */
};

struct visitors {
    struct visitors_line {
        struct visitor ends;
        size_t count;
    } lines[2]; /* of strangers, of the known */
    size_t count;
    size_t most;
    uint64_t cut_place;   /* ever, so that somebody else could come */
    uint64_t cut_bytes;   /* ever, so that somebody else could send */
};

void visitors_init(struct visitors *visitors, size_t most);

/* One more, on turn; beyond the most somebody loses his place. NULL where there is no memory. */
struct visitor *visitors_enter(struct visitors *visitors, int socket);

/* Before its socket is closed; NULL is nobody. */
void visitors_leave(struct visitors *visitors, struct visitor *visitor);

/* It is the client's turn, from now on; or it is ours. */
void visitors_wait(struct visitors *visitors, struct visitor *visitor);
void visitors_serve(struct visitors *visitors, struct visitor *visitor);

/* Of those on turn whoever holds the most bytes, where that is more than `beyond`; NULL where there is nobody. */
struct visitor *visitors_largest(const struct visitors *visitors, size_t beyond);

/* Ends his connection. What he holds is free as soon as the library is run. */
void visitors_cut_for_bytes(struct visitors *visitors, struct visitor *visitor);

/* To be called every second or so: beyond the most, whoever has been on turn for that long loses his place. */
void visitors_make_place(struct visitors *visitors);

#endif
