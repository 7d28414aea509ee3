"""Every test has the same name in every process: else no two processes can share the tests out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def collecting(root: Path, seed: int) -> "subprocess.Popen[str]":
    """Collect all tests where sets and hashes have the order that ``seed`` gives."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=root,
        env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        text=True,
    )


def file_of(name: str) -> str:
    return name.partition("::")[0]


@pytest.mark.slow
@pytest.mark.timeout(600)  # another process imports every test
def test_no_name_depends_on_the_process(root: Path, request: pytest.FixtureRequest):
    here = [item.nodeid for item in request.session.items]  # in this process, all or some of them
    told = collecting(root, 1).communicate(timeout=580)[0].splitlines()
    there = [line for line in told if "::" in line]
    assert len(there) > 1000
    assert sorted({*here} - {*there}) == []
    wanted = {*here}
    # In the same order within a file, too; that of files is as they were asked for.
    assert sorted((name for name in there if name in wanted), key=file_of) == sorted(here, key=file_of)
