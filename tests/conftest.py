"""The fixtures of all tests."""

import gc
import logging
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, find, settings
from hypothesis import strategies as st

from support import clients, quick
from support.clock import ManualClock
from support.mariadb import mariadb_server  # noqa: F401 - a fixture
from support.postgres import postgres_server  # noqa: F401 - a fixture
from support.redis import redis_cluster, redis_server  # noqa: F401 - fixtures

ROOT = Path(__file__).resolve().parent.parent
left_out: Counter[str] = Counter()

# A property that takes long on a busy machine is no wrong property: speed is measured by `make bench`.
settings.register_profile("mcpward", deadline=None)
settings.load_profile("mcpward")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take ``--part``: `make fast` shares the modules among processes, each of which reads only its own."""
    parser.addoption("--part", metavar="K/N", help="only every Nth module of tests, as told by its name")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, unread, modules of another part, and of slow tests where these are not asked for."""
    part = config.getoption("part")
    if part is not None and collection_path.name.startswith("test_") and not quick.is_of_part(collection_path, part):
        return True
    if "not slow" not in config.option.markexpr:
        return None
    why = quick.why_slow_module(collection_path)
    if why is None:
        return None
    left_out[f"modules, {why}"] += 1
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the unit tests that `make fast` leaves out, and the tests that `make test` runs with nothing beside them."""
    for item in items:
        if quick.measures_cost(item.path):
            item.add_marker(pytest.mark.cost)
        why = quick.why_slow(item)
        if why is not None:
            item.add_marker(pytest.mark.slow(why))


def pytest_sessionstart() -> None:
    """Collect no garbage while tests are collected: nothing of it is garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Take what was collected out of every later look for garbage: a look at twelve thousand tests takes a second."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Note what is not run, for the last lines."""
    for item in items:
        is_marked = any(item.iter_markers("slow")) or any(item.iter_markers("interop"))
        why = quick.why_slow(item) or ("marked slow or interop" if is_marked else "not asked for")
        left_out[f"tests, {why}"] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Print in the process that prints: with ``-n`` it collects nothing itself."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take it over: every worker leaves out the same."""
    for why, count in getattr(node, "workeroutput", {}).get("left_out", {}).items():
        left_out[why] = count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was not run."""
    for why, count in sorted(left_out.items()):
        terminalreporter.write_line(f"not run: {count} {why}")


@pytest.fixture(autouse=True)
def _log_of_this_test() -> Iterator[None]:
    """A command set up in this process writes to the stream of one test, which is closed in the next."""
    yield
    root = logging.getLogger()
    root.handlers[:] = [one for one in root.handlers if type(one) is not logging.StreamHandler]


@pytest.fixture(scope="session", autouse=True)
def _lost_terminal() -> Iterator[None]:
    """Servers of tests see SIGHUP as from a terminal, also under nohup: an ignored signal is inherited, a handler is
    not."""
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session", autouse=True)
def _characters() -> None:
    """Draw one text before any test does: in a fresh clone hypothesis makes its table of characters for it, a second
    or two that the first property would be blamed for."""
    patient = settings(database=None, suppress_health_check=list(HealthCheck))
    find(st.text(min_size=1), lambda _: True, settings=patient)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the test moves it."""
    return ManualClock()


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def node() -> Path:
    """Node (≥ 22) with the clients of tests/interop beside it; ``support.clients`` has a command for each."""
    binary = clients.node_binary()
    if binary is None or not clients.installed():
        pytest.fail("the clients of tests/interop are missing: `make interop-env` installs them")
    return binary


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of attack corpora; its README names the source and licence of each."""
    return ROOT / "tests" / "corpora"
