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
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.timeout(300)  # two processes import every test
def test_no_name_depends_on_the_process(root: Path):
    processes = [collecting(root, seed) for seed in (1, 2)]
    told = [process.communicate(timeout=280)[0].splitlines() for process in processes]
    first, second = ([line for line in lines if "::" in line] for lines in told)
    assert len(first) > 1000
    assert sorted({*first} ^ {*second}) == []
    assert first == second  # in the same order, too
