"""Workers that serve tasks from one store: the real one, on SQLite, with real sealing. Time stands still."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from mcpward.core.change import Change
from mcpward.core.secret import Secret
from mcpward.core.values import AcceptedCall, Call, Kind, Outcome
from mcpward.crypto.aead import SealRefused
from mcpward.crypto.envelope import Envelope
from mcpward.crypto.keyring import KeyRing
from mcpward.protocol import reply as replies
from mcpward.sanitize.clean import Sanitizer
from mcpward.sanitize.redact import Redactor
from mcpward.storage.engine import Store
from mcpward.tasks.record import Caps
from mcpward.tasks.tasks import Tasks, Work
from support.clock import ManualClock
from support.store import open_store
from support.values import a_call, a_principal, a_tool

DECLARED: dict[str, Any] = {"elicitation": {}, "sampling": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}}
SECRET = "hunter2-hunter2"
HELLO = b'{"content":[{"type":"text","text":"hello"}],"isError":false}'


async def hello(_channel: Any) -> Outcome:
    return Outcome(body=HELLO)


class Seals:
    """The envelope that the site injects, as text."""

    def __init__(self) -> None:
        self._envelope = Envelope(KeyRing([b"k" * 32]), "tasks")

    def seal(self, plain: bytes, aad: bytes) -> str:
        return self._envelope.seal(plain, aad).hex()

    def open(self, text: str, aad: bytes) -> bytes | None:
        with contextlib.suppress(SealRefused, ValueError):
            return self._envelope.open(bytes.fromhex(text), aad)
        return None


class Post:
    """Carries messages between the workers of a test; ``is_lost`` loses them all."""

    def __init__(self) -> None:
        self.offices: dict[str, dict[str, Callable[[dict[str, Any]], None]]] = {}
        self.is_lost = False

    def office(self, worker: str) -> "Office":
        self.offices[worker] = {}
        return Office(self, worker)


class Office:
    def __init__(self, post: Post, worker: str) -> None:
        self.post, self.worker = post, worker

    def send(self, kind: str, payload: Any, to: str | None = None) -> bool:
        if not self.post.is_lost and to in self.post.offices:
            letter = json.decode(json.encode(payload))
            asyncio.get_running_loop().call_soon(self.post.offices[to][kind], letter)
        return not self.post.is_lost

    def on(self, kind: str, handler: Callable[[dict[str, Any]], None]) -> None:
        self.post.offices[self.worker][kind] = handler


class House:
    """One worker."""

    def __init__(self, tasks: Tasks, changes: list[Change], log: list[tuple[str, str]]) -> None:
        self.tasks, self.changes, self.log = tasks, changes, log

    async def start(self, work: Work = hello, call: Call | None = None, **more: Any) -> dict[str, Any]:
        return json.decode(await self.tasks.start(accepted(call), work, **more))

    async def get(self, task_id: str, **who: Any) -> dict[str, Any]:
        return json.decode(await self.tasks.get(asking("tasks/get", task_id, **who)))

    async def update(self, task_id: str, answers: Any, **who: Any) -> bytes:
        call = asking("tasks/update", task_id, **who)
        return await self.tasks.update(replace(call, params={"taskId": task_id, "inputResponses": answers}))

    async def cancel(self, task_id: str, **who: Any) -> bytes:
        return await self.tasks.cancel(asking("tasks/cancel", task_id, **who))

    async def until(self, task_id: str, *status: str) -> dict[str, Any]:
        """Ask until the task has one of these statuses."""
        async with asyncio.timeout(10):
            while (task := await self.get(task_id))["status"] not in status:  # noqa: ASYNC110  # a caller polls
                await asyncio.sleep(0.002)
        return task

    async def settle(self) -> None:
        """Wait until nothing runs any more."""
        await until(lambda: not len(self.tasks))

    async def end(self, task_id: str) -> dict[str, Any]:
        return await self.until(task_id, "completed", "failed", "cancelled")


def accepted(call: Call | None = None) -> AcceptedCall:
    tool = replace(a_tool("slow"), task="optional")
    return AcceptedCall(call=call or a_call(target="slow", capabilities=DECLARED), tool=tool, arguments={})


def asking(
    method: str, task_id: str, *, key: str = "api-key:abc", server: str = "orders", capabilities: Any = None
) -> Call:
    call = a_call(
        a_principal(key, server=server), target=task_id, arguments=None, kind=Kind.TASK, method=method,
        capabilities=DECLARED if capabilities is None else capabilities, params={"taskId": task_id},
    )  # fmt: skip
    return replace(call, arrival=replace(call.arrival, server=server))


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is waited for happens in a file
            await asyncio.sleep(0.002)


Open = Callable[..., Awaitable[House]]


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite:///{tmp_path / 'site' / 'mcpward.db'}", clock)
    yield opened
    await opened.close()


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def opened(store: Store, clock: ManualClock, post: Post) -> AsyncIterator[Open]:
    """Open another worker. Nothing turns by itself: tests call ``keeper.turn``."""
    seals, houses = Seals(), []

    async def open_worker(name: str = "one", *, table: Any = None, allowed: Any = None, **more: Any) -> House:
        changes: list[Change] = []
        log: list[tuple[str, str]] = []
        redactor = Redactor([Secret(SECRET, "TOKEN")])
        tasks = Tasks(
            table or store.tasks, seals.seal, seals.open, clock, name,
            mail=post.office(name), publish=changes.append, clean=Sanitizer(lambda: redactor, 1_000_000).frame,
            refuse=replies.refusal, report=lambda *what: log.append(what), allowed=allowed or (lambda _c, _t: True),
            **{"poll_s": 0.01, "caps": Caps(), **more},
        )  # fmt: skip
        houses.append(House(tasks, changes, log))
        return houses[-1]

    yield open_worker
    for house in houses:
        await house.tasks.stop(0)


@pytest.fixture
async def house(opened: Open) -> House:
    return await opened()
