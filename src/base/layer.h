/* The layers of confinement: their names, and what became of each of them on this platform.
 *
 * Pure data: the sandbox fills it in, the zygote reports it to the manager, the manager holds it against
 * --require and prints it, the server serves it as GET /isolation.
 */
#ifndef PX_BASE_LAYER_H
#define PX_BASE_LAYER_H

#include "base/buf.h"
#include "base/failure.h"

#include <stddef.h>
#include <stdint.h>

enum layer {
    LAYER_SECCOMP,
    LAYER_RLIMITS,
    LAYER_IDENTITY,
    LAYER_LANDLOCK,
    LAYER_CHROOT,
    LAYER_MOUNT,
    LAYER_USER,
    LAYER_PID,
    LAYER_NET,
    LAYER_IPC,
    LAYER_UTS,
    LAYER_TIME,
    LAYER_CGROUP_NAMESPACE,
    LAYER_CGROUP,
    LAYER_COUNT,
    /* What several of the above can each provide; words of --require only. */
    LAYER_ANY_FILESYSTEM = LAYER_COUNT,
    LAYER_ANY_NETWORK,
    LAYER_WORDS,
};

enum layer_status {
    LAYER_REFUSED, /* the platform does not grant it: `call` failed with `error` */
    LAYER_ACTIVE,  /* every worker has it */
    LAYER_UNUSED,  /* not tried, `detail` says what does its work, or who switched it off */
};

struct layer_state {
    uint32_t status;
    int32_t error; /* positive errno of what was refused, or 0 */
    char call[24]; /* the system call that was refused */
    char detail[136];
};

struct isolation {
    struct layer_state layers[LAYER_COUNT];
};

/* The word for a layer, as in --require: "mount-namespace". */
const char *layer_name(unsigned layer);

/* The word for a status: "refused", "on", "unused". */
const char *layer_status_name(uint32_t status);

/* A set of layers from words separated by commas, one bit each. 0, or -EINVAL with the word named. */
int layer_parse(const char *words, uint32_t *ret_set, struct failure *ret_failure);

static inline uint32_t layer_bit(unsigned layer) {
    return 1u << layer;
}

void layer_active(struct isolation *isolation, enum layer layer, const char *detail);
void layer_unused(struct isolation *isolation, enum layer layer, const char *detail);
void layer_refused(struct isolation *isolation, enum layer layer, const char *call, int error);

/* The same from a failure's text, `call: reason`. */
void layer_refused_because(struct isolation *isolation, enum layer layer, const struct failure *failure);

/* The first word of the floor that is not met, by the layer itself or by one of those that provide it; LAYER_WORDS
 * where all are. */
unsigned layer_missing(const struct isolation *isolation, uint32_t floor);

/* Fills ret_failure with why a word is not met: the word as the stage, and what was refused. Returns -errno. */
int layer_explain(const struct isolation *isolation, unsigned word, struct failure *ret_failure);

/* The name of what the layers come to: see layer.c. */
const char *layer_tier(const struct isolation *isolation);

/* Appends `"tier": …, "kernel": …, "required": […], "layers": […]`, the members of a JSON object, for GET /isolation
 * and doctor --json. As buf_add(). */
int layer_add_json(struct buf *buf, const struct isolation *isolation, uint32_t floor);

/* Appends `"KEY": [{…}, …]`, an object for each layer. As buf_add(). */
int layer_add_list(struct buf *buf, const char *key, const struct isolation *isolation);

#endif
