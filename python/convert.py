"""Makes JSON of what is none, for requests with "convert": true. Runs inside a worker, behind the script.

What is JSON already comes out as it would without. The table below says what becomes of the rest. A type is
found by its true class (never by __class__), the script's subclasses by the first base that is in the table, and
the base's own methods are called. Nothing is imported: classes are learned from the modules that are there,
those that were preloaded before any script exists.

The result is walked once, without recursion, and given up when it cannot fit the limit.
"""

import binascii
import math
import sys

from careful import NAME_MAX, class_dict, cut, entry, mro_of, name_of, pairs_of
from report import describe

DEPTH_MAX = 1200  # as the encoder's; the server's own limit is lower
STEPS_MAX = 8  # from one value to the next that stands for it
WHY_MAX = 500  # characters

modules = sys.modules
isfinite = math.isfinite
to_base64 = binascii.b2a_base64
NoneType = type(None)
NOWHERE = object()


class Unknown(Exception):
    """(before, behind): what is wrong, to be said around the path; (None, value): of a type that is not known."""


class NotConverted(Exception):
    pass


class TooLarge(Exception):
    pass


class Finished(list):
    """Holds nothing but JSON, however deep."""


class Budget:
    """Bytes of JSON that are left, counted low: three for every value and what parts it from the next."""

    room = 0

    def spend(self, count):
        self.room -= count
        if self.room < 0:
            raise TooLarge

    def check(self, count):
        """Before `count` values are made, which the walk will then count."""
        if count * 3 > self.room + 2:
            raise TooLarge


budget = Budget()  # one, as there is one job in a process


# --- Numbers, text, time ----------------------------------------------------------------------------


def text_of_bytes(value):
    return to_base64(value, newline=False).decode("ascii")


def text_of_decimal(value):
    kind = known["decimal.Decimal"]
    return kind.__str__(value) if kind.is_finite(value) else None


def pair_of_complex(value):
    return {"real": complex.__dict__["real"].__get__(value), "imag": complex.__dict__["imag"].__get__(value)}


def iso(name):
    return lambda value: known[name].isoformat(value)


def seconds(name):
    return lambda value: known[name].total_seconds(value)


def text(name):
    return lambda value: known[name].__str__(value)


def nothing(value):
    return None


def enum_value(value):
    return object.__getattribute__(value, "_value_")


# --- Containers -------------------------------------------------------------------------------------


def in_order(items):
    """A set's elements: sorted where Python can without asking the script, else as they come."""
    items = [from_scalar(item) if maker_of(type(item)) is from_scalar else item for item in items]
    kinds = {id(type(item)) for item in items}
    if kinds <= ORDERED_NUMBERS or len(kinds) == 1 and (kinds <= ORDERED or all(map(is_plain_tuple, items))):
        try:
            items.sort()
        except Exception:  # dates with and without a time zone, tuples of several sorts
            pass
    return items


def is_plain_tuple(value):
    return type(value) is tuple and all(id(type(item)) in ORDERED for item in value)


def fields_of(value):
    """Of a dataclass's instance; nested ones are met by the walk."""
    fields = next(filter(None, (entry(class_dict(base), "__dataclass_fields__") for base in mro_of(type(value)))))
    names = (name for name, field in pairs_of(fields) if field._field_type is known["dataclasses._FIELD"])
    return {name: object.__getattribute__(value, name) for name in names}


def items_of_range(value):
    try:
        budget.spend(3 * len(value) - 3)
    except OverflowError:
        raise TooLarge from None
    return Finished(value)


def bytes_of_view(value):
    budget.check(value.nbytes // 3)
    return value.tobytes()


# --- numpy ------------------------------------------------------------------------------------------


def from_scalar(value):
    kind = known["numpy.generic"]
    found = kind.item(value)
    if issubclass(type(found), kind):  # longdouble and its complex have no match in Python
        found = complex(found) if issubclass(type(found), known["numpy.complexfloating"]) else float(found)
    return found


def iso_of_numpy(text):
    """As datetime.isoformat(): no fraction or six digits, nine where they say something."""
    whole, point, fraction = text.partition(".")
    if text == "NaT":
        return None
    if not fraction.strip("0"):
        return whole
    return f"{whole}.{fraction[:6]:0<6}" if not fraction[6:].strip("0") else text


def texts_of_dates(value):
    return nested(known["numpy.datetime_as_string"](value).tolist(), iso_of_numpy)


def seconds_of_numpy(value):
    divided = value / known["numpy.timedelta64"](1, "s")  # months and years have no length: TypeError
    return known["numpy.asarray"](divided).tolist()


def nested(value, function):
    return [nested(item, function) for item in value] if type(value) is list else function(value)


def from_array(value):
    array = known["numpy.ndarray"]
    value = array.view(value, array)
    budget.check(value.size)
    kind = value.dtype.kind
    if kind == "M":
        found = texts_of_dates(value)
    elif kind == "m":
        found = seconds_of_numpy(value)
    elif kind == "f" and value.dtype.itemsize > 8:
        found = value.astype("float64").tolist()
    elif kind in "biuf":
        found = value.tolist()
        if kind != "f" or known["numpy.isfinite"](value).all():
            budget.spend(3 * value.size - 3)
            return Finished(found) if type(found) is list else found
    else:
        found = value.tolist()
    return found


def from_masked(value):
    budget.check(known["numpy.ndarray"].view(value, known["numpy.ndarray"]).size)
    return known["numpy.ma.MaskedArray"].tolist(value)


# --- pandas -----------------------------------------------------------------------------------------


def cells_of(column):
    """The values of an Index, an extension array or a Series, as a list; what they are is still to be seen."""
    dtype = column.dtype
    if issubclass(type(dtype), known["numpy.dtype"]) and dtype.kind in "biufO":
        return column.to_numpy().tolist()
    return list(column.astype(object))


def is_numbered(index):
    """0, 1, 2, … and no name: it was not chosen by anybody."""
    return type(index) is known["pandas.RangeIndex"] and index.start == 0 and index.step == 1 and index.name is None


def object_of(keys, values, what):
    found = {}
    for key, value in zip(map(key_of, keys), values):
        if key in found:
            raise Unknown(f"two {what} named {key!r:.80} in", "")
        found[key] = value
    return found


def from_series(value):
    value = known["pandas.Series"](value)
    budget.check(len(value))
    cells = cells_of(value)
    return cells if is_numbered(value.index) else object_of(cells_of(value.index), cells, "entries")


def from_frame(value):
    value = known["pandas.DataFrame"](value)
    budget.check(len(value) * len(value.columns))
    if not is_numbered(value.index):
        value = value.reset_index()
    names = object_of(cells_of(value.columns), range(len(value.columns)), "columns")
    columns = [cells_of(value.iloc[:, place]) for place in range(len(value.columns))]
    return [dict(zip(names, row)) for row in zip(*columns)]


def from_index(value):
    budget.check(len(value))
    return cells_of(value)


# --- The table --------------------------------------------------------------------------------------

# (where the class is, what makes of a value the next one, which is looked at again). README.md has it in words.
TABLE = (
    ("builtins.str", str.__str__),
    ("builtins.int", int.__int__),
    ("builtins.float", float.__float__),
    ("builtins.list", list.copy),
    ("builtins.tuple", lambda value: tuple.__getitem__(value, slice(None))),
    ("builtins.dict", lambda value: dict(dict.items(value))),
    ("collections.OrderedDict", lambda value: dict(known["collections.OrderedDict"].items(value))),
    ("builtins.set", lambda value: in_order(set.__iter__(value))),
    ("builtins.frozenset", lambda value: in_order(frozenset.__iter__(value))),
    ("builtins.range", items_of_range),
    ("collections.deque", lambda value: list(known["collections.deque"].__iter__(value))),
    ("collections.abc.KeysView", list),
    ("collections.abc.ValuesView", list),
    ("collections.abc.ItemsView", list),
    ("builtins.complex", pair_of_complex),
    ("builtins.bytes", text_of_bytes),
    ("builtins.bytearray", text_of_bytes),
    ("builtins.memoryview", bytes_of_view),
    ("datetime.datetime", iso("datetime.datetime")),
    ("datetime.date", iso("datetime.date")),
    ("datetime.time", iso("datetime.time")),
    ("datetime.timedelta", seconds("datetime.timedelta")),
    ("decimal.Decimal", text_of_decimal),
    ("fractions.Fraction", text("fractions.Fraction")),
    ("uuid.UUID", text("uuid.UUID")),
    ("enum.Enum", enum_value),
    ("pathlib.PurePath", text("pathlib.PurePath")),
    ("numpy.generic", from_scalar),
    ("numpy.datetime64", texts_of_dates),
    ("numpy.timedelta64", seconds_of_numpy),
    ("numpy.dtype", text("numpy.dtype")),
    ("numpy.ndarray", from_array),
    ("numpy.ma.MaskedArray", from_masked),
    ("pandas.Timestamp", iso("pandas.Timestamp")),
    ("pandas.Timedelta", seconds("pandas.Timedelta")),
    ("pandas.Period", text("pandas.Period")),
    ("pandas.Interval", text("pandas.Interval")),
    ("pandas.NaT", nothing),
    ("pandas.NA", nothing),
    ("pandas.api.extensions.ExtensionDtype", str),
    ("pandas.Index", from_index),
    ("pandas.api.extensions.ExtensionArray", from_index),
    ("pandas.Series", from_series),
    ("pandas.DataFrame", from_frame),
)
ALSO_USED = (
    "dataclasses._FIELD", "numpy.asarray", "numpy.complexfloating", "numpy.datetime_as_string",
    "numpy.isfinite", "pandas.RangeIndex",
)
VIEWS = {"KeysView": type({}.keys()), "ValuesView": type({}.values()), "ItemsView": type({}.items())}
ORDERED_NUMBERS = {id(int), id(float), id(bool)}
ORDERED = ORDERED_NUMBERS | {id(str), id(bytes)}

known = {}  # by its dotted name
makers = {}  # by the id of a class, which known holds


def learn():
    """Takes hold of what is there by now: once behind the imports, then for what a script has imported."""
    for path, maker in (*TABLE, *((path, None) for path in ALSO_USED)):
        module, _, name = path.rpartition(".")
        if path in known or module not in modules:
            continue
        found = VIEWS.get(name) or getattr(modules[module], name, None)
        if found is None:
            continue
        known[path] = found
        kind = found if isinstance(found, type) else type(found)
        if maker is not None:
            makers[id(kind)] = maker
            if module in ("datetime", "decimal", "fractions", "uuid", "pandas"):
                ORDERED.add(id(kind))


# --- The walk ---------------------------------------------------------------------------------------


def maker_of(kind):
    bases = mro_of(kind)
    for base in bases:
        maker = makers.get(id(base))
        if maker is not None:
            return maker
    for base in bases:
        if "dataclasses._FIELD" in known and entry(class_dict(base), "__dataclass_fields__") is not None:
            return fields_of
    return None


def made_by(maker, value):
    try:
        return maker(value)
    except (Unknown, TooLarge, MemoryError, RecursionError):
        raise
    except BaseException as error:
        raise Unknown(f"{name_of(type(value))} at", f" ({cut(describe(error), WHY_MAX)})") from None


def simplify(value):
    """A value that is JSON, or a list, tuple or dict whose items are yet to be looked at."""
    for _ in range(STEPS_MAX):
        kind = type(value)
        if kind is float:
            return value if isfinite(value) else None
        if kind is str or kind is int or kind is bool or kind is NoneType:
            return value
        if kind is list or kind is dict or kind is tuple or kind is Finished:
            return value
        maker = maker_of(kind)
        if maker is None:
            break
        if kind is bytes or kind is bytearray:
            budget.check(len(value) // 3)
        value = made_by(maker, value)
    raise Unknown(None, value)


def key_of(key):
    """Keys that json knows stay; others become what they would be as values, tuples as Python writes them."""
    if type(key) is tuple:
        return str(tuple(map(key_of, key)))
    if type(key) is float and not isfinite(key):
        return "NaN" if key != key else "Infinity" if key > 0 else "-Infinity"
    try:
        found = simplify(key)
    except Unknown as unknown:
        if unknown.args[0] is not None:
            raise
        found = key
    kind = type(found)
    if kind is str or kind is int or kind is bool or kind is float or kind is NoneType:
        return found
    raise Unknown(f"key of type {cut(name_of(type(key)), NAME_MAX)} in", " (keys must be strings)")


class Level:
    """One container that is being walked."""

    def __init__(self, source, value):
        self.source = source
        self.is_dict = type(value) is dict
        self.pairs = iter(value.items() if self.is_dict else enumerate(value))
        self.made = {} if self.is_dict else []
        self.place = NOWHERE  # in the path of an error

    def add(self, key, value):
        if not self.is_dict:
            self.made.append(value)
        elif key in self.made:
            raise Unknown(f"two keys that become {key!r:.80} in", "")
        else:
            self.made[key] = value


class Walk:
    """Goes through the result in order, and makes another one of it."""

    def __init__(self, result):
        self.stack = [Level(None, [result])]
        self.open_ids = set()  # of the containers on the stack

    def enter(self, source, value):
        if len(self.stack) > DEPTH_MAX:
            raise RecursionError
        if id(source) in self.open_ids:
            raise Unknown("circular reference at", "")
        self.open_ids.add(id(source))
        self.stack.append(Level(source, value))

    def step(self):
        """Goes on in the innermost container, until there is another one in it or it ends."""
        level = self.stack[-1]
        for key, value in level.pairs:
            level.place = NOWHERE
            if level.is_dict and type(key) is not str:
                key = key_of(key)
            level.place = key
            found = simplify(value)
            kind = type(found)
            budget.room -= 3 if kind is not str else 4 + len(found)
            if budget.room < 0:
                raise TooLarge
            if kind is list or kind is dict or kind is tuple:
                self.enter(value, found)
                level.add(key, self.stack[-1].made)
                return
            level.add(key, found)
        self.stack.pop()
        self.open_ids.discard(id(level.source))

    def path(self):
        return "result" + "".join(f"[{level.place!r:.80}]" for level in self.stack[1:] if level.place is not NOWHERE)


def convert(result, limit):
    """The result as JSON types. Raises NotConverted(before, behind, path) with the words of Unknown, TooLarge,
    RecursionError where it is too deep, MemoryError."""
    learn()
    budget.room = limit + 2  # nothing parts the outermost
    walk = Walk(result)
    made = walk.stack[0].made
    try:
        while walk.stack:
            walk.step()
    except Unknown as unknown:
        raise NotConverted(*unknown.args, walk.path()) from None
    return made[0]
