"""What is said of an exception that the script did not catch: one line always, and where it came from if
the caller asked for details. Runs inside a worker, behind the script.

The exception, what hangs on it and every class between are the script's, and may lie, loop or be without
end. So they are read as careful.py reads, and every text, list and depth has an end. The script's own code is
called once, for the one line, as the interpreter itself would: str() of the exception.
"""

import _json
import builtins
import types
from itertools import islice

from careful import NAME_MAX, class_dict, cut, entry, mro_of, name_of, reader
from hint import hint_of

FILENAME = "<string>"
MESSAGE_MAX = 65536  # characters of an exception's message that are passed on
LINE_MAX = 1000  # of a line of the script
NOTE_MAX = 2000  # of a note, and of the message of another exception
FRAMES_MAX = 20  # of a traceback, at either end
NOTES_MAX = CHAIN_MAX = 10
MEMBERS_MAX = 20  # of exception groups, over all their depth
GROUP_DEPTH = 3  # the server allows FRAME_DETAILS_DEPTH levels of JSON
DETAILS_MAX = 400_000  # bytes of JSON; the server allows 1 MiB for this and the one line
SHORTER = (4096, 512, 64)  # characters of every text where it would be more

CodeType = types.CodeType
make_encoder = _json.make_encoder
escape = _json.encode_basestring_ascii

args_of = reader(BaseException, "args")
trace_of = reader(BaseException, "__traceback__")
cause_of = reader(BaseException, "__cause__")
context_of = reader(BaseException, "__context__")
is_suppressed = reader(BaseException, "__suppress_context__")
instance_dict = reader(BaseException, "__dict__")


# --- One line ---------------------------------------------------------------------------------------


def utf8(text):
    return cut(text, MESSAGE_MAX).encode("utf-8", "backslashreplace")


def message_of(error):
    try:
        if issubclass(type(error), SyntaxError) and type(error).__str__ is SyntaxError.__str__:
            return str.__str__(str(error.msg))
        return str.__str__(str(error))
    except BaseException:
        return "<exception str() failed>"


def line_of(name, message):
    """As the last line of a traceback."""
    return f"{name}: {message}" if message else name


def describe(error):
    return line_of(name_of(type(error)), message_of(error))


# --- Places in the script ---------------------------------------------------------------------------


class Script:
    """Its lines, and the code objects that were compiled from them. Code that exec or a dataclass made
    calls its file <string> as well, and its lines are not the script's."""

    def __init__(self, source, code):
        self.source = source
        self.lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.codes = {}
        stack = [code] if code is not None else []
        while stack:
            code = stack.pop()
            if id(code) not in self.codes:
                self.codes[id(code)] = code
                stack += [const for const in code.co_consts if type(const) is CodeType]

    def line(self, number):
        return self.lines[number - 1] if type(number) is int and 0 < number <= len(self.lines) else None

    def shown(self, number):
        text = self.line(number)
        return None if text is None else cut(text, LINE_MAX)

    def column(self, number, offset):
        """1-based, in characters; CPython counts bytes from 0."""
        text = self.line(number)
        if text is None or type(offset) is not int or offset < 0:
            return None
        if not text.isascii():
            offset = len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "ignore"))
        return offset + 1

    def place(self, line, end_line, offset, end_offset):
        return {
            "line": line,
            "column": self.column(line, offset),
            "end_line": end_line,
            "end_column": self.column(end_line, end_offset),
            "source_line": self.shown(line),
        }

    def place_in(self, code, line, instruction):
        """Of a frame: what CPython underlines (code.co_positions, Python 3.11)."""
        found = (None,) * 4
        if instruction >= 0:
            found = next(islice(code.co_positions(), instruction // 2, None), found)
        start, end, offset, end_offset = found
        # A traceback that the script made itself may name any line.
        return self.place(line, end, offset, end_offset) if start == line else self.place(line, None, None, None)


NOWHERE = {"line": None, "column": None, "end_line": None, "end_column": None, "source_line": None}


def own_frames(error, script):
    """(code, line, instruction) of the script's frames, outermost first; the middle of a long list is
    left out, and None stands for it."""
    first, last = [], []
    trace = trace_of(error)
    while trace is not None:
        code = trace.tb_frame.f_code
        if id(code) in script.codes:
            frame = (code, trace.tb_lineno, trace.tb_lasti)
            if len(first) < FRAMES_MAX:
                first.append(frame)
            else:
                last.append(frame)
                if len(last) > FRAMES_MAX:
                    last[0] = None
                    del last[1]
        trace = trace.tb_next
    return first + last


def syntax_place(error, script):
    """Of what kept the script from being compiled. CPython's parser counts characters here; its compiler,
    which speaks up when the parser is content, bytes."""
    line, offset, end_line, end_offset = (
        value if type(value) is int and value > 0 else None
        for value in (reader(SyntaxError, name)(error) for name in ("lineno", "offset", "end_lineno", "end_offset"))
    )
    place = {**NOWHERE, "line": line, "source_line": script.shown(line)}
    if line is None or offset is None:
        return place
    text = reader(SyntaxError, "text")(error)
    if type(text) is str:
        place["source_line"] = cut(text.rstrip("\r\n"), LINE_MAX)
    end_line = end_line or line
    if end_offset is None or (end_line, end_offset) <= (line, offset):
        end_line, end_offset = line, offset + 1
    place.update(column=offset, end_line=end_line, end_column=end_offset)
    if not (script.line(line) or "").isascii() and is_parsed(script.source):
        place.update(column=script.column(line, offset - 1), end_column=script.column(end_line, end_offset - 1))
    return place


def is_parsed(source):
    try:
        compile(source, FILENAME, "exec", 0x400, True)  # ast.PyCF_ONLY_AST
        return True
    except BaseException:
        return False


# --- Other exceptions that hang on it ---------------------------------------------------------------

# Each __str__ in C, and what these look at.
SPEAKERS = {
    id(kind.__dict__["__str__"])
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, BaseException) and "__str__" in kind.__dict__
}
GROUP_SPEAKER = id(BaseExceptionGroup.__dict__["__str__"])
SPOKEN = (
    (OSError, ("errno", "strerror", "filename", "filename2")),
    (ImportError, ("msg",)),
    (SyntaxError, ("msg", "filename", "lineno")),
    (UnicodeEncodeError, ("encoding", "reason")),
    (UnicodeDecodeError, ("encoding", "reason")),
    (UnicodeTranslateError, ("encoding", "reason")),
    (BaseExceptionGroup, ("message",)),
)


def is_quiet(value, depth=1):
    """Whether str() and repr() of it run nobody's code, and soon end."""
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value) <= MESSAGE_MAX
    if kind is int:
        return value.bit_length() < 4000
    if kind is tuple and depth > 0:
        return len(value) <= 100 and all(is_quiet(item, depth - 1) for item in value)
    return value is None or kind is float or kind is bool


def quiet_message(error):
    """Its message, or None where saying it would call the script's code."""
    args = args_of(error)
    speaker = next(filter(None, (entry(class_dict(kind), "__str__") for kind in mro_of(type(error)))))
    if id(speaker) not in SPEAKERS:
        return None
    if len(args) == 1 and type(args[0]) is str and len(args[0]) > MESSAGE_MAX:
        return cut(args[0], NOTE_MAX)
    spoken = [reader(kind, name)(error) for kind, names in SPOKEN if issubclass(type(error), kind) for name in names]
    if id(speaker) == GROUP_SPEAKER:
        args = ()  # the members, which it counts
    if not is_quiet(args) or not all(map(is_quiet, spoken)):
        return None
    return cut(str(error), NOTE_MAX)


def brief(error, script):
    frames = own_frames(error, script)
    return {
        "type": cut(name_of(type(error)), NAME_MAX),
        "message": quiet_message(error),
        "line": frames[-1][1] if frames else None,
    }


def chain_of(error, script):
    """What it was raised from or during, the nearest first, as a traceback would go on."""
    chain, seen = [], {id(error)}
    while len(chain) < CHAIN_MAX:
        relation, other = "cause", cause_of(error)
        if other is None and not is_suppressed(error):
            relation, other = "context", context_of(error)
        if other is None or id(other) in seen:
            break
        seen.add(id(other))
        chain.append({**brief(other, script), "relation": relation})
        error = other
    return chain


def members_of(error, script, room, depth=GROUP_DEPTH):
    """Of an exception group; room: [how many more may be told of]."""
    found = []
    if issubclass(type(error), BaseExceptionGroup) and depth > 0:
        for member in reader(BaseExceptionGroup, "exceptions")(error):
            if room[0] == 0:
                break
            room[0] -= 1
            found.append(brief(member, script))
            if issubclass(type(member), BaseExceptionGroup):
                found[-1]["exceptions"] = members_of(member, script, room, depth - 1)
    return found


def notes_of(error):
    notes = entry(instance_dict(error), "__notes__")
    if type(notes) is not list:
        return []
    return [cut(note, NOTE_MAX) for note in notes[:NOTES_MAX] if type(note) is str]


def quietly(function, *arguments):
    """A hint is not worth losing the rest for."""
    try:
        return function(*arguments)
    except BaseException:
        return None


# --- All together -----------------------------------------------------------------------------------


def trace_text(frames, place, summary, script):
    lines = ["Traceback (most recent call last):"]
    for frame in frames:
        if frame is None:
            lines.append("  ...")
            continue
        code, line, _ = frame
        lines.append(f'  File "{FILENAME}", line {line}, in {cut(code.co_name, NAME_MAX)}')
        text = script.shown(line)
        if text is not None and text.strip():
            lines.append("    " + text.strip())
    if not frames and place["line"] is not None:
        lines.append(f'  File "{FILENAME}", line {place["line"]}')
        if place["source_line"]:
            lines.append("    " + place["source_line"].strip())
    lines.append(summary)
    return "\n".join(lines) + "\n"


def frames_of(frames, script):
    found, known = [], {}
    for frame in frames:
        if frame is not None:
            code, line, instruction = frame
            key = (id(code), line, instruction)
            if key not in known:
                known[key] = {"function": cut(code.co_name, NAME_MAX), **script.place_in(*frame)}
            found.append(known[key])
    return found


def details_of(error, name, message, source, code):
    script = Script(source, code)
    frames = own_frames(error, script)
    shown = frames_of(frames, script)
    place = {key: shown[-1][key] for key in NOWHERE} if shown else NOWHERE
    if code is None and issubclass(type(error), SyntaxError):
        place = syntax_place(error, script)
    return {
        "type": name,
        "message": message[:MESSAGE_MAX],
        **place,
        "hint": quietly(hint_of, error),
        "notes": quietly(notes_of, error) or [],
        "chain": quietly(chain_of, error, script) or [],
        "exceptions": quietly(members_of, error, script, [MEMBERS_MAX]) or [],
        "frames": shown,
        "traceback": trace_text(frames, place, line_of(name, message)[:MESSAGE_MAX], script),
    }


def shorten(value, most):
    """Our own dicts and lists with every text cut in its middle."""
    if type(value) is dict:
        return {key: shorten(item, most) for key, item in value.items()}
    if type(value) is list:
        return [shorten(item, most) for item in value]
    if type(value) is str and len(value) > most:
        return value[: most // 2] + "…" + value[-most // 2 :]
    return value


def as_json(details):
    """Within DETAILS_MAX: a frame that is too long would be lost as a whole."""
    for most in (MESSAGE_MAX * 2, *SHORTER):
        chunks = make_encoder(None, None, escape, None, ": ", ", ", False, False, False)(shorten(details, most), 0)
        text = "".join(chunks).encode("ascii")
        if len(text) <= DETAILS_MAX:
            return text
    return b""


def report(error, source, code, wants_details):
    """(the one line, the details as JSON or nothing), both in UTF-8. code: None where the script could not
    be compiled."""
    try:
        name, message = name_of(type(error)), message_of(error)
        summary = utf8(line_of(name, message))
    except BaseException:
        # An exception that cannot even be described, or no memory left to do it.
        return b"MemoryError" if issubclass(type(error), MemoryError) else b"Exception", b""
    try:
        return summary, as_json(details_of(error, name, message, source, code)) if wants_details else b""
    except BaseException:
        return summary, b""
