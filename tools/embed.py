#!/usr/bin/python3
"""Turns files into a C table.

embed.py texts OUTPUT HEADER TABLE INPUT...
    In the order given. HEADER declares TABLE, an array of struct embedded: see src/base/embedded.h.

embed.py assets OUTPUT DEPFILE FOLDER INPUT...
    What the server serves: all that is in FOLDER, and each INPUT, in the order of their paths; see src/server/asset.h. DEPFILE
    has Ninja look at the folder, so that a new file in it needs no mention.
"""
import gzip
import hashlib
import os
import sys

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml; charset=utf-8", ".txt": "text/plain; charset=utf-8", ".json": "application/json"}
PLACES = {"index.html": "/", "index.json": "/", "docs.html": "/docs"}
STAND_IN = "editor-plain.js"  # tools/editor.py makes editor.js of it where that has to be


def array(name, data):
    numbers = [str(byte - 256 if byte > 127 else byte) for byte in data + b"\0"]
    lines = [", ".join(numbers[at : at + 24]) for at in range(0, len(numbers), 24)]
    return f"static const char {name}[] = {{\n" + ",\n".join(lines) + "};\n"


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


def begin(header):
    return f'/* Made by tools/embed.py. */\n#include "{header}"\n\n#include <stddef.h>\n\n'


def texts(target, header, table, *sources):
    names = [os.path.splitext(os.path.basename(source))[0] for source in sources]
    arrays = "".join(array(name, bytes_of(source)) for name, source in zip(names, sources))
    rows = "".join(f'    {{"{name}", {name}}},\n' for name in names)
    with open(target, "w") as file:
        file.write(begin(header) + arrays + f"\nconst struct embedded {table}[] = {{\n{rows}    {{NULL, NULL}},\n}};\n")


def form(name, data, tag):
    return array(name, data), f'{{{name}, {len(data)}, "\\"{tag}\\""}}'


def assets(target, depfile, folder, *inputs):
    sources = [entry.path for entry in os.scandir(folder) if entry.is_file() and entry.name != STAND_IN] + list(inputs)
    placed = [(PLACES.get(name, "/page/" + name), path) for path in sources
              if os.path.splitext(name := os.path.basename(path))[1] in TYPES]
    arrays = rows = ""
    for number, (place, path) in enumerate(sorted(placed)):
        data = bytes_of(path)
        tag = hashlib.sha256(data).hexdigest()[:32]
        plain, plain_form = form(f"plain_{number}", data, tag)
        packed, packed_form = form(f"packed_{number}", gzip.compress(data, 9, mtime=0), tag + "-gzip")
        arrays += plain + packed
        rows += f'    {{"{place}", "{TYPES[os.path.splitext(path)[1]]}", {plain_form}, {packed_form}}},\n'
    with open(target, "w") as file:
        file.write(begin("server/asset.h") + arrays + f"\nconst struct asset assets[] = {{\n{rows}    {{NULL}},\n}};\n")
    needed = " ".join(path.replace(" ", "\\ ") for path in [folder, *sources])
    with open(depfile, "w") as file:
        file.write(f"{target}: {needed}\n")


{"texts": texts, "assets": assets}[sys.argv[1]](*sys.argv[2:])
