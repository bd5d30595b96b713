"""The filter of a running worker, as the kernel has it: fetched from outside by PTRACE_SECCOMP_GET_FILTER (ptrace(2)),
tried, and written out for people. It takes CAP_SYS_ADMIN of the machine, and a kernel made with
CONFIG_CHECKPOINT_RESTORE.
"""
import ctypes
import errno
import os
import random
import struct
import time

from calls import LAST, name_of

SEIZE, INTERRUPT, DETACH, GET_FILTER = 0x4206, 0x4207, 17, 0x420C
WALL = 0x40000000
X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
X32 = 0x40000000
SELF = "self"  # the worker's own number, which is another for each
FULL = 0xFFFFFFFF

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, address=None, data=None):
    answer = libc.ptrace(request, pid, address, data)
    if answer < 0:
        raise OSError(ctypes.get_errno(), f"ptrace: {os.strerror(ctypes.get_errno())}")
    return answer


def wait_for_stop(pid):
    end = time.monotonic() + 5
    while os.waitpid(pid, WALL | os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            raise TimeoutError(f"process {pid} does not stop")
        time.sleep(0.001)


def fetch(pid):
    """[program, …] of a process, the one that was put on last in the end; each a list of (code, jt, jf, k)."""
    found = []
    ptrace(SEIZE, pid)
    try:
        ptrace(INTERRUPT, pid)
        wait_for_stop(pid)
        while True:
            try:
                length = ptrace(GET_FILTER, pid, len(found))
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return found
                raise
            space = ctypes.create_string_buffer(8 * length)
            ptrace(GET_FILTER, pid, len(found), ctypes.addressof(space))
            found.append(list(struct.iter_unpack("<HBBI", space.raw)))
    finally:
        ptrace(DETACH, pid)


# --- What a program does ----------------------------------------------------------------------------

# Of the instructions those that compilers of filters make.
LOAD, AND, RETURN, JUMP = 0x20, 0x54, 0x06, 0x05
TESTS = {0x15: ("=", lambda a, k: a == k), 0x25: (">", lambda a, k: a > k), 0x35: (">=", lambda a, k: a >= k), 0x45: ("&", lambda a, k: a & k != 0)}
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16


def action_of(value):
    """In a word, or the name of an errno."""
    kind, data = value & 0xFFFF0000, value & 0xFFFF
    if kind == 0x50000:
        return errno.errorcode.get(data, f"errno {data}") if data else "nothing"
    return {0x7FFF0000: "allow", 0x80000000: "kill", 0: "kill thread", 0x30000: "view"}.get(kind, f"{value:#x}")


class Program:
    """From the code of two processes: what is another in each is its own number, by which it may send itself signals."""

    def __init__(self, code, other):
        unknown = {op for op, *_ in code} - {LOAD, AND, RETURN, JUMP, *TESTS}
        if len(code) != len(other) or unknown:
            raise ValueError(f"a filter that this cannot read: {len(code)} and {len(other)} instructions, unknown are {unknown}")
        self.code = [(op, jt, jf, k if k == there[3] else SELF) for (op, jt, jf, k), there in zip(code, other)]

    def run(self, number, arguments, own, architecture=X86_64):
        """The action for a call with its six arguments by process `own`."""
        words = {NUMBER: number & FULL, ARCHITECTURE: architecture, 8: 0, 12: 0}
        for index, value in enumerate(arguments):
            words[FIRST_ARGUMENT + 8 * index] = value & FULL
            words[FIRST_ARGUMENT + 8 * index + 4] = value >> 32 & FULL
        at = value = 0
        while True:
            op, yes, no, k = self.code[at]
            at += 1
            k = own if k == SELF else k
            if op == LOAD:
                value = words[k]
            elif op == AND:
                value &= k
            elif op == RETURN:
                return action_of(k)
            elif op == JUMP:
                at += k
            else:
                at += yes if TESTS[op][1](value, k) else no

    def paths(self, number, architecture=X86_64, at=0, value=None, known=()):
        """Every way through for a call, as (action, conditions): a condition is (word, mask, test, constant, holds)."""
        while True:
            op, yes, no, k = self.code[at]
            at += 1
            if op == LOAD:
                value = {NUMBER: number & FULL, ARCHITECTURE: architecture}.get(k, (k, FULL))
            elif op == AND:
                value = value & k if isinstance(value, int) else (value[0], value[1] & k) if value[1] & k else 0
            elif op == RETURN:
                yield action_of(k), known
                return
            elif op == JUMP:
                at += k
            elif isinstance(value, int):
                at += yes if TESTS[op][1](value, k) else no
            else:
                condition = (*value, TESTS[op][0], k)
                ways = [(True, yes), (False, no)]
                for seen in known:
                    if seen[:4] == condition:
                        ways = [way for way in ways if way[0] == seen[4]]
                for holds, step in ways:
                    yield from self.paths(number, architecture, at + step, value, (*known, (*condition, holds)))
                return


# --- In words ---------------------------------------------------------------------------------------


def show(conditions):
    """`argument 1 = 5` is of its lower half, as for an int; `whole argument 1` of all 64 bits."""
    halves, found = {}, []
    for word, mask, test, constant, _ in conditions:
        halves.setdefault((word - FIRST_ARGUMENT) // 8, {})[(word - FIRST_ARGUMENT) % 8 // 4] = mask, test, constant
    for index, both in sorted(halves.items()):
        if len(both) == 2 and all(test == "=" and constant != SELF for _, test, constant in both.values()):
            mask, constant = (both[1][place] << 32 | both[0][place] for place in (0, 2))
            found.append(f"whole argument {index}{'' if mask == FULL << 32 | FULL else f' & {mask:#x}'} = {constant:#x}")
            continue
        for half, (mask, test, constant) in sorted(both.items()):
            found.append(f"{'upper half of ' * half}argument {index}{'' if mask == FULL else f' & {mask:#x}'} {test} "
                         + (constant if constant == SELF else hex(constant)))
    return " and ".join(found)


def rules_of(program, number, architecture=X86_64):
    """{what must hold, as a sorted tuple: action}: of each way through the tests that hold, since those that do not are
    in these programs what keeps ways apart. check_rules() sees whether that is so."""
    found = {}
    for action, known in program.paths(number, architecture):
        found.setdefault(tuple(sorted({condition for condition in known if condition[4]}, key=str)), set()).add(action)
    default = found.pop((), {"kill"})
    if len(default) != 1 or any(len(actions) != 1 for actions in found.values()):
        raise ValueError(f"the filter's ways for {number} cannot be told apart: {found}")
    default = default.pop()
    rules = {key: actions.pop() for key, actions in found.items() if actions != {default}}
    wider = {key for key in rules for other in rules if set(other) < set(key) and rules[other] == rules[key]}
    return {**{key: action for key, action in rules.items() if key not in wider}, (): default}


def check_rules(program, number, rules, draw):
    """Whether the program gives what the rules say, tried with arguments made of their own constants."""
    constants = {0, 1, FULL, *(condition[3] for key in rules for condition in key if condition[3] != SELF)}
    for _ in range(100):
        arguments = [draw.choice(list(constants)) | (draw.choice(list(constants)) << 32 if draw.random() < 0.3 else 0) for _ in range(6)]
        own = draw.choice((1, 4711))
        arguments[0] = own if draw.random() < 0.5 else arguments[0]
        met = {action for key, action in rules.items() if key and all(holds(condition, arguments, own) for condition in key)}
        wanted = met or {rules[()]}
        if wanted != {program.run(number, arguments, own)}:
            raise ValueError(f"the filter does not do what its text says: {number} with {arguments} gives {wanted}")


def holds(condition, arguments, own):
    word, mask, test, constant, _ = condition
    index, high = divmod(word - FIRST_ARGUMENT, 8)
    value = arguments[index] >> (32 if high else 0) & FULL & mask
    return {name: check for name, check in TESTS.values()}[test](value, own if constant == SELF else constant)


def lines_of(program):
    """The filter as text: of x86-64 every number that is not answered as one that is not there, then the rest."""
    draw, found = random.Random(1), []
    usual = program.run(LAST, [0] * 6, 1)
    for number in range(LAST + 1):
        rules = rules_of(program, number)
        if len(rules) > 1:
            check_rules(program, number, rules, draw)
        if list(rules.items()) == [((), usual)]:
            continue
        start = f"{number:3} {name_of(number)}"
        found += sorted(f"{start}: {show(key)}: {action}" for key, action in rules.items() if key)
        found.append(f"{start}{': else' if len(rules) > 1 else ''}: {rules[()]}")
    return [*found, *rest_of(program, usual)]


def rest_of(program, usual):
    """The numbers that nobody has a name for, the other tables, the other architectures."""
    draw = random.Random(2)
    some = lambda low, high: [draw.randrange(low, high) for _ in range(1000)]
    groups = {
        "every other number": (X86_64, [*range(LAST + 1, 1200), 65535, X32 - 1, *some(1200, X32)]),
        "numbers from 0x40000000 on (x32)": (X86_64, [*range(X32, X32 + 1200), FULL - 1, *some(X32, FULL)]),
        "-1": (X86_64, [FULL]), "i386": (I386, range(600)), "aarch64": (AARCH64, range(600)), "arm": (ARM, range(600)),
        "no architecture": (0, range(64)),
    }
    found = [f"... every number that is not above: {usual}"]
    for name, (architecture, numbers) in groups.items():
        actions = {program.run(number, [draw.getrandbits(64) for _ in range(6)], 1, architecture) for number in numbers}
        found.append(f"... {name}: {' or '.join(sorted(actions))}")
    return found
