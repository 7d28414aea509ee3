"""docs/from-fastmcp.md, "The same rules, by hand": a client sees the same of both files."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from support.guarded import guarded
from support.issuer import Issuer, listening
from support.ports import free_port
from support.sources import ROOT
from support.ward import environment
from support.wire import until

pytestmark = pytest.mark.timeout(120)

PAGE = (ROOT / "docs" / "from-fastmcp.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```(?:python|toml) (\w+)\n(.*?)```", PAGE, re.DOTALL))
OWNERS = {"ada": range(1, 31), "ben": range(31, 61)}
NEAR = {"from_date": "2026-01-01", "to_date": "2026-03-31"}


@dataclass
class Served:
    """One of the two, and how to reach it."""

    url: str
    issuer: Issuer
    database: Path
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def client(self, person: str, *, says: bool = True) -> AsyncIterator[Client[Any]]:
        """Connect as ``person``, who answers each question with ``says``."""

        async def answer(message: str, response_type: Any, params: Any, context: Any) -> Any:
            self.asked.append(message)
            schema = params.requested_schema if hasattr(params, "requested_schema") else params.requestedSchema
            return dict.fromkeys(schema["properties"], says)

        token = self.issuer.mint(self.url, subject=person, scope="orders").token()
        # FastMCP's elicitation needs a session; mcpward asks in either generation of the protocol.
        async with Client(self.url, auth=token, elicitation_handler=answer, mode="legacy") as client:
            yield client

    def status(self, order: int) -> str:
        """Return the status of an order in the database."""
        with closing(sqlite3.connect(self.database)) as connection:
            return str(connection.execute("SELECT status FROM orders WHERE id = ?", [order]).fetchone()[0])


def filled(path: Path) -> Path:
    """Make the database: 60 orders of two people, one each third day of the half year."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, owner TEXT, status TEXT, total INT, day TEXT)")
        rows = [
            (number, owner, "paid", number * 10, f"2026-{1 + number % 6:02}-{1 + number % 28:02}")
            for owner, numbers in OWNERS.items()
            for number in numbers
        ]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", rows)
    return path


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    with listening(issuer):
        yield issuer


@contextmanager
def by_hand(folder: Path, issuer: Issuer) -> Iterator[Served]:
    folder.mkdir()
    (folder / "orders.py").write_text(FILES["fastmcp_rules"])
    port = free_port()
    served = Served(f"http://127.0.0.1:{port}/mcp", issuer, filled(folder / "orders.db"))
    env = os.environ | {"ORDERS_DATABASE": str(served.database), "ISSUER": issuer.issuer, "AUDIENCE": served.url}
    start = f"from orders import mcp; mcp.run(transport='http', host='127.0.0.1', port={port}, show_banner=False)"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", start], cwd=folder, env=env, stdout=log, stderr=log)
    try:
        until(lambda: b"Uvicorn running" in (folder / "log").read_bytes(), 30)
        yield served
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def by_mcpward(folder: Path, issuer: Issuer) -> Iterator[Served]:
    folder.mkdir()
    (folder / "orders.py").write_text(FILES["mcpward_rules"])
    database = filled(folder / "orders.db")
    env = environment({"ORDERS_DATABASE_URL": f"sqlite:///{database}"})
    servers = FILES["mcpward_toml"]
    trusted = servers[: servers.index("[servers.")]
    trusted = re.sub(r'"https://[^"]*"', f'"{issuer.metadata}"', trusted)
    with guarded(folder, servers[servers.index("[servers.") :], trusted, env=env) as ward:
        yield Served(f"{ward.base}/mcp", issuer, database)


@pytest.fixture(scope="module", params=[by_hand, by_mcpward])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, issuer: Issuer
) -> Iterator[Served]:
    with request.param(tmp_path_factory.mktemp("cost") / "site", issuer) as served:
        yield served


async def rows(client: Client[Any], **arguments: Any) -> list[int]:
    result = await client.call_tool("query_orders", NEAR | arguments)
    assert result.structured_content is not None
    return [row["id"] for row in result.structured_content["result"]]


async def refusal(client: Client[Any], tool: str, **arguments: Any) -> str:
    with pytest.raises(ToolError) as error:
        await client.call_tool(tool, arguments)
    return str(error.value)


async def test_89_days_are_served_and_ten_years_refused_with_a_sentence_to_act_on(served: Served):
    async with served.client("ada") as client:
        assert len(await rows(client, limit=100)) == 15
        told = await refusal(client, "query_orders", from_date="2016-01-01", to_date="2026-01-01")
    assert "90 days" in told
    assert "3653" in told


async def test_a_limit_beyond_the_bound_is_refused(served: Served):
    async with served.client("ada") as client:
        assert len(await rows(client, limit=3)) == 3
        assert "limit" in await refusal(client, "query_orders", **NEAR, limit=5000)


async def test_each_sees_their_own_and_the_model_cannot_say_whose(served: Served):
    for person, numbers in OWNERS.items():
        async with served.client(person) as client:
            assert set(await rows(client, limit=100)) <= set(numbers)
            (tool,) = [one for one in await client.list_tools() if one.name == "query_orders"]
            assert sorted(tool.input_schema["properties"]) == ["from_date", "limit", "to_date"]
            await refusal(client, "query_orders", **NEAR, owner="ben")


async def test_cancelling_asks_a_person_and_runs_only_on_yes_and_only_for_ones_own(served: Served):
    async with served.client("ada", says=False) as client:
        await refusal(client, "cancel_order", order_id=5)
    assert served.status(5) == "paid"
    async with served.client("ben") as client:
        await refusal(client, "cancel_order", order_id=5)
    assert served.status(5) == "paid"
    async with served.client("ada") as client:
        await client.call_tool("cancel_order", {"order_id": 5})
    assert served.status(5) == "cancelled"
    assert all(message.startswith("Cancel order 5?") for message in served.asked)


def test_the_page_counts_the_lines_rightly_and_ours_are_fewer():
    theirs, ours, settings = (
        sum(1 for line in FILES[name].splitlines() if line.strip())
        for name in ("fastmcp_rules", "mcpward_rules", "mcpward_toml")
    )
    assert f"{theirs} lines" in PAGE
    assert f"{ours} lines, and {settings} of settings" in PAGE
    assert ours + settings < theirs
