/* Visitors: see visitors.h. Runs in the server, on what the kernel says of sockets. */
#include "server/visitors.h"

#include "base/clock.h"

#include <stdlib.h>
#include <sys/socket.h>

enum { PATIENCE_MS = 1000 };

void visitors_init(struct visitors *visitors, size_t most) {
    *visitors = (struct visitors){.most = most};
    for (size_t i = 0; i < 2; i++)
        visitors->lines[i].ends.previous = visitors->lines[i].ends.next = &visitors->lines[i].ends;
}

/* --- The lines --- */

static void step_out(struct visitors *visitors, struct visitor *visitor) {
    if (visitor->next == NULL)
        return;
    visitor->previous->next = visitor->next;
    visitor->next->previous = visitor->previous;
    visitor->previous = visitor->next = NULL;
    visitors->lines[visitor->known].count--;
}

void visitors_serve(struct visitors *visitors, struct visitor *visitor) {
    step_out(visitors, visitor);
    visitor->known = true;
}

void visitors_wait(struct visitors *visitors, struct visitor *visitor) {
    struct visitors_line *line = &visitors->lines[visitor->known];
    step_out(visitors, visitor);
    if (visitor->ended)
        return;
    visitor->since_us = clock_us();
    visitor->next = &line->ends;
    visitor->previous = line->ends.previous;
    visitor->previous->next = visitor->next->previous = visitor;
    line->count++;
}

/* Who would have to go, or NULL. */
static struct visitor *first_of(struct visitors *visitors) {
    struct visitors_line *strangers = &visitors->lines[0], *known = &visitors->lines[1];
    struct visitors_line *line = known->count == 0 || strangers->count > visitors->most / 2 ? strangers : known;
    return line->count > 0 ? line->ends.next : NULL;
}

/* The library hears of it as of any client that goes: it closes the socket when it is run next. */
static void end(struct visitors *visitors, struct visitor *visitor) {
    step_out(visitors, visitor);
    visitor->ended = true;
    shutdown(visitor->socket, SHUT_RDWR);
}

/* --- Places --- */

struct visitor *visitors_enter(struct visitors *visitors, int socket) {
    struct visitor *visitor = calloc(1, sizeof *visitor);
    if (visitor == NULL)
        return NULL;
    struct visitor *first = first_of(visitors);
    if (visitors->count++ >= visitors->most && first != NULL) {
        end(visitors, first);
        visitors->cut_place++;
    }
    visitor->socket = socket;
    visitors_wait(visitors, visitor);
    return visitor;
}

void visitors_leave(struct visitors *visitors, struct visitor *visitor) {
    if (visitor == NULL)
        return;
    step_out(visitors, visitor);
    visitors->count--;
    free(visitor);
}

/* Where it was our turn for all of them nobody had to go for the last who came; and none comes after that one, so none
 * would ever have to. */
void visitors_make_place(struct visitors *visitors) {
    struct visitor *first = first_of(visitors);
    if (visitors->count <= visitors->most || first == NULL || clock_us() < first->since_us + PATIENCE_MS * 1000ull)
        return;
    end(visitors, first);
    visitors->cut_place++;
}

/* --- Bytes --- */

struct visitor *visitors_largest(const struct visitors *visitors, size_t beyond) {
    struct visitor *largest = NULL;
    for (size_t i = 0; i < 2; i++)
        for (struct visitor *one = visitors->lines[i].ends.next; one != &visitors->lines[i].ends; one = one->next) {
            if (one->held > beyond) {
                largest = one;
                beyond = one->held;
            }
        }
    return largest;
}

void visitors_cut_for_bytes(struct visitors *visitors, struct visitor *visitor) {
    end(visitors, visitor);
    visitors->cut_bytes++;
}
