"""A service with the injector before it, and what it is without a fault."""
import pytest

from injection import Injected
import trial


@pytest.fixture(scope="module")
def injected():
    one = Injected(*trial.BARE)
    one.wait_for_ready()
    yield one
    one.kill()


@pytest.fixture(scope="module")
def reference(injected):
    return trial.look(injected)
