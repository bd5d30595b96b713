"""Packages of npm that tests use: installed into the build folder, by the lock file's checksums, once for as long as that is
the same."""
import os
import shutil
import subprocess

from service import BUILD


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(*command, folder, seconds, text=None):
    """Its output where it ends well."""
    result = subprocess.run(command, cwd=folder, input=text or "", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=seconds)
    assert result.returncode == 0, f"{' '.join(command)} failed:\n{result.stdout[-4000:]}"
    return result.stdout


def install(source, *options):
    """A folder with what the lock file in `source` names, and with the modules of `source` beside it: what they import is
    looked for there."""
    for program in ("node", "npm"):
        assert shutil.which(program), f"{program} is missing: tools/packages test installs it"
    folder = os.path.join(os.path.abspath(BUILD), os.path.basename(source))
    lock, installed = os.path.join(source, "package-lock.json"), os.path.join(folder, "installed")
    os.makedirs(folder, exist_ok=True)
    # Written last, so what was cut off is done again.
    if not os.path.exists(installed) or text_of(installed) != text_of(lock):
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(os.path.join(source, name), os.path.join(folder, name))
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", *options, folder=folder, seconds=300)
        shutil.copyfile(lock, installed)
    for name in os.listdir(source):
        if name.endswith(".mjs"):
            shutil.copyfile(os.path.join(source, name), os.path.join(folder, name))
    return folder


def assert_no_addresses(source, least):
    """The lock has a checksum for every package, and no host that it would be fetched from."""
    lock = text_of(os.path.join(source, "package-lock.json"))
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/') >= least
    assert '"resolved"' not in lock and "://" not in lock
