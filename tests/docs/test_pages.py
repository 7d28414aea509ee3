"""A page names a file, a symbol or an attack's test: it must be there. Links lead somewhere."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from support.sources import PACKAGE, ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
SYMBOL = re.compile(r"`([a-z_]+/[a-z_/]+\.py)(?::([A-Za-z_.]+))?`")
TEST_FILE = re.compile(r"`(tests/[a-z_/]+\.py)`")
ATTACK_ROW = re.compile(r"^\| ([\d, ]+) \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"^def test_attack_(\d+)_", re.MULTILINE)
CITED = re.compile(r"[Aa]ttacks? (\d+(?:-\d+)?(?:(?:, | and |, and )\d+(?:-\d+)?)*)")


@cache
def names_of(path: Path) -> set[str]:
    """Functions, classes, constants and methods (``Class.method``) of a module."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{part.name}" for part in node.body if hasattr(part, "name")}
    return names


@cache
def attacks_cited_by(path: Path) -> set[int]:
    """The numbers that a test file says it covers: in a test's name, or in a sentence (`attacks N-M and K`)."""
    text = path.read_text(encoding="utf-8")
    numbers = {int(number) for number in NAMED.findall(text)}
    for citation in CITED.finditer(text):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", citation[1]):
            numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_symbol_that_a_page_names_is_there(page: Path):
    missing = []
    for path, name in SYMBOL.findall(page.read_text(encoding="utf-8")):
        home = next((top / path for top in (PACKAGE, ROOT) if (top / path).is_file()), None)
        if home is None or (name and name not in names_of(home)):
            missing.append(f"{path}:{name}")
    assert not missing


def threat_rows() -> list[tuple[set[int], list[str]]]:
    """The rows of docs/threats.md: the attacks, and the test files that are named for them."""
    page = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
    return [
        ({int(n) for n in re.findall(r"\d+", row[1])}, TEST_FILE.findall(row[2])) for row in ATTACK_ROW.finditer(page)
    ]


@pytest.mark.parametrize("row", threat_rows(), ids=lambda row: "-".join(map(str, sorted(row[0]))))
def test_every_attack_on_the_page_is_cited_by_its_tests(row: tuple[set[int], list[str]]):
    attacks, files = row
    covered = set().union(*(attacks_cited_by(ROOT / name) for name in files))
    assert attacks <= covered


def test_every_attack_that_a_test_cites_has_a_row():
    on_page = set().union(*(attacks for attacks, _ in threat_rows()))
    tests = [path for path in (ROOT / "tests").glob("*/**/test_*.py") if "node_modules" not in path.parts]
    assert set().union(*map(attacks_cited_by, tests)) <= on_page
