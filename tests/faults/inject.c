/* Makes one system call of one process of the service fail: inject SOCKET COMMAND ...
 *
 * Runs COMMAND in its own place, with the same process id, and sits behind it and all that it starts as their tracer
 * (ptrace(2)). Nothing in the service knows of it, no library call goes past it, and what it changes is what the kernel
 * answers. It needs no capability: it is asked in by the one that it begins with, and inherited by the rest.
 *
 * SOCKET is a listening Unix socket of whoever gives orders, one a line:
 *
 *   arm ROLE CALL ACTION NTH TIMES    ok, and a line `hit PID ROLE CALL` each time that it happens
 *   disarm                            ok
 *   census                            `ROLE CALL COUNT` of all calls since the last one, then ok
 *   clocks                            from the next program on the time is asked of the kernel, as a call; a census then has
 *                                     `clock_gettime:ID` for each clock
 *   jump SECONDS                      ok; the clock that can be set (CLOCK_REALTIME) is so much ahead from now on
 *   go                                before it nothing is started
 *
 * ROLE is of the list below. ACTION is error:ERRNO, the call is not made; after:ERRNO, it is made, and is said to have
 * failed; short, it is made with half of the bytes, or the first of the vectors; kill, the process dies in place of it;
 * stop, it never comes back. The first call to be hit is the NTH one from now on, and then TIMES of them are.
 *
 * It knows the registers of x86-64.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 512, CLOCKS = 16, TRACEES = 1024, HARMLESS = SYS_getpid };

/* Who makes a call. `loader`: what is in a fresh program before its main(). `launch`: a child of the manager before it
 * executes its program. `fork`: a child of the zygote or the server that has no name yet. */
enum role { NOBODY, MANAGER, LAUNCH, LOADER, SERVER, ZYGOTE, FORK, FLAVOUR, WORKER, ROLES };
static const char *const role_names[ROLES] = {"nobody", "manager", "launch", "loader", "server", "zygote", "fork", "flavour", "worker"};

enum action { NONE, ERROR, AFTER, SHORT, KILL, STOP };

struct tracee {
    pid_t pid;
    enum role role;
    enum role then;     /* behind the loader */
    enum action action; /* of the call that it is in */
    unsigned long long kept; /* a register that was changed for it */
};

static struct tracee tracees[TRACEES];
static unsigned long counts[ROLES][CALLS], clock_counts[ROLES][CLOCKS];
static bool clocks_are_calls;
static long jump_s;
static int control = -1;
static struct {
    enum role role;
    int call;
    enum action action;
    int error;
    unsigned long nth, times, seen;
} fault;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
    _exit(EXIT_FAILURE);
}

static struct tracee *find(pid_t pid) {
    for (size_t i = 0; i < TRACEES; i++)
        if (tracees[i].pid == pid)
            return &tracees[i];
    return NULL;
}

static struct tracee *add(pid_t pid, enum role role) {
    struct tracee *tracee = find(0);
    if (tracee == NULL)
        fail("too many processes");
    *tracee = (struct tracee){.pid = pid, .role = role};
    return tracee;
}

static const char *name_of(unsigned call) {
    static char number[16];
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)call);
    static char kept[64];
    snprintf(number, sizeof number, "%u", call);
    snprintf(kept, sizeof kept, "%s", name != NULL ? name : number);
    free(name);
    return kept;
}

/* --- Roles --- */

static enum role role_of_program(pid_t pid) {
    char path[64], program[4096] = "";
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(path, program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    const char *name = strrchr(program, '/');
    name = name != NULL ? name + 1 : program;
    return strcmp(name, "python-executor") == 0          ? MANAGER
           : strcmp(name, "python-executor-server") == 0 ? SERVER
           : strcmp(name, "python-executor-zygote") == 0 ? ZYGOTE
                                                         : NOBODY;
}

/* A number in /proc/PID/status, or 0. */
static pid_t status_field(pid_t pid, const char *name) {
    char path[64], line[256];
    int number = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            number = atoi(line + strlen(name));
    fclose(file);
    return number;
}

/* By whose it is, and not by its parent's word of it (PTRACE_EVENT_FORK): that may come when the child has made calls. */
static enum role role_at_birth(pid_t pid) {
    pid_t leader = status_field(pid, "Tgid:");
    const struct tracee *above = find(leader != pid ? leader : status_field(pid, "PPid:"));
    enum role role = above != NULL ? above->role : NOBODY;
    return leader != pid || role == NOBODY ? role : role == MANAGER ? LAUNCH : FORK;
}

/* Those that are forks of others have their names by prctl(PR_SET_NAME). */
static void was_named(struct tracee *tracee) {
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)tracee->pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(name, sizeof name, file) != NULL && tracee->role == FORK)
        tracee->role = strncmp(name, "worker", 6) == 0 ? WORKER : strncmp(name, "zygote-", 7) == 0 ? FLAVOUR : FORK;
    fclose(file);
}

static void get_registers(const struct tracee *tracee, struct user_regs_struct *ret_registers) {
    ptrace(PTRACE_GETREGS, tracee->pid, NULL, ret_registers);
}

static void set_registers(const struct tracee *tracee, const struct user_regs_struct *registers) {
    ptrace(PTRACE_SETREGS, tracee->pid, NULL, registers);
}

/* --- Clocks --- */

/* The kernel tells a program where its answers to the time are (vdso(7)), behind the environment on the stack that it begins
 * with. Who is not told asks by a system call. */
static void hide_vdso(const struct tracee *tracee) {
    enum { VECTOR = AT_SYSINFO_EHDR, NOTHING = AT_IGNORE };
    struct user_regs_struct registers;
    get_registers(tracee, &registers);
    unsigned long long at = registers.rsp + sizeof(long); /* behind argc */
    for (int lists = 0; lists < 2; at += sizeof(long))
        lists += ptrace(PTRACE_PEEKDATA, tracee->pid, (void *)at, NULL) == 0;
    for (long type; (type = ptrace(PTRACE_PEEKDATA, tracee->pid, (void *)at, NULL)) != AT_NULL; at += 2 * sizeof(long))
        if (type == VECTOR && ptrace(PTRACE_POKEDATA, tracee->pid, (void *)at, (void *)NOTHING) < 0)
            fail("PTRACE_POKEDATA");
}

/* Whichever of the calls it was, seconds come first. */
static void set_clock_ahead(const struct tracee *tracee, struct user_regs_struct *registers) {
    bool is_settable = registers->rdi == CLOCK_REALTIME || registers->rdi == CLOCK_REALTIME_COARSE;
    unsigned long long at = registers->orig_rax == SYS_clock_gettime && is_settable ? registers->rsi
                            : registers->orig_rax == SYS_gettimeofday                ? registers->rdi
                                                                                     : 0;
    if (registers->orig_rax == SYS_time) {
        registers->rax += (unsigned long long)jump_s;
        set_registers(tracee, registers);
    } else if (at != 0) {
        long seconds = ptrace(PTRACE_PEEKDATA, tracee->pid, (void *)at, NULL);
        ptrace(PTRACE_POKEDATA, tracee->pid, (void *)at, (void *)(seconds + jump_s));
    }
}

/* --- Faults --- */

static bool is_to_be_hit(const struct tracee *tracee, unsigned call) {
    if (fault.action == NONE || fault.role != tracee->role || fault.call != (int)call)
        return false;
    unsigned long at = ++fault.seen;
    return at >= fault.nth && at - fault.nth < fault.times;
}

static void say(const char *line) {
    if (send(control, line, strlen(line), MSG_NOSIGNAL) < 0)
        fail("send");
}

/* A packet is whole or not at all. */
static bool is_of_packets(pid_t pid, int fd) {
    int type = SOCK_STREAM;
    socklen_t size = sizeof type;
    int process = (int)syscall(SYS_pidfd_open, pid, 0);
    int copy = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
    getsockopt(copy, SOL_SOCKET, SO_TYPE, &type, &size);
    close(copy);
    close(process);
    return type != SOCK_STREAM;
}

/* Where nothing can be short the call is left alone. */
static void make_short(struct tracee *tracee, struct user_regs_struct *registers) {
    bool vectors = registers->orig_rax == SYS_writev || registers->orig_rax == SYS_readv;
    if (registers->rdx < 2 || is_of_packets(tracee->pid, (int)registers->rdi))
        return;
    tracee->action = SHORT;
    tracee->kept = registers->rdx;
    registers->rdx = vectors ? 1 : registers->rdx / 2;
    set_registers(tracee, registers);
}

/* Whether it goes on. */
static bool hit(struct tracee *tracee, unsigned call) {
    char line[128];
    struct user_regs_struct registers;
    snprintf(line, sizeof line, "hit %d %s %s\n", (int)tracee->pid, role_names[tracee->role], name_of(call));
    /* Of many that nobody reads it is enough to have told the first. */
    (void)send(control, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
    get_registers(tracee, &registers);
    switch (fault.action) {
    case ERROR:
        tracee->action = ERROR;
        tracee->kept = (unsigned long long)-fault.error;
        registers.orig_rax = HARMLESS;
        set_registers(tracee, &registers);
        return true;
    case AFTER:
        tracee->action = AFTER;
        tracee->kept = (unsigned long long)-fault.error;
        return true;
    case SHORT: make_short(tracee, &registers); return true;
    case KILL: kill(tracee->pid, SIGKILL); return true;
    case STOP: return false;
    default: return true;
    }
}

/* Whether it goes on. */
static bool enters(struct tracee *tracee, unsigned call, unsigned long clock) {
    if (call < CALLS)
        counts[tracee->role][call]++;
    if (call == SYS_clock_gettime && clock < CLOCKS)
        clock_counts[tracee->role][clock]++;
    return !is_to_be_hit(tracee, call) || hit(tracee, call);
}

static void leaves(struct tracee *tracee) {
    struct user_regs_struct registers;
    get_registers(tracee, &registers);
    if (tracee->action == ERROR || tracee->action == AFTER)
        registers.rax = tracee->kept;
    if (tracee->action == SHORT)
        registers.rdx = tracee->kept;
    if (tracee->action != NONE)
        set_registers(tracee, &registers);
    tracee->action = NONE;
    if (registers.orig_rax == SYS_prctl)
        was_named(tracee);
    if (jump_s != 0)
        set_clock_ahead(tracee, &registers);
    /* The C library's loader unmaps one thing, the index of libraries, and that last. */
    if (tracee->role == LOADER && registers.orig_rax == SYS_munmap)
        tracee->role = tracee->then;
}

/* --- Stops --- */

static bool take_call(struct tracee *tracee) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, tracee->pid, sizeof info, &info) < 0)
        return true;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        return enters(tracee, (unsigned)info.entry.nr, info.entry.args[0]);
    if (info.op == PTRACE_SYSCALL_INFO_EXIT)
        leaves(tracee);
    return true;
}

static void was_executed(struct tracee *tracee) {
    tracee->then = role_of_program(tracee->pid);
    tracee->role = tracee->then == NOBODY ? NOBODY : LOADER;
    tracee->action = NONE;
    if (clocks_are_calls)
        hide_vdso(tracee);
}

static void take_stop(pid_t pid, int status) {
    struct tracee *tracee = find(pid);
    int sign = WSTOPSIG(status), event = status >> 16;
    if (!WIFSTOPPED(status)) {
        if (tracee != NULL)
            *tracee = (struct tracee){0};
        return;
    }
    if (tracee == NULL)
        tracee = add(pid, role_at_birth(pid));
    if (event == PTRACE_EVENT_STOP) {
        bool group = sign == SIGSTOP || sign == SIGTSTP || sign == SIGTTIN || sign == SIGTTOU;
        ptrace(group ? PTRACE_LISTEN : PTRACE_SYSCALL, pid, NULL, NULL);
    } else if (event != 0) {
        if (event == PTRACE_EVENT_EXEC)
            was_executed(tracee);
        ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
    } else if (sign == (SIGTRAP | 0x80)) {
        if (take_call(tracee))
            ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
    } else {
        ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)sign);
    }
}

/* --- Orders --- */

static enum role role_named(const char *name) {
    for (enum role role = NOBODY; role < ROLES; role++)
        if (strcmp(role_names[role], name) == 0)
            return role;
    fail(name);
}

static void arm(const char *line) {
    char role[32], call[64], action[32];
    if (sscanf(line, "arm %31s %63s %31s %lu %lu", role, call, action, &fault.nth, &fault.times) != 5)
        fail(line);
    fault.seen = 0;
    fault.role = role_named(role);
    fault.call = seccomp_syscall_resolve_name(call);
    const char *number = strchr(action, ':');
    fault.error = number != NULL ? atoi(number + 1) : 0;
    fault.action = strncmp(action, "error:", 6) == 0   ? ERROR
                   : strncmp(action, "after:", 6) == 0 ? AFTER
                   : strcmp(action, "short") == 0      ? SHORT
                   : strcmp(action, "kill") == 0       ? KILL
                   : strcmp(action, "stop") == 0       ? STOP
                                                       : NONE;
    if (fault.action == NONE || fault.call < 0)
        fail(line);
}

static void tell_census(void) {
    char line[128];
    for (int role = NOBODY + 1; role < ROLES; role++) {
        for (unsigned call = 0; call < CALLS; call++) {
            snprintf(line, sizeof line, "%s %s %lu\n", role_names[role], name_of(call), counts[role][call]);
            if (counts[role][call] > 0)
                say(line);
        }
        for (unsigned clock = 0; clock < CLOCKS; clock++) {
            snprintf(line, sizeof line, "%s clock_gettime:%u %lu\n", role_names[role], clock, clock_counts[role][clock]);
            if (clock_counts[role][clock] > 0)
                say(line);
        }
    }
    memset(counts, 0, sizeof counts);
    memset(clock_counts, 0, sizeof clock_counts);
}

/* Whether it is `go`. */
static bool obey(const char *line) {
    if (strncmp(line, "arm ", 4) == 0)
        arm(line);
    else if (strcmp(line, "disarm") == 0)
        fault.action = NONE;
    else if (strcmp(line, "census") == 0)
        tell_census();
    else if (strcmp(line, "clocks") == 0)
        clocks_are_calls = true;
    else if (strncmp(line, "jump ", 5) == 0)
        jump_s = atol(line + 5);
    else if (strcmp(line, "go") != 0)
        fail(line);
    say("ok\n");
    return strcmp(line, "go") == 0;
}

/* One line; the tracees run on meanwhile as far as their next stop. */
static bool take_order(void) {
    char line[256];
    for (size_t length = 0; length < sizeof line; length++) {
        if (read(control, line + length, 1) != 1)
            _exit(EXIT_FAILURE); /* whoever gave orders is gone; PTRACE_O_EXITKILL */
        if (line[length] != '\n')
            continue;
        line[length] = '\0';
        return obey(line);
    }
    fail("an order without an end");
}

/* --- The tracer --- */

static bool any_is_left(void) {
    for (size_t i = 0; i < TRACEES; i++)
        if (tracees[i].pid != 0)
            return true;
    return false;
}

static void take_stops(void) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
        take_stop(pid, status);
}

static _Noreturn void trace(pid_t command, int begin) {
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                         PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    struct signalfd_siginfo ignored[8];
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    setsid(); /* Ctrl-C is for whoever gave orders */
    if (ptrace(PTRACE_SEIZE, command, NULL, (void *)options) < 0 || ptrace(PTRACE_INTERRUPT, command, NULL, NULL) < 0)
        fail("ptrace");
    add(command, NOBODY);
    while (!take_order())
        continue;
    if (write(begin, "", 1) != 1)
        fail("write");
    close(begin);
    take_stops();
    while (any_is_left()) {
        struct pollfd polls[] = {{.fd = signals, .events = POLLIN}, {.fd = control, .events = POLLIN}};
        poll(polls, 2, -1);
        while (read(signals, ignored, sizeof ignored) > 0)
            continue;
        take_stops();
        if (polls[1].revents != 0)
            (void)take_order();
    }
    _exit(EXIT_SUCCESS);
}

static void be_given_orders(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (control < 0 || connect(control, (const struct sockaddr *)&address, sizeof address) < 0)
        fail(path);
}

int main(int argc, char **argv) {
    int begin[2];
    char byte;
    pid_t command = getpid();
    if (argc < 3 || pipe2(begin, O_CLOEXEC) < 0)
        fail("inject SOCKET COMMAND ...");
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    pid_t between = fork();
    if (between == 0) {
        /* Not a child of the command, which waits for all that it has. */
        if (fork() != 0)
            _exit(EXIT_SUCCESS);
        close(begin[0]);
        be_given_orders(argv[1]);
        /* Nor to be taken for one of the service's own processes. */
        for (int i = 2; i < argc; i++)
            memset(argv[i], 0, strlen(argv[i]));
        trace(command, begin[1]);
    }
    close(begin[1]);
    waitpid(between, NULL, 0);
    if (read(begin[0], &byte, 1) != 1)
        return EXIT_FAILURE;
    close(begin[0]);
    execv(argv[2], argv + 2);
    fail(argv[2]);
}
