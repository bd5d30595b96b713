"""Python's own suggestions: "Did you mean: 'x'?".

The interpreter has them only where it prints a traceback, and asks the script's __dir__ for names. Here the
names are read with care, and the nearest is found by the same measure.
"""

import builtins
import sys
from itertools import islice
from types import GetSetDescriptorType, ModuleType

from careful import NAME_MAX, class_dict, cut, entry, module_dict, mro_of, pairs_of, reader

MESSAGE_MAX = 2000
trace_of = reader(BaseException, "__traceback__")
modules = sys.modules
stdlib_names = sys.stdlib_module_names
builtin_names = list(vars(builtins))

CANDIDATES_MAX, WORD_MAX = 750, 40
MOVE_COST, CASE_COST = 2, 1


def distance(a, b, most):
    """Levenshtein's, where another case is half a change; anything above `most` where it is more."""
    if abs(len(a) - len(b)) * MOVE_COST > most:
        return most + 1
    row = list(range(0, (len(b) + 1) * MOVE_COST, MOVE_COST))
    for i, x in enumerate(a):
        above, row[0] = row[0], (i + 1) * MOVE_COST
        for j, y in enumerate(b):
            change = 0 if x == y else CASE_COST if x.lower() == y.lower() else MOVE_COST
            above, row[j + 1] = row[j + 1], min(above + change, min(row[j], row[j + 1]) + MOVE_COST)
        if min(row) > most:
            return most + 1
    return row[-1]


def nearest(wrong, names):
    """The name that was probably meant, by the interpreter's own measure."""
    names = [name for name in names if type(name) is str and len(name) <= WORD_MAX and name != wrong]
    if len(names) > 2 * CANDIDATES_MAX or len(wrong) > WORD_MAX:
        return None
    found, best = None, None
    for name in sorted(set(names)):
        if name.startswith("_") and not wrong.startswith("_"):
            continue
        most = (len(name) + len(wrong) + 3) * MOVE_COST // 6
        if best is not None:
            most = min(most, best - 1)
        cost = distance(wrong, name, most)
        if cost <= most:
            found, best = name, cost
    return found


def keys_of(mapping):
    return [key for key, _ in islice(pairs_of(mapping), CANDIDATES_MAX)]


def names_of(value):
    """As dir(), which would ask the script."""
    kind = type(value)
    if issubclass(kind, ModuleType):
        return keys_of(module_dict(value))
    is_class = issubclass(kind, type)
    names = []
    for base in mro_of(value if is_class else kind):
        names += keys_of(class_dict(base))
        holder = entry(class_dict(base), "__dict__")
        if not is_class and type(holder) is GetSetDescriptorType:
            names += keys_of(holder.__get__(value))
    return names


def name_hint(error, wrong):
    trace = trace_of(error)
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame, code = trace.tb_frame, trace.tb_frame.f_code
    names = list(code.co_varnames + code.co_cellvars + code.co_freevars)
    if "self" in names:
        itself = entry(frame.f_locals, "self")
        if any(type(name) is str and name == wrong for name in names_of(itself)):
            return f"Did you mean: 'self.{wrong}'?"
    found = nearest(wrong, names + keys_of(frame.f_globals) + builtin_names)
    hint = f"Did you mean: '{found}'?" if found else ""
    if wrong in stdlib_names:
        hint += f" Or did you forget to import '{wrong}'?" if hint else f"Did you forget to import '{wrong}'?"
    return hint or None


def import_hint(error):
    message, module = reader(ImportError, "msg")(error), reader(ImportError, "name")(error)
    if type(message) is not str or type(module) is not str or not message.startswith("cannot import name '"):
        return None
    value = entry(modules, module)
    wrong = message[:NAME_MAX].split("'")[1]
    found = nearest(wrong, names_of(value)) if value is not None else None
    return f"Did you mean: '{found}'?" if found else None


def hint_of(error):
    """What the interpreter would add to the last line of a traceback, or has put behind a syntax error."""
    kind = type(error)
    if issubclass(kind, SyntaxError):
        message = reader(SyntaxError, "msg")(error)
        _, _, hint = cut(message, MESSAGE_MAX).partition(". ") if type(message) is str else ("",) * 3
        return hint if hint.startswith(("Perhaps", "Maybe", "Did you", "Do you")) else None
    if issubclass(kind, ImportError):
        return import_hint(error)
    for base in (AttributeError, NameError):
        wrong = reader(base, "name")(error) if issubclass(kind, base) else None
        if type(wrong) is str and base is NameError:
            return name_hint(error, wrong)
        if type(wrong) is str:
            found = nearest(wrong, names_of(reader(base, "obj")(error)))
            return f"Did you mean: '{found}'?" if found else None
    return None
