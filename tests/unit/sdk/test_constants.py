"""Where the constants of an author's code come from: every way in which Python runs a file, and no built text."""

import compileall
import importlib
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from secrets import token_hex

import pytest

from mcpward import Database, StatementRefused
from mcpward.sdk.database.constants import CONSTANTS, Constants

TOOLS = """
import asyncio, sqlite3, sys
from mcpward import Database, StatementRefused

db = Database("sqlite://")


class Queries:
    one = "SELECT 1 AS one"


async def main(built):
    print(await db.query(Queries.one), await db.query("SELECT 2 " "AS two"))
    try:
        await db.query("SELECT 3 -- " + built)
    except StatementRefused as refused:
        print(refused)
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(str(len(sys.argv))))
"""
SAID = (
    "[{'one': 1}] [{'two': 2}]\n"
    "the statement is no constant of your code, so it may be built from values\n"
)  # fmt: skip
PROMPT = TOOLS.replace('if __name__ == "__main__":\n    ', "")


def run(*words: str, folder: Path, given: str | None = None) -> str:
    words = (sys.executable, *words)
    done = subprocess.run(words, cwd=folder, input=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "words", [["tools.py"], ["-m", "tools"], ["-m", "shop"], ["-OO", "tools.py"], ["-c", "import tools; tools.go()"]]
)
def test_a_file_is_known_however_python_runs_it(tmp_path, words):
    (tmp_path / "tools.py").write_text(f"{TOOLS}\n\ndef go():\n    asyncio.run(main('1'))\n")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__main__.py").write_text(TOOLS)
    assert run(*words, folder=tmp_path) == SAID


def test_what_comes_by_stdin_or_at_a_prompt_is_known_while_no_call_runs(tmp_path):
    assert run("-", folder=tmp_path, given=PROMPT) == SAID
    assert run("-c", PROMPT, folder=tmp_path) == SAID


def test_byte_code_alone_is_known_and_so_is_an_archive(tmp_path):
    (tmp_path / "shop_tools.py").write_text(TOOLS)
    compileall.compile_file(tmp_path / "shop_tools.py", legacy=True, quiet=1)
    with zipfile.ZipFile(tmp_path / "tools.zip", "w") as archive:
        archive.write(tmp_path / "shop_tools.py", "zipped_tools.py")
    (tmp_path / "shop_tools.py").unlink()
    go = "import asyncio; asyncio.run(tools.main('1'))"
    assert run("-c", f"import shop_tools as tools; {go}", folder=tmp_path) == SAID
    zipped = f"import sys; sys.path.insert(0, 'tools.zip'); import zipped_tools as tools; {go}"
    assert run("-c", zipped, folder=tmp_path) == SAID


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Path:
    """A folder of installed packages."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def package(folder: Path, source: str) -> str:
    name = f"shop_{token_hex(4)}"
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("")
    (folder / name / "queries.py").write_text(source)
    return name


@pytest.fixture
async def opened() -> AsyncIterator[Callable[..., Database]]:
    made: list[Database] = []

    def open_one(**options) -> Database:
        made.append(Database("sqlite://", **options))
        return made[-1]

    yield open_one
    for one in made:
        await one.close()


async def test_an_installed_package_counts_if_it_makes_the_database_or_is_named(installed, opened):
    alone = package(installed, 'ALL = "SELECT 11 AS n"\n')
    queries = importlib.import_module(f"{alone}.queries")
    with pytest.raises(StatementRefused, match="no constant") as refused:
        await opened().query(queries.ALL)
    assert any("packages=" in note for note in refused.value.__notes__)
    assert await opened(packages=[alone]).query(queries.ALL) == [{"n": 11}]
    makes = package(installed, 'from mcpward import Database\ndb = Database("sqlite://")\nALL = "SELECT 12 AS n"\n')
    queries = importlib.import_module(f"{makes}.queries")
    assert await queries.db.query(queries.ALL) == [{"n": 12}]
    await queries.db.close()


async def test_a_module_that_is_imported_later_or_reloaded_is_known(tmp_path, monkeypatch, opened):
    monkeypatch.syspath_prepend(tmp_path)
    name = f"queries_{token_hex(4)}"
    db = opened()
    assert await db.query("SELECT 1 AS one") == [{"one": 1}]
    (tmp_path / f"{name}.py").write_text('ALL = "SELECT 21 AS n"\n')
    module = importlib.import_module(name)
    assert await db.query(module.ALL) == [{"n": 21}]
    (tmp_path / f"{name}.py").write_text('ALL = "SELECT 22222 AS n"\n')
    importlib.invalidate_caches()
    assert await db.query(importlib.reload(module).ALL) == [{"n": 22222}]


def test_constants_within_tuples_sets_defaults_and_inner_functions_are_known(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    name = f"nested_{token_hex(4)}"
    texts = [f"SELECT {number} AS {name}" for number in range(5)]
    (tmp_path / f"{name}.py").write_text(
        f"A = ({texts[0]!r}, ({texts[1]!r}, 1))\n"
        f"def f(x={texts[2]!r}):\n    def g(y):\n        return y in {{{texts[3]!r}, 'b'}} or (lambda: {texts[4]!r})\n"
    )
    importlib.import_module(name)
    assert [CONSTANTS.own(text) for text in texts] == texts
    assert CONSTANTS.own(f"SELECT 5 AS {name}") is None


def test_constants_of_libraries_and_of_mcpward_are_none_of_the_authors():
    assert CONSTANTS.own(SAID.splitlines()[1]) is None
    assert CONSTANTS.own(subprocess.__doc__) is None


def test_a_module_without_code_is_named(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    name = f"coded_{token_hex(4)}"
    (tmp_path / f"{name}.py").write_text(f'ALL = "SELECT 31 AS {name}"\n')
    importlib.import_module(name)
    (tmp_path / f"{name}.py").unlink()
    fresh = Constants()
    assert fresh.own(f"SELECT 31 AS {name}") is None
    assert name in fresh.unreadable
