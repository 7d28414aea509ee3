"""The steps that agents' clients take, for clients that Python drives in an environment of their own.

A script of this folder is run with one JSON argument, the plan (see ``tests/support/agents.py``), and prints one JSON
object: what each step saw. A step that fails gives its error as text, so that one step never hides the next.
"""

import asyncio
import json
import sys
import warnings
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

STEP_S = 20.0
PERIOD = {"from_date": "2026-03-01T00:00:00Z", "to_date": "2026-03-31T00:00:00Z", "limit": 2}


class Opened(Protocol):
    """A connected client, whatever its package calls things."""

    async def names(self) -> list[str]: ...
    async def call(self, tool: str, arguments: dict[str, Any]) -> str: ...


Connect = Callable[[str, str], AbstractAsyncContextManager[Opened]]


async def taken(connect: Connect, plan: dict[str, Any]) -> dict[str, Any]:
    """Take all steps."""
    seen: dict[str, Any] = {}

    async def orders(opened: Opened) -> None:
        seen["lists"] = await attempt(opened.names())
        seen["times"] = await attempt(opened.call("query_orders", PERIOD))

    async def unknown(opened: Opened) -> None:
        seen["unknown"] = [await attempt(opened.call("no_such_tool", {}))]
        seen["unknown"].append(await attempt(opened.call("add", {"a": 1, "b": 2})))

    async def confirm(opened: Opened) -> None:
        seen["confirm"] = await attempt(opened.call("forget", {}))

    async def waived(opened: Opened) -> None:
        seen["waived"] = await attempt(opened.call("forget", {}))

    async def limited(opened: Opened) -> None:
        seen["limited"] = []
        for tool, arguments in (("add", {"a": 1, "b": 2}), ("add", {"a": 2, "b": 2}), ("note", {"text": "still here"})):
            seen["limited"].append(await attempt(opened.call(tool, arguments)))

    async def refused(opened: Opened) -> None:
        seen["refused"] = await attempt(opened.names())

    steps = {
        "orders": [orders],
        "desk": [unknown, confirm],
        "waived": [waived],
        "tight": [limited],
        "refused": [refused],
    }
    for server, groups in steps.items():
        for group in groups:
            await in_a_session(connect, plan[server], group, seen)
    return seen


async def in_a_session(
    connect: Connect, server: tuple[str, str], group: Callable[[Opened], Awaitable[None]], seen: dict[str, Any]
) -> None:
    """Take a group of steps in one session. One that ends with its session is an error under the group's name."""
    try:
        async with asyncio.timeout(2 * STEP_S), connect(*server) as opened:
            await group(opened)
    except BaseException as error:  # noqa: BLE001 - a client ends its session with whatever it likes
        seen[group.__name__] = f"session ended: {told(error)}"


async def attempt(step: Awaitable[Any]) -> Any:
    """Return what a step saw; its error as text."""
    try:
        return await asyncio.wait_for(step, STEP_S)
    except BaseException as error:  # noqa: BLE001 - whatever a client raises is what its user sees
        return f"error: {told(error)}"


def told(error: BaseException) -> str:
    """Return the words of an error, and of all errors that it holds or comes from."""
    inner = [told(one) for one in getattr(error, "exceptions", ())]
    cause = [told(error.__cause__)] if error.__cause__ is not None else []
    return " | ".join([f"{type(error).__name__}: {error}", *inner, *cause])


def main(connect: Connect) -> None:
    """Take all steps of the plan in the first argument, and print what they saw."""
    warnings.simplefilter("ignore")
    print(json.dumps(asyncio.run(taken(connect, json.loads(sys.argv[1])))))  # noqa: T201
