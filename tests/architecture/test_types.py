"""The types of tests are checked, too: folder by folder, as pyproject.toml lists them."""

import re
import tomllib
from pathlib import Path

from support.sources import tracked_texts

#: Folders of tests whose types are not checked yet. One leaves this set and never comes back; none is added.
LEFT_OUT = {
    "tests/interop",  # scripts for clients that live in environments of their own, and what drives them
    "tests/wire",  # about a hundred findings, most of them of what fixtures hang on a Ward
}
IGNORED = re.compile(r"#\s*type:\s*ignore(?!\[[a-z-]+(?:,[a-z-]+)*\])|#\s*mypy:")
WITHOUT_REASON = re.compile(r"#\s*type:\s*ignore\[[a-z,-]+\]\s*$", re.MULTILINE)


def checked(root: Path) -> list[str]:
    files: list[str] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["files"]
    return files


def test_mypy_reads_every_folder_of_tests_but_those_that_are_named_here(root: Path):
    there = {f"tests/{path.relative_to(root / 'tests').parts[0]}" for path in (root / "tests").rglob("*.py")}
    assert there == {*checked(root), *LEFT_OUT} - {"src/mcpward"}
    assert LEFT_OUT.isdisjoint(checked(root))


def test_every_type_that_is_ignored_has_its_code_and_its_reason():
    tests = {name: text for name, text in tracked_texts().items() if re.match(r"tests/.*\.py$", name)}
    tests.pop("tests/architecture/test_types.py", None)
    assert [name for name, text in tests.items() if IGNORED.search(text)] == []
    assert [name for name, text in tests.items() if WITHOUT_REASON.search(text)] == []
