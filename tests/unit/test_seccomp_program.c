/* sandbox/seccomp, compiled: the program says of every call what the table says, and nothing else. It is run
 * by an interpreter of the few instructions that libseccomp uses, so millions of calls can be asked about and
 * none is made. */
#include "unit.h"

#include "sandbox/seccomp.h"
#include "sandbox/seccomp_table.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>

#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum { NUMBERS = 600 }; /* there are fewer than 500 calls by now */

static const uint64_t JUNK = 1ull << 32;

static struct seccomp_program program;

static int prepare(void **state) {
    struct failure failure;
    (void)state;
    return seccomp_prepare(seccomp_rules, seccomp_rule_count, 0, &program, &failure);
}

static int release(void **state) {
    (void)state;
    seccomp_done(&program);
    return 0;
}

static bool jumps(const struct sock_filter *step, uint32_t value) {
    switch (BPF_OP(step->code)) {
    case BPF_JEQ: return value == step->k;
    case BPF_JGT: return value > step->k;
    case BPF_JGE: return value >= step->k;
    case BPF_JSET: return (value & step->k) != 0;
    default: fail_msg("a jump nobody knows: %x", step->code);
    }
    return false;
}

/* What the kernel would answer. */
static uint32_t answer(const struct seccomp_data *data) {
    uint32_t value = 0;
    for (size_t at = 0; at < program.length; at++) {
        const struct sock_filter *step = &program.code[at];
        if (step->code == (BPF_LD | BPF_W | BPF_ABS)) {
            assert_in_range(step->k, 0, sizeof *data - sizeof value);
            memcpy(&value, (const char *)data + step->k, sizeof value);
        } else if (step->code == (BPF_ALU | BPF_AND | BPF_K)) {
            value &= step->k;
        } else if (step->code == (BPF_JMP | BPF_JA)) {
            at += step->k;
        } else if (BPF_CLASS(step->code) == BPF_JMP && BPF_SRC(step->code) == BPF_K) {
            at += jumps(step, value) ? step->jt : step->jf;
        } else if (step->code == (BPF_RET | BPF_K)) {
            return step->k;
        } else {
            fail_msg("an instruction nobody knows: %x", step->code);
        }
    }
    fail_msg("the program runs beyond its end");
    return 0;
}

static bool applies(const struct seccomp_rule *rule, const struct seccomp_data *data) {
    if (seccomp_syscall_resolve_name(rule->call) != data->nr)
        return false;
    for (unsigned i = 0; i < 3 && rule->conditions[i].mask != 0; i++)
        if ((data->args[rule->conditions[i].index] & rule->conditions[i].mask) != rule->conditions[i].value)
            return false;
    return true;
}

/* What the table says. Of two rules that apply the stricter one counts. */
static uint32_t expected(const struct seccomp_data *data) {
    uint32_t verdict = SECCOMP_RET_ERRNO | EPERM;
    for (size_t i = 0; i < seccomp_rule_count; i++) {
        if (!applies(&seccomp_rules[i], data))
            continue;
        switch (seccomp_rules[i].action) {
        case SECCOMP_KILL: return SECCOMP_RET_KILL_PROCESS;
        case SECCOMP_ABSENT: return SECCOMP_RET_ERRNO | ENOSYS;
        case SECCOMP_UNSUPPORTED: return SECCOMP_RET_ERRNO | ENOTSUP;
        case SECCOMP_NOTHING: verdict = SECCOMP_RET_ERRNO; break;
        case SECCOMP_PATH:
        case SECCOMP_OPEN_PATH:
        case SECCOMP_OWN:
        case SECCOMP_OWN_PATH:
        case SECCOMP_ID:
        case SECCOMP_ALLOW: verdict = SECCOMP_RET_ALLOW;
        }
    }
    return verdict;
}

static void assert_agrees(const struct seccomp_data *data) {
    uint32_t got = answer(data);
    uint32_t wanted = expected(data);
    if (got != wanted)
        fail_msg("call %d(%llx, %llx, %llx, %llx, %llx): %x instead of %x", data->nr, data->args[0], data->args[1],
                 data->args[2], data->args[3], data->args[4], got, wanted);
}

static void test_every_call_without_arguments(void **state) {
    size_t allowed = 0;
    (void)state;
    for (int number = 0; number < NUMBERS; number++) {
        const struct seccomp_data data = {.nr = number, .arch = ARCHITECTURE};
        assert_agrees(&data);
        allowed += answer(&data) == SECCOMP_RET_ALLOW;
    }
    assert_in_range(allowed, 80, 200); /* it does distinguish */
}

/* Around every value that a condition names: its neighbours, and junk where the kernel does not look. */
static void test_every_condition(void **state) {
    (void)state;
    for (size_t i = 0; i < seccomp_rule_count; i++) {
        const struct seccomp_rule *rule = &seccomp_rules[i];
        struct seccomp_data met = {.nr = seccomp_syscall_resolve_name(rule->call), .arch = ARCHITECTURE};
        for (unsigned k = 0; k < 3 && rule->conditions[k].mask != 0; k++)
            met.args[rule->conditions[k].index] = rule->conditions[k].value;
        if (met.nr < 0)
            continue;
        assert_agrees(&met);
        for (unsigned k = 0; k < 3 && rule->conditions[k].mask != 0; k++)
            for (unsigned bit = 0; bit < 64; bit++) {
                struct seccomp_data changed = met;
                changed.args[rule->conditions[k].index] ^= 1ull << bit;
                assert_agrees(&changed);
                changed.args[rule->conditions[k].index] = rule->conditions[k].value ^ 1ull << bit;
                assert_agrees(&changed);
            }
    }
}

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t any_argument(uint64_t *seed) {
    const struct seccomp_rule *rule = &seccomp_rules[next(seed) % seccomp_rule_count];
    const struct seccomp_condition *condition = &rule->conditions[next(seed) % 3];
    switch (next(seed) % 6) {
    case 0: return 0;
    case 1: return next(seed) % 32;
    case 2: return SECCOMP_SELF;
    case 3: return condition->value | JUNK;
    case 4: return condition->value ^ 1ull << next(seed) % 64;
    default: return condition->value;
    }
}

static void test_many_random_calls(void **state) {
    uint64_t seed = 20;
    (void)state;
    for (size_t i = 0; i < 20000; i++) {
        const struct seccomp_rule *rule = &seccomp_rules[next(&seed) % seccomp_rule_count];
        /* Calls with conditions more often than the many without. */
        while (rule->conditions[0].mask == 0 && next(&seed) % 8 != 0)
            rule = &seccomp_rules[next(&seed) % seccomp_rule_count];
        struct seccomp_data data = {.nr = seccomp_syscall_resolve_name(rule->call), .arch = ARCHITECTURE};
        for (size_t k = 0; k < 6; k++)
            data.args[k] = any_argument(&seed);
        if (data.nr >= 0)
            assert_agrees(&data);
    }
}

static void test_other_architectures_are_the_end(void **state) {
    static const uint32_t others[] = {0, AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_S390X, ARCHITECTURE ^ 1,
                                      ARCHITECTURE ^ 0x80000000u};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        for (int number = 0; number < NUMBERS; number++) {
            const struct seccomp_data data = {.nr = number, .arch = others[i]};
            assert_int_equal(answer(&data), SECCOMP_RET_KILL_PROCESS);
        }
}

#ifdef __x86_64__
/* x32 shares the architecture; a bit in the number tells its calls (seccomp(2)). */
static void test_x32_is_the_end(void **state) {
    (void)state;
    for (int number = 0; number < NUMBERS; number++) {
        const struct seccomp_data data = {.nr = number | 0x40000000, .arch = ARCHITECTURE};
        assert_int_equal(answer(&data), SECCOMP_RET_KILL_PROCESS);
    }
}
#endif

static void test_numbers_from_nowhere(void **state) {
    static const int numbers[] = {-1, -2, 9999, 0x3fffffff};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const struct seccomp_data data = {.nr = numbers[i], .arch = ARCHITECTURE};
        assert_int_not_equal(answer(&data), SECCOMP_RET_ALLOW);
    }
}

/* The stand-in for the own pid is what seccomp_enter() replaces; in no other place, or that would change too. */
static void test_the_stand_in_is_there_for_signals_only(void **state) {
    (void)state;
    for (int number = 0; number < NUMBERS; number++) {
        const struct seccomp_data self = {.nr = number, .arch = ARCHITECTURE, .args = {SECCOMP_SELF, 0, 0}};
        const struct seccomp_data other = {.nr = number, .arch = ARCHITECTURE, .args = {SECCOMP_SELF + 1, 0, 0}};
        bool signals = number == seccomp_syscall_resolve_name("kill") || number == seccomp_syscall_resolve_name("tgkill");
        assert_int_equal(answer(&self) != answer(&other), signals);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_without_arguments),
        cmocka_unit_test(test_every_condition),
        cmocka_unit_test(test_many_random_calls),
        cmocka_unit_test(test_other_architectures_are_the_end),
#ifdef __x86_64__
        cmocka_unit_test(test_x32_is_the_end),
#endif
        cmocka_unit_test(test_numbers_from_nowhere),
        cmocka_unit_test(test_the_stand_in_is_there_for_signals_only),
    };
    return cmocka_run_group_tests(tests, prepare, release);
}
