/* A worker's life, from top to bottom: see worker.h.
 *
 * It starts with the zygote's privileges and memory, holds nothing else than four descriptors, waits
 * for its ids, goes through all layers, rehearses, and from then on is what a script may take over.
 */
#include "zygote/worker.h"

#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/rlimits.h"
#include "wire/frame.h"
#include "wire/message.h"
#include "zygote/python.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { WORKER_CONTROL = 3, WORKER_CHANNEL = 3, WORKER_FDS = 4, WORKER_LINGER_MS = 50 };

/* A worker's own way out: nothing registered with atexit, by whomever, is run. */
static _Noreturn void give_up(int control, const struct failure *failure) {
    struct message message = {.kind = MESSAGE_FAILED, .failure = *failure};
    message_send(control, &message, NULL, 0);
    _exit(EXIT_FAILURE);
}

/* Standard streams on /dev/null (the zygote's 0 is), the control socket on 3, nothing else. */
static int keep_four_descriptors(int control) {
    int r;
    if ((r = fd_install(STDIN_FILENO, STDOUT_FILENO)) < 0 || (r = fd_install(STDIN_FILENO, STDERR_FILENO)) < 0 ||
        (r = fd_install(control, WORKER_CONTROL)) < 0)
        return r;
    return fd_close_from(WORKER_FDS);
}

static void reset_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void wait_for_go(void) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    /* The zygote has died or given this worker up: nobody is left to tell. */
    if (message_receive(WORKER_CONTROL, &message, fds) != 1 || message.kind != MESSAGE_GO)
        _exit(EXIT_FAILURE);
}

/* While we may pass descriptors: to be resized when there is a job. */
static void show_scratch(struct scratch *scratch) {
    struct message message = {.kind = MESSAGE_SCRATCH, .scratch_bytes = scratch->tmpfs_bytes};
    if (scratch->tmpfs_fd < 0)
        return;
    if (message_send(WORKER_CONTROL, &message, &scratch->tmpfs_fd, 1) < 0)
        _exit(EXIT_FAILURE);
    scratch->tmpfs_fd = fd_close(scratch->tmpfs_fd);
}

static void say_ready(void) {
    struct message message = {.kind = MESSAGE_READY};
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    message.baseline.user_us = clock_timeval_us(usage.ru_utime);
    message.baseline.system_us = clock_timeval_us(usage.ru_stime);
    if (message_send(WORKER_CONTROL, &message, NULL, 0) < 0)
        _exit(EXIT_FAILURE);
}

/* Blocks until there is a job; the channel takes the control socket's place. */
static struct worker_baseline receive_job(void) {
    struct message message;
    int fds[MESSAGE_MAX_FDS];
    if (message_receive(WORKER_CONTROL, &message, fds) != 1 || message.kind != MESSAGE_RUN || fds[RUN_STDERR] < 0)
        _exit(EXIT_SUCCESS); /* not needed any more */
    /* Without a stdin of its own it keeps /dev/null. */
    if (fd_install(fds[RUN_STDOUT], STDOUT_FILENO) < 0 || fd_install(fds[RUN_STDERR], STDERR_FILENO) < 0 ||
        (fds[RUN_STDIN] >= 0 && fd_install(fds[RUN_STDIN], STDIN_FILENO) < 0) ||
        fd_install(fds[RUN_CHANNEL], WORKER_CHANNEL) < 0)
        _exit(EXIT_FAILURE);
    message_close_fds(fds);
    return message.baseline;
}

static void set_limits(const struct policy *policy, const struct job_order *order, const struct worker_baseline *baseline) {
    uint64_t used_us = baseline->user_us + baseline->system_us;
    struct job_rlimits limits = {
        .cpu_seconds = (used_us + order->cpu_ms * 1000 + 999999) / 1000000,
        .address_bytes = baseline->address_bytes + RLIMITS_ADDRESS_FACTOR * order->memory_bytes,
        .file_bytes = order->file_bytes,
    };
    if (policy_uses(policy, LAYER_RLIMITS) && rlimits_job(&limits) < 0)
        _exit(EXIT_FAILURE);
}

/* The payload, whose beginning is the order, stays the reader's. */
static int read_job(struct frame_reader *reader, struct job_order *ret_order) {
    frame_reader_init(reader, UINT32_MAX);
    int r = frame_read(reader, WORKER_CHANNEL);
    if (r != 1 || reader->header.kind != FRAME_JOB || reader->payload.len < sizeof *ret_order)
        return -EBADMSG;
    *ret_order = *(const struct job_order *)(const void *)reader->payload.data;
    return 0;
}

static int run(const struct job_order *order, struct frame_reader *reader, struct python_answer *ret_answer) {
    int r = python_load(order, reader->payload.data + sizeof *order, reader->payload.len - sizeof *order);
    frame_reader_done(reader); /* it may be as large as the request, and Python has its own copy */
    if (r < 0 && r != -ENOMEM)
        return r;
    if (r == 0)
        return python_run(order, ret_answer);
    static const char words[] = "MemoryError", nothing[] = {FRAME_SOME, 'n', 'u', 'l', 'l'};
    *ret_answer = (struct python_answer){.kind = FRAME_MEMORY, .text = words, .text_size = sizeof words - 1,
                                         .outputs = nothing,
                                         .outputs_size = (order->flags & JOB_ANY_OUTPUTS) != 0 ? sizeof nothing : 0};
    return 0;
}

static _Noreturn void do_job(const struct policy *policy, const struct worker_baseline *baseline) {
    struct frame_reader reader;
    struct job_order order;
    struct python_answer answer;
    if (read_job(&reader, &order) < 0)
        _exit(EXIT_FAILURE);
    set_limits(policy, &order, baseline);
    if (run(&order, &reader, &answer) < 0)
        _exit(EXIT_FAILURE);
    const struct iovec parts[FRAME_MAX_PARTS] = {{(void *)answer.text, answer.text_size},
                                                 {(void *)"", answer.details_size > 0 ? 1 : 0},
                                                 {(void *)answer.details, answer.details_size},
                                                 {(void *)"", 1},
                                                 {(void *)answer.outputs, answer.outputs_size}};
    if (frame_write(WORKER_CHANNEL, answer.kind, parts, answer.outputs_size > 0 ? 5 : 3) < 0)
        _exit(EXIT_FAILURE);
    /* The exit of a process of this size keeps a CPU busy that the answer needs; the keeper ends us as
     * soon as it is through. Not so where the figures of the end are wanted, nor, after a while, where the
     * script has written to the channel before us and the server waits for the rest of something else. */
    if ((order.flags & JOB_DETAILS) == 0)
        poll(NULL, 0, WORKER_LINGER_MS);
    /* Not exit(): threads the script left running must not keep us, nor its atexit functions. */
    _exit(EXIT_SUCCESS);
}

_Noreturn void worker_main(int control, struct sandbox *sandbox, unsigned slot, bool hurry) {
    struct failure failure = {0};
    int r = keep_four_descriptors(control);
    if (r < 0) {
        failure_set(&failure, -r, "descriptors", "cannot close what the zygote has open");
        give_up(control, &failure);
    }
    reset_signals();
    prctl(PR_SET_NAME, "worker", 0, 0, 0); /* for ps(1) */
    /* A group of its own, so that the keeper can speak of all its threads at once. */
    setpgid(0, 0);
    wait_for_go();
    if (sandbox_enter_scratch(sandbox, slot, &failure) < 0)
        give_up(WORKER_CONTROL, &failure);
    show_scratch(&sandbox->scratch);
    if (sandbox_enter_layers(sandbox, slot, &failure) < 0)
        give_up(WORKER_CONTROL, &failure);
    if (python_warm_up(!hurry) < 0) {
        failure_set(&failure, EIO, "Python", "the rehearsal failed behind the confinement");
        give_up(WORKER_CONTROL, &failure);
    }
    say_ready();
    struct worker_baseline baseline = receive_job();
    do_job(&sandbox->policy, &baseline);
}
