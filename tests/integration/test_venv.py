"""--venv: scripts have the packages of a virtual environment, those of Debian's Python behind them, and no more of it."""
import os
import subprocess
import sysconfig
import tempfile

import pytest
from service import PROGRAM, needs_poverty, unsanitized

LIBRARY = "int library_answer(void) { return 42; }\n"
EXTENSION = """
#include <Python.h>
int library_answer(void);
static PyObject *answer(PyObject *self, PyObject *none) { (void)self; (void)none; return PyLong_FromLong(library_answer()); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
"""


def compile_c(text, target, *options):
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", target, *options], input=text, text=True, check=True)


def fill(packages):
    """What wheels bring: modules, data, and an extension that finds its library in a folder beside it."""
    os.makedirs(f"{packages}/plain/data")
    os.mkdir(f"{packages}/native.libs")
    for name, text in (("plain/__init__.py", "X = 'of the venv'\n"), ("plain/late.py", "Y = 7\n"), ("plain/data/text", "data"),
                       ("dateutil.py", "__version__ = 'of the venv'\n")):
        with open(f"{packages}/{name}", "w", encoding="ascii") as file:
            file.write(text)
    compile_c(LIBRARY, f"{packages}/native.libs/libanswer.so")
    compile_c(EXTENSION, packages + "/native" + sysconfig.get_config_var("EXT_SUFFIX"), f"-I{sysconfig.get_path('include')}",
              f"-L{packages}/native.libs", "-lanswer", "-Wl,-rpath,$ORIGIN/native.libs")


@pytest.fixture(scope="module")
def venv():
    """Below /usr, where a container's would be: see src/sandbox/chroot.h."""
    with tempfile.TemporaryDirectory(prefix="python-executor-venv-", dir="/usr/local" if os.geteuid() == 0 else None) as folder:
        os.chmod(folder, 0o755)
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--system-site-packages", "--without-pip", folder], check=True)
        fill(os.path.join(folder, "lib", f"python{sysconfig.get_python_version()}", "site-packages"))
        with open(f"{folder}/secret", "w", encoding="ascii") as file:
            file.write("not a package")
        yield folder


USE = """
import os, native, plain, numpy
def main():
    import plain.late
    with open(os.path.join(os.path.dirname(plain.__file__), 'data', 'text')) as file:
        return [native.answer(), plain.X, plain.late.Y, file.read(), numpy.arange(3).tolist()]
"""
ANSWER = [42, "of the venv", 7, "data", [0, 1, 2]]


@unsanitized
@pytest.mark.parametrize("preload", ["", "numpy", "plain,native"])
def test_its_packages_are_there(start, venv, preload):
    assert start(f"--venv={venv}", f"--preload={preload}").result(USE) == ANSWER


@unsanitized
@needs_poverty
def test_without_namespaces(start, venv):
    assert start(f"--venv={venv}", "--preload=numpy", poor=True).result(USE) == ANSWER


@unsanitized
def test_they_come_before_those_of_debian(start, venv):
    service = start(f"--venv={venv}", "--preload=")
    assert service.result("import dateutil, sys\ndef main(): return [dateutil.__version__, sys.prefix]") == ["of the venv", venv]


def test_they_cannot_be_changed_and_nothing_else_of_it_is_seen(start, venv):
    service = start(f"--venv={venv}", "--preload=")
    script = f"""
import os
def attempt(call, *arguments):
    try: call(*arguments)
    except OSError as error: return type(error).__name__
    return 'it worked'
def main():
    folder = {venv!r} + '/lib/python{sysconfig.get_python_version()}/site-packages'
    return [attempt(open, folder + '/plain/__init__.py', 'a'), attempt(os.unlink, folder + '/dateutil.py'),
            attempt(os.mkdir, folder + '/new'), attempt(open, {venv!r} + '/secret')]
"""
    written = service.result(script)
    assert all(name in ("OSError", "PermissionError") for name in written[:3]), written
    assert written[3] in ("FileNotFoundError", "PermissionError"), written


def refusal(venv):
    done = subprocess.run([PROGRAM, "--port=0", f"--venv={venv}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 1, done.stdout
    return done.stdout


def test_what_is_no_virtual_environment_is_refused(tmp_path, venv):
    assert "No such file or directory" in refusal(tmp_path / "missing")
    assert "is no virtual environment for Python" in refusal(tmp_path)
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    os.mkdir(tmp_path / "lib")
    os.mkdir(tmp_path / "lib" / "python2.7")
    assert "site-packages" in refusal(tmp_path)


def test_a_link_to_one_is_followed(start, venv, tmp_path):
    os.symlink(venv, tmp_path / "current")
    assert start(f"--venv={tmp_path}/current", "--preload=").result("import plain\ndef main(): return plain.X") == "of the venv"
