"""A request's files, placed before the script runs, and those it leaves, collected behind it. Runs inside a worker.

What is collected is read in a process that the script may have taken over. The server believes nothing but its JSON and
its length; what is here keeps a run that meant well from ending badly: no link is followed, nothing but regular
files is opened for more than a look, and all is bounded.
"""

import _json
import binascii
import fnmatch
import os
import re
import stat

PLACE = "/tmp"
ENTRIES_MAX = 10_000  # looked at
LEVELS_MAX = 32  # of folders
CONTENTS_MAX = 100  # files with their contents
LISTING_MAX = 1_000_000  # bytes of JSON without the contents: below FRAME_LISTING_MAX
PIECE = 1 << 20

ALL, SOME = b"=", b"+"
NOTHING = b"+null"

open_file, close, read, write, fstat, scan, mkdir = os.open, os.close, os.read, os.write, os.fstat, os.scandir, os.mkdir
is_regular, is_folder = stat.S_ISREG, stat.S_ISDIR
escape = _json.encode_basestring_ascii
from_base64, to_base64 = binascii.a2b_base64, binascii.b2a_base64
compile_regex, translate = re.compile, fnmatch.translate

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

MEDIA_TYPES = {
    "bmp": "image/bmp",
    "css": "text/css",
    "csv": "text/csv",
    "gif": "image/gif",
    "gz": "application/gzip",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "log": "text/plain",
    "md": "text/markdown",
    "parquet": "application/vnd.apache.parquet",
    "pdf": "application/pdf",
    "png": "image/png",
    "py": "text/x-python",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "webp": "image/webp",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "zip": "application/zip",
}


# --- Before the script ------------------------------------------------------------------------------


def place(files):
    """Of a dict that the server has checked; it is emptied on the way, to hold nothing twice."""
    made = set()
    while files:
        name, content = files.popitem()
        for at, character in enumerate(name):
            if character == "/" and name[:at] not in made:
                made.add(name[:at])
                mkdir(f"{PLACE}/{name[:at]}")
        data = content["text"].encode() if "text" in content else from_base64(content["base64"])
        fd = open_file(f"{PLACE}/{name}", CREATE, 0o644)
        try:
            left = memoryview(data)
            while left:
                left = left[write(fd, left) :]
        finally:
            close(fd)


def part_matcher(part):
    """None for any number of parts."""
    return None if part == "**" else compile_regex(translate(part)).match


class Patterns:
    """Compiled before the script runs; a name is matched part by part, in time that grows with both, not faster."""

    def __init__(self, texts):
        self.all = [[part_matcher(part) for part in text.split("/")] for text in texts]
        deep = [LEVELS_MAX if None in pattern else len(pattern) - 1 for pattern in self.all]
        self.levels = min(LEVELS_MAX, max(deep, default=-1))

    def match(self, parts):
        return any(match_one(pattern, parts) for pattern in self.all)


def skip(pattern, places):
    """Adds the places that are reached by letting ** stand for nothing."""
    reached = set()
    for place in places:
        reached.add(place)
        while place < len(pattern) and pattern[place] is None:
            place += 1
            reached.add(place)
    return reached


def match_one(pattern, parts):
    places = skip(pattern, {0})
    for part in parts:
        stay = {place for place in places if place < len(pattern) and pattern[place] is None}
        go = {place + 1 for place in places if place < len(pattern) and pattern[place] is not None and pattern[place](part)}
        places = skip(pattern, stay | go)
        if not places:
            return False
    return len(pattern) in places


# --- Behind it --------------------------------------------------------------------------------------


class Walk:
    """Finds (name, size) of the files that match."""

    def __init__(self, patterns):
        self.patterns = patterns
        self.left = ENTRIES_MAX
        self.found = []
        self.cut = False

    def entries_of(self, folder):
        entries = []
        with scan(folder) as all_entries:
            for entry in all_entries:
                if self.left == 0:
                    self.cut = True
                    break
                self.left -= 1
                entries.append(entry)
            return [(entry.name, *self.kind_of(entry)) for entry in entries]

    def kind_of(self, entry):
        """A file's size, None for a folder, -1 for all else; and its inode."""
        try:
            about = entry.stat(follow_symlinks=False)
            if is_folder(about.st_mode):
                return None, about.st_ino
            return about.st_size if is_regular(about.st_mode) else -1, about.st_ino
        except OSError:
            return -1, 0

    def walk(self, folder, parts):
        """Closes the folder."""
        try:
            entries = self.entries_of(folder)
            for name, size, inode in entries:
                here = (*parts, name)
                if size is None:
                    self.walk_into(folder, here, inode)
                elif size >= 0 and self.patterns.match(here):
                    self.found.append(("/".join(here), size, inode))
        finally:
            close(folder)

    def walk_into(self, folder, parts, inode):
        if len(parts) > self.patterns.levels:
            self.cut = self.cut or self.patterns.levels == LEVELS_MAX
            return
        try:
            inner = open_file(parts[-1], FOLDER, dir_fd=folder)
        except OSError:
            self.cut = True
            return
        if fstat(inner).st_ino != inode:  # gVisor can be made to follow a link that takes the folder's place
            close(inner)
            self.cut = True
            return
        self.walk(inner, parts)


def open_below(name):
    """A descriptor, with no link followed on the way."""
    *folders, last = name.split("/")
    folder = open_file(PLACE, FOLDER)
    try:
        for part in folders:
            inner = open_file(part, FOLDER, dir_fd=folder)
            close(folder)
            folder = inner
        return open_file(last, FILE, dir_fd=folder)
    finally:
        close(folder)


def read_file(name, inode, room):
    """All of it, or None where it does not fit or is no longer this regular file, or one that can be read."""
    try:
        fd = open_below(name)
    except OSError:
        return None
    try:
        about = fstat(fd)
        if not is_regular(about.st_mode) or about.st_ino != inode or about.st_size > room:
            return None
        data = bytearray()
        while len(data) <= room:
            piece = read(fd, min(PIECE, room + 1 - len(data)))
            if not piece:
                return data
            data += piece
        return None  # it grows
    except OSError:
        return None
    finally:
        close(fd)


def media_type_of(name):
    return MEDIA_TYPES.get(name.rpartition("/")[2].rpartition(".")[2].lower(), "application/octet-stream")


class Outputs:
    """What an answer has of files and figures: at most `room` bytes of contents in all."""

    def __init__(self, room):
        self.room = room
        self.listing = self.contents = 0
        self.pieces = []
        self.cut = False

    def add(self, name, size, data, more=""):
        """data: None for what cannot be had; what does not fit is left out as well. False when nothing more is listed."""
        if data is not None and (size > self.room or self.contents == CONTENTS_MAX):
            data = None
        head = f'{{"name": {escape(name)}{more}, "size": {size}, "media_type": {escape(media_type_of(name))}, '.encode("ascii")
        self.listing += len(head) + 24
        self.cut = self.cut or data is None or self.listing > LISTING_MAX
        if self.listing > LISTING_MAX:
            return False
        if data is None:
            self.pieces.append(head + b'"truncated": true}')
            return True
        self.room -= size
        self.contents += 1
        self.pieces.append(b'%s"base64": "%s"}' % (head, to_base64(data, newline=False)))
        return True

    def json(self):
        """FRAME_ALL or FRAME_SOME, and an array."""
        return (SOME if self.cut else ALL) + b"[" + b", ".join(self.pieces) + b"]"


def collect(patterns, outputs):
    """Adds the files that match."""
    walk = Walk(patterns)
    walk.walk(open_file(PLACE, FOLDER), ())
    walk.found.sort()
    outputs.cut = outputs.cut or walk.cut
    for name, size, inode in walk.found:
        data = read_file(name, inode, outputs.room) if outputs.contents < CONTENTS_MAX else None
        if not outputs.add(name, size if data is None else len(data), data):
            break
