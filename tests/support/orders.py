"""A shop whose orders are cancelled with a person's yes: the site of the tests of consent, approvals and rules."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from support.ports import free_port
from support.ward import LAVISH, Ward, configure, modern_request

TOOLS = '''
from typing import Annotated, Any

from pydantic import Field

from mcpward import Caller, Server, ToolError

server = Server("orders", version="1.0")
TOTALS = {"7": "12.50 EUR", "8": "99.00 EUR"}


def note(text):
    with open("notes.txt", "a") as file:
        file.write(text + "\\n")


async def question(order_id: str, caller: Caller) -> str:
    """Look the total up."""
    if order_id == "boom":
        raise ValueError("canary-5f1c")
    if order_id not in TOTALS:
        raise ToolError(f"there is no order {order_id}")
    with open("totals.txt") as file:
        return f"Cancel order {order_id} of {file.read().strip() or TOTALS[order_id]} for {caller.name}?"


@server.tool(destructive=True, confirm="Cancel order {order_id} of {total}?")
async def cancel_order(order_id: str, total: float, why: str = "none") -> str:
    """Cancel an order."""
    note(f"cancelled {order_id}")
    return f"cancelled {order_id}"


@server.tool(destructive=True, confirm=question)
async def void_order(order_id: str) -> str:
    """Void an order."""
    note(f"voided {order_id}")
    return f"voided {order_id}"


@server.tool()
async def refund(amount: float, country: str = "DE", note_to: dict[str, str] | None = None) -> str:
    """Pay an amount back."""
    note(f"refunded {amount}")
    return f"refunded {amount:g}"


@server.tool(read_only=True)
async def get_order(order_id: str) -> str:
    """Get an order."""
    note(f"got {order_id}")
    return f"order {order_id}"


@server.tool(read_only=True)
async def get_total(order_id: str) -> str:
    """Get the total of an order."""
    return TOTALS.get(order_id, "none")
'''
FORM: dict[str, Any] = {"elicitation": {"form": {}}}
URL: dict[str, Any] = {"elicitation": {"url": {}}}
_ID = re.compile(r"mcpward approve call ([0-9A-Za-z]{12})")


@contextmanager
def shop(folder: Path, toml: str = "", server: str = "", *, site: str = "", start: bool = True) -> Iterator[Ward]:
    """Serve the shop until the end of the block. ``toml`` goes to the end of the file, ``server`` and ``site`` to the
    tables of these names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orders.py").write_text(TOOLS)
    (folder / "totals.txt").write_text("")
    ward = Ward(folder, free_port(), free_port())
    servers = f'[servers.orders]\nsource = "orders.py"\n{server}\n[servers.orders.limits]\n{LAVISH}{toml}\n'
    configure(folder, ward.port, ward.metrics_port, "", servers)
    file = folder / "mcpward.toml"
    file.write_text(file.read_text().replace("[site]\n", f"[site]\n{site}\n", 1))
    try:
        if start:
            ward.key = make_key(ward)
            ward.start()
        yield ward
    finally:
        if ward.process is not None:
            ward.stop()


def make_key(ward: Ward, name: str = "agent", *more: str) -> str:
    """Make a key for destructive tools, and return it."""
    words = ("key", "create", "-s", "orders", "-n", name, "--class", "destructive", *more)
    return ward.cli(*words).stdout.strip()


def key_id(key: str) -> str:
    """Return the id in a key."""
    return key.removeprefix("sk-mcpward-").partition("_")[0]


def call(
    ward: Ward,
    tool: str,
    arguments: Mapping[str, Any] | bytes,
    *,
    key: str | None = None,
    capabilities: Mapping[str, Any] | None = None,
    **params: Any,
) -> dict[str, Any]:
    """Call a tool as a modern client that declares ``capabilities``; returns the result, or the error."""
    body, headers = modern_request("tools/call", {"name": tool, "arguments": arguments} | params, name=tool)
    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = dict(capabilities or {})
    headers["authorization"] = f"Bearer {ward.key if key is None else key}"
    answer: httpx2.Response = ward.post(body, headers=headers)
    message = json.loads(answer.text.removeprefix("event: message\ndata: ") if answer.text[:1] == "e" else answer.text)
    return message.get("result") or {"error": message["error"]}


def text_of(result: Mapping[str, Any]) -> str:
    """Return the text of a tool's result."""
    return str(result["content"][0]["text"])


def reason_of(result: Mapping[str, Any]) -> str:
    """Return the name of the reason for which a call was refused; empty for an answer."""
    if "error" in result:
        return str(result["error"]["data"]["reason"])
    return str(result["content"][0].get("_meta", {}).get("mcpward/reason", ""))


def question_in(result: Mapping[str, Any]) -> str:
    """Return the text that a person is asked with."""
    (request,) = result["inputRequests"].values()
    return str(request["params"]["message"])


def answered(result: Mapping[str, Any], action: str = "accept", *, yes: bool = True) -> dict[str, Any]:
    """Return the params that bring the person's answer to a question."""
    (key,) = result["inputRequests"]
    answer = {"action": action} | ({"content": {"confirm": yes}} if action == "accept" else {})
    return {"inputResponses": {key: answer}, "requestState": result["requestState"]}


def approval_in(result: Mapping[str, Any]) -> str:
    """Return the id of the approval for which a call waits."""
    assert reason_of(result) == "consent-missing", result
    found = _ID.search(text_of(result))
    assert found is not None, text_of(result)
    return found[1]


def notes(ward: Ward) -> list[str]:
    """Return the lines that tools left."""
    file = ward.folder / "notes.txt"
    return file.read_text().splitlines() if file.exists() else []
