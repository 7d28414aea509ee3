"""Requests that are small and cost much: of what their arguments are held against, and of what they ask the store for.

Attack 121: a body of 200 bytes made pydantic work for ten seconds, for it doubled with each level; 30 KB of empty
objects made it try all alternatives for each. Attack 122: one request asked the store 256 times.
"""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.hostile import CROWD, STRANGER, Siege, assert_unharmed, besieged
from support.load import cpu_s
from support.raw import connect, parse, request
from support.volley import answer_of, call_bytes
from support.ward import ACCEPT, LAVISH, modern_request

SOURCE = """
from typing import Any
from pydantic import BaseModel, create_model
from mcpward import Server

server = Server("demo")


class Branch(BaseModel):
    kids: list["Branch | Leaf"] = []


class Leaf(BaseModel):
    leaf: int
    kids: list["Branch | Leaf"] = []


Branch.model_rebuild()
Leaf.model_rebuild()
AnyOf8 = None
for number in range(8):
    fields = {f"f{at}": (int | None, None) for at in range(3)} | {f"only{number}": (int, ...)}
    model = create_model(f"Model{number}", **fields)
    AnyOf8 = model if AnyOf8 is None else AnyOf8 | model


class Row(BaseModel):
    id: int
    name: str


@server.tool(read_only=True, task="optional")
async def echo(text: str) -> str:
    return text


@server.tool(read_only=True)
async def tree(root: Branch) -> int:
    return len(root.kids)


@server.tool(read_only=True)
async def either(rows: list[AnyOf8]) -> int:
    return len(rows)


@server.tool(read_only=True)
async def rows(rows: list[Row]) -> int:
    return len(rows)


CHOICES = [{"type": "object", "required": [f"only{number}"]} for number in range(20)]


@server.tool(
    read_only=True,
    input_schema={"type": "object", "properties": {"rows": {"type": "array", "items": {"anyOf": CHOICES}}}},
)
async def written(arguments: dict[str, Any]) -> int:
    return len(arguments["rows"])
"""
SERVERS = "".join(
    f'[servers.{name}]\nsource = "{source}.py"\nmode = "{mode}"\n[servers.{name}.limits]\n{LAVISH}'
    for name, source, mode in (
        ("demo", "worked", "api-key"),
        ("open", "worked", "public"),
        ("orders", "tools", "api-key"),
    )
)
TASKS: dict[str, Any] = {
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}
}


def doubling(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"leaf": "x"}
    for _ in range(levels):
        inner = {"kids": [inner]}
    return {"root": inner}


BOMBS = {
    "tree": doubling(16),
    "either": {"rows": [{}] * 10_000},
    "written": {"rows": [{}] * 10_000},
    "rows": {"rows": [{"id": 1, "name": "n"}] * 1500},
}


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    folder = tmp_path_factory.mktemp("work") / "site"
    folder.mkdir()
    (folder / "worked.py").write_text(SOURCE)
    with besieged(folder, servers=SERVERS) as running:
        yield running


def repeated(siege: Siege, source: str, data: bytes, pause_s: float = 0.0) -> Callable[[threading.Event], None]:
    """Send one request again and again from an address, each when the one before was answered, and after a pause."""

    def attack(over: threading.Event) -> None:
        while not over.is_set():
            try:
                with connect(siege.ward.port, 30, source=source) as wire:
                    while not over.is_set():
                        answer_of(wire, data)
                        over.wait(pause_s)
            except (OSError, AssertionError):
                over.wait(0.01)

    return attack


def bomb(siege: Siege, tool: str, arguments: dict[str, Any] | None = None, *, server: str = "demo") -> bytes:
    """Return a call of a tool: with the attacker's key, or without any at the server that is open to all."""
    key = siege.attacker_key if server == "demo" else ""
    arguments = BOMBS[tool] if arguments is None else arguments
    return call_bytes(siege.ward.port, key, tool=tool, arguments=arguments, path=f"/{server}/mcp")


def listening(siege: Siege) -> bytes:
    ids = [f"{number:032d}" for number in range(256)]
    body, headers = modern_request("subscriptions/listen", {"notifications": {"taskIds": ids}})
    body["params"]["_meta"] |= TASKS
    headers |= {"content-type": "application/json", "accept": ACCEPT, "authorization": f"Bearer {siege.attacker_key}"}
    return request(siege.ward.port, "POST", "/demo/mcp", [*headers.items()], json.dumps(body).encode())


def problems_of(siege: Siege, tool: str, arguments: dict[str, Any]) -> tuple[bool, str]:
    """Call a tool; return whether it was refused, and the text of its answer."""
    with connect(siege.ward.port, 30) as wire:
        result = answer_of(wire, bomb(siege, tool, arguments)).json()["result"]
    return result["isError"], result["content"][0]["text"]


def spent(siege: Siege, work: Callable[[], object], times: int = 3) -> float:
    """Return the least of what the process spends on a piece of work, in seconds."""
    costs = []
    for _ in range(times):
        before = cpu_s(siege.ward)
        work()
        costs.append(cpu_s(siege.ward) - before)
    return min(costs)


@pytest.mark.parametrize("tool", ["tree", "either", "written"])
def test_attack_121_a_small_body_that_costs_much_is_refused_before_it_is_checked(siege: Siege, tool: str) -> None:
    data = bomb(siege, tool)
    with connect(siege.ward.port, 30) as wire:
        answer_of(wire, bomb(siege, "echo", {"text": "x"}))
        assert spent(siege, lambda: answer_of(wire, data)) < 0.4
    refused, text = problems_of(siege, tool, BOMBS[tool])
    assert refused
    assert "too long" in text or "rows.0" in text


def test_attack_121_what_is_large_and_plain_is_served(siege: Siege) -> None:
    rows = [{"id": number, "name": f"n{number}"} for number in range(5_000)]
    assert problems_of(siege, "rows", {"rows": rows}) == (False, "5000")
    assert problems_of(siege, "echo", {"text": "QUJD" * 200_000})[0] is False


def test_attack_121_nobody_waits_while_others_arguments_are_checked(siege: Siege) -> None:
    key = [repeated(siege, STRANGER, bomb(siege, tool)) for tool in BOMBS]
    # Twice as often as the limits of a server let an address call, if none are set.
    crowd = [repeated(siege, source, bomb(siege, "tree", server="open"), 0.25) for source in CROWD]
    assert_unharmed(siege, "bombs for validation, one key", *key, seconds=2.0)
    assert_unharmed(siege, "bombs for validation, one address", *crowd[:1], seconds=2.0)
    assert_unharmed(siege, "bombs for validation, 50 addresses", *crowd, seconds=2.0)


def test_attack_122_made_up_tasks_cost_one_query(siege: Siege) -> None:
    data = listening(siege)

    def listen() -> None:
        with connect(siege.ward.port, 30) as wire:
            wire.sendall(data)
            received = b""
            while b"acknowledged" not in received:
                received += wire.recv(65536) or pytest.fail("no stream")

    listen()
    assert spent(siege, listen) < 0.05


def test_attack_122_nobody_waits_while_others_listen(siege: Siege) -> None:
    data = listening(siege)

    def attack(over: threading.Event) -> None:
        while not over.is_set():
            with connect(siege.ward.port, 30, source=STRANGER) as wire:
                try:
                    wire.sendall(data)
                    received = b""
                    while b"acknowledged" not in received and not parse(received)[0]:
                        received += wire.recv(65536) or b"\r\n"
                except (TimeoutError, OSError):
                    over.wait(0.01)

    assert_unharmed(siege, "listening for made-up tasks", attack, attack, seconds=2.0)


def test_attack_122_texts_to_listen_for_are_bounded_together(siege: Siege) -> None:
    uris = [f"demo://{number}/".ljust(2048, "x") for number in range(256)]
    answer = siege.ward.modern(
        "subscriptions/listen",
        {"notifications": {"taskIds": uris}},
        path="/demo/mcp",
        key=siege.attacker_key,
    )
    assert answer.status_code == 400
