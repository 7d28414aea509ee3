"""Row security over HTTP: one caller never sees the rows of another, on connections that both use.

Attack 61 in the database itself: no argument, and no statement of the tool, says whose rows are read. Sources: CWE-639;
PostgreSQL manual, 5.9 "Row Security Policies".
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.postgres import PostgresServer
from support.ward import LAVISH, Ward, serving, text_of

TOOLS = '''
from typing import Annotated

from mcpward import Database, OneOf, Server

server = Server("notes")
db = Database("URL", read_only=False, max_concurrency=2, session={"app.owner": "caller.tags.owner"}, role="notes_user")


@server.tool(read_only=True)
async def notes(like: str = "") -> list[str]:
    """My notes."""
    rows = await db.query("SELECT body FROM notes WHERE body LIKE '%' || :like || '%' OR TRUE ORDER BY id", like=like)
    return [row["body"] for row in rows]


async def is_mine(note: int) -> str | None:
    """The note is the caller's."""
    return None if await db.query("SELECT 1 FROM notes WHERE id = :note", note=note) else "the id of a note of yours"


@server.tool(read_only=True, guards=[is_mine])
async def shown(note: int) -> str:
    """One note."""
    return "shown"


async def ids() -> list[int]:
    """A list that is kept for all callers."""
    return [row["id"] for row in await db.query("SELECT id FROM notes")]


@server.tool(read_only=True)
async def chosen(note: Annotated[int, OneOf(ids)]) -> str:
    """One of the notes."""
    return "chosen"


@server.tool()
async def write(body: str) -> int:
    """Write a note."""
    return await db.execute("INSERT INTO notes (owner, body) VALUES (current_setting('app.owner'), :body)", body=body)


@server.tool(destructive=True)
async def forget() -> int:
    """Delete all notes that I see."""
    return await db.execute("DELETE FROM notes")
'''
TABLE = (
    "CREATE TABLE notes (id SERIAL PRIMARY KEY, owner TEXT NOT NULL, body TEXT NOT NULL)",
    "ALTER TABLE notes ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON notes USING (owner = current_setting('app.owner', true))",
    "DO $$BEGIN CREATE ROLE notes_user NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END$$",
    "GRANT ALL ON notes, notes_id_seq TO notes_user",
)


@pytest.fixture
def site(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Ward]:
    name = postgres_server.create()
    for statement in TABLE:
        postgres_server.sql(statement, name)
    limits = f"[servers.%s.limits]\n{LAVISH}"
    served = (
        f'[servers.demo]\nsource = "tools.py"\n{limits % "demo"}'
        f'[servers.open]\nsource = "tools.py"\nmode = "public"\n{limits % "open"}'
    )
    with serving(tmp_path / "site", start=False, servers=served) as site:
        (site.folder / "tools.py").write_text(TOOLS.replace("URL", postgres_server.url(name)))
        site.credentials = {
            who: site.create_key(name=who, tag=f"owner={who}", **{"class": "destructive"}) for who in ("alice", "bob")
        }
        yield site.start()


def test_callers_at_once_see_and_change_their_own_rows_alone(site: Ward) -> None:
    def call(number: int) -> tuple[str, list[str]]:
        who = ("alice", "bob")[number % 2]
        key = site.credentials[who]
        if number < 20:
            assert text_of(site.call("write", {"body": f"{who} {number}"}, key=key, path="/demo/mcp")) == "1"
        found = site.call("notes", {"like": "' OR '1'='1"}, key=key, path="/demo/mcp")
        return who, found.json()["result"]["structuredContent"]["result"]

    with ThreadPoolExecutor(6) as threads:
        seen = list(threads.map(call, range(160)))
    for who, bodies in seen:
        assert all(body.startswith(who) for body in bodies), (who, bodies)
    assert {len(bodies) for _, bodies in seen[60:]} == {10}
    assert text_of(site.call("forget", key=site.credentials["alice"], path="/demo/mcp")) == "10"
    left = site.call("notes", key=site.credentials["bob"], path="/demo/mcp").json()["result"]["structuredContent"]
    assert len(left["result"]) == 10


def test_a_caller_without_an_identity_is_refused_and_reads_nothing(site: Ward) -> None:
    key = site.credentials["alice"]
    assert text_of(site.call("write", {"body": "alice's"}, key=key, path="/demo/mcp")) == "1"
    answer = site.call("notes", path="/open/mcp")
    assert answer.json()["result"]["isError"]
    assert "alice" not in json.dumps(answer.json())
    assert "this one has no tags.owner" in site.log()


def test_a_rule_that_waits_sees_the_rows_of_its_caller_and_a_list_for_all_callers_sees_none(site: Ward) -> None:
    alice, bob = site.credentials["alice"], site.credentials["bob"]
    assert text_of(site.call("write", {"body": "alice's"}, key=alice, path="/demo/mcp")) == "1"
    assert text_of(site.call("shown", {"note": 1}, key=alice, path="/demo/mcp")) == "shown"
    assert "the id of a note of yours" in text_of(site.call("shown", {"note": 1}, key=bob, path="/demo/mcp"))
    for key in (alice, bob):
        answer = site.call("chosen", {"note": 1}, key=key, path="/demo/mcp").json()["result"]
        assert answer["isError"]
        assert "values that exist" not in json.dumps(answer)
