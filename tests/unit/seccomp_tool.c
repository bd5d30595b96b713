/* Prints the table of system calls, for tests/security/test_seccomp_audit.py: a line for each rule, its
 * action and call, and for each condition the argument's index, the mask and the value, in hexadecimal.
 * Not a test by itself. */
#include "sandbox/seccomp_table.h"

#include <inttypes.h>
#include <stdio.h>

static const char *action_name(enum seccomp_action action) {
    switch (action) {
    case SECCOMP_PATH:
    case SECCOMP_OPEN_PATH:
    case SECCOMP_OWN:
    case SECCOMP_OWN_PATH:
    case SECCOMP_ID:
    case SECCOMP_ALLOW: return "allow";
    case SECCOMP_NOTHING: return "nothing";
    case SECCOMP_ABSENT: return "absent";
    case SECCOMP_UNSUPPORTED: return "unsupported";
    case SECCOMP_KILL: return "kill";
    }
    return "unknown";
}

/* A worker is process 1 of its namespace. */
static uint64_t value_of(const struct seccomp_condition *condition) {
    return condition->value == SECCOMP_SELF ? 1 : condition->value;
}

int main(void) {
    for (size_t i = 0; i < seccomp_rule_count; i++) {
        const struct seccomp_rule *rule = &seccomp_rules[i];
        printf("%s %s", action_name(rule->action), rule->call);
        for (size_t k = 0; k < 3 && rule->conditions[k].mask != 0; k++)
            printf(" %x %" PRIx64 " %" PRIx64, (unsigned)rule->conditions[k].index, rule->conditions[k].mask,
                   value_of(&rule->conditions[k]));
        putchar('\n');
    }
    return 0;
}
