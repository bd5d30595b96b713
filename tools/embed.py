#!/usr/bin/python3
"""Turns a file into a C array: embed.py INPUT OUTPUT NAME. The array is ended by a NUL."""
import sys

source, target, name = sys.argv[1:]
with open(source, "rb") as file:
    data = file.read()
lines = [", ".join(str(byte - 256 if byte > 127 else byte) for byte in data[at : at + 24]) for at in range(0, len(data), 24)]
with open(target, "w") as file:
    file.write(f"/* Made from {source.rsplit('/', 1)[-1]} by tools/embed.py. */\n")
    file.write(f"extern const char {name}[];\n")
    file.write(f"const char {name}[] = {{\n" + ",\n".join(lines + ["0"]) + "};\n")
