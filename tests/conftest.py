"""What every test may ask for, and where Node's clients are found."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from support.clock import ManualClock

ROOT = Path(__file__).resolve().parent.parent
INTEROP = ROOT / "tests" / "interop"


def _absent(what: str) -> NoReturn:
    """Skip on a person's machine. In continuous integration a skipped part would look like one that passed."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


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
    """The Node binary (≥ 22) that `make test` installs; its clients lie in `node_modules` around it."""
    binary = INTEROP / "node_modules" / ".bin" / "node"
    if not binary.exists():
        _absent("tests/interop/node_modules is missing: .ci/node installs it")
    return binary


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of attack corpora, which lies beside the repository and is too large to live in it."""
    folder = ROOT.parent / "shared" / "corpora"
    if not folder.is_dir():
        _absent("the attack corpora are not beside this clone")
    return folder
