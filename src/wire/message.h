/* Messages between the manager, the server, the zygote and a worker that has not yet seen its job.
 *
 * They travel over SOCK_SEQPACKET socket pairs, one message a packet, descriptors beside it. Both ends
 * are programs of this project on the same machine, so a message is a struct as it lies in memory;
 * its size is checked all the same, since the server may have been taken over by a client.
 *
 *   who              to whom        message            means                       descriptors
 *   manager          server         MESSAGE_LAYER      what became of a layer      -
 *   manager          server         MESSAGE_KEYS       who may call, first of all  the keys, a file
 *   manager          server         MESSAGE_CHANNEL    a zygote is ready           its channel
 *   zygote           server         MESSAGE_CHANNEL    the next flavour is ready   its channel
 *   manager          server         MESSAGE_DRAIN      be not ready any more       -
 *   manager          server         MESSAGE_SHUT       take nobody new, and finish -
 *   manager          server         MESSAGE_LEAVE      let nobody in, and finish   -
 *   server           manager        MESSAGE_FAILED     cannot confine itself, why  -
 *   manager          server         MESSAGE_CONSOLE    one run is here, of `run`   enum console_fd
 *   server           manager        MESSAGE_ALIVE      its loop goes round         -
 *   server           manager        MESSAGE_OUTCOME    how that run ended          -
 *   server           zygote         MESSAGE_RUN        run a job                   enum run_fd
 *   server           zygote         MESSAGE_CANCEL     nobody waits for it         -
 *   server           zygote         MESSAGE_ANSWERED   its answer is whole, end it -
 *   zygote           server         MESSAGE_VERDICT    how the job ended           -
 *   zygote           server         MESSAGE_CREW       how many workers it has     -
 *   zygote           manager        MESSAGE_LAYER      what became of a layer      -
 *   zygote           manager        MESSAGE_READY      a flavour's first worker is ready   -
 *   zygote           manager        MESSAGE_ALIVE      its loop goes round         -
 *   zygote           manager        MESSAGE_FAILED     cannot work here, why       -
 *   zygote           manager        MESSAGE_RETIRE     time for a fresh zygote     -
 *   zygote           worker         MESSAGE_GO         your ids are mapped         -
 *   worker           zygote         MESSAGE_SCRATCH    has mounted its /tmp        that folder
 *   worker           zygote         MESSAGE_READY      confined and warmed up      -
 *   worker           zygote         MESSAGE_FAILED     a layer failed, why         -
 *   zygote           worker         MESSAGE_RUN        here is your job            enum run_fd
 *
 * After the last line of this table the zygote never reads from that worker again.
 */
#ifndef PX_WIRE_MESSAGE_H
#define PX_WIRE_MESSAGE_H

#include "base/failure.h"
#include "base/flavour.h"
#include "base/layer.h"

#include <stddef.h>
#include <stdint.h>

enum message_kind {
    MESSAGE_CHANNEL = 1,
    MESSAGE_DRAIN,
    MESSAGE_SHUT,
    MESSAGE_LEAVE,
    MESSAGE_RUN,
    MESSAGE_CANCEL,
    MESSAGE_ANSWERED,
    MESSAGE_VERDICT,
    MESSAGE_LAYER,
    MESSAGE_READY,
    MESSAGE_FAILED,
    MESSAGE_RETIRE,
    MESSAGE_GO,
    MESSAGE_SCRATCH,
    MESSAGE_CONSOLE,
    MESSAGE_OUTCOME,
    MESSAGE_CREW,
    MESSAGE_KEYS,
    MESSAGE_ALIVE,
};

/* How a worker ended, as the zygote saw it. */
enum ending {
    ENDING_EXIT = 1,  /* by itself; `code` is the exit status */
    ENDING_SIGNAL,    /* by a signal that the zygote did not send; `code` is its number */
    ENDING_DEADLINE,  /* killed: wall clock */
    ENDING_CPU,       /* killed by the kernel: CPU time */
    ENDING_MEMORY,    /* killed: memory */
    ENDING_SCRATCH,   /* killed: files */
    ENDING_THREADS,   /* killed: threads */
    ENDING_CANCELLED, /* killed: MESSAGE_CANCEL */
    ENDING_ANSWERED,  /* killed: MESSAGE_ANSWERED; CPU time and memory are not known yet */
    ENDING_NO_WORKER, /* never began: no worker could be made */
};

enum { ENDING_COUNT = ENDING_NO_WORKER + 1 };

struct verdict {
    uint32_t ending;
    uint32_t code;
    uint64_t wall_us;   /* from the hand-over to the worker to its end */
    uint64_t user_us;   /* CPU time of the job, without the worker's preparation */
    uint64_t system_us;
    uint64_t peak_bytes; /* resident memory above what the idle worker had */
};

/* What the zygote must know of a job to be its judge. */
struct run_order {
    uint64_t wall_ms;
    uint64_t cpu_ms;
    uint64_t memory_bytes;
    uint64_t scratch_bytes;
};

/* What only a zygote knows of its workers; sent when it has changed, and not more than five times a second. */
struct crew_report {
    uint32_t idle;
    uint32_t starting;
    uint64_t forks;  /* workers made since it began */
    uint64_t python; /* PY_VERSION_HEX of the interpreter that runs scripts */
};

struct layer_report {
    uint32_t layer; /* enum layer */
    struct layer_state state;
};

/* What an idle worker has used so far, and what the job's limits are counted from. */
struct worker_baseline {
    uint64_t user_us;
    uint64_t system_us;
    uint64_t address_bytes;  /* filled in by the zygote */
    uint64_t resident_bytes; /* likewise */
};

/* How the one run of a console ended; everything that there was to print has been written. */
struct console_end {
    uint32_t refused; /* 1: it never ran, the request was wrong */
    uint32_t outcome; /* enum outcome */
};

/* Who may call. The file has so many struct key (key.h), one behind the other. */
struct keys_notice {
    uint32_t on; /* 0: everybody may, and there is no file */
    uint32_t count;
};

struct message {
    uint32_t kind;
    uint32_t reserved;
    uint64_t job; /* the server's number for it; 0 where no job is meant */
    union {
        struct run_order run;
        struct verdict verdict;
        struct crew_report crew;
        struct layer_report layer;
        struct failure failure;
        struct worker_baseline baseline;
        uint64_t scratch_bytes; /* that it holds */
        struct console_end end;
        struct keys_notice keys;
        struct flavours flavours; /* MESSAGE_CHANNEL; MESSAGE_READY and MESSAGE_ALIVE to the manager */
    };
};

enum { MESSAGE_MAX_FDS = 4 };

/* How often MESSAGE_ALIVE is sent. */
enum { MESSAGE_ALIVE_MS = 1000 };

/* What comes along with MESSAGE_RUN; stdin only where a request has some. */
enum run_fd { RUN_CHANNEL, RUN_STDOUT, RUN_STDERR, RUN_STDIN };

/* What comes along with MESSAGE_CONSOLE: the request (console.h) and the script's stdin to read, what is printed
 * (console.h) to write. All are pipes. */
enum console_fd { CONSOLE_REQUEST, CONSOLE_STDIN, CONSOLE_PRINTED, CONSOLE_FDS };

/* So many messages are read from one peer before others are looked at: one that was taken over must not
 * keep the reader from its signals and deadlines. */
enum { MESSAGE_BURST = 32 };

/* Two ends, both close-on-exec. 0 or a negative errno. */
int message_pair(int ret_ends[2]);

/* Sends one message; the descriptors stay the caller's. 0 or a negative errno: -EAGAIN where the other
 * end does not read, -EPIPE where it is gone. Never raises SIGPIPE. */
int message_send(int fd, const struct message *message, const int *fds, size_t fd_count);

/* Sends a MESSAGE_LAYER for each layer. 0, or the first negative errno. */
int message_send_layers(int fd, const struct isolation *isolation);

/* Receives one message. 1 with the message and its descriptors (now the caller's; unset ones are -1),
 * 0 where the other end has closed, or a negative errno: -EAGAIN on an idle non-blocking socket, or for want of memory,
 * -EBADMSG for a packet of the wrong size, whose descriptors have been closed. */
int message_receive(int fd, struct message *ret_message, int ret_fds[MESSAGE_MAX_FDS]);

/* How many are set, before the first that is not. */
size_t message_count_fds(const int fds[MESSAGE_MAX_FDS]);

/* Closes what came along with a message and unsets it; unset ones are left alone. */
void message_close_fds(int fds[MESSAGE_MAX_FDS]);

#endif
