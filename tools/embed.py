#!/usr/bin/python3
"""Turns files into a C table, in the order given: embed.py OUTPUT HEADER TABLE INPUT...

HEADER declares TABLE, an array of struct embedded: see src/base/embedded.h.
"""
import os
import sys


def array(name, data):
    numbers = [str(byte - 256 if byte > 127 else byte) for byte in data + b"\0"]
    lines = [", ".join(numbers[at : at + 24]) for at in range(0, len(numbers), 24)]
    return f"static const char {name}[] = {{\n" + ",\n".join(lines) + "};\n"


target, header, table, *sources = sys.argv[1:]
names = [os.path.splitext(os.path.basename(source))[0] for source in sources]
with open(target, "w") as file:
    file.write(f'/* Made by tools/embed.py. */\n#include "{header}"\n\n#include <stddef.h>\n\n')
    for name, source in zip(names, sources):
        with open(source, "rb") as text:
            file.write(array(name, text.read()))
    rows = "".join(f'    {{"{name}", {name}}},\n' for name in names)
    file.write(f"\nconst struct embedded {table}[] = {{\n{rows}    {{NULL, NULL}},\n}};\n")
