"""Workers that send each other messages through a bus store in memory, sealed as mcpward seals them."""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from mcpward.crypto.aead import SealRefused
from mcpward.crypto.envelope import Envelope
from mcpward.crypto.keyring import KeyRing
from mcpward.messaging.bus.outbox import BusMessage
from mcpward.messaging.bus.worker_bus import WorkerBus
from support.clock import ManualClock


class Seal:
    """``crypto.sealed`` with space for a long message."""

    def __init__(self, root: bytes = b"n" * 32) -> None:
        self._envelope = Envelope(KeyRing([root]), "mail")

    def seal(self, payload: bytes, aad: bytes) -> str:
        return urlsafe_b64encode(self._envelope.seal(payload, aad)).decode()

    def open(self, text: str, aad: bytes) -> bytes | None:
        try:
            return self._envelope.open(urlsafe_b64decode(text), aad)
        except (SealRefused, ValueError):
            return None


class PostInMemory:
    """Fits ``channel.outbox.PostOffice``; a test may order an outage."""

    def __init__(self) -> None:
        self.letters: dict[int, BusMessage] = {}
        self.seq = 0
        self.looks = 0
        self.is_out = False
        self.changed = asyncio.Event()

    def _touch(self) -> None:
        self.changed.set()
        if self.is_out:
            raise OSError("the disk is gone")

    async def newest(self) -> int:
        self._touch()
        return self.seq

    async def put(self, letters: Sequence[BusMessage]) -> None:
        self._touch()
        for letter in letters:
            self.seq += 1
            self.letters[self.seq] = letter

    async def since(self, seq: int, reader: str) -> tuple[int, list[BusMessage]]:
        self.looks += 1
        self._touch()
        mine = [
            letter
            for at, letter in self.letters.items()
            if at > seq and letter.sender != reader and letter.addressee in (None, reader)
        ]
        return self.seq, mine

    async def forget(self, through: int) -> None:
        self._touch()
        self.letters = {at: letter for at, letter in self.letters.items() if at > through}

    async def until(self, number: int) -> None:
        """Wait until so many messages have been put."""
        async with asyncio.timeout(5):
            while self.seq < number:
                self.changed.clear()
                await self.changed.wait()


class Workers:
    """Buses of several workers at one bus store. Messages are handed over when the test says ``deliver``."""

    def __init__(self, clock: ManualClock, *names: str, poll_s: float = 3600.0, hurry_s: float = 3600.0) -> None:
        self.clock = clock
        self.post = PostInMemory()
        self.seal = Seal()
        self.poll_s = poll_s
        self.hurry_s = hurry_s
        self.rooms = {name: self.open(name) for name in names}

    def open(self, name: str, *, alone: bool = False, seal: Seal | None = None) -> WorkerBus:
        seal = seal or self.seal
        return WorkerBus(self.post, seal.seal, seal.open, self.clock, name, self.poll_s, self.hurry_s, alone=alone)

    async def __aenter__(self) -> "Workers":
        for room in self.rooms.values():
            await room.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.post.is_out = False
        for room in self.rooms.values():
            await room.stop()

    def __getitem__(self, name: str) -> WorkerBus:
        return self.rooms[name]

    async def deliver(self) -> None:
        """Write the messages of every outbox, and have every worker look for its own."""
        async with asyncio.timeout(5):
            while any(room._outbox._queue for room in self.rooms.values()):  # noqa: ASYNC110  # its own task does
                await asyncio.sleep(0)
        for room in self.rooms.values():
            await room.poll()
