"""Standard output and standard error: every byte, in its order, apart from each other."""
import pytest


def stdout_of(service, script):
    answer = service.run(script)
    assert answer.status == 200, answer
    return answer.stdout


def test_all_ways_of_writing_come_in_their_order(service):
    script = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "print('1 module')\n"
        "def main():\n"
        "    print('2 print')\n"
        "    os.write(1, b'3 os.write\\n')\n"
        "    sys.__stdout__.write('4 __stdout__\\n')\n"
        "    sys.stdout.buffer.write(b'5 buffer\\n')\n"
        "    libc.write(1, b'6 write\\n', 8)\n"
        "    libc.puts(b'7 puts'); libc.fflush(None)\n"
        "    sys.stdout.writelines(['8 ', 'writelines\\n'])\n"
        "    print('9', end=''); os.write(1, b'-end')\n"
    )
    assert stdout_of(service, script) == (
        "1 module\n2 print\n3 os.write\n4 __stdout__\n5 buffer\n6 write\n7 puts\n8 writelines\n9-end"
    )


def test_what_c_code_has_buffered_is_not_lost(service):
    script = "import ctypes\ndef main():\n    ctypes.CDLL(None).puts(b'from C')\n    print('from Python')"
    assert sorted(stdout_of(service, script).splitlines()) == ["from C", "from Python"]


def test_c_code_and_python_keep_their_order(service):
    script = "import ctypes\ndef main():\n    ctypes.CDLL(None).puts(b'first')\n    print('second')"
    assert stdout_of(service, script) == "first\nsecond\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "   ",
        "  lead\n\n trail  \n\n",
        "no newline",
        "a\rb\r\nc",
        "a\0b\0",
        "".join(map(chr, range(32))) + "\x7f\x80\x9f",
        'quotes " and \\ and / and </script>',
        "h\u00e9llo \u4e16\u754c \U0001f40d",
        "\u2028\u2029\ufeff\ufffe\uffff\U0010ffff",
        '{"result": 0, "stdout": ""}',
        "HTTP/1.1 500 no\r\nX-Injected: 1\r\n\r\n",
    ],
)
def test_printed_text_is_neither_stripped_nor_changed(service, text):
    answer = service.run(f"def main():\n    print({text!r}, end='')\n    return 1")
    assert answer.stdout == text
    assert "x-injected" not in answer.headers


@pytest.mark.parametrize(
    "data",
    [
        b"\xff", b"ok \xff\xfe ok", b"\x80\x80", b"\xc3", b"\xe4\xb8", b"\xf0\x9f\x90", b"\xc0\xaf",
        b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf5", b"a\xc3(b", b"\xe4\xb8x", bytes(range(256)),
    ],
)
def test_what_is_not_utf8_becomes_replacement_characters(service, data):
    answer = service.run(f"import os\ndef main():\n    os.write(1, {data!r})\n    return 1")
    assert answer.stdout == data.decode("utf-8", "replace")


def test_a_lone_surrogate_can_be_printed(service):
    answer = service.run("def main():\n    print('a\\udcffb')\n    return 1")
    assert answer.status == 200
    assert answer.stdout == "a\ufffdb\n"


def test_a_character_written_in_two_pieces_is_one(service):
    assert stdout_of(service, "import os\ndef main():\n    os.write(1, b'\\xc3'); os.write(1, b'\\xa9')") == "\u00e9"


def test_stdout_and_stderr_are_apart(service):
    script = "import os, sys\ndef main():\n    print('out')\n    print('err', file=sys.stderr)\n    os.write(2, b'raw')"
    assert service.run(script).json == {"result": None, "stdout": "out\n"}
    assert service.run(script, details=True).json["stderr"] == "err\nraw"


def test_stdin_is_empty(service):
    assert service.result("import os, sys\ndef main(): return [sys.stdin.read(), os.read(0, 10).decode()]") == ["", ""]
    answer = service.run("def main(): return input()")
    assert (answer.status, answer.error) == (400, "EOFError: EOF when reading a line")


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 300_000, 1_000_000])
def test_output_beyond_a_pipe_is_whole(service, size):
    assert stdout_of(service, f"def main(): print('z' * {size - 1})") == "z" * (size - 1) + "\n"


def test_many_lines_are_whole(service):
    script = "def main():\n    for i in range(20000): print('line', i)"
    assert stdout_of(service, script) == "".join(f"line {i}\n" for i in range(20000))


def test_output_of_several_threads_is_whole(service):
    script = (
        "import threading\n"
        "def work(n):\n"
        "    for i in range(500): print(f'{n}-{i}\\n', end='')\n"
        "def main():\n"
        "    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]\n"
        "    for t in threads: t.start()\n"
        "    for t in threads: t.join()\n"
    )
    assert sorted(stdout_of(service, script).split()) == sorted(f"{n}-{i}" for n in range(4) for i in range(500))


def test_a_buffered_stream_of_the_scripts_own_is_flushed(service):
    assert stdout_of(service, "import sys\nsys.stdout = open(1, 'w', closefd=False)\ndef main(): print('kept')") == "kept\n"


def test_redirected_output_is_the_scripts_business(service):
    script = (
        "import contextlib, io\ndef main():\n    text = io.StringIO()\n"
        "    with contextlib.redirect_stdout(text): print('caught')\n    print('free')\n    return text.getvalue()"
    )
    assert service.run(script).json == {"result": "caught\n", "stdout": "free\n"}


@pytest.mark.parametrize(
    "way",
    ["sys.stdout.close()", "os.close(1)", "sys.stdout = None", "sys.__stdout__.detach()", "del sys.stdout"],
)
def test_closing_standard_output_loses_nothing_else(service, way):
    answer = service.run(f"import os, sys\ndef main():\n    print('before')\n    {way}\n    return 1")
    assert answer.json == {"result": 1, "stdout": "before\n"}


def test_output_of_a_thread_that_goes_on_does_not_delay_the_answer(service):
    script = (
        "import threading, time\n"
        "def work():\n    while True:\n        print('.'); time.sleep(0.01)\n"
        "def main():\n    threading.Thread(target=work).start()\n    return 1"
    )
    answer = service.run(script)
    assert answer.result == 1 and answer.seconds < 3
    assert set(answer.stdout) <= {".", "\n"}
