#!/usr/bin/python3
"""Bundles the page's editor: editor.py npm|plain SOURCE PLAIN FOLDER EDITOR LICENSES DEPFILE.

SOURCE (web/editor) is bundled with its packages of npm into the module EDITOR; LICENSES has what they are licensed by. The
packages are put into FOLDER by the lock file's checksums, once for as long as that file is the same, so that to build again takes
no network. Where npm is missing or does not get them, EDITOR is the text area PLAIN, which is said in one line. DEPFILE then
names a file that is not there, for which Ninja tries again with the next build. `plain` is the text area in any case.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys

NPM = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline",
       "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"]
NPM_SECONDS = 180  # for some 12 MB
BANNER = "/* CodeMirror and its packages, each under the MIT licence: /page/licenses.txt */"


class Missing(Exception):
    """Why there is no bundle; no fault of ours."""


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    """Untouched where it is the same, so that nothing is built of it again."""
    if not os.path.exists(path) or text_of(path) != text:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def run_npm(folder):
    try:
        result = subprocess.run(NPM, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, timeout=NPM_SECONDS)
    except subprocess.TimeoutExpired:
        raise Missing(f"npm has not got its packages in {NPM_SECONDS} seconds") from None
    if result.returncode != 0:
        told = re.findall(r"^npm (?:ERR!|error) (?!code|errno|syscall)(.+)", result.stdout, re.M)
        raise Missing(f"npm did not get its packages ({told[0].strip() if told else 'and does not say why'})")


def install(source, folder, stamp):
    """The stamp is written last, so what was cut off is done again."""
    lock = text_of(os.path.join(source, "package-lock.json"))
    if os.path.exists(stamp) and text_of(stamp) == lock:
        return
    if shutil.which("npm") is None:
        raise Missing("npm is missing")
    print("editor: npm gets CodeMirror and esbuild, which is done once", flush=True)
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(os.path.join(source, name), os.path.join(folder, name))
    run_npm(folder)
    write(stamp, lock)


def bundle(source, folder):
    """The text of the module, and which files it is made of."""
    found = glob.glob(os.path.join(glob.escape(folder), "node_modules/@esbuild/*/bin/esbuild"))
    if not found:
        raise Missing("npm has no esbuild for this processor")
    made, told = os.path.join(folder, "bundle.js"), os.path.join(folder, "bundle.json")
    result = subprocess.run([os.path.abspath(found[0]), os.path.abspath(os.path.join(source, "editor.js")), "--bundle", "--minify", "--format=esm",
                             "--target=es2022", "--legal-comments=none", f"--banner:js={BANNER}", "--log-level=warning",
                             "--outfile=bundle.js", "--metafile=bundle.json"],
                            cwd=folder, env={**os.environ, "NODE_PATH": os.path.abspath(os.path.join(folder, "node_modules"))})
    if result.returncode != 0:
        sys.exit(1)  # it has said what is wrong with our source
    return text_of(made), list(json.loads(text_of(told))["inputs"])


def licenses(folder, inputs):
    names = {match[1] for path in inputs if (match := re.search(r"(?:^|/)node_modules/((?:@[^/]+/)?[^/]+)/", path))}
    parts = []
    for name in sorted(names):
        place = os.path.join(folder, "node_modules", name)
        version = json.loads(text_of(os.path.join(place, "package.json")))["version"]
        parts.append(f"{name} {version}\n\n{text_of(os.path.join(place, 'LICENSE')).strip()}\n")
    return "What /page/editor.js is made of, beside what belongs to this service.\n\n" + ("\n" + "-" * 80 + "\n\n").join(parts)


def main():
    choice, source, plain, folder, editor, licensed, depfile = sys.argv[1:]
    text, told, needed = text_of(plain), "/page/editor.js has no parts of others.\n", [plain]
    if choice == "npm":
        stamp = os.path.join(folder, "installed")
        needed += [stamp, os.path.join(source, "package.json"), os.path.join(source, "package-lock.json")]
        try:
            install(source, folder, stamp)
            text, inputs = bundle(source, folder)
            told = licenses(folder, inputs)
            needed += [os.path.join(folder, path) for path in inputs if "node_modules/" not in path]
        except Missing as why:
            print(f"editor: {why}, so the page has a plain text area; the next build tries again", flush=True)
    write(editor, text)
    write(licensed, told)
    with open(depfile, "w", encoding="utf-8") as file:
        file.write(f"{editor}: " + " ".join(os.path.normpath(path).replace(" ", "\\ ") for path in needed) + "\n")


main()
