"""Text that the repository must not contain: this machine's paths, where packages were fetched from, whole keys."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from support.sources import tracked_texts

# Written in pieces, so that this file does not find itself.
MACHINE_PATH = re.compile("/(?:" + "|".join(["wo" + "rk", "fa" + "rm", "ro" + "ot", "ho" + "me"]) + ")/[a-z]")
HOSTS = ["py" + "pi.org", "pythonhosted" + ".org", "registry.npm" + "js", "npm" + "mirror", "deb.debian" + ".org"]
OPTIONS = ["--index" + "-url", "--extra-index" + "-url", "--find" + "-links"]
REGISTRY = re.compile("|".join(map(re.escape, HOSTS + OPTIONS)))
SKIPPED = re.compile(r"pytest\.(?:skip|importorskip|mark\.skip|mark\.xfail)|unittest\.skip")
LOCK_ADDRESS = re.compile(r'"resolved"\s*:')
REQUIREMENT = re.compile(r"^([a-z0-9-]+)==", re.MULTILINE)


def found(pattern: re.Pattern[str], *, but: frozenset[str] = frozenset()) -> list[str]:
    return [
        f"{name}: {hit[0]}"
        for name, text in tracked_texts().items()
        if name not in but
        for hit in pattern.finditer(text)
    ]


def test_no_path_of_a_machine_is_tracked():
    assert not found(MACHINE_PATH)


def test_no_package_registry_is_named():
    assert not found(REGISTRY, but=frozenset({".ci/lock"}))  # it tells uv to leave them out


def test_no_lock_file_holds_an_address():
    assert not found(LOCK_ADDRESS)


def test_no_file_is_too_large_to_review():
    assert not [name for name, text in tracked_texts().items() if len(text) > 500_000]


def test_no_test_can_be_skipped():
    """The test command installs missing tools on a fresh machine, or the test fails."""
    assert not found(SKIPPED, but=frozenset({"tests/architecture/test_hygiene.py"}))


def test_every_corpus_names_its_source_and_licence(root: Path):
    folder = root / "tests" / "corpora"
    page = (folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \|.*\| [^|]+ \| (?:Apache-2\.0|MIT)", page, re.MULTILINE)
    assert sorted(rows) == sorted(str(path.relative_to(folder)) for path in folder.rglob("*.json*"))


@pytest.mark.parametrize(
    "name", ["build", "runtime", "test", "bench", "interop-sdk-oldest", "interop-sdk-newest", "audit"]
)
def test_every_requirement_is_pinned_with_a_hash(root: Path, name: str):
    lines = (root / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line[:1].isalnum():
            assert REQUIREMENT.match(line), line
            assert lines[number + 1].lstrip().startswith("--hash=sha256:"), line


def test_every_dependency_of_the_package_is_locked(root: Path):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = set(REQUIREMENT.findall((root / "requirements" / "runtime.txt").read_text(encoding="utf-8")))
    wanted = {re.split(r"[\[>=<~! ]", line)[0].lower() for line in project["dependencies"]}
    assert wanted <= locked


def test_every_client_of_the_interop_tests_is_pinned_exactly(root: Path):
    folder = root / "tests" / "interop"
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    for version in wanted["dependencies"].values():
        assert re.fullmatch(r"(npm:@?[a-z/-]+@)?\d+\.\d+\.\d+(-alpha\.\d+)?", version)
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    assert all("integrity" in entry for path, entry in lock["packages"].items() if path and not entry.get("inBundle"))
