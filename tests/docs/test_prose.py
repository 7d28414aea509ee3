"""Pages, messages and docstrings follow the eight rules of CONTRIBUTING.md, as far as a machine can see."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.prose import sentences
from support.sources import ROOT, modules

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LONGEST = 25
#: Rule 4: the subject is mcpward, the worker or the caller. Rule 6: "only X", "indefinitely", "a refusal".
NOT_SAID = re.compile(
    r"\b(nobody|somebody|whoever|anybody|everybody|for ever|the house|is told|are told)\b"
    r"|(?<!left )(?<!let )\b(?!stand|not\b)[a-z]+ alone\b|\ba (?:no|yes)\b(?! [a-z])",
    re.IGNORECASE,
)
#: Rule 2: a sentence names the thing first.
CLAUSE_FIRST = re.compile(r"(?:What(?! to\b)|Who|Whoever|Of(?! the\b)) [a-z`]")
#: Rule 1: the verbs that Python uses.
NO_VERB = re.compile(r"(?:Give|Gives|Tell|Tells|Say|Says|Hear|Hears)\b(?! (?:back|up|away)\b)")


def test_the_counter_sees_a_sentence_as_a_reader_does(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\nOne `two three`. [Four](five) six:\n\n```\nnot me\n```\n\n* Seven,\n  eight!\n\n| a | b |\n"
    )
    assert [(one.line, one.text, one.words) for one in sentences(page)] == [
        (3, "One X.", 2),
        (3, "Four six:", 2),
        (9, "Seven, eight!", 2),
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_of_a_page_is_longer_than_a_breath(page: Path):
    assert [f"{one.line}: {one.words} words: {one.text}" for one in sentences(page) if one.words > LONGEST] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_says_what_has_a_plain_word(page: Path):
    # Code is quoted, not said: names of tests and settings stay as they are.
    text = re.sub(r"```.*?```|`[^`\n]+`|<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert [hit.group() for hit in NOT_SAID.finditer(text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_of_a_page_opens_with_a_clause(page: Path):
    assert [one.text for one in sentences(page) if CLAUSE_FIRST.match(one.text) and not one.text.endswith("?")] == []


def docstrings() -> Iterator[tuple[str, str]]:
    """Every docstring of the package, with where it stands."""
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                said = ast.get_docstring(node)
                if said:
                    yield f"{path}:{getattr(node, 'lineno', 1)}", said


def messages() -> Iterator[tuple[str, str]]:
    """Every text of the package that a user may see: of three words at least, and no docstring."""
    for path, tree in modules().items():
        kept = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            # A text below an attribute explains it to a reader of the code.
            if isinstance(node, ast.Expr):
                kept.add(id(node.value))
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in kept:
                continue
            if len(node.value.split()) > 2:
                yield f"{path}:{node.lineno}", node.value


def test_no_message_says_what_has_a_plain_word():
    wrong = [f"{where} {said}" for where, said in messages() if NOT_SAID.search(said)]
    assert wrong == []


def test_no_docstring_opens_with_another_verb_than_pythons():
    assert [f"{where} {said.splitlines()[0]}" for where, said in docstrings() if NO_VERB.match(said)] == []
