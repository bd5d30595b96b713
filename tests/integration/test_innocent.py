"""The scripts of tests/innocent.py, each with its result."""
import pytest
from innocent import SCRIPTS


@pytest.mark.parametrize("script, result", [case[1:] for case in SCRIPTS], ids=[case[0] for case in SCRIPTS])
def test_it_just_works(service, script, result):
    answer = service.run(script)
    assert answer.status == 200, answer
    assert answer.json == {"result": result, "stdout": ""}


def test_a_main_thread_that_ends_before_its_daemons(service):
    script = "import threading\ndef work():\n    while True: pass\ndef main():\n    threading.Thread(target=work, daemon=True).start()\n    return 1"
    assert service.result(script) == 1


def test_breakpoints_and_help_do_not_hang(service):
    assert service.run("def main(): breakpoint()").seconds < 4
    assert service.run("def main(): help(len)").seconds < 4


def test_what_needs_a_semaphore_says_so(service):
    """sem_open() makes it in /dev/shm, which a worker does not have: no multiprocessing, not even its pool of threads.
    concurrent.futures has one that needs none."""
    script = "import multiprocessing.dummy as m\ndef main():\n    with m.Pool(4) as pool: return pool.map(abs, [-1, 2])"
    assert service.run(script).error.startswith("FileNotFoundError: ")


def test_the_locale_of_the_environment(service):
    assert service.result("import locale\ndef main(): return locale.setlocale(locale.LC_ALL, '')") == "C.UTF-8"
