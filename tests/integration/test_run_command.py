"""python-executor run FILE: how a run ends, its streams, its options, its document."""
import base64
import hashlib
import json
import os
import re
import time

import pytest
from command import OK, Tag, arguments_of, begin, run
from service import PROGRAM, unsanitized

# --- How it ends ------------------------------------------------------------------------------------

EXCEPTION = "def main():\n    return 1 / 0"
ENDINGS = {
    "ok": (OK, (), 0, b"1\n", ""),
    "exception": (EXCEPTION, (), 1, b"", 'Traceback (most recent call last):\n  File "<string>", line 2, in main\n'),
    "syntax": ("def main(:", (), 1, b"", "SyntaxError"),
    "no_main": ("x = 1", (), 10, b"", "python-executor: no_main: Function 'main()' not found in script.\n"),
    "not_serializable": ("def main(): return {1}", (), 11, b"", "python-executor: not_serializable: Result is not JSON-serializable: set"),
    "output_limit": ("def main(): return 'x' * 4000", ("--result-kb=2",), 12, b"", "--result-kb 2"),
    "memory error": ("def main(): return len(bytearray(10**12))", (), 13, b"", "MemoryError"),
    "exited": ("import sys\ndef main(): sys.exit(3)", (), 17, b"", "python-executor: exited: "),
    "os._exit": ("import os\ndef main(): os._exit(0)", (), 17, b"", "python-executor: exited: "),
    "timeout": ("import time\ndef main(): time.sleep(60)", ("--limit", "wall_ms=300"), 124, b"", "timeout: it ran for the 300 ms that it may (--wall-ms)"),
    "CPU": ("def main():\n while True: pass", ("--limit=cpu_ms=200", "--wall-ms=20000"), 124, b"", "--cpu-ms"),
    "wrong arguments": ("def main(a): return a", (), 1, b"", "TypeError"),
}


@pytest.mark.parametrize("name", list(ENDINGS))
def test_an_end_has_its_status(script, name):
    text, options, status, out, words = ENDINGS[name]
    done = run(script(text), *options)
    assert (done.returncode, done.stdout) == (status, out), done
    assert words in done.stderr.decode() and (words or not done.stderr), done


@unsanitized
def test_a_crash(script):
    done = run(script("import ctypes\ndef main(): ctypes.string_at(0)"))
    assert (done.returncode, done.stdout) == (16, b"") and done.stderr == b"python-executor: killed: it was ended by signal 11 (SIGSEGV)\n", done


@unsanitized
def test_memory_without_end(script):
    text = "import mmap\ndef main():\n    m = mmap.mmap(-1, 400 << 20)\n    for i in range(0, 400 << 20, 4096): m[i] = 1\n    import time; time.sleep(5)"
    done = run(script(text))
    assert done.returncode == 13 and b"more than the 256 MiB" in done.stderr and b"--memory-mb" in done.stderr, done


def test_nothing_is_printed_for_none(script):
    done = run(script("def main(): pass"))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_result_is_one_line_behind_what_was_printed(script):
    done = run(script("def main():\n    print('a', end='')\n    return {'n': 2**80, 't': 'x\\ny\\u00e9', 'l': [1, None]}"))
    assert done.returncode == 0
    assert done.stdout == b'a{"n": 1208925819614629174706176, "t": "x\\ny\\u00e9", "l": [1, null]}\n'


def test_a_traceback_is_of_the_scripts_own_frames(script):
    done = run(script("import json\ndef f(): return json.loads('{')\ndef main(): return f()"))
    assert done.returncode == 1 and done.stdout == b""
    lines = done.stderr.decode().splitlines()
    assert [line.split('", ')[1] for line in lines if line.startswith("  File ")] == ["line 3, in main", "line 2, in f"]
    assert lines[-1].startswith("json.decoder.JSONDecodeError: Expecting property name")


HOSTILE = "\x1b]0;title\x07\x1b[2J\r\x9b31m\u202e\x7f\x00\u2028end"


@pytest.mark.parametrize("text", [f"def main(): raise ValueError({HOSTILE!r})", f"class E(Exception): pass\nE.__name__ = {HOSTILE!r}\ndef main(): raise E",
                                  f"def main(): return {{{HOSTILE!r}: {{1}}}}"], ids=["message", "name", "path"])
def test_a_terminal_is_safe_from_error_texts(script, text):
    done = run(script(text))
    assert done.returncode in (1, 11)
    shown = done.stderr.decode()
    assert "end" in shown and not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028]", shown), ascii(shown)
    assert "\\x1b]0;title\\x07" in shown or "\\u001b" in shown or "\\x1b" in shown


def test_a_name_of_a_file_is_shown_safely(script):
    done = run(script(OK), "--file", "a\x1b[2J/../b=/dev/null")
    assert done.returncode == 2 and b"\x1b" not in done.stderr and b"files" in done.stderr, done


# --- Streams ----------------------------------------------------------------------------------------


def test_lines_pass_while_the_script_runs(script):
    """The second line of the script needs an answer that is given only when the first has been seen."""
    child = begin(script("import sys\ndef main():\n    print('first'); print(input()); print('err', file=sys.stderr)\n    return input()"))
    assert child.stdout.readline() == b"first\n"
    child.stdin.write(b"second\n")
    assert child.stdout.readline() == b"second\n"
    assert child.stderr.readline() == b"err\n"
    child.stdin.write(b"third\n")
    assert child.stdout.readline() == b'"third"\n'
    assert child.wait(10) == 0  # though nobody has closed its stdin
    child.communicate()


def test_both_streams_come_in_their_order(script):
    text = "import os\ndef main():\n    for n in range(50): os.write(1 + n % 2, b'%d\\n' % n)\n    print('last')\n    return 1 / 0"
    path = script(text)
    done = run(path, command=["/bin/sh", "-c", '"$@" 2>&1', "sh", *arguments_of(path)])
    lines = done.stdout.decode().splitlines()
    assert lines[:52] == [*map(str, range(50)), "last", "Traceback (most recent call last):"], done


def test_bytes_are_left_alone(script):
    data = bytes(range(256)) * 5000
    text = "import sys\ndef main():\n    data = sys.stdin.buffer.read()\n    sys.stdout.buffer.write(data); sys.stderr.buffer.write(data[::-1])\n    return len(data)"
    done = run(script(text), stdin=data)
    assert done.returncode == 0
    assert done.stdout == data + b"1280000\n" and done.stderr == data[::-1]


def test_the_end_of_stdin(script):
    assert run(script("def main(): return open(0).read()"), stdin=b"abc").stdout == b'"abc"\n'
    assert run(script("def main(): return open(0).read()")).stdout == b'""\n'


@pytest.mark.parametrize("how", ["</dev/null", "<&-"])
def test_no_stdin(script, how):
    path = script("import sys\ndef main(): return sys.stdin.read()")
    done = run(path, command=["/bin/sh", "-c", f'exec "$@" {how}', "sh", *arguments_of(path)])
    assert (done.returncode, done.stdout) == (0, b'""\n'), done


def test_a_file_for_stdin(script, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(b"line\n" * 200_000)
    with open(big, "rb") as file:
        child = begin(script("def main(): return sum(1 for _ in open(0))"), stdin=file)
        assert child.communicate(timeout=20)[0] == b"200000\n"


def test_a_script_that_does_not_read_does_not_wait_for_it(script):
    done = run(script(OK), stdin=bytes(10 << 20))
    assert (done.returncode, done.stdout) == (0, b"1\n")


def test_all_that_is_printed_arrives(script):
    """More than all pipes and buffers hold, at a reader that takes its time."""
    child = begin(script("def main():\n    for i in range(200000): print(i, 'x' * 40)"), "--wall-ms=60000", "--cpu-ms=60000")
    time.sleep(1)
    out, err = child.communicate(timeout=60)
    assert out == b"".join(b"%d %s\n" % (i, b"x" * 40) for i in range(200000)) and err == b"" and child.returncode == 0


def test_what_is_dropped_is_told(script):
    done = run(script("def main(): print('x' * 5000)"), "--limit", "output_kb=1")
    assert done.stdout == b"x" * 1024 and done.returncode == 0
    assert done.stderr == b"python-executor: of 5001 bytes on standard output the first 1024 were handed on (--stdout-kb)\n"


@pytest.mark.parametrize("stream", [1, 2])
def test_nobody_reads_any_more(script, stream):
    tag = Tag()
    text = f"import os\ndef main():\n    while True: os.write({stream}, b'line\\n')"
    read, write = os.pipe()
    child = begin(script(text), tag.option, "--wall-ms=60000", **{"stdout" if stream == 1 else "stderr": write})
    os.close(write)
    assert os.read(read, 5)
    os.close(read)
    assert child.wait(10) == 141
    assert child.communicate() == ((None, b"") if stream == 1 else (b"", None))
    tag.assert_gone()


def test_head(script):
    path = script("def main():\n    while True: print('line')")
    done = run(path, command=["/bin/sh", "-c", '"$@" | head -1', "sh", *arguments_of(path, "--wall-ms=60000")])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"line\n", b"")


def test_a_full_disk_is_told(script):
    with open("/dev/full", "wb") as full:
        child = begin(script("def main(): print('x')"), stdout=full)
        _, err = child.communicate(timeout=20)
    assert child.returncode == 125 and b"cannot write to standard output: No space left on device" in err


# --- What goes in -----------------------------------------------------------------------------------


def test_a_script_from_stdin():
    done = run("-", stdin=b"import sys\ndef main(): return [41 + 1, sys.stdin.read()]")
    assert (done.returncode, done.stdout) == (0, b'[42, ""]\n')


def test_numbers_of_any_size(script):
    number = "123456789" * 100
    assert run(script("def main(x): return x * 10"), "--input", number).stdout.decode() == number + "0\n"


def test_args_and_kwargs(script):
    path = script("def main(a, b, *, c): return [a, b, c]")
    assert run(path, "--args", '[1, "\\u00e9"]', '--kwargs={"c": null}').stdout == b'[1, "\\u00e9", null]\n'


def test_files(script, tmp_path):
    data = bytes(range(256)) * 1001
    (tmp_path / "data=1.bin").write_bytes(data)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "one").write_bytes(b"\xff")
    text = "import os, hashlib\ndef main(): return {n: hashlib.sha256(open(n, 'rb').read()).hexdigest() for n in ('in/data', 'empty', 'two')}"
    done = run(script(text), "--file", f"in/data={tmp_path}/data=1.bin", "--file", f"{tmp_path}/empty", f"--file=two={tmp_path}/one")
    assert json.loads(done.stdout) == {"in/data": hashlib.sha256(data).hexdigest(), "empty": hashlib.sha256(b"").hexdigest(),
                                       "two": hashlib.sha256(b"\xff").hexdigest()}


def test_a_seed(script):
    path = script("import random\ndef main(): return random.randint(1, 1000)")
    assert run(path, "--seed", "7").stdout == b"332\n"


def test_conversion(script):
    path = script("import datetime\ndef main(): return datetime.date(2024, 2, 29)")
    assert run(path).returncode == 11
    assert run(path, "--convert").stdout == b'"2024-02-29"\n'


def test_a_script_with_a_mark_of_its_encoding(script):
    assert run(script(b"\xef\xbb\xbfdef main(): return '\xc3\xa9'")).stdout == b'"\\u00e9"\n'


@pytest.mark.parametrize("options, words", [
    (["--input", "{"], ["--input is not JSON"]),
    (["--input", '1, "script": "x"'], ["--input is not JSON"]),
    (["--args", "[1]}"], ["--args is not JSON"]),
    (["--args", "{}"], ["'args' must be an array"]),
    (["--kwargs", "[]"], ["'kwargs' must be an object"]),
    (["--input", "1", "--args", "[]"], ["one or the other"]),
    (["--seed", "-1"], ["'seed'"]),
    (["--seed", "x"], ["--seed"]),
    (["--file", "/no/such/file"], ["/no/such/file", "No such file"]),
    (["--file", "/"], ["/", "Is a directory"]),
    (["--file", "../x=/dev/null"], ["../x"]),
    (["--file", "a=/dev/zero"], ["/dev/zero", "--scratch-mb"]),
    (["--limit", "wall_ms=0"], ["--limit wall_ms", "1 to 3600000"]),
    (["--limit", "wall_ms=3600001"], ["--limit wall_ms", "1 to 3600000"]),
    (["--limit", "memory_mb=lots"], ["--limit memory_mb", "lots"]),
    (["--limit", "walls=1"], ["--limit", "walls", "wall_ms"]),
    (["--limit", "wall_ms"], ["--limit wall_ms"]),
    (["--wall-ms", "0"], ["--wall-ms"]),
    (["--nonsense"], ["--nonsense"]),
    (["-x"], ["-x"]),
    (["another.py"], ["another.py"]),
    (["--json=1"], ["--json", "no value"]),
    (["--input"], ["--input", "needs a value"]),
    (["--output", "/abs"], ["outputs"]),
    (["--require=rlimits"], ["--require"]),
])
def test_wrong_usage(script, options, words):
    done = run(script("def main(*a): open('/tmp/ran', 'w'); print('ran')"), *options)
    assert (done.returncode, done.stdout) == (2, b""), done
    assert done.stderr.startswith(b"python-executor: "), done
    for word in words:
        assert word in done.stderr.decode(), done.stderr


@pytest.mark.parametrize("text, options, words", [
    (b"# " + bytes(3000), ["--script-kb=2"], ["larger than 2 KiB", "--script-kb"]),
    (b"def main(): return '\xe9'", [], ["not UTF-8", "byte 20"]),
])
def test_a_wrong_script(script, text, options, words):
    done = run(script(text), *options)
    assert (done.returncode, done.stdout) == (2, b"") and all(word in done.stderr.decode() for word in words), done


def test_no_script():
    done = run(None, command=[PROGRAM, "run"])
    assert done.returncode == 2 and b"which script?" in done.stderr
    assert run("/no/such/script").returncode == 2


def test_help():
    for arguments in (["run", "--help"], ["run", "x.py", "-h"]):
        done = run(None, command=[PROGRAM, *arguments])
        assert done.returncode == 0 and done.stderr == b""
        text = done.stdout.decode()
        assert "usage: python-executor run FILE" in text
        for option in ("input", "args", "kwargs", "file", "limit", "seed", "convert", "output", "json"):
            assert re.search(rf"^  --{option} ", text, re.M), option
        for status in (0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 124, 125, 130, 141):
            assert re.search(rf"^ +{status}  ", text, re.M), status


# --- Limits -----------------------------------------------------------------------------------------


def test_limits_may_be_raised_beyond_what_a_service_allows(script):
    done = run(script("def main(): return len(bytearray(600 << 20))"), "--limit", "memory_mb=1000", "--limit=wall_ms=60000", "--json",
               environment={"PYTHON_EXECUTOR_MAX_WALL_MS": "5000", "PYTHON_EXECUTOR_MAX_MEMORY_MB": "256"})
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document["result"] == 600 << 20
    assert (document["limits"]["wall_ms"], document["limits"]["memory_mb"]) == (60000, 1000)


def test_the_environment_counts_and_the_flag_wins(script):
    variables = {"PYTHON_EXECUTOR_WALL_MS": "300", "PYTHON_EXECUTOR_CPU_MS": "2000"}
    done = run(script(OK), "--json", "--cpu-ms=3000", environment=variables)
    limits = json.loads(done.stdout)["limits"]
    assert (limits["wall_ms"], limits["cpu_ms"]) == (300, 3000)
    assert run(script(OK), environment={"PYTHON_EXECUTOR_WALL_MS": "x"}).returncode == 2


# --- JSON -------------------------------------------------------------------------------------------


def test_one_document(script):
    text = "import sys\ndef main():\n    print('out'); print('err', file=sys.stderr); open('a.csv', 'w').write('1,2')\n    return 2**70"
    done = run(script(text), "--json", "--output", "*.csv", "--output=*.txt")
    assert done.returncode == 0 and done.stderr == b"" and done.stdout.endswith(b"}\n") and done.stdout.count(b"\n") == 1
    document = json.loads(done.stdout)
    assert document["result"] == 2**70 and document["outcome"] == "ok"
    assert (document["stdout"], document["stderr"]) == ("out\n", "err\n")
    assert document["outputs"] == [{"name": "a.csv", "size": 3, "media_type": "text/csv", "base64": base64.b64encode(b"1,2").decode()}]
    assert set(document) == {"result", "stdout", "stderr", "outputs", "stdout_truncated", "stderr_truncated", "outcome", "usage", "limits"}


def test_the_document_is_what_the_service_says(script, service):
    for text in (EXCEPTION, "def main():\n    print('x')\n    return [1.5, 'é']", "x = 1", "def main(): return {1}"):
        theirs = service.run(text, details=True).json
        mine = json.loads(run(script(text), "--json").stdout)
        for document in (theirs, mine):
            document.pop("usage"), document.pop("limits")
        assert mine == theirs


def test_a_document_of_a_failure_has_its_status(script):
    done = run(script("def main():\n    print('x', flush=True)\n    while True: pass"), "--json", "--wall-ms=300")
    assert done.returncode == 124 and done.stderr == b""
    document = json.loads(done.stdout)
    assert (document["error"], document["outcome"], document["stdout"]) == ("Execution failed", "timeout", "x\n")


def test_a_wrong_request_has_no_document(script):
    done = run(script(OK), "--json", "--input", "{")
    assert (done.returncode, done.stdout) == (2, b"") and b"--input" in done.stderr
