"""The types of tests are checked, too: of every folder, and nothing turns that off."""

import re
import tomllib
from pathlib import Path

from support.sources import tracked_texts

IGNORED = re.compile(r"#\s*type:\s*ignore(?!\[[a-z-]+(?:,[a-z-]+)*\])|#\s*mypy:")
WITHOUT_REASON = re.compile(r"#\s*type:\s*ignore\[[a-z,-]+\]\s*$", re.MULTILINE)


#: Options of mypy that leave modules out, or take all findings in them back.
BLIND = {"exclude", "exclude_gitignore", "follow_imports", "ignore_errors"}


def test_mypy_reads_the_package_and_every_folder_of_tests(root: Path):
    mypy = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert mypy["files"] == ["src/mcpward", "tests"]
    assert [options for options in (mypy, *mypy["overrides"]) if not BLIND.isdisjoint(options)] == []


def test_every_type_that_is_ignored_has_its_code_and_its_reason():
    tests = {name: text for name, text in tracked_texts().items() if re.match(r"tests/.*\.py$", name)}
    tests.pop("tests/architecture/test_types.py", None)
    assert [name for name, text in tests.items() if IGNORED.search(text)] == []
    assert [name for name, text in tests.items() if WITHOUT_REASON.search(text)] == []
