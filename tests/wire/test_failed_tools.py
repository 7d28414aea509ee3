"""A tool that fails: what its author finds under the error id, and how a person with the id finds the call."""

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial

import pytest

from support.ward import Ward, environment, serving, text_of
from support.wire import until

TOOLS = '''
from mcpward import Caller, Database, Server, ToolError, UniqueViolated

server = Server("demo")
db = Database("sqlite:///shop.db", read_only=False)
away = Database("sqlite:///data/gone.db")


@server.tool(read_only=True)
async def find(name: str) -> list[dict]:
    """Find by a column that is spelt otherwise."""
    return await db.query("SELECT id FROM products WHERE nmae = :name", name=name)


@server.tool(read_only=True)
async def sly(name: str) -> int:
    """Change something, and be called a read."""
    return await db.execute("UPDATE products SET name = :name", name=name)


@server.tool()
async def add(name: str) -> int:
    """Add one."""
    try:
        added = await db.execute("INSERT INTO products (name) VALUES (:name) RETURNING id", name=name)
    except UniqueViolated:
        raise ToolError("that name is taken") from None
    return added.rows[0]["id"]


@server.tool()
async def rename(name: str) -> int:
    """Give a number of rows as it comes."""
    return await db.execute("UPDATE products SET name = :name", name=name)


@server.tool(read_only=True)
async def lost() -> list[dict]:
    """Read a file that is not there."""
    return await away.query("SELECT 1 AS one")


@server.tool(read_only=True)
def whoami(caller: Caller) -> str:
    """Say who calls."""
    return caller.name
'''
LINE = 12  # of find's query


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    folder = tmp_path_factory.mktemp("failed")
    with serving(
        folder, servers='[servers.demo]\nsource = "own.py"\nmode = "public"\naccess = "write"\n', start=False
    ) as site:
        (folder / "own.py").write_text(TOOLS, encoding="utf-8")
        with closing(sqlite3.connect(folder / "shop.db")) as connection, connection:
            connection.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        yield site.start()


def failed(ward, tool, **arguments):
    """Call a tool that fails; return the id in the caller's answer, and the line of the log."""
    (known,) = re.findall(r"\(error ([0-9a-f]{12})\)", text_of(ward.call(tool, arguments)))
    lines = (json.loads(line) for line in ward.log().splitlines() if line.startswith("{"))
    return known, next(line for line in lines if line.get("error_id") == known)


def test_the_log_names_the_authors_line_the_statement_and_what_the_database_said_and_no_value(ward):
    _, line = failed(ward, "find", name="canary-value")
    assert re.match(rf"\S*own\.py:{LINE}, in find\n", line["detail"])
    assert "the database said: no such column: nmae\n" in line["detail"]
    assert "statement: SELECT id FROM products WHERE nmae = :name" in line["detail"]
    assert "canary" not in ward.log()


def test_a_file_that_is_not_there_is_named_with_the_folder_where_its_path_starts(ward):
    _, line = failed(ward, "lost")
    assert f"there is no database file {ward.folder / 'data' / 'gone.db'}" in line["detail"]
    assert f"the relative path data/gone.db starts at {ward.folder}" in line["detail"]


def test_a_name_that_is_taken_can_be_answered_and_the_new_id_returned(ward):
    assert text_of(ward.call("add", {"name": "lamp"})) == "1"
    assert text_of(ward.call("add", {"name": "lamp"})) == "that name is taken"
    assert ward.call("rename", {"name": "chair"}).json()["result"]["structuredContent"] == {"result": 1}


def test_a_read_only_tool_that_changes_something_is_told_at_the_start_with_its_line(ward):
    events = [json.loads(line) for line in ward.log().splitlines() if line.startswith("{")]
    found = next(one for one in events if "'sly'" in one["event"])
    assert found["event"] == "server demo: tool 'sly' is read_only, and db.execute() changes data"
    assert found["where"].endswith("own.py:18")
    assert found["hint"].startswith("remove read_only=True")
    assert not [one for one in events if "'add'" in one["event"]]


def logged(ward: Ward, error_id: str) -> str:
    return ward.cli("log", "--error-id", error_id, check=False).stdout


def test_a_person_who_was_told_an_error_id_finds_the_call_by_it(ward):
    known, _ = failed(ward, "find", name="x")
    for spelt in (known, f"(error {known.upper()})"):
        said = until(partial(logged, ward, spelt))
        _, call = said.splitlines()
        assert "tools/call find" in call
        assert f"tool-failed (error {known})" in call
    (row,) = [json.loads(line) for line in ward.cli("log", "--error-id", known, "--json").stdout.splitlines()]
    assert (row["tool"], row["error_id"]) == ("find", known)
    assert known in ward.cli("log", "--tool", "find").stdout
    exported = ward.cli("log", "export", "--error-id", known).stdout
    assert [json.loads(line)["error_id"] for line in exported.splitlines()] == [known]


@pytest.mark.parametrize(
    "given,code,said",
    [("0123456789ab", 1, "no record has the error id 0123456789ab"), ("nonsense", 2, "--error-id is not an error id")],
)
def test_an_error_id_that_no_record_has_is_told(ward, given, code, said):
    done = ward.cli("log", "--error-id", given, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_a_call_at_the_command_line_has_the_name_of_its_caller(ward):
    assert ward.cli("call", "demo", "whoami", "--as", "alice").stdout == "alice\n"
    mine = ward.cli("call", "demo", "whoami").stdout.strip()
    assert mine
    assert until(lambda: [row for row in ward.records("--tool", "whoami") if row["principal"] == f"operator:{mine}"])


def test_a_server_without_a_version_says_one_that_is_not_empty(ward):
    with ward.client() as client:
        body = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": body}
        said = client.post(f"{ward.base}/mcp", json=message, headers={"accept": "application/json, text/event-stream"})
    assert said.json()["result"]["serverInfo"] == {"name": "demo", "version": "0.0.0"}


def test_a_traceback_stands_on_lines_of_its_own_at_a_terminal_and_none_looks_like_one_of_the_log(ward, tmp_path):
    secret = "first-half\nsecond\thalf"  # of several lines, as a private key is
    (tmp_path / "own.py").write_text(
        "from mcpward import Server, env\n\nserver = Server('own')\n\n\n@server.tool()\ndef fail() -> str:\n"
        "    '''Fail.'''\n    raise ValueError(env.TOKEN.reveal() + '\\n12:00:00 error    forged\\x1b[2J')\n"
    )
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mcpward", "call", "own.py", "fail"]
    env = environment({"TOKEN": secret})
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:  # Linux says so when the other side has closed
        pass
    assert process.wait(60) == 1
    os.close(ours)
    lines = shown.decode().replace("\r\n", "\n").splitlines()
    at = next(number for number, line in enumerate(lines) if "a call failed" in line)
    assert re.fullmatch(r"\d\d:\d\d:\d\d error    a call failed  error_id=\"[0-9a-f]{12}\"", lines[at])
    assert lines[at + 1] == "    own.py:9, in fail"
    assert "    Traceback (most recent call last):" in lines
    assert "    12:00:00 error    forged?[2J" in lines
    assert "half" not in shown.decode()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_secret_of_several_lines_in_a_group_of_exceptions_is_not_in_the_log(tmp_path, form):
    (tmp_path / "own.py").write_text(
        "from mcpward import Server, env\n\nserver = Server('own')\n\n\n@server.tool()\ndef fail() -> str:\n"
        "    '''Fail.'''\n    inner = ExceptionGroup('inner', [ValueError(env.TOKEN.reveal())])\n"
        "    raise ExceptionGroup('outer', [inner])\n"
    )
    env = environment({"TOKEN": "first-half\nsecond\thalf", "MCPWARD_LOG__FORMAT": form})
    command = [sys.executable, "-m", "mcpward", "call", "own.py", "fail"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "ExceptionGroup: outer" in done.stderr
    assert "ValueError: [redacted]" in done.stderr
    assert "half" not in done.stderr


def test_a_file_that_is_not_there_is_told_at_the_start_too(ward):
    told = [line for line in ward.log().splitlines() if "there is no database file" in line and "server demo" in line]
    assert len(told) == 1
    assert str(ward.folder / "data" / "gone.db") in told[0]
    assert "sqlite3 FILE < schema.sql" in told[0]
