"""examples/shop: eight tools on SQLite, PostgreSQL, a REST API and a folder, called through ``mcpward.testing``."""

import importlib.util
import json
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastmcp import Client as FastMCPClient
from fastmcp.exceptions import ToolError as FastMCPError

from mcpward.testing import Progress, client
from support.sources import ROOT

SHOP = ROOT / "examples" / "shop"
README = (SHOP / "README.md").read_text(encoding="utf-8")
SPRING = {"since": "2026-03-01", "until": "2026-03-31"}


class Carriers(ThreadingHTTPServer):
    """It notes from which ports and with which credentials it was asked."""

    def __init__(self, *where: Any) -> None:
        super().__init__(*where)
        self.seen: list[tuple[int, str | None]] = []


class Carrier(BaseHTTPRequestHandler):
    """The carrier's API."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        number = int(self.path.rpartition("/")[2])
        self._answer({"order": number, "at": "Berlin"} if number == 1 else None)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._answer({"order": body["order"], "at": "called"})

    def _answer(self, found: dict | None) -> None:
        assert isinstance(self.server, Carriers)
        self.server.seen.append((self.client_address[1], self.headers["authorization"]))
        body = json.dumps(found).encode()
        self.send_response(200 if found else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Return nothing."""


@pytest.fixture
def carrier():
    with Carriers(("127.0.0.1", 0), Carrier) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def sales(postgres_server) -> str:
    name = postgres_server.create()
    postgres_server.sql((SHOP / "sales.sql").read_text(), name)
    return postgres_server.url(name)


@pytest.fixture
def secrets(tmp_path, sales, carrier) -> dict[str, str]:
    with closing(sqlite3.connect(tmp_path / "catalogue.db")) as connection:
        connection.executescript((SHOP / "catalogue.sql").read_text())
    return {
        "CATALOGUE_URL": f"sqlite:///{tmp_path / 'catalogue.db'}",
        "SALES_URL": sales,
        "CARRIER_URL": f"http://127.0.0.1:{carrier.server_address[1]}",
        "CARRIER_TOKEN": "a-token-of-the-carrier",
    }


@pytest.fixture
def shop(secrets):
    def opened(**options):
        return client(config=SHOP / "mcpward.toml", secrets=secrets, **({"caller": "ann"} | options))

    return opened


async def test_the_catalogue_is_in_sqlite_and_counting_says_how_far_it_is(shop):
    async with shop() as ann:
        assert [row["name"] for row in (await ann.call("products", word="oak")).value] == ["oak table", "oak chair"]
        counted = await ann.call("stock")
        assert counted.value == {"north": 34, "south": 87}
        assert counted.progress[0] == Progress(1, 2, "north")


async def test_each_customer_sees_and_cancels_their_own_orders_in_postgresql(shop):
    async with shop(answers={"confirm": True}) as ann:
        ben = ann.as_caller("ben", answers={"confirm": True})
        assert sorted(row["id"] for row in (await ann.call("orders", **SPRING)).value) == [1, 2]
        assert [row["id"] for row in (await ben.call("orders", **SPRING)).value] == [3]
        assert (await ben.call("spent")).value == [{"product": "oak chair", "cents": 12_900}]
        assert "you have no order of that number" in (await ben.call("cancel", order=2)).text
        assert not (await ann.call("cancel", order=2)).is_error
        assert (await ann.as_caller("ann").call("cancel", order=2)).reason == "consent-missing"
        assert (await ann.call("orders", since="2026-01-01", until="2026-12-31")).reason == "argument-dangerous"


async def test_the_carrier_is_called_through_one_pool_with_a_token_that_does_not_leave(shop, carrier):
    async with shop() as ann:
        assert (await ann.call("parcel", order=1)).value == {"order": 1, "at": "Berlin"}
        assert (await ann.call("send", order=1)).value == {"order": 1, "at": "called"}
        lost = await ann.call("parcel", order=2)
        assert lost.reason == "tool-failed"
        assert "404" in lost.detail
        assert "404" not in lost.message
    assert len({connection for connection, _ in carrier.seen}) == 1
    assert {token for _, token in carrier.seen} == {"Bearer a-token-of-the-carrier"}


async def test_the_operators_budget_bounds_what_the_carrier_is_asked(shop, carrier):
    async with shop(settings={"budgets.carrier.quota": "3/day"}) as ann:
        reasons = [(await ann.call("send", order=number)).reason for number in (1, 2)]
        assert reasons == [None, "rate-exceeded"]
        assert len(carrier.seen) == 1


async def test_the_manual_is_searched_and_read_and_there_is_no_way_out_of_its_folder(shop):
    async with shop() as ann:
        assert (await ann.call("manual", word="oak")).value == ["care"]
        assert (await ann.read("shop://manual/care")).text.startswith("# Care")
        assert (await ann.read("shop://manual/..%2Ftools")).reason == "resource-unknown"
        assert "from 2026-03-01 to 2026-03-31" in (await ann.prompt("late", **SPRING)).text


async def test_the_same_in_fastmcp_answers_the_same_and_takes_nearly_twice_the_lines(shop, secrets, monkeypatch):
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("with_fastmcp", SHOP / "with_fastmcp.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    asked: list[tuple[str, dict[str, Any]]] = [
        ("products", {"word": "oak", "limit": 1}), ("stock", {}), ("parcel", {"order": 1}), ("send", {"order": 1}),
        ("manual", {"word": "oak"}),
    ]  # fmt: skip
    async with shop() as ann, FastMCPClient(module.mcp) as theirs:
        assert {tool.name for tool in await theirs.list_tools()} == {
            tool["name"] for tool in await ann.as_caller("ann", access="destructive").tools()
        }
        for name, arguments in asked:
            answer = (await theirs.call_tool(name, arguments)).structured_content
            assert answer.get("result", answer) == (await ann.call(name, **arguments)).value
        with pytest.raises(FastMCPError, match="sign in first"):
            await theirs.call_tool("orders", SPRING)
        assert "There is no such page" in (await theirs.read_resource("shop://manual/none"))[0].text
    ours, by_hand = [
        sum(bool(line.strip()) for line in (SHOP / name).read_text().splitlines())
        for name in ("tools.py", "with_fastmcp.py")
    ]
    assert f"{ours} lines" in README
    assert f"{by_hand} lines" in README


def test_it_has_eight_tools_in_no_more_than_seventy_lines():
    lines = [line for line in (SHOP / "tools.py").read_text().splitlines() if line.strip()]
    assert sum(line.startswith("@server.tool") for line in lines) == 8
    assert len(lines) <= 70
