/* System-call filters: see seccomp.h and seccomp_table.c. */
#include "sandbox/seccomp.h"

#include "base/fd.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { API_LEVEL = 3 };

static uint32_t action_of(enum seccomp_action action) {
    switch (action) {
    case SECCOMP_PATH:
    case SECCOMP_OPEN_PATH:
    case SECCOMP_OWN:
    case SECCOMP_OWN_PATH:
    case SECCOMP_ID:
    case SECCOMP_ALLOW: return SCMP_ACT_ALLOW;
    case SECCOMP_NOTHING: return SCMP_ACT_ERRNO(0);
    case SECCOMP_ABSENT: return SCMP_ACT_ERRNO(ENOSYS);
    case SECCOMP_UNSUPPORTED: return SCMP_ACT_ERRNO(ENOTSUP);
    case SECCOMP_KILL: return SCMP_ACT_KILL_PROCESS;
    }
    return SCMP_ACT_KILL_PROCESS;
}

/* Handed to the view (SIGSYS) but where it carries the view's own mark: see view.c. */
static int add_viewed(scmp_filter_ctx context, int number) {
    int r = seccomp_rule_add(context, SCMP_ACT_TRAP, number, 1, SCMP_CMP64(5, SCMP_CMP_NE, SECCOMP_VIEW_MARK));
    return r < 0 ? r : seccomp_rule_add(context, SCMP_ACT_ALLOW, number, 1, SCMP_CMP64(5, SCMP_CMP_EQ, SECCOMP_VIEW_MARK));
}

static int add_rule(scmp_filter_ctx context, const struct seccomp_rule *rule, unsigned view) {
    struct scmp_arg_cmp conditions[3];
    unsigned count = 0;
    int number = seccomp_syscall_resolve_name(rule->call);
    /* Not a call of this architecture, or newer than the library: the default stands. */
    if (number < 0)
        return 0;
    bool own = rule->action == SECCOMP_OWN || rule->action == SECCOMP_OWN_PATH;
    if (own && (view & SECCOMP_SHARED_OWNER) != 0)
        return seccomp_rule_add(context, action_of(SECCOMP_NOTHING), number, 0);
    if (rule->action == SECCOMP_OPEN_PATH && (view & SECCOMP_VIEWED_PATHS) != 0)
        return seccomp_rule_add(context, SCMP_ACT_TRAP, number, 0);
    bool path = rule->action == SECCOMP_PATH || rule->action == SECCOMP_OWN_PATH;
    if ((path && (view & SECCOMP_VIEWED_PATHS) != 0) ||
        (rule->action == SECCOMP_ID && (view & SECCOMP_VIEWED_IDS) != 0))
        return add_viewed(context, number);
    while (count < 3 && rule->conditions[count].mask != 0) {
        const struct seccomp_condition *condition = &rule->conditions[count];
        conditions[count++] = SCMP_CMP64(condition->index, SCMP_CMP_MASKED_EQ, condition->mask, condition->value);
    }
    return seccomp_rule_add_array(context, action_of(rule->action), number, count, conditions);
}

/* libseccomp hands a program out through a descriptor only. */
static int export_program(scmp_filter_ctx context, struct seccomp_program *ret_program) {
    cleanup_fd int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = seccomp_export_bpf(context, fd);
    if (r < 0)
        return r;
    off_t size = lseek(fd, 0, SEEK_END);
    if (size <= 0 || size % (off_t)sizeof(struct sock_filter) != 0 || lseek(fd, 0, SEEK_SET) < 0)
        return -EIO;
    struct sock_filter *code = malloc((size_t)size);
    if (code == NULL)
        return -ENOMEM;
    r = fd_read_all(fd, code, (size_t)size);
    if (r < 0) {
        free(code);
        return r;
    }
    *ret_program = (struct seccomp_program){
        .code = code, .length = (unsigned short)((size_t)size / sizeof(struct sock_filter))};
    return 0;
}

int seccomp_prepare(const struct seccomp_rule *rules, size_t count, unsigned view, struct seccomp_program *ret_program,
                    struct failure *ret_failure) {
    /* The actions of Linux 4.14, which libseccomp would else ask the kernel for: gVisor has them and not the
     * question. Whether they work is for the witness to see. */
    if (seccomp_api_get() < API_LEVEL)
        seccomp_api_set(API_LEVEL);
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    const char *what = "seccomp_init";
    int r = context == NULL ? -ENOMEM : 0;
    if (r == 0)
        r = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* A binary tree instead of a list: a hundred comparisons become seven. */
    if (r == 0)
        r = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; r == 0 && i < count; i++) {
        what = rules[i].call;
        r = add_rule(context, &rules[i], view);
    }
    if (r == 0)
        r = export_program(context, ret_program);
    seccomp_release(context);
    if (r < 0)
        return failure_set(ret_failure, -r, "seccomp", "cannot compile the filter (%s): %s", what, strerror(-r));
    return 0;
}

void seccomp_done(struct seccomp_program *program) {
    free(program->code);
    *program = (struct seccomp_program){0};
}

int seccomp_enter(struct seccomp_program *program, struct failure *ret_failure) {
    uint32_t self = (uint32_t)getpid();
    struct sock_fprog filter = {.len = program->length, .filter = program->code};
    for (size_t i = 0; i < program->length; i++) {
        struct sock_filter *step = &program->code[i];
        if (BPF_CLASS(step->code) == BPF_JMP && step->k == SECCOMP_SELF)
            step->k = self;
    }
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
        return failure_set(ret_failure, errno, "seccomp", "installing the filter was refused: %s",
                           strerror(errno));
    return 0;
}
