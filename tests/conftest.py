"""What all tests share: one running service, and a way to start others."""
import os
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service import PROGRAM, Service  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: looks at what all services of the machine have in common, see run.py")


@pytest.fixture(scope="session", autouse=True)
def program():
    assert os.access(PROGRAM, os.X_OK), f"{PROGRAM} is not built; set BUILD to the build folder"
    return PROGRAM


@pytest.fixture(scope="session")
def service(program):
    """With its defaults, for all tests that neither need options nor harm it."""
    shared = Service()
    yield shared
    shared.stop()


@pytest.fixture
def start(program):
    """Starts a service of one's own: start("--workers=1", ...). Each is stopped, and checked for what it
    leaves, when the test is over, unless the test has seen to its end itself."""
    started = []

    def begin(*options, **keys):
        started.append(Service(*options, **keys))
        return started[-1]

    yield begin
    failed = None
    for one in started:
        try:
            if one.process.returncode is None:
                one.stop()
            else:
                one.kill()
        except AssertionError as error:
            failed = failed or error
    if failed:
        raise failed


@pytest.fixture
def script():
    """Writes a script where every user can read it, and gives its path."""
    count = iter(range(100))
    with tempfile.TemporaryDirectory(prefix="run-command-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)

        def write(text):
            path = os.path.join(folder, f"script{next(count)}.py")
            with open(path, "wb") as file:
                file.write(text if isinstance(text, bytes) else text.encode())
            os.chmod(path, 0o644)
            return path

        yield write
