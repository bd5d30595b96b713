"""What the checks by ThreadSanitizer and by valgrind share: a build with something linked in, a folder where one program
has another's place, and what is counted."""
import glob
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = ("python-executor", "python-executor-server", "python-executor-zygote")


class Variant:
    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.passed = self.failed = 0
        self.reports = os.path.join(self.folder, "reports")
        self.forget_reports()

    def forget_reports(self):
        shutil.rmtree(self.reports, ignore_errors=True)
        os.makedirs(self.reports)
        os.chmod(self.reports, 0o777)  # the server's processes are another user's

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def compile(self, source, name, *flags):
        subprocess.run(["cc", "-O2", "-g", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-I", os.path.join(ROOT, "src"), *flags, "-o", self.path(name), "-x", "c", "-"],
                       input=source, text=True, check=True)

    def build(self, *options, link=()):
        if not os.path.exists(self.path("build.ninja")):
            subprocess.run(["meson", "setup", self.folder, "-Deditor=plain", "-Dc_link_args=" + str(list(link)), *options],
                           cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        subprocess.run([os.path.join(ROOT, "tools", "build"), self.folder], check=True)

    def place(self, **other):
        """FOLDER/run with the three programs; `server=PATH` and the like for another."""
        os.makedirs(self.path("run"), exist_ok=True)
        for name in PROGRAMS:
            key = name.rpartition("python-executor")[2].lstrip("-") or "manager"
            shutil.copy2(other.get(key) or self.path(name), self.path("run", name))
        return self.path("run")

    def count(self, what, good, output=""):
        self.passed += bool(good)
        self.failed += not good
        print(f"{'ok    ' if good else 'FAILED'} {what}", flush=True)
        if not good and output:
            print(output, flush=True)

    def run(self, what, command, **more):
        """It hangs where it takes longer than an hour."""
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=ROOT, timeout=3600, **more)
        self.count(what, done.returncode == 0, done.stdout[-6000:])

    def count_reports(self, what, is_bad):
        for path in sorted(glob.glob(os.path.join(self.reports, "*"))):
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            if is_bad(text):
                self.count(f"{what}: {path}", False, text[-6000:])

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)
