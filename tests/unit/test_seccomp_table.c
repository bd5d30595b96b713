/* sandbox/seccomp_table: the table as data. Nothing is installed here; test_seccomp.c feels the filter. */
#include "unit.h"

#include "sandbox/seccomp_table.h"

#include <seccomp.h>

static unsigned count_conditions(const struct seccomp_rule *rule) {
    unsigned count = 0;
    while (count < 3 && rule->conditions[count].mask != 0)
        count++;
    return count;
}

/* Names that nobody may add in passing. */
static void test_the_table_has_none_of_these(void **state) {
    static const char *const never[] = {
        "fork", "vfork", "io_uring_enter", "io_uring_register", "execve", "execveat", "socket", "connect",
        "bind", "listen", "accept", "accept4", "sendmsg", "sendmmsg", "ptrace", "process_vm_readv",
        "process_vm_writev", "pidfd_open", "pidfd_getfd", "io_uring_setup", "bpf", "userfaultfd",
        "perf_event_open", "keyctl", "add_key", "request_key", "mount", "umount2", "pivot_root", "chroot",
        "unshare", "setns", "open_by_handle_at", "name_to_handle_at", "memfd_create", "memfd_secret",
        "shmget", "shmat", "shmctl", "msgsnd", "semop", "msgget", "semget", "mq_open", "splice", "vmsplice",
        "tee", "setuid", "setresuid", "setgid", "setgroups", "capset", "seccomp", "personality", "kexec_load",
        "init_module", "finit_module", "reboot", "swapon", "syslog", "iopl", "ioperm", "modify_ldt", "mknod",
        "mknodat", "clone3", "pidfd_send_signal", "sched_setscheduler", "sched_setaffinity", "setpriority",
        "timer_create", "timerfd_create", "signalfd4", "inotify_init1", "fanotify_init",
        "landlock_create_ruleset", "rt_sigqueueinfo", "tkill",
    };
    (void)state;
    for (size_t i = 0; i < seccomp_rule_count; i++)
        for (size_t k = 0; k < sizeof never / sizeof never[0]; k++)
            if (seccomp_rules[i].action <= SECCOMP_ID && strcmp(seccomp_rules[i].call, never[k]) == 0)
                fail_msg("%s is allowed", never[k]);
}

/* A second rule for a call that is allowed as it is would mean that a condition is void. */
static void test_no_condition_is_void(void **state) {
    (void)state;
    for (size_t i = 0; i < seccomp_rule_count; i++)
        for (size_t k = 0; k < seccomp_rule_count; k++)
            if (i != k && seccomp_rules[i].conditions[0].mask == 0 &&
                strcmp(seccomp_rules[i].call, seccomp_rules[k].call) == 0)
                fail_msg("%s stands twice", seccomp_rules[i].call);
}

/* The compiler of the filter stops at the first empty condition, and would leave out one behind it. */
static void test_conditions_have_no_gap(void **state) {
    (void)state;
    for (size_t i = 0; i < seccomp_rule_count; i++)
        for (unsigned k = count_conditions(&seccomp_rules[i]); k < 3; k++)
            if (seccomp_rules[i].conditions[k].mask != 0)
                fail_msg("%s has a condition behind an empty one", seccomp_rules[i].call);
}

/* A value with bits outside its mask equals nothing: the rule would never apply. */
static void test_conditions_can_be_met(void **state) {
    (void)state;
    for (size_t i = 0; i < seccomp_rule_count; i++)
        for (unsigned k = 0; k < count_conditions(&seccomp_rules[i]); k++) {
            const struct seccomp_condition *condition = &seccomp_rules[i].conditions[k];
            if ((condition->value & ~condition->mask) != 0 || condition->index > 5)
                fail_msg("%s: condition %u cannot be met", seccomp_rules[i].call, k);
        }
}

/* Looked at in the wrong place a condition lets everything through that happens to hold its value elsewhere. */
static void test_conditions_look_at_the_right_arguments(void **state) {
    static const struct {
        const char *call;
        unsigned arguments; /* a bit each */
    } looked_at[] = {
        {"fcntl", 1 << 1},          {"ioctl", 1 << 1},           {"prctl", 1 << 0},
        {"clone", 1 << 0},          {"kill", 1 << 0 | 1 << 1},   {"tgkill", 1 << 0 | 1 << 2},
        {"prlimit64", 1 << 0},      {"sendto", 1 << 3 | 1 << 4}, {"socketpair", 1 << 0 | 1 << 1 | 1 << 2},
        {"recvfrom", 1 << 3},       {"recvmsg", 1 << 2},         {"getpriority", 1 << 0 | 1 << 1},
    };
    (void)state;
    for (size_t i = 0; i < seccomp_rule_count; i++) {
        unsigned expected = 0, got = 0;
        for (size_t k = 0; k < sizeof looked_at / sizeof looked_at[0]; k++)
            if (strcmp(looked_at[k].call, seccomp_rules[i].call) == 0)
                expected = looked_at[k].arguments;
        for (unsigned k = 0; k < count_conditions(&seccomp_rules[i]); k++)
            got |= 1u << seccomp_rules[i].conditions[k].index;
        if (got != expected)
            fail_msg("%s, rule %zu: looks at arguments %x, not %x", seccomp_rules[i].call, i, got, expected);
    }
}

/* A name nobody knows is skipped when the filter is compiled, so a slip of the pen would go unseen. Of a
 * call newer than the library only the absence can be said, which EPERM says less well. */
static void test_what_is_allowed_exists(void **state) {
    (void)state;
    for (size_t i = 0; i < seccomp_rule_count; i++)
        if (seccomp_rules[i].action != SECCOMP_ABSENT &&
            seccomp_syscall_resolve_name(seccomp_rules[i].call) == __NR_SCMP_ERROR)
            fail_msg("libseccomp knows no %s", seccomp_rules[i].call);
}

static void test_the_stand_in_is_no_pid(void **state) {
    (void)state;
    assert_true(SECCOMP_SELF > 1 << 22); /* PID_MAX_LIMIT, proc(5) */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_has_none_of_these),
        cmocka_unit_test(test_no_condition_is_void),
        cmocka_unit_test(test_conditions_have_no_gap),
        cmocka_unit_test(test_conditions_can_be_met),
        cmocka_unit_test(test_conditions_look_at_the_right_arguments),
        cmocka_unit_test(test_what_is_allowed_exists),
        cmocka_unit_test(test_the_stand_in_is_no_pid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
