"""How the runner reads what a script has left: without calling any of its code.

Attributes are read through the descriptors of the built-in classes, whatever a subclass calls by their names.
type() is asked instead of isinstance(), which looks at __class__. Names are looked for by going through a
dict, since a lookup may call a key's __eq__.
"""

import sys
import types
from itertools import islice

NAME_MAX = 200  # characters of a name
ENTRIES_MAX = 10_000  # of a dict that is looked through


def reader(kind, name):
    """Reads an attribute that a built-in class has in C."""
    return kind.__dict__[name].__get__


qualname_of = reader(type, "__qualname__")
module_of = reader(type, "__module__")
mro_of = reader(type, "__mro__")
class_dict = reader(type, "__dict__")
module_dict = reader(types.ModuleType, "__dict__")

Proxy = types.MappingProxyType
Locals = (lambda: type(sys._getframe().f_locals))()  # a dict before Python 3.13


def pairs_of(mapping):
    """Of a dict, a class or a frame; nothing of other mappings."""
    kind = type(mapping)
    if issubclass(kind, dict):
        return dict.items(mapping)
    return mapping.items() if kind is Proxy or kind is Locals else ()


def entry(mapping, name):
    """mapping[name] or None."""
    for key, value in islice(pairs_of(mapping), ENTRIES_MAX):
        if type(key) is str and key == name:
            return value
    return None


def cut(text, most):
    return text if len(text) <= most else text[:most] + "…"


def name_of(kind):
    """As in the last line of a traceback."""
    name = str.__str__(qualname_of(kind))
    module = module_of(kind)
    if type(module) is not str and module is not None:
        module = "<unknown>"
    return name if module in ("builtins", "__main__") else f"{module}.{name}"
